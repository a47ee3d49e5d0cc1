"""Tracing as a room of the audit: up to three rows per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.collection import Item, load_pixels
from audit.engine import Module
from audit.evidence import Status
from audit.similarity.descriptors import Descriptor, JointDescriptor, PixelDescriptor, Pixels
from audit.similarity.references import FolderReferences, ReferenceSet, embedded_references
from audit.similarity.summary import CAVEAT, summarise
from audit.similarity.tracing import Candidate, Tracer, build_tracer
from generator.marking.identity import assay_home

TOP = 3  # candidates per image
READ_SIDE = 1024  # px; the comparison happens at 64 px, so larger files are reduced while they are read


@dataclass(frozen=True)
class Measure:
    """Items to rows.

    Attributes:
        tracer: the searchable reference set.
    """

    tracer: Tracer

    def __call__(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """Up to three rows per item, best candidate first.

        Raises:
            CannotCheckError: an image cannot be decoded.
        """
        pixels = [load_pixels(item.path, max_side=READ_SIDE) for item in items]
        return [
            {
                "image_id": item.image_id,
                "rank": rank,
                "candidate_id": candidate.candidate_id,
                "similarity": candidate.similarity,
                "p_value": candidate.p_value,
                "match": candidate.match,
                "status": str(Status.INCONCLUSIVE if candidate.match else Status.PASS),
                "reason": _describe(candidate),
            }
            for item, candidates in zip(items, self.tracer.trace(pixels, top=TOP), strict=True)
            for rank, candidate in enumerate(candidates, start=1)
        ]


def _describe(candidate: Candidate) -> str:
    if candidate.match:
        return f"Few images outside the set are as similar to any reference (p = {candidate.p_value:.4f}). {CAVEAT}"
    return f"Images outside the set are often as similar to some reference (p = {candidate.p_value:.4f})."


def build_module(
    *,
    references: ReferenceSet | None = None,
    descriptor: Descriptor | None = None,
    cache_folder: Path | None = None,
    null_size: int = 2000,
    planted: int = 100,
) -> Module:
    """The similarity room; builds or opens the index of the reference set first.

    Args:
        references: what to compare with; default: training drawings of the embedded generator.
        descriptor: for the shortlist; default: pixels alone, which finds every planted copy of the embedded world.
        cache_folder: where built indexes are kept; default: `cache` in this user's folder.
        null_size: foreign images that calibrate p-values.
        planted: references of which edited copies test the index.

    Raises:
        InputError: the reference set is empty or too small.
        DiskFullError: no space for the cache.
    """
    tracer = build_tracer(
        references or embedded_references(),
        descriptor or PixelDescriptor(),
        cache_folder=cache_folder if cache_folder is not None else assay_home() / "cache",
        null_size=null_size,
        planted=planted,
    )
    return Module(
        name="similarity",
        title="Similarity to training images",
        measure=Measure(tracer),
        summarise=lambda rows, images: summarise(rows, images, tracer=tracer, embedded=references is None),
    )


def candidate_image(candidate_id: str, size: int, *, reference_folder: Path | None = None) -> Pixels:
    """The picture behind a candidate of a table, without building an index.

    Args:
        candidate_id: from the similarity table.
        size: longer side in pixels, at most.
        reference_folder: the folder that was traced against; None: the embedded generator's training drawings.

    Returns:
        uint8 (height, width, 3).

    Raises:
        InputError: no such candidate.
        CannotCheckError: its file can no longer be read.
    """
    if reference_folder is not None:
        return FolderReferences(reference_folder).image(candidate_id, size)
    return embedded_references().image(candidate_id, size)


def joint_descriptor(clip: str) -> JointDescriptor:
    """Pixels and a CLIP by name (see `generator.clip.load_clip`): also finds candidates of the same content."""
    from generator.clip import load_clip  # torch is needed here only

    return JointDescriptor(load_clip(clip))
