"""Intersectional cells: coverage with planted cells, shrinkage that helps, and the robust critical value."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.hierarchical import estimate_cells, robust_critical
from audit.bias.readings import ErrorMatrix
from generator.errors import InputError

GROUPS = (("woman", "man"), ("young", "middle", "old"))
RATES = (np.array([[0.9, 0.08, 0.02], [0.05, 0.93, 0.02]]),
         np.array([[0.85, 0.1, 0.03, 0.02], [0.1, 0.8, 0.08, 0.02], [0.02, 0.1, 0.86, 0.02]]))  # fmt: skip
CELLS = np.array([[0.24, 0.10, 0.02], [0.16, 0.26, 0.22]])  # young women, old men: far from independent


def world(rng, *, prompts=40, images=20, cells=CELLS):
    """Counts (P, 3, 4) of prompts around the planted cells, and error matrices from 250 labels a group."""
    shares = rng.dirichlet(cells.ravel() * 6, size=prompts)
    joint = np.einsum("gr,as->gars", *RATES).reshape(6, 12)
    truth = np.array([rng.multinomial(images, row) for row in shares])
    read = rng.multinomial(truth, joint).sum(axis=1).reshape(prompts, 3, 4)
    matrices = [
        ErrorMatrix(np.array([rng.multinomial(250, row) for row in rates]), names)
        for rates, names in zip(RATES, GROUPS, strict=True)
    ]
    return read, matrices


def test_intervals_cover_on_average_over_cells():
    held, raw = [], []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        counts, matrices = world(rng)
        found = estimate_cells(counts, GROUPS, matrices=matrices, rng=rng)
        held.append((found.low <= CELLS.ravel()) & (CELLS.ravel() <= found.high))
        raw.append(np.abs(found.shares - CELLS.ravel()))
    assert 0.93 <= np.mean(held) <= 0.995
    assert np.mean(raw) < 0.05


def test_shrinking_helps_where_attributes_are_independent():
    cells = np.outer([0.4, 0.6], [0.3, 0.5, 0.2])
    shrunk, raw, held = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        counts, matrices = world(rng, cells=cells, prompts=20, images=8)
        found = estimate_cells(counts, GROUPS, matrices=matrices, rng=rng)
        shrunk.append(((found.shares - cells.ravel()) ** 2).sum())
        raw.append(((found.raw - cells.ravel()) ** 2).sum())
        held.append((found.low <= cells.ravel()) & (cells.ravel() <= found.high))
    assert np.mean(shrunk) < np.mean(raw)
    assert np.mean(held) >= 0.93


def test_a_cell_never_seen_may_still_exist():
    counts = np.zeros((30, 3, 4), dtype=int)
    counts[:, 0, 0] = counts[:, 1, 1] = 10
    found = estimate_cells(counts, GROUPS, matrices=[None, None], rng=np.random.default_rng(0))
    never = found.names.index(("woman", "old"))
    assert found.raw[never] == 0
    assert 0 < found.high[never] < 0.1
    assert found.names[0] == ("woman", "young")


def test_robust_critical_value_is_the_published_one():
    # Normal quantile without bias; 7.216 for a mean squared bias of 4, as the authors' software gives.
    assert robust_critical(np.array([0.0, 4.0])) == pytest.approx([1.96, 7.216], abs=0.005)


@pytest.mark.parametrize(("counts", "matrices", "words"), [
    (np.ones((9, 3, 3), dtype=int), [None, None], "expected"),
    (np.ones((9, 3, 4), dtype=int), [None], "1 matrices"),
    (np.ones((4, 3, 4), dtype=int), [None, None], "at least 5"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(counts, matrices, words):
    with pytest.raises(InputError, match=words):
        estimate_cells(counts, GROUPS, matrices=matrices, rng=np.random.default_rng(0))
