"""The main job, end to end: generate (or take) images, mark, verify, audit, report.

A run is the same run when its configuration is the same: starting it again goes on where it stopped.
"""

from __future__ import annotations

import platform
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.engine import audit
from audit.evidence import Evidence
from audit.generation import Marking, generate_images, plan_requests
from audit.intake import collect_folder, run_items
from audit.rooms import EMBEDDED_CLIP, ROOMS, RoomOptions, build_room
from audit.run import RunDirectory, now
from generator.errors import CannotCheckError, InputError
from generator.interface import Prompt, Request
from generator.marking.identity import assay_home, development_identity
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.watermark.keys import load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.prompts import PromptSet, load_prompts

if TYPE_CHECKING:
    from generator.embedded import EmbeddedGenerator

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
        suffix: file type of generated images.
        clip: name of the CLIP model for perceived attributes and descriptors.
        rooms: which audits run.
        prompt: one prompt instead of a set.
        image_seed: seed of the one image to make again, with `prompt`.
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

    def to_json(self) -> dict[str, Any]:
        """As it stands in the run record."""
        return {**asdict(self), "rooms": list(self.rooms)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Restore a plan from a run record.

        Raises:
            CannotCheckError: the record was written by another version.
        """
        try:
            return cls(**{**data, "rooms": tuple(data["rooms"])})
        except (KeyError, TypeError) as error:
            raise CannotCheckError(f"run.json: config is not one of this version ({error})") from error


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
    return {
        "run_id": f"{now().replace(':', '').replace('-', '')[:15]}-{secrets.token_hex(4)}",
        "config": plan.to_json(),
        "argv": list(argv),
        "asset_secret": secrets.token_hex(16),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": _versions(),
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain")),
    }


def _unfinished(folder: Path, config: Mapping[str, Any]) -> RunDirectory | None:
    for path in sorted(folder.glob("*/run.json"), reverse=True):
        run = RunDirectory.open(path.parent)
        if run.record().get("config") == config and not run.finished("report"):
            return run
    return None


def open_run(
    plan: Plan, *, out: Path | None, runs: Path = Path("runs"), argv: Sequence[str] = ()
) -> RunDirectory:
    """The run directory of a plan: the one named, else an unfinished one of the same plan, else a new one.

    Raises:
        InputError: `out` holds another run or other files.
    """
    config = plan.to_json()
    if out is None:
        found = _unfinished(runs, config)
        if found is not None:
            sys.stderr.write(f"Going on with the unfinished run {found.path}\n")
            return found
        record = build_record(plan, argv)
        return RunDirectory.create(runs / record["run_id"], record=record)
    if (out / "run.json").is_file():
        run = RunDirectory.open(out)
        if run.record().get("config") != config:
            raise InputError(f"{out}: holds a run with another configuration; choose another --out")
        return run
    return RunDirectory.create(out, record=build_record(plan, argv))


def _prompt_set(plan: Plan) -> PromptSet:
    if plan.prompt is not None:
        return PromptSet("prompt", (Prompt("prompt", plan.prompt),))
    return load_prompts(plan.prompts)


def _requests(plan: Plan) -> list[Request]:
    if plan.count < 1:
        raise InputError(f"--count {plan.count}: at least one image a prompt is needed")
    prompts = _prompt_set(plan)
    if plan.image_seed is not None:
        return [Request(prompts.prompts[0], 0, plan.image_seed)]
    return plan_requests(prompts, count=plan.count, seed=plan.seed)


def _warn_unknown_words(run: RunDirectory, generator: EmbeddedGenerator, requests: Sequence[Request]) -> None:
    unknown = {request.prompt.prompt_id: generator.unknown_words(request.prompt.text) for request in requests}
    named = {prompt_id: list(words) for prompt_id, words in unknown.items() if words}
    for prompt_id, words in named.items():
        sys.stderr.write(f"Prompt {prompt_id}: the generator does not know {', '.join(words)}\n")
    run.update({"unknown_words": named})


def make_images(run: RunDirectory, plan: Plan) -> None:
    """Fill the images table: generate, mark and write what was asked for, or enter a foreign folder.

    Raises:
        InputError: the prompts or the folder cannot be used.
        WeightsError: the generator's weights are missing or damaged.
        DiskFullError: no space; what was committed is kept.
    """
    if plan.images is not None:
        if not run.finished("collect"):
            collect_folder(run, Path(plan.images))
        return
    if run.finished("generate"):
        return
    requests = _requests(plan)
    from generator.embedded import EmbeddedGenerator

    generator = EmbeddedGenerator.load()
    _warn_unknown_words(run, generator, requests)
    home = assay_home()
    identity, key = development_identity(), load_or_create_key(home)
    run.update(
        {
            "generator": {
                "name": generator.name,
                "version": generator.version,
                "weights_digest": generator.weights_digest,
            },
            "identity": {"name": identity.name, "development": identity.is_development},
            "watermark": {"scheme": DEFAULT.name, "key_id": key.key_id},
        }
    )
    with Ledger(home / LEDGER_FILE) as ledger:
        marking = Marking(identity, key, ledger)
        generate_images(run, requests, generator=generator, marking=marking, suffix=plan.suffix)


def audit_rooms(
    run: RunDirectory, rooms: Sequence[str], options: RoomOptions, *, workers: int | None = None
) -> dict[str, Evidence]:
    """Audit the rooms that are not finished yet, one after another, and return the evidence of all of them.

    A room is built when its turn comes and let go afterwards, so that only one model is in memory at a time.
    """
    items = run_items(run)
    for name in rooms:
        if not run.finished(name):
            audit(build_room(name, options), run, items, workers=workers)
    found = run.evidence()
    return {name: found[name] for name in ROOMS if name in found}


def finish_report(run: RunDirectory) -> Path:
    """Write report.html from what the run holds and return its path."""
    from audit.report.html import write_report

    started = time.monotonic()
    path = write_report(run)
    run.finish_stage("report", seconds=time.monotonic() - started)
    return path
