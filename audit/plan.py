"""What a run is, and which run directory it has.

A run is the same run when its plan and the digests of its inputs are the same: starting it again goes on where it
stopped. A finished run is never gone on with unless it is named.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from audit.rooms import EMBEDDED_CLIP, ROOMS, reader_files
from audit.run import RunDirectory, now
from generator.errors import CannotCheckError, InputError
from generator.interface import Prompt
from generator.prompts import PromptSet, load_prompts
from generator.sources import Source, digest_file, source_digests

PACKAGES = (
    "assay-audit",
    "c2pa-python",
    "numpy",
    "open_clip_torch",
    "opencv-python-headless",
    "pillow",
    "torch",
)


@dataclass(frozen=True)
class Plan:
    """What a run is: two runs with equal plans are the same run.

    Attributes:
        images: folder of foreign images; None generates.
        prompts: name of a shipped prompt set or path of a file; unused with `images` or `prompt`.
        count: images a prompt.
        seed: of the run; the seeds of its images are derived from it.
        suffix: file type of generated images; empty leaves those of another system as they arrive.
        clip: name of the CLIP model for perceived attributes and descriptors.
        rooms: which audits run.
        prompt: one prompt instead of a set.
        image_seed: seed of the one image to make again, with `prompt`.
        trust: folder or file of PEM trust lists for signers; None trusts nobody.
        source: what makes the images; unused with `images`.
        steer: shares of traits to put into prompts, as `generator.steering_targets.parse_steer` reads them.
        fair: target distributions, as `parse_fair` reads them.
        traits: file of the words for `steer` and `fair`; None takes those of the embedded world.
        sequential: attributes that decide when a prompt has images enough, all that are read if empty; `count` is
            then the most of each prompt. None: a fixed number of images.
        budget: most images in all, with `sequential`; None: `count` for each prompt.
        bias: how perceived attributes are read, see `audit.bias.options.ReaderOptions`; empty: as it ships.
    """

    images: str | None = None
    prompts: str = "occupations"
    count: int = 32
    seed: int = 0
    suffix: str = ".png"
    clip: str = EMBEDDED_CLIP
    rooms: tuple[str, ...] = ROOMS
    prompt: str | None = None
    image_seed: int | None = None
    trust: str | None = None
    source: Source = Source()
    steer: tuple[str, ...] = ()
    fair: tuple[str, ...] = ()
    traits: str | None = None
    sequential: tuple[str, ...] | None = None
    budget: int | None = None
    bias: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the run record."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self)))  # tuples as the lists they will be
        return document

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Restore a plan from a run record.

        Raises:
            CannotCheckError: the record was written by another version.
        """
        try:
            lists: dict[str, Any] = {name: tuple(data[name]) for name in ("rooms", "steer", "fair")}
            decide = data.get("sequential")
            lists["sequential"] = None if decide is None else tuple(decide)
            return cls(**{**data, **lists, "source": Source.from_json(data["source"])})
        except (KeyError, TypeError) as error:
            raise CannotCheckError(f"run.json: config is not one of this version ({error})") from error


def prompt_set(plan: Plan) -> PromptSet:
    """The prompts of a plan that generates.

    Raises:
        InputError: they cannot be used.
    """
    if plan.prompt is not None:
        return PromptSet("prompt", (Prompt("prompt", plan.prompt),))
    return load_prompts(plan.prompts)


def input_digests(plan: Plan) -> dict[str, str]:
    """Digests of what a run is made from: the prompts and the shipped weights. Another digest is another run."""
    digests = {}
    for card in sorted((resources.files("generator") / "weights").iterdir(), key=lambda path: path.name):
        if card.name.endswith(".json"):
            digests[card.name.removesuffix(".json")] = str(json.loads(card.read_text("utf-8")).get("digest"))
    if plan.bias:
        digests |= {f"bias {path.name}": digest_file(path) for path in reader_files(plan.bias)}
    if plan.images is not None:
        return digests
    digests |= source_digests(plan.source)
    if plan.traits:
        digests["traits"] = digest_file(Path(plan.traits))
    digests |= {f"fair {text}": digest_file(Path(text)) for text in plan.fair if "=" not in text}
    if plan.source.kind != "folder":
        text = json.dumps([asdict(prompt) for prompt in prompt_set(plan).prompts], sort_keys=True)
        digests["prompts"] = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return digests


def _git(*words: str) -> str:
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", *words], cwd=root, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def build_record(plan: Plan, argv: Sequence[str]) -> dict[str, Any]:
    """The run record of a new run: everything needed to say what was done, and to do it again."""
    commit = _git("rev-parse", "HEAD")
    return {
        "run_id": f"{now().replace(':', '').replace('-', '')[:15]}-{secrets.token_hex(4)}",
        "config": plan.to_json(),
        "inputs": input_digests(plan),
        "argv": list(argv),
        "asset_secret": secrets.token_hex(16),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": _versions(),
        "commit": commit or None,
        "dirty": bool(_git("status", "--porcelain")) if commit else None,
    }


def _is_same(run: RunDirectory, plan: Plan) -> bool:
    record = run.record()
    return record.get("config") == plan.to_json() and record.get("inputs") == input_digests(plan)


def _unfinished(folder: Path, plan: Plan) -> RunDirectory | None:
    for path in sorted(folder.glob("*/run.json"), reverse=True):
        run = RunDirectory.open(path.parent)
        if _is_same(run, plan) and not run.record().get("finished"):
            return run
    return None


def open_run(
    plan: Plan, *, out: Path | None, runs: Path = Path("runs"), argv: Sequence[str] = ()
) -> RunDirectory:
    """The run directory of a plan: the one named, else an unfinished one of the same plan, else a new one.

    Raises:
        InputError: `out` holds another run or other files, or the plan's prompts cannot be used.
    """
    if out is None:
        found = _unfinished(runs, plan)
        if found is not None:
            sys.stderr.write(f"Going on with the unfinished run {found.path}\n")
            return found
        record = build_record(plan, argv)
        return RunDirectory.create(runs / record["run_id"], record=record)
    if not (out / "run.json").is_file():
        return RunDirectory.create(out, record=build_record(plan, argv))
    run = RunDirectory.open(out)
    if not _is_same(run, plan):
        raise InputError(
            f"{out}: holds a run with another configuration, other prompts or other weights; choose another --out"
        )
    if run.record().get("finished"):
        sys.stderr.write(
            f"{out} is finished; these are its results. To measure again, choose another --out\n"
        )
    return run


def finish_run(run: RunDirectory) -> None:
    """Say in the record that everything planned is done: from now on the same plan starts a new run."""
    if not run.record().get("finished"):
        run.update({"finished": now()})
