"""Cutting a picture into tiles and adding them up: one tile remains, in which only the mark has grown.

Nothing here reads a key; see the proof in `decision`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.marking.watermark.carrier import BAND, TILE
from generator.marking.watermark.spectrum import Image, Matrix, compute_transform

Complex = NDArray[np.complex64]

_LEAST_TILE = 60  # px; smaller tiles cannot hold the band
_MOST_STEPS = 6 << 20  # that one fold may sample
_STEPS = (
    (90, TILE // 2),
    (128, 3 * TILE // 4),
)  # below so many px, so few steps per tile hold the whole band
_HIGHEST_FREQUENCY = 0.48  # cycles per px, that a picture can show
_SMOOTHED = 1.3  # px per step; above, the picture is smoothed before it is read
_SMOOTHNESS = 0.45  # deviation of that smoothing, steps
_GRADE = 1.2  # geometries whose steps differ by less share a smoothed picture
_NEIGHBOURHOOD = (7, 7)  # coefficients that set the noise level of the one in their middle
_CLIP = 1.5  # in units of that level; one strong line of the picture must not outvote the rest
REACH = math.ceil(BAND[1] * TILE) + _NEIGHBOURHOOD[0] // 2
"""Highest frequency of a folded tile that is kept on either axis, cycles per tile."""
_RADII = np.hypot(*np.meshgrid(np.arange(-REACH, REACH + 1), np.arange(-REACH, REACH + 1)))


@dataclass(frozen=True, eq=False)
class Frame:
    """A sheet of whole tiles that covers the picture.

    Args:
        to_picture: float64 (2, 2), steps to px, (row, column).
        origin: float64 (2,), the sheet's corner, steps.
        tiles: int64 (2,), tiles down and across.
    """

    to_picture: Matrix
    origin: Matrix
    tiles: NDArray[np.int64]


def lay_frame(shape: tuple[int, ...], matrix: Matrix, *, steps: int = TILE) -> Frame | None:
    """The sheet for a picture of `shape` (h, w) and frequency matrix B; None when it would be too large.

    Args:
        shape: (height, width) of the picture, px.
        matrix: frequency matrix.
        steps: steps per side of a tile.
    """
    height, width = shape
    to_lattice: Matrix = steps * matrix.T
    corners = np.array([[0, 0], [0, width], [height, 0], [height, width]], float) @ to_lattice.T
    origin = np.floor(corners.min(axis=0) / steps) * steps
    tiles = np.ceil((corners.max(axis=0) - origin) / steps).astype(int)
    if tiles.min() < 1 or int(tiles.prod()) * steps * steps > _MOST_STEPS:
        return None
    return Frame(to_picture=np.asarray(np.linalg.inv(to_lattice), np.float64), origin=origin, tiles=tiles)


def fold(residual: Image, matrices: list[Matrix]) -> list[Complex | None]:
    """For each geometry cut the picture into tiles, add them all, transform, whiten.

    Args:
        residual: float32 (h, w).
        matrices: frequency matrices B; a place x of the picture has lattice coordinates TILE * B.T @ x.

    Returns:
        Per geometry complex64 (2 * REACH + 1, 2 * REACH + 1): whitened spectrum of the folded tile, frequency 0 in
        the middle; None when this geometry would not fit.
    """
    smoothed = {0: residual}
    spectra: list[Complex | None] = []
    for matrix in matrices:
        side = _whole_tile(matrix)
        if side:
            tile: Image | None = add_tiles(residual, side)
        else:
            step = 1 / (TILE * math.sqrt(abs(np.linalg.det(matrix))))  # px
            grade = max(1, round(math.log(step, _GRADE))) if step > _SMOOTHED else 0
            if grade not in smoothed:
                smoothed[grade] = cv2.GaussianBlur(residual, (0, 0), _SMOOTHNESS * _GRADE**grade)
            tile = _read_tiles(smoothed[grade], matrix)
        spectra.append(None if tile is None else whiten(tile) * _resolved(matrix))
    return spectra


def _whole_tile(matrix: Matrix) -> int:
    """Side of an upright tile of whole px, which is folded without resampling; 0 for any other geometry."""
    side = round(1 / matrix[0, 0]) if matrix[0, 0] > 0 else 0
    upright = side >= _LEAST_TILE and np.abs(matrix * side - np.eye(2)).max() < 1e-9
    return side if upright else 0


def _read_tiles(residual: Image, matrix: Matrix) -> Image | None:
    """Read the picture at the lattice's own steps, and fold: float32 (steps, steps)."""
    side = 1 / math.sqrt(abs(np.linalg.det(matrix)))  # px
    steps = next((steps for limit, steps in _STEPS if side < limit), TILE)
    frame = lay_frame(residual.shape, matrix, steps=steps)
    if frame is None:
        return None
    to_picture = frame.to_picture
    offset = to_picture @ frame.origin
    affine = np.array(  # OpenCV counts (x, y), we count (row, column)
        [[to_picture[1, 1], to_picture[1, 0], offset[1]], [to_picture[0, 1], to_picture[0, 0], offset[0]]]
    )
    size = (int(frame.tiles[1]) * steps, int(frame.tiles[0]) * steps)
    sheet = cv2.warpAffine(residual, affine, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return add_tiles(sheet, steps)


def _resolved(matrix: Matrix) -> Image:
    """1 where a tile this small still shows a coefficient, 0 beyond the picture's own resolution."""
    resolved: Image = (_RADII * math.sqrt(abs(np.linalg.det(matrix))) <= _HIGHEST_FREQUENCY).astype(
        np.float32
    )
    return resolved


def add_tiles(sheet: Image, side: int) -> Image:
    """Sum of all `side` x `side` tiles of a sheet, also those that its lower and right edges cut: (side, side)."""
    height, width = sheet.shape
    rows = np.zeros((side, width), np.float32)  # whole rows first: contiguous, and most of the work
    for top in range(0, height, side):
        part = sheet[top : top + side]
        rows[: len(part)] += part
    tile: Image = np.zeros((side, side), np.float32)
    for left in range(0, width, side):
        part = rows[:, left : left + side]
        tile[:, : part.shape[1]] += part
    return tile


def whiten(tile: Image) -> Complex:
    """Spectrum of a tile, divided by its local root mean square magnitude and clipped: (2 * REACH + 1,) * 2.

    Magnitudes only, as the proof demands.
    """
    spectrum = _crop_spectrum(compute_transform(tile), len(tile))
    magnitude = np.abs(spectrum)
    level = cv2.sqrt(cv2.max(cv2.blur(magnitude * magnitude, _NEIGHBOURHOOD), 1e-24))
    white: Complex = spectrum * np.minimum(1 / level, _CLIP / (magnitude + np.float32(1e-12)))
    return white


def _crop_spectrum(half: Complex, side: int) -> Complex:
    """Frequencies up to REACH of a half spectrum, frequency 0 in the middle; those that the tile lacks are zero."""
    reach = min(REACH, (side - 1) // 2)
    right = half[np.arange(-reach, reach + 1), : reach + 1]  # (rows, columns from 0)
    left = right[::-1, :0:-1].conj()
    whole: Complex = np.zeros((2 * REACH + 1, 2 * REACH + 1), np.complex64)
    inner = slice(REACH - reach, REACH + reach + 1)
    whole[inner, inner] = np.concatenate([left, right], axis=1)
    return whole
