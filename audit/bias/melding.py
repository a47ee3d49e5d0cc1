"""Exact tests and intervals for one prompt's images read by a reader that errs at uncertain rates.

The number of images read as group g, among those read at all, is binomial. Its probability rises with the
true share of g, with the reader's recall of g, and with the rate at which the rest is read as g. Melding
takes, for each bound, the unlucky confidence distribution of every rate (Beta(a + 1, b) or Beta(a, b + 1))
and averages the exact binomial tail over it: the test and the interval agree, and both keep their level at
eight images a prompt, where normal approximations do not.

With three or more groups "the rest" is a mixture with unknown shares; its worst member is used, so these
intervals are wider than their level needs, never narrower.

Sources: Fay, Proschan and Brittain 2015, Biometrics 71(1) (melding); Bayer, Fay and Graubard 2023,
Statistics in Medicine 42 (prevalence under an imperfect assay); Clopper and Pearson 1934.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit.bias.readings import Counts, ErrorMatrix, Floats
from audit.statistics import Bounds, require_level

DRAWS = 256  # of the error rates; stratified, so that tails are smooth
BISECTIONS = 13  # a bound errs outwards, by at most 2 ** -13


@dataclass(frozen=True, slots=True, eq=False)
class _Direction:
    """Unlucky error rates for one side of the interval, float64 (k, D) each, "rest" already at its worst."""

    recall: Floats
    false_rate: Floats
    read: Floats  # P(determined | group)
    read_rest: Floats

    def probability(self, share: Floats, group: int) -> Floats:
        """P(read as group | determined) if the group's share is `share`: (N,) or (N, D) -> (N, D)."""
        table = share[:, None] if share.ndim == 1 else share
        mine = table * self.read[group]
        rest = (1.0 - table) * self.read_rest[group]
        weight = mine / np.maximum(mine + rest, 1e-300)
        return np.asarray(
            weight * self.recall[group] + (1.0 - weight) * self.false_rate[group], dtype=np.float64
        )


def _beta(a: Counts | Floats, b: Counts | Floats, *, up: bool, rng: np.random.Generator) -> Floats:
    """Confidence distribution of the rate a / (a + b), pushed up or down: (...,) -> (..., DRAWS)."""
    from scipy.special import betaincinv

    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    quantiles = rng.permuted(np.broadcast_to(levels, (*a.shape, DRAWS)), axis=-1)
    first = (a + (1 if up else 0))[..., None]
    second = (b + (0 if up else 1))[..., None]
    # Effective counts may be fractions; only the ends where a shape is 0 are known exactly.
    drawn = betaincinv(np.where(first == 0, 1, first), np.where(second == 0, 1, second), quantiles)
    return np.where(first == 0, 0.0, np.where(second == 0, 1.0, drawn))


def _direction(counts: Counts, *, up: bool, rng: np.random.Generator) -> _Direction:
    """Error rates that make a large (up) or a small number of readings of each group look ordinary."""
    k = counts.shape[0]
    named = counts[:, :-1]
    read, unread = named.sum(axis=1), counts[:, -1]
    reads = _beta(named, read[:, None] - named, up=up, rng=rng)  # (true, reading, D)
    own = np.eye(k, dtype=bool)
    worst, milder = (np.max, np.min) if up else (np.min, np.max)
    fill = -np.inf if up else np.inf
    false_rate = worst(np.where(own[..., None], fill, reads), axis=0)
    rest = _beta(read, unread, up=not up, rng=rng)
    others = np.where(own[..., None], -fill, np.broadcast_to(rest, (k, k, DRAWS)))
    return _Direction(
        recall=np.diagonal(reads).T,
        false_rate=false_rate,
        read=_beta(read, unread, up=up, rng=rng),
        read_rest=milder(others, axis=1),
    )


def _around(share: Floats, size: Floats, *, up: bool, rng: np.random.Generator) -> Floats:
    """Confidence distribution of reference shares that rest on `size` trials, inf: exact: (N,) -> (N, DRAWS)."""
    known = np.where(np.isfinite(size), size, 1.0)
    drawn = _beta(share * known, (1 - share) * known, up=up, rng=rng)
    return np.where(np.isfinite(size)[:, None], drawn, share[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class MeldedReader:
    """A reader's uncertain error rates, drawn once and used for every prompt of one attribute.

    Attributes:
        k: number of groups.
        above: rates for the tail "as many or more", which gives lower bounds.
        below: rates for the tail "as many or fewer", which gives upper bounds.
    """

    k: int
    above: _Direction
    below: _Direction

    @classmethod
    def build(cls, matrix: ErrorMatrix | None, k: int, *, rng: np.random.Generator) -> MeldedReader:
        """Draw the rates; without a matrix the readings are taken as the truth.

        Args:
            matrix: of the reader, every group with labels; None: readings are the truth.
            k: number of groups.
            rng: the run's generator.
        """
        if matrix is None:
            ones, zeros = np.ones((k, 1)), np.zeros((k, 1))
            exact = _Direction(recall=ones, false_rate=zeros, read=ones, read_rest=ones)
            return cls(k, exact, exact)
        return cls(
            k,
            above=_direction(matrix.counts, up=True, rng=rng),
            below=_direction(matrix.counts, up=False, rng=rng),
        )

    def tail_above(self, share: Floats, group: int, *, x: Floats, n: Floats) -> Floats:
        """P(x or more of n determined images are read as group | its share), float64 (N,)."""
        from scipy.special import betainc

        chance = self.above.probability(share, group)
        inner = betainc(np.where(x == 0, 1.0, x)[:, None], (n - x + 1)[:, None], chance)
        blind = self.above.recall[group] <= self.above.false_rate[group]
        tail = np.where(blind, 1.0, inner).mean(axis=1)
        return np.where(x == 0, 1.0, tail)

    def tail_below(self, share: Floats, group: int, *, x: Floats, n: Floats) -> Floats:
        """P(x or fewer of n determined images are read as group | its share), float64 (N,)."""
        from scipy.special import betainc

        chance = self.below.probability(share, group)
        # betaincc, the complement, is the same and six times slower.
        inner = betainc(np.where(x == n, 1.0, n - x)[:, None], (x + 1)[:, None], 1.0 - chance)
        blind = self.below.recall[group] <= self.below.false_rate[group]
        tail = np.where(blind, 1.0, inner).mean(axis=1)
        return np.where(x == n, 1.0, tail)

    def _bounds(self, group: int, *, x: Floats, n: Floats, alpha: float) -> Bounds:
        zero, one = np.zeros_like(x), np.ones_like(x)
        lows, highs = (zero, one), (zero, one)
        for _ in range(BISECTIONS):
            middle = (lows[0] + lows[1]) / 2
            excluded = self.tail_above(middle, group, x=x, n=n) <= alpha / 2
            lows = (np.where(excluded, middle, lows[0]), np.where(excluded, lows[1], middle))
            middle = (highs[0] + highs[1]) / 2
            excluded = self.tail_below(middle, group, x=x, n=n) <= alpha / 2
            highs = (np.where(excluded, highs[0], middle), np.where(excluded, middle, highs[1]))
        return Bounds(low=lows[0], high=highs[1])

    def bounds(self, counts: Counts | Floats, *, level: float = 0.95) -> Bounds:
        """Interval of every group's share for every prompt, each at `level`.

        Args:
            counts: (P, k + 1), whole numbers, or effective ones; nothing determined gives [0, 1].
            level: two-sided confidence of one interval, in (0, 1). For k >= 3 groups at once, pass
                1 - (1 - level) / k (Bonferroni); two groups are one interval and its mirror image.

        Returns:
            Bounds, float64 (P, k) each.
        """
        require_level(level)
        pairs, index = _unique_pairs(counts)
        low, high = np.zeros((*counts.shape[:1], self.k)), np.ones((*counts.shape[:1], self.k))
        for group in range(1 if self.k == 2 else self.k):
            x, n = pairs[group]
            found = self._bounds(group, x=x, n=n, alpha=1 - level)
            low[:, group], high[:, group] = found.low[index[group]], found.high[index[group]]
        if self.k == 2:
            low[:, 1], high[:, 1] = 1 - high[:, 0], 1 - low[:, 0]
        return Bounds(low=low, high=high)

    def p_values(
        self,
        counts: Counts,
        reference: Floats,
        *,
        trials: Floats | None = None,
        rng: np.random.Generator | None = None,
    ) -> Floats:
        """Two-sided p-value of "this prompt's shares are the reference", one per prompt.

        Args:
            counts: int64 (P, k + 1); a prompt with nothing determined gets 1.
            reference: float64 (k,) or (P, k), sums to 1 over k.
            trials: float64 (P,), effective sample size behind each prompt's reference, whose uncertainty is then
                melded in like that of the error rates; None or inf: it is exact.
            rng: the run's generator; needed with trials.

        Returns:
            float64 (P,): twice the smaller tail; for k >= 3 the smallest over groups times k.
        """
        tested = 1 if self.k == 2 else self.k
        determined = counts[:, :-1].sum(axis=1)
        table = np.broadcast_to(reference, (len(counts), self.k))
        sizes = np.full(len(counts), np.inf) if trials is None else trials
        smallest = np.ones(counts.shape[0])
        for group in range(tested):
            rows = np.stack([counts[:, group], determined, table[:, group], sizes], axis=1)
            unique, inverse = np.unique(rows, axis=0, return_inverse=True)
            x, n, share, size = unique.T
            above, below = share, share
            if trials is not None:
                generator = rng if rng is not None else np.random.default_rng(0)
                above = _around(share, size, up=True, rng=generator)
                below = _around(share, size, up=False, rng=generator)
            tail = np.minimum(
                self.tail_above(above, group, x=x, n=n), self.tail_below(below, group, x=x, n=n)
            )
            smallest = np.minimum(smallest, (2 * tested * tail)[inverse.ravel()])
        return smallest


def _unique_pairs(counts: Counts | Floats) -> tuple[list[tuple[Floats, Floats]], list[Counts]]:
    """Distinct (read as group, determined) pairs per group: prompts that read alike are computed once."""
    determined = counts[:, :-1].sum(axis=1)
    pairs, index = [], []
    for group in range(counts.shape[1] - 1):
        unique, inverse = np.unique(
            np.stack([counts[:, group], determined], axis=1), axis=0, return_inverse=True
        )
        pairs.append((unique[:, 0].astype(np.float64), unique[:, 1].astype(np.float64)))
        index.append(np.asarray(inverse, dtype=np.int64).ravel())
    return pairs, index
