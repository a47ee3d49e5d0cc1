"""Stop as soon as the verdict is in: tests that may be looked at after every image.

For every prompt and group an e-process grows as the readings contradict "the share is the reference" (a Beta(1/2,
1/2) mixture against the best case of the null); two more grow as they contradict "outside the margin". By Ville's
inequality each stays below 1 / alpha for ever with probability 1 - alpha if its null holds, however often one looks.
Groups are averaged, prompts are judged together by e-BH, which keeps the false discovery rate under any dependence.
A prompt whose verdict is in is left alone: its e-value is frozen at a stopping time.

The reader's errors enter through the null: the reading rates that the reference allows, with the error matrix within
its own simultaneous confidence region. `alpha` is split between that region and the tests.

The verdicts here are about these prompts. Shares after stopping have the intervals of `SequentialAudit.bounds`, which
hold at all times; an ordinary interval at a stopping time does not.

Sources: Ville 1939; Robbins 1970, Annals of Mathematical Statistics 41(5); Wang and Ramdas 2022, JRSS B 84(3) (e-BH);
Ramdas, Gruenwald, Vovk and Shafer 2023, Statistical Science 38(4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit.bias.measures import SMALL_EFFECT, margin_bounds
from audit.bias.readings import Counts, ErrorMatrix, Floats
from audit.statistics import Bounds, clopper_pearson_bounds, require_level
from generator.errors import CannotCheckError, InputError

_BISECTIONS = 30
_GRID = 200  # steps over the shares from 0 to 1
MATRIX_SHARE = 0.2  # of alpha, spent on the error matrix; the rest on the tests


class Verdict(StrEnum):
    """What is known of a prompt."""

    OUTSIDE = "differs from the reference"
    WITHIN = "within the margin"
    OPEN = "undecided"


def log_e_process(x: Counts | Floats, n: Counts | Floats, null: Bounds) -> Floats:
    """Log e-process of "the chance is within [null.low, null.high]" after x of n.

    Args:
        x: successes so far, any shape.
        n: trials so far, >= x.
        null: chances the null allows, broadcast with x, in [0, 1].

    Returns:
        float64: log of the Beta(1/2, 1/2) mixture's likelihood over the null's best likelihood; <= 0 at n = 0.
        +inf when the null cannot produce what was seen.
    """
    from scipy.special import betaln, xlog1py, xlogy

    hits, trials = np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64)
    mixture = betaln(hits + 0.5, trials - hits + 0.5) - betaln(0.5, 0.5)
    best = np.clip(hits / np.maximum(trials, 1.0), null.low, null.high)
    return np.asarray(mixture - xlogy(hits, best) - xlog1py(trials - hits, -best), dtype=np.float64)


def confidence_sequence(x: Counts | Floats, n: Counts | Floats, *, level: float = 0.95) -> Bounds:
    """Intervals of a chance that hold at all times at once, so also when one stops because of what was seen.

    Args:
        x: successes, any shape.
        n: trials; 0 gives [0, 1].
        level: probability that the interval holds the chance for ever.
    """
    require_level(level)
    hits, trials = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(n, dtype=np.float64))
    limit = -np.log1p(-level)
    share = np.where(trials > 0, hits / np.maximum(trials, 1.0), 0.5)

    def search(end: float) -> Floats:
        inside, outside = share.copy(), np.full_like(share, end)
        for _ in range(_BISECTIONS):
            middle = (inside + outside) / 2
            kept = log_e_process(hits, trials, Bounds(low=middle, high=middle)) < limit
            inside, outside = np.where(kept, middle, inside), np.where(kept, outside, middle)
        return outside

    return Bounds(low=np.where(hits == 0, 0.0, search(0.0)), high=np.where(hits == trials, 1.0, search(1.0)))


def reject_e_bh(log_e: Floats, *, alpha: float = 0.05) -> NDArray[np.bool_]:
    """Which nulls e-BH rejects: the largest set of r e-values of at least m / (alpha r).

    Args:
        log_e: float64 (m,), log e-values, any dependence.
        alpha: false discovery rate.
    """
    m = len(log_e)
    descending = -np.sort(-log_e)
    passing = np.flatnonzero(descending >= np.log(m / alpha) - np.log(np.arange(1, m + 1)))
    if not passing.size:
        return np.zeros(m, dtype=bool)
    return np.asarray(log_e >= descending[passing[-1]], dtype=bool)


def reading_range(shares: Bounds, matrix: ErrorMatrix | None, *, alpha: float) -> Bounds:
    """Chances to be read as each group, among determined images, if its share is within `shares`.

    Args:
        shares: (k,) each.
        matrix: the reader's; None: readings are the truth.
        alpha: probability that a rate of the matrix lies outside its interval (Bonferroni over all rates).

    Returns:
        Bounds (k,): extremes over all matrices in the region and all ways to fill the other groups.
    """
    if matrix is None:
        return shares
    named = matrix.counts[:, :-1]
    k = len(named)
    read = named.sum(axis=1)
    # One interval for each reading rate, one for each rate of being determined; two groups mirror each other.
    level = 1 - alpha / (k * (k if k > 2 else 1) + k)
    rate = clopper_pearson_bounds(named, read[:, None], level=level)
    seen = clopper_pearson_bounds(read, matrix.counts.sum(axis=1), level=level)
    low, high = np.zeros(k), np.ones(k)
    for group in range(k):
        others = np.arange(k) != group
        low[group] = _mix(
            shares.low[group], rate.low[group, group], rate.low[others, group].min(),
            seen.low[group], seen.high[others].max(),
        )  # fmt: skip
        high[group] = _mix(
            shares.high[group], rate.high[group, group], rate.high[others, group].max(),
            seen.high[group], seen.low[others].min(),
        )  # fmt: skip
    return Bounds(low=low, high=high)


def _mix(share: float, recall: float, false_rate: float, seen: float, seen_rest: float) -> float:
    mine, rest = share * seen, (1 - share) * seen_rest
    weight = mine / (mine + rest) if mine + rest > 0 else 0.0
    return float(weight * recall + (1 - weight) * false_rate)


def share_out(left: Counts, wanted: int) -> Counts:
    """Spread `wanted` images evenly over prompts, none getting more than is left for it: int64 (P,) -> (P,)."""
    batch = np.zeros_like(left)
    wanted = min(wanted, int(left.sum()))
    while wanted > batch.sum():
        rows = np.flatnonzero(batch < left)
        each, rest = divmod(wanted - int(batch.sum()), len(rows))
        more = np.full(len(rows), each)
        more[:rest] += 1
        batch[rows] = np.minimum(batch[rows] + more, left[rows])
    return batch


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """Where a sequential audit stands.

    Attributes:
        verdicts: of each prompt.
        log_e: float64 (P,), against "the shares are the reference".
        log_e_margin: float64 (P,), against "some share is outside the margin".
        active: bool (P,), prompts that need more images.
        images: spent so far.
        finished: nothing is left to decide, or the budget is spent.
        reason: complete sentence.
    """

    verdicts: tuple[Verdict, ...]
    log_e: Floats
    log_e_margin: Floats
    active: NDArray[np.bool_]
    images: int
    finished: bool
    reason: str


@dataclass(eq=False)
class SequentialAudit:
    """Takes counts as they come and says which prompts need more images.

    Attributes:
        prompt_ids: the P prompts.
        reference: float64 (k,) or (P, k), sums to 1 over k.
        matrix: the reader's errors; None: readings are the truth.
        margin: Cohen's h; within it is "fair". None: only departures are looked for.
        alpha: false discovery rate, of departures and of equivalences each.
        per_prompt: most images of one prompt.
        budget: most images in all; None: per_prompt times P.

    Raises:
        InputError: numbers out of range, or a reference that does not sum to 1.
    """

    prompt_ids: tuple[str, ...]
    reference: Floats
    matrix: ErrorMatrix | None = None
    margin: float | None = SMALL_EFFECT
    alpha: float = 0.05
    per_prompt: int = 250
    budget: int | None = None
    counts: Counts = field(init=False)
    _nulls: Bounds = field(init=False)
    _margins: tuple[Bounds, Bounds] | None = field(init=False)
    _closed: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        require_level(1 - self.alpha)
        table = np.asarray(self.reference, dtype=np.float64)
        if not self.prompt_ids or self.per_prompt < 1 or np.any(np.abs(table.sum(axis=-1) - 1) > 1e-6):
            raise InputError(
                f"sequential audit: {len(self.prompt_ids)} prompts, {self.per_prompt} images each, reference "
                f"{table.tolist()}; expected at least one of each and shares that sum to 1"
            )
        table = np.broadcast_to(table, (len(self.prompt_ids), table.shape[-1]))
        self.reference = table
        self.counts = np.zeros((len(table), table.shape[1] + 1), dtype=np.int64)
        self._closed = np.zeros(len(table), dtype=bool)
        self._nulls = self._ranges(Bounds(low=table, high=table))
        self._margins = None
        if self.margin is not None:
            limits = [margin_bounds(row, effect=self.margin) for row in table]
            low, high = np.array([b.low for b in limits]), np.array([b.high for b in limits])
            zero, one = np.zeros_like(low), np.ones_like(low)
            self._margins = (
                self._ranges(Bounds(low=zero, high=low)),
                self._ranges(Bounds(low=high, high=one)),
            )
        if self.matrix is not None and not np.all(self._nulls.high < 1) and not np.all(self._nulls.low > 0):
            raise CannotCheckError(
                "sequential audit: the reader's error matrix allows any reading; use another reader or more labels"
            )

    @property
    def _test_alpha(self) -> float:
        return self.alpha if self.matrix is None else (1 - MATRIX_SHARE) * self.alpha

    def _ranges(self, shares: Bounds) -> Bounds:
        if self.matrix is None:
            return shares
        spent = MATRIX_SHARE * self.alpha
        rows = [
            reading_range(Bounds(low=low, high=high), self.matrix, alpha=spent)
            for low, high in zip(shares.low, shares.high, strict=True)
        ]
        return Bounds(low=np.array([row.low for row in rows]), high=np.array([row.high for row in rows]))

    def update(self, counts: Counts) -> Progress:
        """Add a batch of readings and judge.

        Args:
            counts: int64 (P, k + 1), new images per prompt and reading; undetermined last. Images of a prompt
                that is no longer active are not counted: its verdict stands.

        Raises:
            InputError: another shape, or negative counts.
        """
        new = np.asarray(counts)
        if new.shape != self.counts.shape or np.any(new < 0):
            raise InputError(
                f"sequential audit: got counts {new.shape}, expected {self.counts.shape}, none negative"
            )
        self.counts = self.counts + np.where(self._closed[:, None], 0, new)
        return self.progress()

    def next_batch(self, images: int) -> Counts:
        """How many images of each prompt to make next, int64 (P,): shared evenly among active prompts.

        Args:
            images: wanted in all, >= 1; fewer come back where prompts or the budget run out, none when finished.
        """
        active = self.progress().active
        left = np.where(active, self.per_prompt - self.counts.sum(axis=1), 0)
        wanted = images if self.budget is None else min(images, self.budget - int(self.counts.sum()))
        return share_out(left, wanted)

    def progress(self) -> Progress:
        """Judge what is there."""
        x, n = self.counts[:, :-1], self.counts[:, :-1].sum(axis=1, keepdims=True)
        tested = slice(0, 1) if x.shape[1] == 2 else slice(None)
        log_e = _average(log_e_process(x, n, self._nulls)[:, tested])
        departs = reject_e_bh(log_e, alpha=self._test_alpha)
        log_margin, within = np.full(len(x), -np.inf), np.zeros(len(x), dtype=bool)
        if self._margins is not None:
            each = [log_e_process(x, n, null)[:, tested] for null in self._margins]
            log_margin = np.minimum(*each).min(axis=1)  # every group, on both sides
            within = reject_e_bh(log_margin, alpha=self._test_alpha)
        self._closed = self._closed | departs | within
        spent = int(self.counts.sum())
        active = ~self._closed & (self.counts.sum(axis=1) < self.per_prompt)
        out_of_budget = self.budget is not None and spent >= self.budget
        finished = out_of_budget or not active.any()
        verdicts = tuple(
            Verdict.OUTSIDE if out else Verdict.WITHIN if inside else Verdict.OPEN
            for out, inside in zip(departs, within, strict=True)
        )
        return Progress(
            verdicts, log_e, log_margin, active & (not finished), spent, finished, _reason(verdicts, finished)
        )

    def bounds(self) -> Bounds:
        """Shares of each prompt's groups that hold at all times, so also at a stop, (P, k).

        Inverts the e-processes over a grid of shares, the reader's errors within their region; a bound errs outwards,
        by at most one step of the grid.
        """
        grid = np.linspace(0.0, 1.0, _GRID + 1)
        x, n = self.counts[:, :-1], self.counts[:, :-1].sum(axis=1, keepdims=True)
        limit, k = -np.log(self._test_alpha), x.shape[1]
        kept = np.zeros((len(grid), *x.shape), dtype=bool)
        for index, share in enumerate(grid):
            one = np.full((1, k), share)
            kept[index] = log_e_process(x, n, self._ranges(Bounds(low=one, high=one))) < limit
        first = np.maximum(kept.argmax(axis=0) - 1, 0)
        last = np.minimum(_GRID - kept[::-1].argmax(axis=0) + 1, _GRID)
        some = kept.any(axis=0)
        return Bounds(low=np.where(some, grid[first], 0.0), high=np.where(some, grid[last], 1.0))


def _average(log_e: Floats) -> Floats:
    from scipy.special import logsumexp

    return np.asarray(logsumexp(log_e, axis=1) - np.log(log_e.shape[1]), dtype=np.float64)


def _reason(verdicts: tuple[Verdict, ...], finished: bool) -> str:  # noqa: FBT001 - private
    decided = sum(verdict is not Verdict.OPEN for verdict in verdicts)
    words = f"{decided} of {len(verdicts)} prompts are decided"
    if not finished:
        return words + "; more images are needed."
    return words + (", nothing is left to decide." if decided == len(verdicts) else "; the images are spent.")
