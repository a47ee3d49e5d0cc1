"""Checks that describe intersectional cells.

Cells are described, not judged: their intervals hold on average over cells, which is too little for a verdict about
one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit.bias.analysis import Analysis
from audit.bias.details import percent, to_list
from audit.bias.hierarchical import Cells, estimate_cells
from audit.bias.intervals import MIN_CLUSTERS
from audit.bias.policy import Policy
from audit.bias.sampling import Tables
from audit.evidence import JSON, Check, Status

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
