"""Everything a run says about one image, and the pictures and files behind it. Free of Streamlit; never writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.collection import load_pixels
from audit.evidence import Evidence
from audit.report.shares import parse_probabilities
from dashboards.data import GALLERY_COLUMNS, load_flags, load_rows
from generator.errors import AssayError


@dataclass(frozen=True)
class ImageView:
    """Everything a run says about one image.

    Attributes:
        image: its row of the images table.
        file: absolute path.
        provenance: its row; empty when there is none.
        evidence: the checks of the file; None when there are none.
        perceived: (attribute, value, group -> probability, reason), in table order.
        detector: its row; empty when there is none.
        candidates: rows of the similarity table, best first.
        flags: reasons to look at it.
    """

    image: Mapping[str, Any]
    file: Path
    provenance: Mapping[str, Any]
    evidence: Evidence | None
    perceived: tuple[tuple[str, str, Mapping[str, float], str], ...]
    detector: Mapping[str, Any]
    candidates: tuple[Mapping[str, Any], ...]
    flags: tuple[str, ...]


_PROVENANCE = ("image_id", "status", "reason", "verdict", "signer", "issuer", "manifest_id", "digital_source_type",
               "watermark", "watermark_payload", "watermark_log10_p", "ledger_asset_id", "development_identity",
               "labels", "evidence")  # fmt: skip
_BIAS = ("image_id", "attribute", "value", "probabilities", "reason")
_DETECTOR = ("image_id", "status", "reason", "verdict", "logit", "p_synthetic")
_SIMILARITY = ("image_id", "rank", "candidate_id", "similarity", "p_value", "match", "reason")


def load_image(run: Path, image_id: str) -> ImageView | None:
    """What a run says about one image; None when it holds no such image."""
    image = _first(load_rows(run, "images", columns=GALLERY_COLUMNS, image_id=image_id))
    if not image:
        return None
    provenance = _first(load_rows(run, "provenance", columns=_PROVENANCE, image_id=image_id))
    near = load_rows(run, "similarity", columns=_SIMILARITY, image_id=image_id)
    near = near[near["candidate_id"].notna()].sort_values("rank")
    return ImageView(
        image=image,
        file=run / str(image["path"]),
        provenance=provenance,
        evidence=_evidence(provenance.get("evidence")),
        perceived=_perceived(load_rows(run, "bias", columns=_BIAS, image_id=image_id)),
        detector=_first(load_rows(run, "detector", columns=_DETECTOR, image_id=image_id)),
        candidates=tuple(_records(near)),
        flags=tuple(load_flags(run).get(image_id, [])),
    )


def _perceived(rows: pd.DataFrame) -> tuple[tuple[str, str, Mapping[str, float], str], ...]:
    read = rows[rows["attribute"].notna()]
    columns = (read[name] for name in ("attribute", "value", "probabilities", "reason"))
    return tuple(
        (str(attribute), str(value), parse_probabilities(chances), reason if isinstance(reason, str) else "")
        for attribute, value, chances, reason in zip(*columns, strict=True)
    )


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in record.items()} for record in rows.to_dict("records")]


def _first(rows: pd.DataFrame) -> dict[str, Any]:
    record = next(iter(_records(rows.head(1))), {})
    return {key: value for key, value in record.items() if _is_known(value)}


def _is_known(value: Any) -> bool:  # noqa: ANN401 - a cell of a table
    return isinstance(value, str) or not pd.isna(value)


def _evidence(text: object) -> Evidence | None:
    try:
        return Evidence.from_json(json.loads(text)) if isinstance(text, str) else None
    except (ValueError, KeyError, TypeError):
        return None


def load_picture(file: Path, *, side: int) -> NDArray[np.uint8] | None:
    """Pixels of an image reduced to at most `side` px, uint8 (H, W, 3); None when there are none to be had."""
    try:
        return _picture(file, side, file.stat().st_mtime_ns)
    except (AssayError, OSError):
        return None


@lru_cache(maxsize=600)
def _picture(file: Path, side: int, time: int) -> NDArray[np.uint8]:
    return load_pixels(file, max_side=side)


@lru_cache(maxsize=300)
def load_candidate(candidate_id: str, *, side: int, folder: str | None) -> NDArray[np.uint8] | None:
    """The picture behind a tracing candidate; None when it cannot be had.

    Args:
        candidate_id: from the similarity table.
        side: longer side, px.
        folder: of the reference set; None: the embedded generator's training drawings.
    """
    from audit.similarity.module import candidate_image

    try:
        return candidate_image(candidate_id, side, reference_folder=Path(folder) if folder else None)
    except (AssayError, OSError):
        return None


def read_original(view: ImageView) -> bytes | None:
    """The file's bytes, when they still are the ones that were audited; None when it changed or is gone."""
    try:
        data = view.file.read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == view.image.get("sha256") else None


@lru_cache(maxsize=32)
def _manifest_tree(file: Path, time: int) -> dict[str, Any]:
    from audit.cli.inspect import describe
    from audit.provenance.gather import Setup, examine

    return describe(examine(file, Setup(search="off")))


def load_manifest_tree(file: Path) -> dict[str, Any] | None:
    """What the file's Content Credentials and labels say, read now and unjudged; None when it cannot be read."""
    try:
        tree = _manifest_tree(file, file.stat().st_mtime_ns)
    except (AssayError, OSError):
        return None
    return {name: tree[name] for name in ("content credentials", "labels") if name in tree}
