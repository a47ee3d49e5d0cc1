"""Checks that describe: intersectional cells, and what the generator makes of its training data's shares.

Cells are described, not judged: their intervals hold on average over cells, which is too little for a verdict about
one. Amplification is judged by how many of the published kind of verdict an interval bears out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from audit.bias.amplification import BAND, Amplification, compare_with_training
from audit.bias.analysis import Analysis
from audit.bias.details import SOURCE, percent, to_list
from audit.bias.hierarchical import Cells, estimate_cells
from audit.bias.intervals import MIN_CLUSTERS
from audit.bias.policy import Policy
from audit.bias.readings import Counts
from audit.bias.sampling import Tables
from audit.evidence import JSON, Check, Status
from audit.statistics import Bounds, clopper_pearson_bounds
from generator.errors import InputError

MAX_CELLS = 60  # of one crossing; more than that no audit of a usual size can tell apart


def _correctable(analysis: Analysis) -> bool:
    return bool(analysis.numbers and analysis.numbers[0].prompts and analysis.sample.has_prompts)


def check_cells(analyses: Sequence[Analysis], tables: Tables, *, policy: Policy) -> list[Check]:
    """Describe every pair of attributes that can be corrected and has no more than `MAX_CELLS` cells.

    Args:
        analyses: of all attributes.
        tables: of the run.
        policy: level and seed.
    """
    usable = [one for one in analyses if _correctable(one)]
    found = []
    for index, first in enumerate(usable):
        for second in usable[index + 1 :]:
            size = len(first.reference) * len(second.reference)
            if size <= MAX_CELLS and len(first.sample.readings.rates) >= MIN_CLUSTERS:
                found += _check_pair((first, second), tables, policy=policy)
    return found


def _check_pair(pair: tuple[Analysis, Analysis], tables: Tables, *, policy: Policy) -> list[Check]:
    schema = {one.sample.attribute: one.sample.readings.groups for one in pair}
    counts = tables.cross(schema)
    if np.count_nonzero(counts.reshape(len(counts), -1).sum(axis=1)) < MIN_CLUSTERS:
        return []
    cells = estimate_cells(
        counts, list(schema.values()), matrices=[one.matrix for one in pair], level=policy.level,
        rng=np.random.default_rng([policy.seed, len(schema)]),
    )  # fmt: skip
    departure = int(np.argmax(np.abs(cells.shares - cells.prior)))
    reason = (
        f"Of {len(cells.names)} combinations, {' and '.join(cells.names[departure])} departs most from what "
        f"independent attributes would give: {percent(cells.shares[departure])} "
        f"({percent(cells.low[departure])} to {percent(cells.high[departure])}) where "
        f"{percent(cells.prior[departure])} would be expected. Combinations are described, not judged."
    )
    return [
        Check(
            f"bias.cells.{'+'.join(schema)}", Status.SKIPPED, reason, source="audit.bias.hierarchical",
            details=_cell_details(cells, list(schema)),
        )
    ]  # fmt: skip


def _cell_details(cells: Cells, attributes: list[JSON]) -> dict[str, JSON]:
    return {
        "attributes": attributes,
        "cells": [list(name) for name in cells.names],
        "estimates": to_list(cells.shares),
        "lows": to_list(cells.low),
        "highs": to_list(cells.high),
        "unshrunk": to_list(cells.raw),
        "if_independent": to_list(cells.prior),
        "own_weight": to_list(cells.weight),
        "level": cells.level,
        "n_prompts": cells.n_prompts,
    }


def check_amplification(
    analysis: Analysis, training: Mapping[str, Mapping[str, int]], *, policy: Policy, band: float = BAND
) -> Check:
    """Does the generator show prompts' groups less evenly than its training data do? Two groups only.

    Args:
        analysis: of the attribute.
        training: prompt_id -> group -> images of the training data; prompts that are not named are left out.
        policy: level.
        band: difference of shares that counts as the same.

    Raises:
        InputError: more than two groups, a prompt that is not in the run, or groups that differ (named).
    """
    name = f"bias.{analysis.sample.attribute}.amplification"
    readings = analysis.sample.readings
    counts = _training_counts(analysis, training)
    if not _correctable(analysis):
        return Check(name, Status.INCONCLUSIVE, f"{analysis.obstacle} No share is compared.", source=SOURCE)
    prompts = analysis.numbers[0].prompts[0]
    rows = np.array([readings.prompt_ids.index(prompt) for prompt in training])
    seen = (readings.determined[rows] > 0) & (counts.sum(axis=1) > 0)
    if not seen.any():
        return Check(name, Status.INCONCLUSIVE, "No prompt has images on both sides.", source=SOURCE)
    rows, counts = rows[seen], counts[seen]
    known = clopper_pearson_bounds(counts[:, 0], counts.sum(axis=1), level=policy.level)
    table = compare_with_training(
        counts[:, 0] / counts.sum(axis=1), prompts.shares[rows, 0], training_bounds=known, band=band,
        generated_bounds=Bounds(low=prompts.bounds.low[rows, 0], high=prompts.bounds.high[rows, 0]),
    )  # fmt: skip
    found = table.counts()
    amplified, stands = found[Amplification.AMPLIFIED]
    reason = (
        f"{amplified} of {len(rows)} prompts are farther from one half than the training data; {stands} of them "
        f"beyond a {percent(policy.level)} interval. Verdicts of single prompts are not corrected for their number."
    )
    details: dict[str, JSON] = {str(verdict): list(pair) for verdict, pair in found.items()}
    details |= {
        "prompt_ids": [readings.prompt_ids[row] for row in rows],
        "verdicts": [str(verdict) for verdict in table.published],
        "stands": [bool(value) for value in table.stands],
        "changes": to_list(table.change),
        "lows": to_list(table.change_bounds.low),
        "highs": to_list(table.change_bounds.high),
    }
    mean = float(table.change.mean())
    return Check(
        name, Status.SKIPPED, reason, value=mean, unit="mean change of distance from one half",
        source="audit.bias.amplification", details=details,
    )  # fmt: skip


def _training_counts(analysis: Analysis, training: Mapping[str, Mapping[str, int]]) -> Counts:
    readings = analysis.sample.readings
    strangers = sorted(set(training) - set(readings.prompt_ids))
    if len(readings.groups) != 2 or strangers:
        raise InputError(
            f"training data of {analysis.sample.attribute!r}: {len(readings.groups)} groups (expected 2), prompts "
            f"that are not in the run: {strangers[:5]}"
        )
    for prompt, counts in training.items():
        if set(counts) != set(readings.groups):
            raise InputError(
                f"training data of {prompt!r}: groups {sorted(counts)}, expected {sorted(readings.groups)}"
            )
    return np.array(
        [[counts[group] for group in readings.groups] for counts in training.values()], dtype=np.int64
    )
