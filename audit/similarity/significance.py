"""How surprising is a similarity? Answers come from images that are known not to be in the reference set.

p = (1 + #{null >= s}) / (n + 1) is valid in finite samples when the query is exchangeable with the null images under
"no copy", and it can never be smaller than 1 / (n + 1): n is always reported.

Sources: Vovk et al., split-conformal p-values; Benjamini and Hochberg 1995, JRSS B 57(1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Null:
    """Best similarities of images that are not in the reference set, each searched like a query.

    Attributes:
        scores: float64 (n,), ascending, n >= 1.
        source: what the null images are, in words.
    """

    scores: Floats
    source: str

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or len(self.scores) == 0 or not np.all(np.diff(self.scores) >= 0):
            raise ValueError("a null needs at least one score, in ascending order")

    @property
    def finest(self) -> float:
        """The smallest p-value this null can give."""
        return 1.0 / (len(self.scores) + 1)

    def p_values(self, similarities: ArrayLike) -> Floats:
        """Split-conformal p-values, float64 of the shape of `similarities`."""
        values = np.asarray(similarities, dtype=np.float64)
        at_least = len(self.scores) - np.searchsorted(self.scores, values, side="left")
        return np.asarray((1.0 + at_least) / (len(self.scores) + 1.0))


def benjamini_hochberg(p_values: Floats, *, rate: float = 0.05) -> NDArray[np.bool_]:
    """Which of many hypotheses to reject so that at most a share `rate` of the rejections is expected to be false.

    Args:
        p_values: float64 (m,), each in (0, 1]; m may be 0.
        rate: false discovery rate, in (0, 1).

    Returns:
        bool (m,), in the order given.
    """
    m = len(p_values)
    order = np.argsort(p_values, kind="stable")
    passing = np.flatnonzero(p_values[order] <= rate * np.arange(1, m + 1) / max(m, 1))
    rejected = np.zeros(m, dtype=bool)
    if len(passing):
        rejected[order[: passing[-1] + 1]] = True
    return rejected
