"""The lattice of tiles in a picture: where it lies by default, and how its coefficients are read.

Nothing here reads a data phase of the key; see the proof in `decision`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.marking.watermark.carrier import TILE, Carrier
from generator.marking.watermark.interface import Geometry, Pixels
from generator.marking.watermark.synchronise import Image, Matrix, compute_transform, parabola_offset

NATIVE_SIDE = 768  # px; above, tiles grow with the picture so that it can be reduced without loss
WORKING_SIDE = 1024  # px; larger pictures (by area) are reduced to this for detection
_LONGEST_SIDE = 2048  # px, of the working copy
_LEAST_TILE = 60  # px; smaller tiles cannot hold the band
_MOST_STEPS = 6 << 20  # that one fold may sample
_SMALL_TILE = 90  # px; below, half as many steps per tile hold the whole band, at a quarter of the cost
_HIGHEST_FREQUENCY = 0.48  # cycles per px, that a picture can show
_BOX = (3, 3)  # px; applied twice, for the local mean and for the local variance
_FLOOR = 4.0  # squared grey levels; about the mark's own variance
_NEIGHBOURHOOD = (7, 7)  # coefficients that set the noise level of the one in their middle
_CLIP = 1.5  # in units of that level; one strong line of the picture must not outvote the rest

DIHEDRAL: tuple[Matrix, ...] = tuple(
    np.array(rows, float)
    for rows in (
        ((1, 0), (0, 1)),
        ((-1, 0), (0, -1)),
        ((1, 0), (0, -1)),
        ((-1, 0), (0, 1)),
        ((0, 1), (1, 0)),
        ((0, -1), (-1, 0)),
        ((0, 1), (-1, 0)),
        ((0, -1), (1, 0)),
    )
)
"""Quarter turns and mirrorings: a folded tile is read under each without folding again."""
UPRIGHT = (DIHEDRAL[0], DIHEDRAL[2])  # as it was, and mirrored left to right
HALF_TURN = (DIHEDRAL[0], DIHEDRAL[1])  # what magnitudes of a spectrum cannot tell apart


@dataclass(frozen=True, eq=False)
class Placement:
    """One way to lay the lattice, found from the pilots alone.

    Args:
        matrix: pilot frequency (cycles per tile) to frequency in the working copy (cycles per px).
        turn: which of DIHEDRAL was applied to the folded tile.
        shift: (row, column), lattice steps: origin of the tile.
        coherence: height of the pilots' common peak over its root mean square; about 4 when there is no mark.
        spectrum: complex64 (TILE, TILE), of the folded tile.
    """

    matrix: Matrix
    turn: Matrix
    shift: tuple[float, float]
    coherence: float
    spectrum: NDArray[np.complex64]

    def read(self, carrier: Carrier) -> NDArray[np.complex64]:
        """Whitened data coefficients with the shift removed: complex64 (n_data,)."""
        back = np.exp(2j * np.pi / TILE * (carrier.data @ np.array(self.shift)))
        coefficients: NDArray[np.complex64] = (_sample(self.spectrum, carrier.data, self.turn) * back).astype(
            np.complex64
        )
        return coefficients


def native_tile(height: int, width: int) -> int:
    """Side of a tile, px, in a picture of this size when it is marked."""
    return round(TILE * max(1.0, math.sqrt(height * width) / NATIVE_SIDE))


def reduce_luma(pixels: Pixels) -> tuple[Image, float]:
    """Luma of the working copy, float32 (h, w), and its size relative to the picture (at most 1)."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    factor = min(1.0, WORKING_SIDE / math.sqrt(height * width), _LONGEST_SIDE / max(height, width))
    if factor < 1.0:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return luma.astype(np.float32), factor


def compute_residual(luma: Image) -> Image:
    """What is left of the picture when its smooth part is taken away and busy parts are toned down.

    Division by the 0.75th power of the local variance is the matched filter for a mark whose amplitude
    follows the square root of the local deviation, as ours does, in noise of that deviation.
    """
    detail = luma - _smooth(luma)
    variance = _smooth(detail * detail) + _FLOOR
    root = cv2.sqrt(variance)
    residual: Image = detail / (root * cv2.sqrt(root))
    return residual


def _smooth(image: Image) -> Image:
    """A small bell-shaped mean: two box means."""
    twice: Image = cv2.blur(cv2.blur(image, _BOX), _BOX)
    return twice


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


def fold(residual: Image, matrix: Matrix) -> NDArray[np.complex64] | None:
    """Cut the picture into tiles, add them all, transform, whiten.

    Args:
        residual: float32 (h, w).
        matrix: frequency matrix B; a place x of the picture has lattice coordinates TILE * B.T @ x.

    Returns:
        complex64 (TILE, TILE), whitened spectrum of the folded tile; None when this geometry would not fit.
    """
    side = 1 / matrix[0, 0] if matrix[0, 0] else 0.0
    if side >= _LEAST_TILE and abs(side - round(side)) < 1e-9 and np.array_equal(matrix, np.eye(2) / side):
        return _whiten(_fold_exactly(residual, round(side)))
    steps = TILE if abs(np.linalg.det(matrix)) * _SMALL_TILE**2 < 1 else TILE // 2
    frame = lay_frame(residual.shape, matrix, steps=steps)
    if frame is None:
        return None
    to_picture = frame.to_picture
    magnification = math.sqrt(abs(np.linalg.det(to_picture)))
    if magnification > 1.3:
        residual = cv2.GaussianBlur(residual, (0, 0), 0.45 * magnification)
    offset = to_picture @ frame.origin
    affine = np.array(  # OpenCV counts (x, y), we count (row, column)
        [[to_picture[1, 1], to_picture[1, 0], offset[1]], [to_picture[0, 1], to_picture[0, 0], offset[0]]]
    )
    size = (int(frame.tiles[1]) * steps, int(frame.tiles[0]) * steps)
    sampled = cv2.warpAffine(residual, affine, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    spectrum = _resize_spectrum(_transform_stack(sampled, steps))
    return _whiten(spectrum * _resolved(matrix))


def _resolved(matrix: Matrix) -> Image:
    """1 where a tile this small still shows a coefficient, 0 beyond the picture's own resolution."""
    steps = np.fft.fftfreq(TILE, 1 / TILE)
    radius = np.hypot(steps[:, None], steps) * math.sqrt(abs(np.linalg.det(matrix)))  # cycles per px
    resolved: Image = (radius <= _HIGHEST_FREQUENCY).astype(np.float32)
    return resolved


def transform_sheet(sheet: Image) -> NDArray[np.complex64]:
    """Fold a sheet of whole TILE x TILE tiles, transform, whiten: complex64 (TILE, TILE)."""
    return _whiten(_transform_stack(sheet, TILE))


def _fold_exactly(residual: Image, side: int) -> NDArray[np.complex64]:
    """Fold upright tiles of whole pixels without resampling: their spectrum holds the same frequencies."""
    height, width = residual.shape
    bottom, right = -height % side, -width % side
    padded = cv2.copyMakeBorder(residual, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
    return _resize_spectrum(_transform_stack(padded, side))


def _resize_spectrum(spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """The same frequencies (cycles per tile) in an array of TILE x TILE; those that one side lacks are zero."""
    side = len(spectrum)
    if side == TILE:
        return spectrum
    half = min(side, TILE) // 2
    kept = np.arange(-half, half)
    resized = np.zeros((TILE, TILE), np.complex64)
    resized[np.ix_(kept % TILE, kept % TILE)] = spectrum[np.ix_(kept % side, kept % side)]
    return resized


def _transform_stack(sheet: Image, side: int) -> NDArray[np.complex64]:
    """Add all `side` x `side` tiles of a sheet that they fill, and transform: complex64 (side, side)."""
    down, across = sheet.shape[0] // side, sheet.shape[1] // side
    rows = sheet.reshape(down, side, across * side).sum(
        axis=0
    )  # whole rows first: contiguous, and most of the work
    return compute_transform(rows.reshape(side, across, side).sum(axis=1))


def _whiten(spectrum: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """Divide by the local root mean square magnitude and clip: magnitudes only, as the proof demands."""
    magnitude = np.abs(spectrum).astype(np.float32)
    ring = cv2.copyMakeBorder(magnitude * magnitude, 3, 3, 3, 3, cv2.BORDER_WRAP)  # frequencies are cyclic
    level = np.sqrt(np.maximum(cv2.blur(ring, _NEIGHBOURHOOD)[3:-3, 3:-3], 1e-24))
    limited = np.minimum(1 / level, _CLIP / (magnitude + 1e-12))
    white: NDArray[np.complex64] = (spectrum * limited).astype(np.complex64)
    return white


def locate(
    spectrum: NDArray[np.complex64], matrix: Matrix, carrier: Carrier, *, turns: tuple[Matrix, ...]
) -> list[Placement]:
    """Find the tile's shift from the pilots, for some of the eight turns of a folded tile.

    A shift turns the pilots' phases linearly; so with the known phases taken off, the inverse transform of
    the pilots has its peak at the shift.
    """
    rows, columns = carrier.pilots.T
    half = np.zeros((len(turns), TILE, TILE // 2 + 1), np.complex64)
    for index, turn in enumerate(turns):
        pilots = _sample(spectrum, carrier.pilots, turn)
        tamed = pilots / np.sqrt(np.abs(pilots) + 1e-12)
        half[index, rows % TILE, columns] = tamed * np.exp(-1j * carrier.pilot_phases)
    surfaces = np.fft.irfft2(half, (TILE, TILE))
    placements = []
    for turn, surface in zip(turns, surfaces, strict=True):
        coherence = float(surface.max() / (np.sqrt(np.mean(surface * surface)) + 1e-12))
        placements.append(
            Placement(
                matrix=matrix @ turn,
                turn=turn,
                shift=_peak_place(surface),
                coherence=coherence,
                spectrum=spectrum,
            )
        )
    return placements


def _peak_place(surface: NDArray[np.floating]) -> tuple[float, float]:
    """Place of the highest point of a cyclic surface, to a fraction of a step."""
    row, column = divmod(int(surface.argmax()), TILE)
    peak, below, right = surface[row, column], (row + 1) % TILE, (column + 1) % TILE
    return (
        row + float(parabola_offset(surface[row - 1, column], peak, surface[below, column])),
        column + float(parabola_offset(surface[row, column - 1], peak, surface[row, right])),
    )


def _sample(
    spectrum: NDArray[np.complex64], frequencies: NDArray[np.int64], turn: Matrix
) -> NDArray[np.complex64]:
    """Coefficients of the tile that was turned by `turn` before it was folded."""
    rows, columns = (frequencies @ turn.T).astype(int).T % TILE
    sampled: NDArray[np.complex64] = spectrum[rows, columns]
    return sampled


def describe_geometry(placement: Placement, *, factor: float, shape: tuple[int, int]) -> Geometry:
    """A placement in words: scale, rotation, mirroring, aspect, shift.

    Args:
        placement: the placement that was decoded.
        factor: size of the working copy relative to the picture.
        shape: (height, width) of the picture.
    """
    to_picture = np.linalg.inv(TILE * placement.matrix.T) / factor  # lattice step -> px, (row, column)
    determinant = float(np.linalg.det(to_picture))
    flipped = determinant < 0
    upright = to_picture @ np.diag([1.0, -1.0]) if flipped else to_picture
    down, across = np.linalg.norm(upright, axis=0)
    # Mean direction of both axes; a row axis that leans to the right means a counter-clockwise turn.
    turn = math.atan2(
        upright[0, 1] / across - upright[1, 0] / down, upright[0, 0] / down + upright[1, 1] / across
    )
    tile = TILE * math.sqrt(abs(determinant))
    shift = to_picture @ np.array(placement.shift)
    return Geometry(
        scale=tile / native_tile(*shape),
        rotation=-math.degrees(turn),
        flipped=flipped,
        aspect=float(across / down),
        shift=(float(shift[0]), float(shift[1])),
        tile=tile,
        matrix=(
            float(to_picture[0, 0]),
            float(to_picture[0, 1]),
            float(to_picture[1, 0]),
            float(to_picture[1, 1]),
        ),
    )
