"""Exact nearest neighbours by blocked matrix products: no candidate is lost to an approximation.

Rows are kept as float16 on disk and float32 in memory. A million rows of 1,000 numbers would take 4 GB: beyond
that an approximate index is needed, and its recall would have to be reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit.similarity.descriptors import Vectors, normalise

BLOCK = 4096
"""Reference rows per matrix product."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Best matches of each query, best first.

    Attributes:
        rows: int64 (queries, k), row numbers in the index.
        similarities: float32 (queries, k), in [-1, 1].
    """

    rows: NDArray[np.int64]
    similarities: Vectors


@dataclass(frozen=True, slots=True)
class Index:
    """Reference vectors, centred and of unit length.

    Attributes:
        vectors: float32 (n, d).
        mean: float32 (d,), what was subtracted.
        parts: lengths of the descriptor's parts.
    """

    vectors: Vectors
    mean: Vectors
    parts: tuple[int, ...]

    def prepare(self, raw: Vectors) -> Vectors:
        """Raw descriptors float32 (n, d) -> vectors comparable with the index."""
        return normalise(raw, mean=self.mean, parts=self.parts)

    def search(self, queries: Vectors, *, top: int = 3) -> Neighbours:
        """Exact search.

        Args:
            queries: float32 (q, d), prepared.
            top: neighbours per query; fewer when the index is smaller.
        """
        return search(self.vectors, queries, top=top)


def build_index(raw: Vectors, parts: tuple[int, ...]) -> Index:
    """Index raw descriptors float32 (n, d), n >= 1, rounded as the cache stores them."""
    mean = raw.mean(axis=0, dtype=np.float64).astype(np.float32)
    vectors = normalise(raw, mean=mean, parts=parts).astype(np.float16).astype(np.float32)
    return Index(vectors, mean, parts)


def search(vectors: Vectors, queries: Vectors, *, top: int) -> Neighbours:
    """Best `top` rows of `vectors` for each query; equal similarities are ordered by row number."""
    top = min(top, len(vectors))
    best = np.full((len(queries), 0), -np.inf, dtype=np.float32)
    rows = np.zeros((len(queries), 0), dtype=np.int64)
    for start in range(0, len(vectors), BLOCK):
        scores = queries @ vectors[start : start + BLOCK].T  # (q, block)
        keep = min(top, scores.shape[1])
        local = np.argpartition(-scores, keep - 1, axis=1)[:, :keep]
        best = np.concatenate([best, np.take_along_axis(scores, local, axis=1)], axis=1)
        rows = np.concatenate([rows, local + start], axis=1)
        order = np.lexsort((rows, -best), axis=1)[:, :top]
        best, rows = np.take_along_axis(best, order, axis=1), np.take_along_axis(rows, order, axis=1)
    return Neighbours(rows, best)
