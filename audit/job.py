"""The main job, end to end: generate (or take) images, mark, verify, audit, report."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audit.bias.stopped import StoppedSummary
from audit.bias.stopping import RECORD
from audit.engine import Module, audit
from audit.evidence import Evidence
from audit.generation import ORIGINALS, Marking, begin_images, generate_images, plan_requests
from audit.intake import collect_folder, run_items
from audit.plan import Plan, prompt_set
from audit.provenance.published_gate import check_published
from audit.rooms import ROOMS, RoomOptions, build_room
from audit.run import RunDirectory
from audit.sequential import generate_until_decided, stop_rule
from generator.errors import InputError
from generator.interface import Request
from generator.marking.identity import assay_home, development_identity
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.watermark.keys import load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.sources import Loaded, load_source
from generator.steering import Steered, SteeredGenerator, count_values, plan_steering
from generator.steering_targets import EMBEDDED, check_targets, load_lexicon, parse_fair, parse_steer


def _requests(plan: Plan, loaded: Loaded) -> list[Request]:
    if loaded.requests:
        return list(loaded.requests)
    if plan.count < 1:
        raise InputError(f"--count {plan.count}: at least one image a prompt is needed")
    prompts = prompt_set(plan)
    if plan.image_seed is not None:
        return [Request(prompts.prompts[0], 0, plan.image_seed)]
    return plan_requests(prompts, count=plan.count, seed=plan.seed)


def _plan_steering(plan: Plan, requests: Sequence[Request]) -> dict[tuple[str, int], Steered]:
    if not plan.steer and not plan.fair:
        return {}
    if plan.source.kind == "folder":
        raise InputError(f"{plan.source.spec}: these images are made; --steer and --fair come too late")
    lexicon = load_lexicon(Path(plan.traits)) if plan.traits else EMBEDDED
    targets = [parse_steer(text, lexicon=lexicon) for text in plan.steer]
    targets += [target for text in plan.fair for target in parse_fair(text, lexicon=lexicon)]
    return plan_steering(requests, check_targets(targets), lexicon=lexicon, seed=plan.seed)


def _check_prompts(
    run: RunDirectory, loaded: Loaded, requests: Sequence[Request], steered: Mapping[tuple[str, int], Steered]
) -> None:
    """Refuse what would not be read whole, and name the words that are not known."""
    texts = {request.prompt.prompt_id: request.prompt.text for request in requests}
    for text in {*texts.values(), *(given.text for given in steered.values())}:
        loaded.check_prompt(text)
    unknown = {prompt_id: list(loaded.unknown_words(text)) for prompt_id, text in texts.items()}
    named = {prompt_id: words for prompt_id, words in unknown.items() if words}
    for prompt_id, words in named.items():
        sys.stderr.write(f"Prompt {prompt_id}: the generator does not know {', '.join(words)}\n")
    run.update({"unknown_words": named})


def _describe(loaded: Loaded) -> dict[str, Any]:
    generator = loaded.generator
    return {
        "name": generator.name,
        "version": generator.version,
        "weights_digest": generator.weights_digest,
        "in_generation_mark": loaded.in_generation_mark,
    }


def _deciding_room(plan: Plan) -> Module | None:
    """The bias room where it decides when to stop; None for a fixed number of images."""
    if plan.sequential is None:
        if plan.budget is not None:
            raise InputError(f"--budget {plan.budget}: a fixed number of images is made; add --sequential")
        return None
    if plan.source.kind == "folder" or "bias" not in plan.rooms:
        raise InputError(
            "--sequential: needs a generator that makes images as they are asked for, and the bias room"
        )
    return build_room("bias", RoomOptions(plan.clip, bias=plan.bias))


def make_images(run: RunDirectory, plan: Plan, *, online: bool = False) -> None:
    """Fill the images table: generate, mark and write what was asked for, or enter a foreign folder.

    Args:
        run: locked by the caller.
        plan: of the run.
        online: allow a model to be downloaded.

    Raises:
        InputError: the prompts, the generator or the folder cannot be used, or the generator is not the one that this
            run began with.
        CannotCheckError: a generator cannot be loaded, or a service gave no usable answer.
        DiskFullError: no space; what was committed is kept.
    """
    if plan.images is not None:
        if not run.finished("collect"):
            collect_folder(run, Path(plan.images))
        return
    if run.finished("generate"):
        return
    record = run.record()
    loaded = load_source(plan.source, store=run.path / ORIGINALS, run_id=record["run_id"], online=online)
    made_by = _describe(loaded)
    if record.get("generator", made_by) != made_by:
        raise InputError(
            f"{run.path}: began with {record['generator']}, the generator is now {made_by}; choose another --out"
        )
    requests = _requests(plan, loaded)
    room = _deciding_room(plan)
    steered = _plan_steering(plan, requests)
    _check_prompts(run, loaded, requests, steered)
    home = assay_home()
    identity, key = development_identity(), load_or_create_key(home)
    run.update(
        {
            "generator": made_by,
            "identity": {"name": identity.name, "development": identity.is_development},
            "watermark": {"scheme": DEFAULT.name, "key_id": key.key_id},
            "steering": count_values(steered),
        }
    )
    generator = SteeredGenerator(loaded.generator, steered) if steered else loaded.generator
    with Ledger(home / LEDGER_FILE) as ledger:
        marking = Marking(identity, key, ledger, check_published)
        maker = begin_images(run, generator=generator, marking=marking, suffix=plan.suffix)
        if room is None:
            generate_images(maker, requests)
        else:
            generate_until_decided(
                maker,
                requests,
                module=room,
                rule=stop_rule(room, requests, attributes=plan.sequential or (), budget=plan.budget),
            )


def audit_rooms(
    run: RunDirectory, plan: Plan, rooms: Sequence[str], *, workers: int | None = None
) -> dict[str, Evidence]:
    """Audit the rooms that are not finished yet, one after another, and return the evidence of all of them.

    A room is built when its turn comes and let go afterwards, so that only one model is in memory at a time.
    """
    items = run_items(run)
    options = RoomOptions(plan.clip, Path(plan.trust) if plan.trust else None, plan.bias)
    stop = run.record().get(RECORD)
    for name in rooms:
        if not run.finished(name):
            module = build_room(name, options)
            if name == "bias" and stop:
                module = replace(module, summarise=StoppedSummary(module.summarise, stop))
            audit(module, run, items, workers=workers)
    found = run.evidence()
    return {name: found[name] for name in ROOMS if name in found}


def finish_report(run: RunDirectory) -> Path:
    """Write report.html from what the run holds and return its path."""
    from audit.report.html import write_report

    started = time.monotonic()
    path = write_report(run)
    run.finish_stage("report", seconds=time.monotonic() - started)
    return path
