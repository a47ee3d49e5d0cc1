"""Undo what happened to a picture since it was marked: rotation, scaling, mirroring and crop, by its watermark.

Other marks live in the generator's own grid of tokens or latents and are blind after a crop. The watermark says how
its lattice lies in the picture; how it lay when the picture was marked follows from the identifier and the key; so
the map from here to there is known, up to whole tiles. Which tiles is a question of the size that the picture had:
only a few answers keep what is seen within it, and each of them is a candidate.

Candidates depend on the picture and the watermark's key alone. So a mark with a key of its own that is read in n of
them has n times the smallest p-value as its p-value (Bonferroni), whatever they are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.marking.watermark.carrier import TILE
from generator.marking.watermark.interface import Detection, Geometry, Pixels
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.lattice import native_tile
from generator.marking.watermark.tile_fourier import tile_origin

MOST = 9
"""Candidates at most; a small crop of a large picture fits in more places than that, and the likeliest are kept."""

_NEARLY = 0.8  # of the best candidate's share of the picture that lies within the original
_ACCURACY = 0.01  # of the geometry that a search finds; the picture's middle lies right also then
_UNMOVED = 0.02  # mean distance, as a share of a tile, below which nothing happened to the picture


@dataclass(frozen=True, slots=True)
class Realigned:
    """A picture laid as it was when it was marked.

    Attributes:
        pixels: uint8 (H, W, 3); what was cut off is filled with the nearest colour.
        seen: float32 (H, W), 1 where the picture shows it, 0 where it was cut off.
    """

    pixels: Pixels
    seen: NDArray[np.float32]


def realign(pixels: Pixels, mark: Detection, *, key: WatermarkKey, size: tuple[int, int]) -> list[Realigned]:
    """Lay a picture as it was when it was marked.

    Args:
        pixels: uint8 (H, W, 3).
        mark: what `TileFourier.detect` found in it with `key`.
        key: of the watermark.
        size: (height, width) of the marked picture, px.

    Returns:
        Candidates, the likeliest first, at most `MOST`. Empty when the picture is as it was, and when the mark or
        its identifier was not found.
    """
    if mark.geometry is None or mark.payload is None:
        return []
    geometry, origin = mark.geometry, tile_origin(key, mark.payload, b"")
    linear, offset = _find_map(geometry, origin=origin, side=native_tile(*size))
    if np.abs(linear - np.eye(2)).max() < _ACCURACY:  # a crop and no more: then it is known to the pixel
        offset = offset + (linear - np.eye(2)) @ (np.array(pixels.shape[:2]) / 2)
        linear = np.eye(2)
    places = _find_places(linear, offset, shape=pixels.shape, size=size)
    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [0, width], [height, 0], [height, width]], float)
    moved = corners @ linear.T + places[0] - corners if places else np.zeros((4, 2))
    if np.abs(moved).mean() < _UNMOVED * native_tile(*size) and pixels.shape[:2] == tuple(size):
        return []
    return [_render(pixels, linear, place, size=size) for place in places]


def _find_map(
    geometry: Geometry, *, origin: tuple[int, int], side: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(A, c) with A x + c the place in the marked picture of place x here, px (row, column), up to whole tiles."""
    to_lattice = np.linalg.inv(np.array(geometry.matrix).reshape(2, 2))
    steps = (
        np.array(origin) + 0.5 - to_lattice @ np.array(geometry.shift)
    )  # of a pixel's corner, not its middle
    return to_lattice * side / TILE, steps * side / TILE - 0.5


def _find_places(
    linear: NDArray[np.float64],
    offset: NDArray[np.float64],
    *,
    shape: tuple[int, ...],
    size: tuple[int, int],
) -> list[NDArray[np.float64]]:
    """Offsets that keep most of the picture within the original, by how much, the best first."""
    rows, columns = (np.linspace(0, side, 25) for side in shape[:2])
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2) @ linear.T
    side = native_tile(*size)
    shares: list[tuple[float, NDArray[np.float64]]] = []
    for shift in _whole_tiles(grid, offset, side=side, size=size):
        place = offset + shift
        within = ((grid + place > -1) & (grid + place < np.array(size) + 1)).all(axis=1)
        shares.append((float(within.mean()), place))
    shares.sort(key=lambda found: -found[0])
    return [place for share, place in shares[:MOST] if share >= max(_NEARLY * shares[0][0], 0.1)]


def _whole_tiles(
    grid: NDArray[np.float64], offset: NDArray[np.float64], *, side: int, size: tuple[int, int]
) -> Iterator[NDArray[np.float64]]:
    """Shifts by whole tiles that leave the picture's middle within the original, px."""
    middle = grid.mean(axis=0) + offset
    ranges = (
        range(math.ceil(-m / side), math.floor((length - m) / side) + 1)
        for m, length in zip(middle, size, strict=True)
    )
    for tiles in itertools.product(*ranges):
        yield np.array(tiles, float) * side


def _render(
    pixels: Pixels, linear: NDArray[np.float64], offset: NDArray[np.float64], *, size: tuple[int, int]
) -> Realigned:
    reduction = 1 / math.sqrt(abs(float(np.linalg.det(linear))))
    if reduction > 1.3:  # or else fine detail would fold into coarse
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.45 * reduction)
    affine = np.array(  # OpenCV counts (x, y), we count (row, column)
        [[linear[1, 1], linear[1, 0], offset[1]], [linear[0, 1], linear[0, 0], offset[0]]]
    )
    whole = np.ones(pixels.shape[:2], np.float32)
    height, width = size
    laid = cv2.warpAffine(
        pixels, affine, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    seen = cv2.warpAffine(whole, affine, (width, height), flags=cv2.INTER_LINEAR)
    return Realigned(np.asarray(laid, np.uint8), np.asarray(seen, np.float32))
