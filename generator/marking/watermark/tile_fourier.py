"""Our default scheme: a tile of key-random Fourier coefficients, repeated over the picture.

Embedding adds the same small integer pattern to red, green and blue, stronger where the picture is busy.
Detection removes the picture as well as it can, finds the lattice (`synchronise`), folds all tiles into one
(`lattice`), and lets `decision` decode and judge it. No weights, no training: only the key is needed.

What an attacker can do, with many pictures, with this code, or with a diffusion model: see `keyring`.

The technique name is a reverse-DNS name of this project. It is NOT on the C2PA list of soft-binding
algorithms: only this project reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np

from generator.marking.payload import LENGTHS, AssetId
from generator.marking.watermark import decision, folding, lattice
from generator.marking.watermark.carrier import TILE, Carrier, build_carrier
from generator.marking.watermark.imprint import imprint
from generator.marking.watermark.interface import (
    ALPHA,
    Detection,
    Embedding,
    Geometry,
    InsufficientCapacityError,
    Pixels,
    Search,
    check_pixels,
    check_psnr,
    check_question,
    check_room,
    too_small,
)
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.search import find_placements
from generator.marking.watermark.spectrum import Image

NAME = "io.github.assay-audit.tile-fourier.1"
MIN_SIDE = 128  # px
SMALL_SIDE = 400  # px; below, the default PSNR is lower because fewer pixels carry the mark
DEFAULT_PSNR = (42.0, 44.5)  # dB, below and from SMALL_SIDE on
_LEAST_READ_SIDE = 48  # px; below, not even a quarter of a tile is left


class TileFourier:
    """The scheme of this file; see `interface.Scheme` for the methods' contracts."""

    name = NAME
    capacity = max(LENGTHS)
    min_side = MIN_SIDE

    def embed(
        self,
        pixels: Pixels,
        payload: AssetId,
        *,
        key: WatermarkKey,
        psnr: float | None = None,
        nonce: bytes = b"",
    ) -> Embedding:
        """Mark one picture; the tile's shift follows from key, payload and nonce."""
        height, width = check_pixels(pixels).shape[:2]
        target = DEFAULT_PSNR[min(height, width) >= SMALL_SIDE] if psnr is None else check_psnr(psnr)
        check_room(pixels, least=MIN_SIDE)
        carrier = build_carrier(key)
        tile = carrier.tile(payload)
        side = lattice.native_tile(height, width)
        shift = tile_origin(key, payload, nonce)
        marked, measured = imprint(pixels, _resize_tile(np.roll(tile, shift, (0, 1)), side), psnr=target)
        log10_p = _margin(marked, payload, carrier)
        if log10_p > math.log10(ALPHA):
            raise InsufficientCapacityError(
                "insufficient capacity: the picture's own texture drowns the mark, it could not be read back for "
                f"sure at {target:g} dB; lower the PSNR or mark a larger version"
            )
        return Embedding(
            pixels=marked, payload=payload, psnr=measured, log10_p=log10_p, scheme=NAME, key_id=key.key_id
        )

    def detect(
        self, pixels: Pixels, *, key: WatermarkKey, search: Search = "full", alpha: float = ALPHA
    ) -> Detection:
        """Decide whether one picture carries a mark made with `key`."""
        height, width = check_pixels(pixels).shape[:2]
        check_question(search, alpha)
        if reason := too_small(pixels, least=_LEAST_READ_SIDE):
            return _nothing(reason, key)
        luma, factor = lattice.reduce_luma(pixels)
        residual = lattice.compute_residual(luma)
        if not residual.any():
            return _nothing("The picture is one flat colour; it carries no watermark.", key)
        carrier = build_carrier(key)
        best: tuple[decision.Reading, lattice.Placement] | None = None
        stages = find_placements(residual, carrier, factor=factor, shape=(height, width), search=search)
        for reading, placement in _readings(stages, carrier):
            if best is None or reading.log10_p < best[0].log10_p:
                best = reading, placement
            if _found(reading, alpha) and _sure(reading):
                break
        if best is None or not _found(best[0], alpha):
            log10_p = best[0].log10_p if best else 0.0
            return _nothing(f"No watermark was found with this key ({search} search).", key, log10_p)
        reading, placement = best
        geometry = lattice.describe_geometry(placement, factor=factor, shape=(height, width))
        return _something(reading, geometry, key)


def _readings(
    stages: Iterable[Sequence[lattice.Placement]], carrier: Carrier
) -> Iterator[tuple[decision.Reading, lattice.Placement]]:
    """Every placement of one stage after the other, first as a payload of the default length."""
    for placements in stages:
        candidates = [placement.read(carrier) for placement in placements]
        for bits in LENGTHS:
            yield from zip(decision.read(candidates, carrier=carrier, bits=bits), placements, strict=True)


def _found(reading: decision.Reading, alpha: float) -> bool:
    return reading.log10_p <= math.log10(alpha)


def _sure(reading: decision.Reading) -> bool:
    return reading.log10_odds >= decision.SURE_LOG10_ODDS


def _something(reading: decision.Reading, geometry: Geometry, key: WatermarkKey) -> Detection:
    """The detection of a mark, with its identifier if that is sure."""
    reason = (
        "A watermark of this key was found; the chance that a picture without one looks like this is at most "
        f"1e{math.ceil(reading.log10_p)}."
    )
    if not _sure(reading):
        reason += " It is too weak to read its identifier for sure."
    return Detection(
        found=True,
        payload=reading.payload if _sure(reading) else None,
        log10_p=reading.log10_p,
        candidates=decision.READINGS,
        log10_odds=reading.log10_odds,
        geometry=geometry,
        reason=reason,
        scheme=NAME,
        key_id=key.key_id,
    )


def _nothing(reason: str, key: WatermarkKey, log10_p: float = 0.0) -> Detection:
    """The detection that found nothing."""
    return Detection(
        found=False,
        payload=None,
        log10_p=log10_p,
        candidates=decision.READINGS,
        log10_odds=0.0,
        geometry=None,
        reason=reason,
        scheme=NAME,
        key_id=key.key_id,
    )


def tile_origin(key: WatermarkKey, payload: AssetId, nonce: bytes) -> tuple[int, int]:
    """Where the tile starts, lattice steps: another place for every payload.

    Without this, the average of many marked pictures would show the pattern (measured: 60 are enough).
    """
    rows, columns = key.stream(f"tile-fourier.1/shift/{payload.hex}/{nonce.hex()}", 2)
    return int(rows % TILE), int(columns % TILE)


def _resize_tile(tile: Image, side: int) -> Image:
    """The tile at `side` px, continuous across its borders."""
    if side == TILE:
        return tile
    ring = np.tile(tile, (3, 3))
    resized: Image = cv2.resize(ring, (3 * side, 3 * side), interpolation=cv2.INTER_CUBIC)
    return resized[side : 2 * side, side : 2 * side]


def _margin(marked: Pixels, payload: AssetId, carrier: Carrier) -> float:
    """The p-value bound, log10, that `detect` reports for these pixels; 0 if it would not read `payload`."""
    luma, factor = lattice.reduce_luma(marked)
    matrix = np.eye(2) / (lattice.native_tile(*marked.shape[:2]) * factor)
    (spectrum,) = folding.fold(lattice.compute_residual(luma), [matrix])
    if spectrum is None:
        return 0.0
    (placement,) = lattice.locate(spectrum, matrix, carrier, turns=lattice.DIHEDRAL[:1])
    (reading,) = decision.read([placement.read(carrier)], carrier=carrier, bits=payload.bits)
    return reading.log10_p if reading.payload == payload and _sure(reading) else 0.0
