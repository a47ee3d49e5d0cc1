"""What somebody learns from many pictures marked with one key, and can then remove or forge.

The attacker knows this code (tile size, band), not the key. From each picture he takes the mark's estimate: what a
small blur removes, folded into one tile. He averages the tiles, as they are or after aligning each to the average,
subtracts the result from a marked picture he has not averaged, and adds it to clean ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks import Pixels
from benchmarks.document import Figure
from generator.marking.payload import AssetId
from generator.marking.watermark.carrier import TILE
from generator.marking.watermark.interface import Scheme
from generator.marking.watermark.keys import WatermarkKey

Tile = NDArray[np.float64]
STRENGTH = 2.5  # grey levels, root mean square of what the attacker adds or subtracts: about 40 dB
_ROUNDS = 3  # of alignment


@dataclass(frozen=True)
class Attack:
    """One way to average.

    Attributes:
        name: for the figures.
        one_shift: all pictures carry the tile at the same place (the defence is off).
        aligned: the attacker aligns the tiles before averaging them.
    """

    name: str
    one_shift: bool
    aligned: bool


ATTACKS = (
    Attack("fixed_tile", one_shift=True, aligned=False),
    Attack("shifted", one_shift=False, aligned=False),
    Attack("shifted_aligned", one_shift=False, aligned=True),
)


def measure_averaging(
    scheme: Scheme, pictures: Sequence[Pixels], *, victims: int, psnr: float
) -> Iterator[Figure]:
    """Shares of victims whose mark is removed, and of clean pictures that are then called marked.

    Args:
        scheme: under attack.
        pictures: of at most NATIVE_SIDE px, so that a tile has TILE px; the last `victims` are not averaged.
        victims: number of pictures that the estimate is used on.
        psnr: of the marking, dB.
    """
    key = WatermarkKey(bytes(range(7, 39)))
    seen, rest = pictures[:-victims], pictures[-victims:]
    for attack in ATTACKS:
        # Shift and code follow from the payload: with one payload for all, nothing varies.
        ids = [AssetId(1 if attack.one_shift else 1000 + index) for index in range(len(pictures))]
        marked = [
            scheme.embed(pixels, payload, key=key, psnr=psnr).pixels
            for pixels, payload in zip(pictures, ids, strict=True)
        ]
        tiles = [estimate_tile(pixels) for pixels in marked[: len(seen)]]
        carrier = average(tiles, aligned=attack.aligned)
        kept = sum(scheme.detect(add(pixels, -carrier), key=key).found for pixels in marked[-victims:])
        forged = sum(scheme.detect(add(pixels, carrier), key=key).found for pixels in rest)
        note = f"{len(seen)} pictures averaged, {victims} victims, {psnr:g} dB"
        yield Figure(f"averaging.{attack.name}.removed", 1 - kept / victims, "share", note=note)
        yield Figure(f"averaging.{attack.name}.forged", forged / victims, "share", note=note)


def estimate_tile(pixels: Pixels) -> Tile:
    """The attacker's estimate of the tile in one picture, float64 (TILE, TILE)."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = luma - cv2.GaussianBlur(luma, (0, 0), 2.0)
    detail /= np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 4.0) + 4.0)
    height, width = (side // TILE * TILE for side in detail.shape)
    stack = detail[:height, :width].reshape(height // TILE, TILE, width // TILE, TILE)
    return stack.mean(axis=(0, 2)).astype(np.float64)


def average(tiles: Sequence[Tile], *, aligned: bool) -> Tile:
    """Mean of tiles; aligned: each is first moved to where it agrees best with the others' mean."""
    result = np.mean(tiles, axis=0) if not aligned else tiles[0]
    for _ in range(_ROUNDS if aligned else 0):
        pattern = np.fft.rfft2(result).conj()
        moved = []
        for tile in tiles:
            agreement = np.fft.irfft2(np.fft.rfft2(tile) * pattern, tile.shape)
            row, column = np.unravel_index(agreement.argmax(), agreement.shape)
            moved.append(np.roll(tile, (-int(row), -int(column)), (0, 1)))
        result = np.mean(moved, axis=0)
    return np.asarray(result)


def add(pixels: Pixels, tile: Tile) -> Pixels:
    """The picture plus the repeated tile at STRENGTH."""
    height, width = pixels.shape[:2]
    sheet = np.tile(tile * (STRENGTH / (tile.std() + 1e-12)), (-(-height // TILE), -(-width // TILE)))
    return np.clip(np.rint(pixels + sheet[:height, :width, None]), 0, 255).astype(np.uint8)
