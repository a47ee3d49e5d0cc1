"""The nouns of the bias room: what a reader said, of which prompts, and how wrong it is known to be.

An undetermined reading is a reading: it has its own column everywhere and is never dropped. Unknown groups,
unknown prompts and references that do not fit are refused here, by name, before anything is estimated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.errors import InputError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

UNDETERMINED = "undetermined"
SUM_TOLERANCE = 1e-6


def _check_groups(groups: Sequence[str], where: str) -> None:
    if len(groups) < 2 or len(set(groups)) != len(groups) or UNDETERMINED in groups:
        raise InputError(
            f"{where}: got groups {list(groups)}, expected two or more different names, none of them "
            f"{UNDETERMINED!r}"
        )


def _check_counts(counts: NDArray[np.generic], shape: tuple[int, int], where: str) -> Counts:
    table = np.asarray(counts)
    numeric = table.dtype.kind in "iuf" and table.shape == shape
    if not numeric or np.any(table < 0) or np.any(table != np.floor(table)):
        raise InputError(
            f"{where}: got an array of shape {table.shape}, expected whole numbers >= 0 of shape {shape} "
            "(groups, then undetermined as the last column)"
        )
    return table.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorMatrix:
    """What a reader said of labelled images.

    Attributes:
        counts: int64 (k, k + 1), true group x reading; the last column is undetermined.
        groups: the k group names, in the order of rows and of the first k columns.
        source: which labelled images, for the report.

    Raises:
        InputError: fewer than two groups, a repeated name, a wrong shape, or counts that are no counts.
    """

    counts: Counts
    groups: tuple[str, ...]
    source: str = ""

    def __post_init__(self) -> None:
        _check_groups(self.groups, "error matrix")
        k = len(self.groups)
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "counts", _check_counts(self.counts, (k, k + 1), "error matrix"))

    @property
    def rates(self) -> Floats:
        """float64 (k, k + 1): each row is P(reading | true group) as observed; a row without labels is 0."""
        totals = self.counts.sum(axis=1, keepdims=True)
        return np.asarray(self.counts / np.maximum(totals, 1), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """How often each reading occurred for each prompt.

    Attributes:
        counts: int64 (P, k + 1), images per prompt and reading; the last column is undetermined. A prompt
            without images is a row of zeros.
        groups: the k group names.
        prompt_ids: the P prompts, in row order.

    Raises:
        InputError: no prompts, repeated prompts, bad groups, or counts that are no counts.
    """

    counts: Counts
    groups: tuple[str, ...]
    prompt_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_groups(self.groups, "readings")
        if not self.prompt_ids or len(set(self.prompt_ids)) != len(self.prompt_ids):
            raise InputError(
                f"readings: got {len(self.prompt_ids)} prompts, expected one or more, all different"
            )
        shape = (len(self.prompt_ids), len(self.groups) + 1)
        object.__setattr__(self, "groups", tuple(self.groups))
        object.__setattr__(self, "prompt_ids", tuple(self.prompt_ids))
        object.__setattr__(self, "counts", _check_counts(self.counts, shape, "readings"))

    @property
    def n_images(self) -> Counts:
        """int64 (P,): images per prompt, undetermined ones included."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.int64)

    @property
    def determined(self) -> Counts:
        """int64 (P,): images per prompt with a group."""
        return np.asarray(self.counts[:, :-1].sum(axis=1), dtype=np.int64)

    @property
    def rates(self) -> Floats:
        """float64 (prompts with images, k + 1): share of each reading, one row per prompt that has images."""
        kept = self.counts[self.n_images > 0]
        return np.asarray(kept / kept.sum(axis=1, keepdims=True), dtype=np.float64)

    def pooled(self) -> Readings:
        """All images as one prompt called "all images"."""
        return Readings(self.counts.sum(axis=0, keepdims=True), self.groups, ("all images",))


def count_readings(
    values: Sequence[str],
    prompt_of: Sequence[str],
    *,
    groups: Sequence[str],
    prompt_ids: Sequence[str] | None = None,
) -> Readings:
    """Count one attribute's readings per prompt.

    Args:
        values: one reading per image: a group or "undetermined".
        prompt_of: the prompt of each image, same length.
        groups: the k known groups.
        prompt_ids: the prompts to report, so that one without images is seen; default: those that occur.

    Raises:
        InputError: lengths differ, or a reading or a prompt is unknown (all unknown ones are named).
    """
    if len(values) != len(prompt_of):
        raise InputError(
            f"readings: got {len(values)} readings for {len(prompt_of)} images, expected as many"
        )
    columns = {name: index for index, name in enumerate((*groups, UNDETERMINED))}
    rows = {name: index for index, name in enumerate(prompt_ids or sorted(set(prompt_of)))}
    for known, found, what in ((columns, values, "reading"), (rows, prompt_of, "prompt")):
        unknown = sorted(set(found) - set(known))
        if unknown:
            raise InputError(f"unknown {what} {unknown}: expected one of {list(known)}; correct the table")
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    np.add.at(counts, ([rows[name] for name in prompt_of], [columns[value] for value in values]), 1)
    return Readings(counts, tuple(groups), tuple(rows))


def check_reference(reference: Mapping[str, float] | None, groups: Sequence[str]) -> Floats:
    """Reference shares in group order; parity when none is given.

    Returns:
        float64 (k,), sums to 1.

    Raises:
        InputError: its groups are not exactly `groups` (the differing keys are named), or its shares are not
            probabilities that sum to 1 within 1e-6.
    """
    if reference is None:
        return np.full(len(groups), 1.0 / len(groups))
    missing, extra = sorted(set(groups) - set(reference)), sorted(set(reference) - set(groups))
    if missing or extra:
        raise InputError(
            f"reference: missing groups {missing}, unknown groups {extra}; expected {list(groups)}"
        )
    shares = np.array([float(reference[group]) for group in groups])
    if not np.all((shares >= 0) & (shares <= 1)) or abs(shares.sum() - 1) > SUM_TOLERANCE:
        raise InputError(f"reference: got {dict(reference)}, expected shares in [0, 1] that sum to 1")
    return shares
