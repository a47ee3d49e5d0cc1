"""Two runs side by side: differences of perceived shares with intervals, as evidence, as a page and as a document.

A difference is after minus before, over the prompts that both runs have. Labels of both runs, where they are, take
the place of the error matrices: the two corrected means are then compared, unpaired. Where neither is known, nothing
is concluded: a reader that errs differently on two models can turn a difference round.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.bias.amplification import difference_bounds
from audit.bias.comparison import Comparison, compare_runs
from audit.bias.measures import SMALL_EFFECT, margin_bounds
from audit.bias.readings import ErrorMatrix, Readings
from audit.bias.resummary import ReadSchema, bias_evidence, read_schema
from audit.bias.sampling import Tables
from audit.evidence import JSON, Check, Evidence, Interval, Status
from audit.report.figures import IntervalRow
from audit.run import RunDirectory, write_atomically
from audit.statistics import Bounds
from generator.errors import InputError

SEED = 20261124
LEVEL = 0.95
SOURCE = "audit.bias.comparison"
_METHOD = "bootstrap over shared prompts, paired"
_LABELLED = "MOVER over two means with labels, unpaired"
_UNKNOWN = "Label images of both runs (`assay label`), or read both with a reader whose errors are measured."


def compare_directories(before: RunDirectory, after: RunDirectory) -> Evidence:
    """Differences of every attribute that both runs were read for.

    Returns:
        For each attribute `compare.NAME.overall` (the mean over shared prompts: pass when the difference is decided)
        and `compare.NAME.distance` (from equal shares or the reference both share: fail when the second run is
        farther away).

    Raises:
        InputError: a run has not been read, they share no attribute, or groups or prompts differ (named).
        CannotCheckError: evidence or tables are damaged.
    """
    evidence = bias_evidence(before), bias_evidence(after)
    schemas = read_schema(evidence[0]), read_schema(evidence[1])
    shared = [name for name in schemas[0].groups if name in schemas[1].groups]
    if not shared:
        raise InputError(
            f"comparison: the first run has the attributes {list(schemas[0].groups)}, the second "
            f"{list(schemas[1].groups)}; none is in both"
        )
    tables = [Tables(run.rows("bias"), run.rows("images")) for run in (before, after)]
    checks: list[Check] = []
    for name in shared:
        readings = [
            table.sample(name, schema.groups[name]).readings
            for table, schema in zip(tables, schemas, strict=True)
        ]
        overall = [found.find(f"bias.{name}.overall") for found in evidence]
        checks += _compare(name, readings, schemas, overall)
    return Evidence(f"{after.path.name} minus {before.path.name}", tuple(checks))


def _compare(
    name: str, readings: Sequence[Readings], schemas: tuple[ReadSchema, ReadSchema], overall: Sequence[Check]
) -> list[Check]:
    before, after = readings
    known = [name in schema.matrices for schema in schemas]
    labelled = ["labelled_images" in check.details for check in overall]
    if not all(known) and not all(labelled):
        _same_groups(before, after)
        reason = "The reader's errors are unknown in at least one run, so its readings cannot be compared."
        return [
            Check(f"compare.{name}.overall", Status.INCONCLUSIVE, reason, source=SOURCE, next_step=_UNKNOWN)
        ]
    if all(labelled):
        _same_groups(before, after)
        return [_labelled(name, overall)]
    reference = _reference(overall)
    matrices: tuple[ErrorMatrix | None, ErrorMatrix | None] = (
        schemas[0].matrices[name],
        schemas[1].matrices[name],
    )
    if matrices[0] is not None and matrices[1] is not None and _equal(matrices[0], matrices[1]):
        matrices = (matrices[0], matrices[0])
    rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    found = compare_runs(
        before, after, matrices=matrices, reference=np.array(reference), level=LEVEL, rng=rng
    )
    return [_difference(name, found), _distance(name, found, reference)]


def _same_groups(before: Readings, after: Readings) -> None:
    if before.groups != after.groups:
        raise InputError(
            f"comparison: the first run has groups {list(before.groups)}, the second {list(after.groups)}"
        )


def _equal(first: ErrorMatrix, second: ErrorMatrix) -> bool:
    return first.groups == second.groups and np.array_equal(first.counts, second.counts)


def _reference(overall: Sequence[Check]) -> list[float]:
    """The reference both runs were held against; equal shares where they differ."""
    first, second = ([float(share) for share in check.details["reference"]] for check in overall)  # type: ignore[union-attr, arg-type]
    return first if first == second else [1 / len(first)] * len(first)


def _points(share: float) -> float:
    return round(100 * share, 4)


def _difference(name: str, found: Comparison) -> Check:
    group = int(np.argmax(np.abs(found.difference)))
    low, high = float(found.bounds.low[group]), float(found.bounds.high[group])
    decided = found.p_value <= 1 - found.level or max(-low, high) <= _same_margin(len(found.groups))
    details: dict[str, JSON] = {
        "group": found.groups[group],
        "groups": list(found.groups),
        "differences": [_points(value) for value in found.difference],
        "lows": [_points(value) for value in found.bounds.low],
        "highs": [_points(value) for value in found.bounds.high],
        "p_value": found.p_value,
        "prompt_ids": list(found.prompt_ids),
        "by_prompt": _matrix(found.by_prompt),
        "prompt_lows": _matrix(found.prompt_bounds.low),
        "prompt_highs": _matrix(found.prompt_bounds.high),
        "prompt_p": [round(float(value), 6) for value in found.prompt_p],
        "only_before": list(found.only_before),
        "only_after": list(found.only_after),
    }
    moved = int((found.prompt_p <= 1 - found.level).sum())
    reason = (
        f"Over {len(found.prompt_ids)} shared prompts, the share of perceived {found.groups[group]} differs by "
        f"{_points(found.difference[group]):+.1f} percentage points ({_points(low):+.1f} to {_points(high):+.1f}, "
        f"p = {found.p_value:.3g}); {moved} single prompts differ after correction for their number."
    )
    left = len(found.only_before) + len(found.only_after)
    if left:
        reason += f" {left} prompts are in one run only and are left out."
    return Check(
        f"compare.{name}.overall",
        Status.PASS if decided else Status.INCONCLUSIVE,
        reason,
        value=_points(found.difference[group]),
        unit="percentage points",
        interval=Interval(_points(low), _points(high), found.level, _METHOD),
        source=SOURCE,
        next_step="" if decided else "Add prompts; more images of the same prompts help less.",
        details=details,
    )


def _same_margin(k: int) -> float:
    """Largest difference that does not matter: from equal shares to the edge of the usual margin around them."""
    parity = np.full(k, 1 / k)
    return float(np.min(margin_bounds(parity, effect=SMALL_EFFECT).high - parity))


def _matrix(values: Any) -> list[JSON]:  # noqa: ANN401 - float64 (S, k)
    return [[_points(float(cell)) for cell in row] for row in values]


def _distance(name: str, found: Comparison, reference: Sequence[float]) -> Check:
    low, high = float(found.distance_bounds.low), float(found.distance_bounds.high)
    status, words = Status.INCONCLUSIVE, "it is not decided whether it is nearer or farther"
    if low > 0:
        status, words = Status.FAIL, "the second run is farther away"
    elif high < 0:
        status, words = Status.PASS, "the second run is nearer"
    elif max(-low, high) <= _same_margin(len(found.groups)):
        status, words = Status.PASS, "it stays the same within the margin"
    against = "equal shares" if len(set(reference)) == 1 else "the reference"
    reason = (
        f"The mean distance of single prompts from {against} changes by {_points(found.distance_change):+.1f} "
        "percentage "
        f"points ({_points(low):+.1f} to {_points(high):+.1f}): {words}."
    )
    return Check(
        f"compare.{name}.distance",
        status,
        reason,
        value=_points(found.distance_change),
        unit="percentage points",
        interval=Interval(_points(low), _points(high), found.level, _METHOD),
        threshold=0.0,
        source=SOURCE,
        next_step="Look at the prompts that moved most." if status is Status.FAIL else "",
        details={"reference": [round(share, 6) for share in reference]},
    )


def _labelled(name: str, overall: Sequence[Check]) -> Check:
    """Difference of two means that rest on labels of each run's own images."""
    shares, lows, highs = (
        [np.array(check.details[key], dtype=np.float64) for check in overall]
        for key in ("estimates", "lows", "highs")
    )
    gap = shares[1] - shares[0]
    bounds = difference_bounds(
        shares[1], shares[0], first_bounds=Bounds(low=lows[1], high=highs[1]),
        second_bounds=Bounds(low=lows[0], high=highs[0]),
    )  # fmt: skip
    groups = [str(group) for group in overall[0].details["groups"]]  # type: ignore[union-attr]
    group = int(np.argmax(np.abs(gap)))
    low, high = float(bounds.low[group]), float(bounds.high[group])
    margin = _same_margin(len(groups))
    decided = low > 0 or high < 0 or max(-low, high) <= margin
    labels = " and ".join(str(check.details["labelled_images"]) for check in overall)
    reason = (
        f"With {labels} labelled images, the share of perceived {groups[group]} differs by "
        f"{_points(gap[group]):+.1f} "
        f"percentage points ({_points(low):+.1f} to {_points(high):+.1f}) between the two runs."
    )
    return Check(
        f"compare.{name}.overall",
        Status.PASS if decided else Status.INCONCLUSIVE,
        reason,
        value=_points(gap[group]),
        unit="percentage points",
        interval=Interval(_points(low), _points(high), LEVEL, _LABELLED),
        source=SOURCE,
        next_step="" if decided else "Label more images of both runs.",
        details={
            "group": groups[group],
            "groups": list(groups),
            "differences": [_points(value) for value in gap],
            "lows": [_points(value) for value in bounds.low],
            "highs": [_points(value) for value in bounds.high],
        },
    )


def prompt_rows(check: Check) -> list[IntervalRow]:
    """Differences of one group by prompt, largest first, from the details of `compare.NAME.overall`."""
    details: Any = check.details
    if "by_prompt" not in details:
        return []
    place = details["groups"].index(details["group"])
    rows = [
        IntervalRow(str(prompt), values[place], lows[place], highs[place], 0.0)
        for prompt, values, lows, highs in zip(
            details["prompt_ids"],
            details["by_prompt"],
            details["prompt_lows"],
            details["prompt_highs"],
            strict=True,
        )
    ]
    return sorted(rows, key=lambda row: -abs(row.value))


def write_comparison(evidence: Evidence, path: Path) -> None:
    """Write a comparison as .html, .pdf or .json.

    Raises:
        InputError: another suffix, or reportlab is missing.
        DiskFullError: no space.
    """
    from audit.report.pages import comparison_blocks, render_comparison
    from audit.report.pdf import render_document

    if path.suffix == ".json":
        data = json.dumps(evidence.to_json(), indent=1, ensure_ascii=False).encode()
    elif path.suffix == ".html":
        data = render_comparison(evidence).encode()
    elif path.suffix == ".pdf":
        data = render_document(f"Comparison: {evidence.subject}", comparison_blocks(evidence))
    else:
        raise InputError(f"{path}: unknown suffix; expected .html, .pdf or .json")
    write_atomically(path, data)
