"""A built reference index on disk: one safetensors file, found by the digest of everything that went into it.

A file that is damaged or of another version is rebuilt and never trusted.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from audit.run import write_atomically
from audit.similarity.alignment import band_pass
from audit.similarity.descriptors import Pixels, Vectors
from audit.similarity.index import Index

_LOG = logging.getLogger("assay")

_THUMBNAIL_QUALITY = 95


@dataclass(frozen=True)
class Thumbnails:
    """Reference images at the working size, JPEG-coded one after the other.

    Attributes:
        data: uint8 (total bytes,).
        ends: int64 (n,), where each one ends.
    """

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]

    def band_passed(self, row: int) -> Vectors:
        """One reference ready for `alignment.compute_agreement`, float32 (64, 64, 3)."""
        start = int(self.ends[row - 1]) if row else 0
        decoded = np.asarray(cv2.imdecode(self.data[start : int(self.ends[row])], cv2.IMREAD_COLOR))
        return band_pass(np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8))


def encode_thumbnail(square: Pixels) -> bytes:
    """uint8 (64, 64, 3), RGB -> JPEG bytes."""
    _, data = cv2.imencode(".jpeg", square[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _THUMBNAIL_QUALITY])
    return bytes(data)


def join_thumbnails(parts: list[bytes]) -> Thumbnails:
    """Put encoded thumbnails one after the other."""
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    return Thumbnails(np.frombuffer(b"".join(parts), dtype=np.uint8), np.cumsum(lengths))


@dataclass(frozen=True)
class Stored:
    """Everything a trace needs that takes long to compute.

    Attributes:
        ids: names of the references, in row order.
        index: their vectors.
        thumbnails: their pictures.
        null_scores: float64 (m,), ascending; empty before the null is measured.
        recall: edit -> [found, planted].
    """

    ids: tuple[str, ...]
    index: Index
    thumbnails: Thumbnails
    null_scores: NDArray[np.float64]
    recall: dict[str, list[int]]


def save_stored(path: Path, stored: Stored, *, digest: str) -> None:
    """Write atomically.

    Raises:
        DiskFullError: no space; nothing is left behind.
    """
    tensors = {
        "vectors": stored.index.vectors.astype(np.float16),
        "mean": stored.index.mean,
        "thumbnails": stored.thumbnails.data,
        "ends": stored.thumbnails.ends,
        "null_scores": stored.null_scores,
    }
    about = {"digest": digest, "ids": stored.ids, "parts": stored.index.parts, "recall": stored.recall}
    # one entry: the order of several is not fixed, and the same index has to give the same bytes
    metadata = {"about": json.dumps(about)}
    write_atomically(
        path, save({key: np.ascontiguousarray(value) for key, value in tensors.items()}, metadata)
    )


def load_stored(path: Path, *, digest: str) -> Stored | None:
    """Read what `save_stored` wrote; None when there is no file, or, with a warning in the log, a damaged one."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {})["about"])
            if about["digest"] != digest:
                raise ValueError("its digest is another")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        stored = Stored(
            ids=tuple(about["ids"]),
            index=Index(tensors["vectors"].astype(np.float32), tensors["mean"], tuple(about["parts"])),
            thumbnails=Thumbnails(tensors["thumbnails"], tensors["ends"]),
            null_scores=tensors["null_scores"],
            recall=about["recall"],
        )
        if not len(stored.ids) == len(stored.index.vectors) == len(stored.thumbnails.ends):
            raise ValueError("its parts have different lengths")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        _LOG.warning("%s: the cached reference index is damaged (%s); it is built again", path, error)
        return None
    return stored
