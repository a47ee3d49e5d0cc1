"""The main job, end to end: generate (or take) images, mark, verify, audit, report."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from audit.engine import audit
from audit.evidence import Evidence
from audit.generation import Marking, generate_images, plan_requests
from audit.intake import collect_folder, run_items
from audit.plan import Plan, prompt_set
from audit.rooms import ROOMS, RoomOptions, build_room
from audit.run import RunDirectory
from generator.errors import InputError
from generator.interface import Request
from generator.marking.identity import assay_home, development_identity
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.watermark.keys import load_or_create_key
from generator.marking.watermark.registry import DEFAULT

if TYPE_CHECKING:
    from generator.embedded import EmbeddedGenerator


def _requests(plan: Plan) -> list[Request]:
    if plan.count < 1:
        raise InputError(f"--count {plan.count}: at least one image a prompt is needed")
    prompts = prompt_set(plan)
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
    run: RunDirectory, plan: Plan, rooms: Sequence[str], *, workers: int | None = None
) -> dict[str, Evidence]:
    """Audit the rooms that are not finished yet, one after another, and return the evidence of all of them.

    A room is built when its turn comes and let go afterwards, so that only one model is in memory at a time.
    """
    items = run_items(run)
    options = RoomOptions(plan.clip, Path(plan.trust) if plan.trust else None)
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
