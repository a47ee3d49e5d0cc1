"""Does the watermark belong to the picture that it was found in? Asked of the ledger's preview of what was marked."""

from __future__ import annotations

from pathlib import Path

from audit.evidence import JSON, Check, Status
from audit.provenance.layers import Layers, WatermarkState
from generator.errors import CannotCheckError, InputError

_NAME = "watermark.content"
_SOURCE = "generator.marking.watermark.content"


def check_content(layers: Layers, path: Path) -> tuple[Check, ...]:
    """`watermark.content`. Values: same, unclear, mismatch, not-compared.

    Args:
        layers: of the file.
        path: of the file.

    Returns:
        Nothing when there is nothing to compare: no identifier was read, the ledger has no preview for it, or the
        file is the published one byte for byte.
    """
    mark, entry = layers.watermark, layers.ledger.entry
    if mark.state is not WatermarkState.FOUND or mark.geometry is None or entry is None:
        return ()
    if entry.asset_id != mark.payload or not entry.preview or layers.ledger.is_same_file:
        return ()
    from audit.collection import load_pixels  # brings the image decoders along
    from generator.marking.watermark.content import MISMATCH, match_content

    try:
        match = match_content(load_pixels(path), entry.preview, geometry=mark.geometry)
    except (CannotCheckError, InputError) as error:
        reason = f"The picture could not be compared with the one that was marked: {error}."
        return (Check(_NAME, Status.ERROR, reason, value="not-compared", source=_SOURCE),)
    details: dict[str, JSON] = {"agreement": round(match.agreement, 3), "asset_id": entry.asset_id}
    if match.verdict == "same":
        reason = "The picture shows what was given this watermark."
        return (Check(_NAME, Status.PASS, reason, value="same", source=_SOURCE, details=details),)
    step = (
        "Compare the picture with the published one by eye; a watermark can be copied onto another picture."
    )
    if match.verdict == "other" and not layers.ledger.earlier_manifests:
        reason = "The watermark was given to another picture; it was copied onto this one."
        details["code"] = MISMATCH
        return (
            Check(
                _NAME, Status.FAIL, reason, value="mismatch", source=_SOURCE, next_step=step, details=details
            ),
        )
    reason = "Whether the picture is the one that was given this watermark is unclear."
    if match.verdict == "other":
        reason = "The picture differs from the one last published under this identifier; it may show an earlier one."
    return (
        Check(
            _NAME,
            Status.INCONCLUSIVE,
            reason,
            value="unclear",
            source=_SOURCE,
            next_step=step,
            details=details,
        ),
    )
