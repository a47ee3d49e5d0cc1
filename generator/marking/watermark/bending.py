"""Straightening a picture that is bent: perspective, a lens, a page that does not lie flat. Reads no data phase.

One affine lattice does not fit such a picture, but near any one place a shifted one does. The sheet of tiles is cut
into overlapping windows of one tile; each shows the pilots with phases that tell its own shift. First a coarse
search over the two numbers of a perspective finds a bend under which all windows agree; then each window's shift,
judged together with its neighbours', corrects a quadratic field by robust least squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.marking.watermark.carrier import TILE, Carrier
from generator.marking.watermark.folding import Complex, Frame, add_tiles, lay_frame, whiten
from generator.marking.watermark.spectrum import Image, Matrix, compute_transform

_HALF = TILE // 2
_MANY_TILES = 25  # above, windows need not overlap
_LEAST_FILLED = 0.5  # share of a window that lies in the picture
_LEAST_WINDOWS = 4
_SURFACE = 64  # places per side of the coarse search for the common shift; pilots stay below half of it
_BENDS = np.linspace(
    -16, 16, 9
)  # lattice steps that the picture's edge may move by, per direction of perspective
_LEAST_STRENGTH = (
    5.8  # of the common peak over all its surroundings; without a mark it reaches about 5.5 to 6.5
)
_REACHES = (
    (8, 5),
    (4, 3),
    (3,),
)  # lattice steps searched per window, per round; one resampling per inner tuple
_NEIGHBOURS = 1.4  # distances between windows over which they support each other
_RIDGE = np.diag([0.0, 1e-3, 1e-3, 0.02, 0.02, 0.02])  # keeps the field from following few windows


@dataclass(frozen=True, eq=False)
class _Field:
    """A bend of the sheet: place x is read at x + basis(x) @ coefficients.

    Args:
        centre: float64 (2,), of the picture, lattice steps on the sheet.
        half: half a side of the picture, lattice steps.
        coefficients: float64 (6, 2), quadratic polynomial per direction.
    """

    centre: Matrix
    half: float
    coefficients: Matrix

    def basis(self, places: Matrix) -> Matrix:
        """Polynomials at places (..., 2): float64 (..., 6)."""
        scaled = (places - self.centre) / self.half
        down, across = scaled[..., 0], scaled[..., 1]
        return np.stack([np.ones_like(down), down, across, down**2, down * across, across**2], axis=-1)


@dataclass(frozen=True, eq=False)
class _Windows:
    """Pilots as each window shows them.

    Args:
        centres: float64 (n, 2), lattice steps.
        pilots: complex64 (n, n_pilots), phases counted from the sheet's corner.
        step: lattice steps from one window to the next.
    """

    centres: Matrix
    pilots: Complex
    step: int


def straighten(residual: Image, matrix: Matrix, carrier: Carrier) -> Complex | None:
    """Whitened spectrum of the folded tile after undoing a bend found from the pilots.

    Args:
        residual: float32 (h, w).
        matrix: frequency matrix that fits somewhere in the picture, as of `folding.fold`.
        carrier: its pilots are used.

    Returns:
        as of `folding.fold`; None when no bend makes the windows agree.
    """
    frame = lay_frame(residual.shape, matrix)
    if frame is None:
        return None
    field = _flat_field(frame, residual.shape)
    windows = _read_windows(_sample(residual, frame, field), carrier)
    if windows is None:
        return None
    found = _search_bend(windows, field, carrier)
    if found is None:
        return None
    field, template = found
    for reaches in _REACHES:
        windows = _read_windows(_sample(residual, frame, field), carrier)
        if windows is None:
            return None
        field = _fit(field, windows, template, carrier, reaches=reaches)
    return whiten(add_tiles(_sample(residual, frame, field), TILE))


def _flat_field(frame: Frame, shape: tuple[int, ...]) -> _Field:
    height, width = shape
    centre = np.linalg.inv(frame.to_picture) @ (height / 2, width / 2) - frame.origin
    half = math.sqrt(height * width) / 2 / math.sqrt(abs(np.linalg.det(frame.to_picture)))
    return _Field(centre=centre, half=half, coefficients=np.zeros((6, 2)))


def _sample(residual: Image, frame: Frame, field: _Field) -> Image:
    """The sheet of tiles read through the bend."""
    places = field.coefficients.copy()  # polynomials of the place that is read, first in steps, then in px
    places[0] += field.centre + frame.origin
    places[1:3] += field.half * np.eye(2)
    constant, down, across, down_twice, both, across_twice = places @ frame.to_picture.T  # (2,) each
    rows, columns = (
        ((np.arange(count * TILE) - middle) / field.half)[:, None]
        for count, middle in zip(frame.tiles, field.centre, strict=True)
    )
    maps = []
    for axis in (0, 1):  # a quadratic polynomial is a matrix of rank 3
        left = (
            constant[axis] + rows * down[axis] + rows**2 * down_twice[axis],
            rows * both[axis],
            np.ones_like(rows),
        )
        right = np.ones_like(columns), columns, columns * across[axis] + columns**2 * across_twice[axis]
        maps.append(np.hstack(left).astype(np.float32) @ np.hstack(right).astype(np.float32).T)
    sheet: Image = cv2.remap(residual, maps[1], maps[0], cv2.INTER_LINEAR)
    return sheet


def _read_windows(sheet: Image, carrier: Carrier) -> _Windows | None:
    """Pilots of every window that is filled well enough; None: too few."""
    rows, columns = carrier.pilots.T
    step = _HALF if sheet.size <= _MANY_TILES * TILE * TILE else TILE
    filled = _filled(sheet)
    corners, pilots = [], []
    for top in range(0, sheet.shape[0] - TILE + 1, step):
        for left in range(0, sheet.shape[1] - TILE + 1, step):
            if filled[top // _HALF, left // _HALF] >= _LEAST_FILLED:
                window = sheet[top : top + TILE, left : left + TILE]
                corners.append((top, left))
                pilots.append(compute_transform(window)[rows % TILE, columns])
    if len(corners) < _LEAST_WINDOWS:
        return None
    seen = np.array(pilots)
    # One strong line of the picture must not outvote the rest.
    seen /= np.sqrt(np.abs(seen) + np.float32(1e-12))
    seen /= np.sqrt(np.mean(np.abs(seen) ** 2, axis=1, keepdims=True)) + np.float32(1e-12)
    placed = np.array(corners, float)
    return _Windows(centres=placed + TILE / 2, pilots=seen * _phases(-placed, carrier.pilots), step=step)


def _filled(sheet: Image) -> Image:
    """Share of each window (corners _HALF steps apart) that lies in the picture."""
    down, across = (side // _HALF for side in sheet.shape)
    inside = (sheet != 0).reshape(down, _HALF, across * _HALF).sum(axis=1, dtype=np.int32)
    blocks = inside.reshape(down, across, _HALF).sum(axis=2)
    windows = blocks[:-1, :-1] + blocks[1:, :-1] + blocks[:-1, 1:] + blocks[1:, 1:]
    filled: Image = (windows / TILE**2).astype(np.float32)
    return filled


def _phases(moves: Matrix, frequencies: NDArray[np.int64]) -> Complex:
    """What reading `moves` (..., 2) further on does to coefficients: complex64 (..., n_frequencies)."""
    turns = np.asarray(moves @ frequencies.T * (2 * np.pi / TILE), np.float32)
    phases: Complex = np.exp(1j * turns)
    return phases


def _search_bend(windows: _Windows, field: _Field, carrier: Carrier) -> tuple[_Field, Complex] | None:
    """The perspective under which all windows agree best, and the pilots expected of each window.

    A frequency pattern cannot tell upright from upside down: both are tried, the second by conjugate phases.

    Returns:
        The bent field, and complex64 (n_pilots,) whose conjugate aligns the pilots; None when nothing stands out.
    """
    places = (windows.centres - field.centre) / field.half  # (n, 2)
    bends = np.multiply.outer(_BENDS, places[..., None] * places[:, None, :])  # (n_bends, n, 2 directions, 2)
    down, across = (_phases(bends[:, :, axis], carrier.pilots).transpose(2, 0, 1) for axis in (0, 1))
    sums = (down * windows.pilots.T[:, None]) @ across.transpose(0, 2, 1)  # (n_pilots, n_bends, n_bends)
    sums = sums.reshape(len(sums), -1).T
    best, strength = None, _LEAST_STRENGTH
    rows, columns = carrier.pilots.T
    for sign in (1, -1):
        known = np.exp(1j * sign * carrier.pilot_phases).astype(np.complex64)
        half = np.zeros((len(sums), _SURFACE, _SURFACE // 2 + 1), np.complex64)
        half[:, rows % _SURFACE, columns] = sums * known.conj()
        surfaces = np.fft.irfft2(half, (_SURFACE, _SURFACE))
        height = float(surfaces.max() / (np.sqrt(np.mean(surfaces**2)) + 1e-12))
        if height > strength:
            index, row, column = np.unravel_index(surfaces.argmax(), surfaces.shape)
            shift = np.array([row, column], float) * (TILE / _SURFACE)
            strength = height
            best = (
                _bend(field, *(_BENDS[part] for part in divmod(int(index), len(_BENDS)))),
                known * _phases(-shift, carrier.pilots),
            )
    return best


def _bend(field: _Field, down: float, across: float) -> _Field:
    """A perspective: x moves by (down r + across c) x, in quadratic terms r r, r c, c c."""
    coefficients = np.zeros((6, 2))
    coefficients[3, 0] = coefficients[4, 1] = down
    coefficients[4, 0] = coefficients[5, 1] = across
    return replace(field, coefficients=coefficients)


def _fit(
    field: _Field, windows: _Windows, template: Complex, carrier: Carrier, *, reaches: tuple[int, ...]
) -> _Field:
    """Correct the field by the windows' own shifts, first over a wide reach, then over a narrow one.

    Args:
        field: through which the windows were read.
        windows: their pilots.
        template: complex64 (n_pilots,), the pilots expected of a window that does not deviate.
        carrier: for the pilots' frequencies.
        reaches: lattice steps, one per round.
    """
    basis = field.basis(windows.centres)
    apart = np.hypot(*(windows.centres[:, None] - windows.centres).transpose(2, 0, 1))
    support = np.exp(-((apart / (_NEIGHBOURS * windows.step)) ** 2))
    change = np.zeros((6, 2))
    for reach in reaches:
        steps = np.arange(-reach, reach + 1) * 1.0
        moves = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
        aligned = windows.pilots * template.conj() * _phases(basis @ change, carrier.pilots)
        agreement = support @ (aligned @ _phases(moves, carrier.pilots).T).real  # (n_windows, n_moves)
        best = agreement.argmax(axis=1)
        stands_out = agreement.max(axis=1) / (agreement.std(axis=1) + 1e-9) - 1.5
        change = change + _solve(basis, moves[best], np.maximum(stands_out, 0))
    return replace(field, coefficients=field.coefficients + change)


def _solve(basis: Matrix, moves: Matrix, weights: NDArray[np.floating]) -> Matrix:
    """Weighted ridge regression of moves (n, 2) on the basis (n, 6), with two rounds of letting outliers go."""
    solution = np.zeros((6, 2))
    for _ in range(3):
        weighted = basis * weights[:, None]
        ridge = _RIDGE * (weights.sum() + 1e-9)
        solution = np.linalg.solve(weighted.T @ basis + ridge + 1e-9 * np.eye(6), weighted.T @ moves)
        error = np.hypot(*(moves - basis @ solution).T)
        weights = weights / (1 + (error / 1.5) ** 2)
    return solution
