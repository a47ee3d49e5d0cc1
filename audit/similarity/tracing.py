"""From an image to candidates: shortlist by descriptor, second look by alignment, p-value from the null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from audit.similarity.alignment import SCALES, compute_agreement, prepare_template
from audit.similarity.descriptors import (
    WORKING_SIDE,
    Descriptor,
    Pixels,
    combined_digest,
    to_square,
)
from audit.similarity.edits import EDITS
from audit.similarity.index import Neighbours, build_index, search
from audit.similarity.references import ReferenceSet
from audit.similarity.significance import Null
from audit.similarity.store import (
    Stored,
    encode_thumbnail,
    join_thumbnails,
    load_stored,
    save_stored,
)
from generator.errors import InputError

VERSION = 1
"""Raised whenever a similarity may change; part of the cache's digest."""

ALPHA = 0.01
"""An image matches when its p-value is at most this."""

SHORTLIST, MIRRORED_SHORTLIST = 4, 1
"""Candidates that get a second look, per orientation."""

CHUNK = 256
QUERY_SIDE = 256  # px at which null images and planted copies are taken: the size of published pictures


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reference image that an image resembles.

    Attributes:
        candidate_id: its name in the reference set.
        similarity: agreement of the pixels after alignment, -1 to 1.
        p_value: chance that an image outside the reference set finds a reference at least this similar.
        match: whether the p-value is at most `ALPHA`.
    """

    candidate_id: str
    similarity: float
    p_value: float
    match: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One row of the index and its similarity."""

    row: int
    similarity: float


@dataclass(frozen=True)
class Tracer:
    """A reference set made searchable.

    Attributes:
        references: the set.
        descriptor: for the shortlist.
        stored: index, pictures, null and self-test.
        null: of best similarities.
    """

    references: ReferenceSet
    descriptor: Descriptor
    stored: Stored
    null: Null

    def trace(self, images: Sequence[Pixels], *, top: int = 3) -> list[list[Candidate]]:
        """Candidates of each image, best first; each list depends on its own image alone.

        Args:
            images: uint8 (height, width, 3), RGB, any size.
            top: candidates per image, at least 1; fewer when the reference set is smaller.
        """
        return [self._judge(found[:top]) for found in look_up(self.stored, self.descriptor, images)]

    def _judge(self, found: Sequence[Found]) -> list[Candidate]:
        p_values = self.null.p_values([item.similarity for item in found])
        return [
            Candidate(self.stored.ids[item.row], item.similarity, float(p), bool(p <= ALPHA))
            for item, p in zip(found, p_values, strict=True)
        ]

    def candidate_image(self, candidate_id: str, size: int) -> Pixels:
        """The reference image behind a candidate, uint8 (height, width, 3), its longer side at most `size` px.

        Raises:
            InputError: no such reference.
            CannotCheckError: its file can no longer be read.
        """
        return self.references.image(candidate_id, size)


def look_up(
    stored: Stored, descriptor: Descriptor, images: Iterable[Pixels], *, without: Sequence[int] = ()
) -> Iterator[list[Found]]:
    """Best references of each image, best first.

    Args:
        stored: the searchable set.
        descriptor: the one that built it.
        images: uint8 (height, width, 3) each.
        without: one row per image that is left out, for searching references among all others; () leaves out none.
    """
    waiting, skipped = iter(images), iter(without)
    while chunk := [to_square(pixels) for pixels in islice(waiting, CHUNK)]:
        mirrored = [np.ascontiguousarray(square[:, ::-1]) for square in chunk]
        views = [*chunk, *map(_undo_crop, chunk), *mirrored]
        hits = search(
            stored.index.vectors, stored.index.prepare(descriptor.compute(views)), top=SHORTLIST + 1
        )
        n = len(chunk)
        for i in range(n):
            best: dict[int, float] = {}
            skip = next(skipped, -1)
            for picture, queries, keep in (
                (chunk[i], [i, n + i], SHORTLIST),
                (mirrored[i], [2 * n + i], MIRRORED_SHORTLIST),
            ):
                template = prepare_template(picture)
                for row in _shortlist(hits, queries, keep=keep, skip=skip):
                    agreement = compute_agreement(template, stored.thumbnails.band_passed(row))
                    best[row] = max(best.get(row, -1.0), agreement)
            yield [Found(row, best[row]) for row in sorted(best, key=lambda row: (-best[row], row))]


def _shortlist(hits: Neighbours, queries: list[int], *, keep: int, skip: int) -> list[int]:
    """Different rows of some views of one image, most similar first."""
    order = np.argsort(-hits.similarities[queries], axis=None, kind="stable")
    rows = [int(row) for row in hits.rows[queries].ravel()[order] if row != skip]
    return list(dict.fromkeys(rows))[:keep]


def _undo_crop(square: Pixels) -> Pixels:
    """The image with a margin of repeated edge pixels: puts the content of a centred 90 % crop back to its place."""
    m = round(WORKING_SIDE * (1 / SCALES[2] - 1) / 2)
    return to_square(np.asarray(cv2.copyMakeBorder(square, m, m, m, m, cv2.BORDER_REPLICATE), dtype=np.uint8))


def build_tracer(
    references: ReferenceSet,
    descriptor: Descriptor,
    *,
    cache_folder: Path | None,
    null_size: int = 2000,
    planted: int = 100,
) -> Tracer:
    """Make a reference set searchable, or open it when that was done before.

    Args:
        references: the set.
        descriptor: for the shortlist.
        cache_folder: where the built index is kept; None keeps nothing.
        null_size: foreign images that calibrate the p-value.
        planted: references of which edited copies are searched, to measure recall.

    Raises:
        InputError: the set is empty, or too small for a null.
        DiskFullError: no space for the cache.
    """
    digest = combined_digest(VERSION, references.digest, descriptor.digest, null_size, planted)
    path = cache_folder / f"similarity-{digest[:20]}.safetensors" if cache_folder is not None else None
    stored = load_stored(path, digest=digest) if path is not None else None
    if stored is None:
        stored = _build(references, descriptor, null_size=null_size, planted=planted)
        if path is not None:
            save_stored(path, stored, digest=digest)
    return Tracer(references, descriptor, stored, Null(stored.null_scores, references.foreign_description))


def _build(references: ReferenceSet, descriptor: Descriptor, *, null_size: int, planted: int) -> Stored:
    ids: list[str] = []
    raw, thumbnails = [], []
    for chunk in _chunks(references.images(WORKING_SIDE)):
        squares = [to_square(pixels) for _, pixels in chunk]
        ids += [name for name, _ in chunk]
        raw.append(descriptor.compute(squares))
        thumbnails += [encode_thumbnail(square) for square in squares]
    if not ids:
        raise InputError("reference set: no readable image in it; give a folder or corpus that has some")
    index = build_index(np.concatenate(raw), descriptor.parts)
    stored = Stored(tuple(ids), index, join_thumbnails(thumbnails), np.zeros(0), {})
    scores = _null_scores(references, descriptor, stored, null_size)
    stored = replace(stored, null_scores=scores)
    return replace(stored, recall=_self_test(references, descriptor, stored, planted))


def _chunks(images: Iterator[tuple[str, Pixels]]) -> Iterator[list[tuple[str, Pixels]]]:
    while chunk := list(islice(images, CHUNK)):
        yield chunk


def _null_scores(
    references: ReferenceSet, descriptor: Descriptor, stored: Stored, count: int
) -> NDArray[np.float64]:
    """Best similarity of each foreign image; without foreign images, of references among all the others."""
    found = list(look_up(stored, descriptor, references.foreign(count, QUERY_SIDE)))
    if not found:
        if len(stored.ids) < 2:
            raise InputError(
                "reference set: one image alone gives no null; add images or name a folder of others"
            )
        rows = _spread(len(stored.ids), count)
        chosen = (references.image(stored.ids[row], QUERY_SIDE) for row in rows)
        found = list(look_up(stored, descriptor, chosen, without=rows))
    return np.sort(np.array([item[0].similarity for item in found], dtype=np.float64))


def _spread(n: int, count: int) -> list[int]:
    """`count` different row numbers, evenly spread over n rows; all of them when there are fewer."""
    return list(dict.fromkeys(np.linspace(0, n - 1, min(count, n)).astype(int).tolist()))


def _self_test(
    references: ReferenceSet, descriptor: Descriptor, stored: Stored, planted: int
) -> dict[str, list[int]]:
    """Search edited copies of references: how many are found as the first candidate and match?"""
    null = Null(stored.null_scores, "")
    rows = _spread(len(stored.ids), planted)
    recall = {}
    for name, edit in EDITS.items():
        copies = (edit(references.image(stored.ids[row], QUERY_SIDE)) for row in rows)
        best = [found[0] for found in look_up(stored, descriptor, copies)]
        p_values = null.p_values([item.similarity for item in best])
        hits = [
            item.row == row and bool(p <= ALPHA) for item, row, p in zip(best, rows, p_values, strict=True)
        ]
        recall[name] = [sum(hits), len(rows)]
    return recall
