"""The lattice of tiles in a picture: where it lies by default, and how its coefficients are read.

Nothing here reads a data phase of the key; see the proof in `decision`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.marking.watermark.carrier import TILE, Carrier
from generator.marking.watermark.folding import REACH, Complex
from generator.marking.watermark.interface import Geometry, Pixels
from generator.marking.watermark.spectrum import Image, Matrix

NATIVE_SIDE = 768  # px; above, tiles grow with the picture so that it can be reduced without loss
WORKING_SIDE = 1024  # px; larger pictures (by area) are reduced to this for detection
_LONGEST_SIDE = 2048  # px, of the working copy
_BELL = np.array([1, 2, 3, 2, 1], np.float32) / 9  # px; for the local mean and for the local variance
_FLOOR = 4.0  # squared grey levels; about the mark's own variance

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
        spectrum: complex64, of the folded tile, as of `folding.fold`.
    """

    matrix: Matrix
    turn: Matrix
    shift: tuple[float, float]
    coherence: float
    spectrum: Complex

    def read(self, carrier: Carrier) -> Complex:
        """Whitened data coefficients with the shift removed: complex64 (n_data,)."""
        back = np.exp(2j * np.pi / TILE * (carrier.data @ np.array(self.shift)))
        coefficients: Complex = (_sample(self.spectrum, carrier.data, self.turn) * back).astype(np.complex64)
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
    """A small bell-shaped mean."""
    smooth: Image = cv2.sepFilter2D(image, -1, _BELL, _BELL)
    return smooth


def locate(
    spectrum: Complex, matrix: Matrix, carrier: Carrier, *, turns: tuple[Matrix, ...]
) -> list[Placement]:
    """Find the tile's shift from the pilots, for some of the eight turns of a folded tile.

    A shift turns the pilots' phases linearly; so with the known phases taken off, the sum of the pilots' waves has
    its peak at the shift.
    """
    down, across = _pilot_waves(carrier)
    placements = []
    for turn in turns:
        pilots = _sample(spectrum, carrier.pilots, turn)
        tamed = down * (pilots / np.sqrt(np.abs(pilots) + np.float32(1e-12)))
        surface = np.concatenate([tamed.real, tamed.imag], axis=1) @ across  # (TILE, TILE)
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


@lru_cache(maxsize=8)
def _pilot_waves(carrier: Carrier) -> tuple[Complex, Image]:
    """Waves that find a shift.

    Returns:
        Down the rows, with the known phases taken off: complex64 (TILE, n_pilots). Across the columns, real over
        minus imaginary parts: float32 (2 * n_pilots, TILE).
    """
    turns = np.arange(TILE)[:, None, None] * carrier.pilots * (2j * np.pi / TILE)  # (TILE, n_pilots, 2)
    down = np.exp(turns[..., 0] - 1j * carrier.pilot_phases).astype(np.complex64)
    across = np.exp(turns[..., 1]).T
    return down, np.concatenate([across.real, -across.imag]).astype(np.float32)


def _peak_place(surface: Image) -> tuple[float, float]:
    """Place of the highest point of a cyclic surface, to a fraction of a step."""
    row, column = divmod(int(surface.argmax()), TILE)
    return (
        row + _parabola_offset(*surface[np.arange(row - 1, row + 2) % TILE, column].tolist()),
        column + _parabola_offset(*surface[row, np.arange(column - 1, column + 2) % TILE].tolist()),
    )


def _parabola_offset(before: float, peak: float, after: float) -> float:
    """Place of a parabola's top relative to its middle sample, -0.5 to 0.5; 0 where there is no top."""
    bend = before - 2 * peak + after
    return max(-0.5, min(0.5, 0.5 * (before - after) / bend)) if bend < 0 else 0.0


def _sample(spectrum: Complex, frequencies: NDArray[np.int64], turn: Matrix) -> Complex:
    """Coefficients of the tile that was turned by `turn` before it was folded."""
    rows, columns = (frequencies @ turn.T).astype(int).T + REACH
    sampled: Complex = spectrum[rows, columns]
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
