"""Makes the images of a run until the verdicts are in: batch by batch, each read before the next is asked for.

What is asked for depends only on the readings, and those are in the run's tables. So a run that was killed replays
its rounds from the tables and goes on with the very image it would have made next.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from audit.bias.module import Measure, SummariseSource
from audit.bias.stopping import RECORD, StopRule, build_stop_rule, check_budget, count_batch
from audit.engine import Module, measure_batch, progress, unreadable_row
from audit.generation import BATCH, ImageMaker
from audit.intake import run_item
from audit.run import RunDirectory
from generator.errors import InputError
from generator.interface import Request

Row = Mapping[Any, Any]


def stop_rule(
    module: Module, requests: Sequence[Request], *, attributes: Sequence[str] = (), budget: int | None = None
) -> StopRule:
    """The stop rule of the bias room over what was planned: every prompt at most as often as requested.

    Args:
        module: the bias room.
        requests: the most that may be made.
        attributes: those that decide; none: all that are read.
        budget: most images in all; None: all requests.

    Raises:
        CannotCheckError: the reader's errors are not known.
        InputError: the budget is too small, or an attribute is not read.
    """
    limits: dict[str, int] = {}
    for request in requests:
        limits[request.prompt.prompt_id] = limits.get(request.prompt.prompt_id, 0) + 1
    summarise = module.summarise
    assert isinstance(summarise, SummariseSource), "only the bias room decides when to stop"
    source = summarise.source
    strangers = sorted(set(attributes) - set(source.groups))
    if strangers:
        raise InputError(f"--sequential: {strangers} are not read; attributes are {list(source.groups)}")
    check_budget(limits, budget)
    groups = {name: source.groups[name] for name in (attributes or source.groups)}
    return build_stop_rule(limits, groups, source.error_matrices(), budget=budget, policy=summarise.policy)


def generate_until_decided(
    maker: ImageMaker, requests: Sequence[Request], *, module: Module, rule: StopRule
) -> None:
    """Make, mark, record and read images until every prompt is decided or the budget is spent.

    Args:
        maker: of the run's images.
        requests: the most that may be made, each prompt's in the order of its replicates.
        module: the bias room.
        rule: from `stop_rule`, fresh.

    Raises:
        InputError: the generator cannot be used.
        DiskFullError: no space; what was committed is kept.
    """
    started, run = time.monotonic(), maker.run
    waiting: dict[str, list[Request]] = {}
    for request in requests:
        waiting.setdefault(request.prompt.prompt_id, []).append(request)
    prompts, asked = tuple(waiting), []
    assert isinstance(module.measure, Measure)
    groups = module.measure.source.groups
    images: dict[str, Row] = {row["image_id"]: row for row in run.rows("images").to_dict("records")}
    readings = _by_image(run.rows("bias").to_dict("records"))
    with progress(len(requests), label="Generate until decided") as bar:
        while (batch := rule.next_batch(BATCH)).any():
            round_ = [
                request
                for prompt, done, more in zip(prompts, rule.made, batch, strict=True)
                for request in waiting[prompt][done : done + more]
            ]
            images |= {row["image_id"]: row for row in maker.make(round_, bar)}
            ids = [maker.asset_id(request).hex for request in round_]
            readings |= _read(run, module, [images[one] for one in ids if one not in readings])
            rows = [{**row, "prompt_id": images[one]["prompt_id"]} for one in ids for row in readings[one]]
            rule.add(batch, count_batch(rows, groups, prompts))
            asked += round_
    run.update({RECORD: rule.record()})
    kept = {id(request) for request in asked}
    maker.finish([request for request in requests if id(request) in kept], started=started)


def _read(run: RunDirectory, module: Module, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Readings of images that have none yet, committed."""
    items = [run_item(run, row) for row in rows]
    found: list[dict[str, Any]] = [unreadable_row(item) for item in items if not item.readable]
    readable = [item for item in items if item.readable]
    for start in range(0, len(readable), module.batch):
        found += measure_batch(module.measure, readable[start : start + module.batch])
    run.append(module.name, found)
    return _by_image(found)


def _by_image(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["image_id"], []).append(row)
    return found
