"""Where the lattice lies: from the pilots' spectral peaks to candidate geometries. Reads no data phase.

A geometry is the matrix B that takes a pilot's integer frequency (row, column; cycles per tile) to its
frequency in the picture (cycles per px). Rotation and scale of the picture turn and shrink all frequencies
together, so on a log-polar map of the spectrum the constellation of pilots only moves: it is found by
adding up the map at the pilots' places for every displacement. The best few are refined by a robust
least-squares fit to the peaks themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.marking.watermark.carrier import TILE

Matrix = NDArray[np.float64]
Image = NDArray[np.float32]

ASPECTS = (0.94, 1.064, 0.88, 1.136)  # width stretches tried besides 1
MAGNIFICATIONS = (0.31, 4.0)  # of the lattice, within reach of the search
ASPECT_MAGNIFICATIONS = (0.45, 2.0)  # within reach together with ASPECTS
NEAR_MAGNIFICATIONS = (0.7, 1.45)  # within reach of the coarse search for bent pictures
_ANGLES = 720  # over half a turn
_RADIUS_STEP = 0.005  # natural logarithm of the radius, per column of the log-polar map
_RADIUS_LOW = 0.014  # cycles per px; the lowest pilot at the highest magnification
_RADIUS_HIGH = 0.49
_MARGIN = 40  # empty columns on both sides of the map, for stretched pilots
_PEAKS_PER_POSE = 5
_LEAST_PEAK = 1.8  # a pilot counts as seen above this multiple of its surroundings
_LEAST_PILOTS = 6


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Locally flattened magnitude spectrum of a picture, zero frequency at the centre.

    Args:
        flat: float32 (size, size).
        threshold: what exceeds this counts as a peak.
        axis_bins: half width of the axes, where pictures have lines of their own.
    """

    flat: Image
    threshold: float
    axis_bins: int

    @property
    def size(self) -> int:
        """Frequencies per axis."""
        return len(self.flat)

    @property
    def centre(self) -> int:
        """Index of frequency 0 on both axes."""
        return self.size // 2


@dataclass(frozen=True, slots=True)
class Pose:
    """A displacement of the constellation: mirrored first, then stretched, then turned and scaled."""

    strength: float
    angle: float  # radians, of the frequencies
    scale: float  # of the frequencies; 1 / magnification
    flipped: bool
    aspect: float

    def matrix(self) -> Matrix:
        """The pose as a frequency matrix B, float64 (2, 2)."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        mirror = -1.0 if self.flipped else 1.0
        return self.scale / TILE * turn @ np.diag([1.0, mirror / self.aspect])


def compute_spectrum(residual: Image) -> Spectrum:
    """Flattened spectrum of the central window (at most 1024 px) of a whitened residual."""
    height, width = residual.shape
    size = 1024 if max(height, width) > 512 else 512
    rows, columns = min(height, size), min(width, size)
    top, left = (height - rows) // 2, (width - columns) // 2
    window = residual[top : top + rows, left : left + columns]
    taper = np.outer(np.sqrt(np.hanning(rows)), np.sqrt(np.hanning(columns))).astype(np.float32)
    padded = cv2.copyMakeBorder(window * taper, 0, size - rows, 0, size - columns, cv2.BORDER_CONSTANT)
    full = np.fft.fftshift(np.abs(compute_transform(padded)))
    full /= cv2.blur(full, (25, 25)) + 1e-6
    return Spectrum(flat=full, threshold=1.3, axis_bins=3)


def compute_coarse_spectrum(residual: Image, size: int) -> Spectrum:
    """Mean flattened spectrum of windows of `size` px, at most half overlapping and at most 7 x 7 of them.

    In a bent picture the pilots lie at slightly different frequencies from place to place: a large window smears
    them, one as large as a tile does not resolve the difference, and the mean of many steadies it.
    """
    taper = np.outer(np.hanning(size), np.hanning(size)).astype(np.float32)
    height, width = residual.shape
    total = np.zeros((size, size), np.float32)
    down, across = (max(size // 2, (side - size) // 6 + 1) for side in (height, width))
    for top in range(0, height - size + 1, down):
        for left in range(0, width - size + 1, across):
            total += np.abs(compute_transform(residual[top : top + size, left : left + size] * taper))
    full = np.fft.fftshift(total)
    full /= cv2.blur(full, (9, 9)) + 1e-6
    return Spectrum(flat=full, threshold=1.05, axis_bins=2)


def compute_transform(image: Image) -> NDArray[np.complex64]:
    """Discrete Fourier transform, complex64 of the same shape; several times faster than numpy's."""
    pairs: Image = cv2.dft(image, flags=cv2.DFT_COMPLEX_OUTPUT)  # (h, w, 2)
    return pairs.view(np.complex64)[..., 0]


def find_poses(
    spectrum: Spectrum,
    pilots: NDArray[np.int64],
    *,
    aspects: tuple[float, ...],
    count: int,
    upright: int = 0,
    magnifications: tuple[float, float] = MAGNIFICATIONS,
) -> list[Pose]:
    """The strongest poses over all rotations, both mirrorings, the given aspects and magnifications.

    Args:
        spectrum: of the residual.
        pilots: int64 (n_pilots, 2).
        aspects: width stretches to try.
        count: number of poses, strongest first.
        upright: further ones, the strongest among those neither turned nor mirrored: most pictures are only resized
            or cut, and a peak too weak among all poses may be the best of these few.
        magnifications: of the lattice, least and most.
    """
    polar = _log_polar(spectrum)
    poses: list[Pose] = []
    for aspect in aspects:
        for flipped in (False, True):
            poses += _peaks(polar, pilots, magnifications, flipped=flipped, aspect=aspect)
    poses.sort(key=lambda pose: -pose.strength)
    others = [pose for pose in poses[count:] if pose.angle == 0 and not pose.flipped]
    return poses[:count] + others[:upright]


def _log_polar(spectrum: Spectrum) -> Image:
    """Log-polar map of the clipped peaks, twice round the half turn: float32 (2 * _ANGLES, n_radii)."""
    peaks = np.clip(spectrum.flat - spectrum.threshold, 0, 3)
    centre, size = spectrum.centre, spectrum.size
    axis = slice(centre - spectrum.axis_bins, centre + spectrum.axis_bins + 1)
    peaks[axis] = 0
    peaks[:, axis] = 0
    angles = np.arange(_ANGLES) * (math.pi / _ANGLES)
    count = int(math.log(_RADIUS_HIGH / _RADIUS_LOW) / _RADIUS_STEP)
    radii = size * _RADIUS_LOW * np.exp(np.arange(count) * _RADIUS_STEP)
    columns = (np.outer(np.cos(angles), radii) + centre).astype(np.float32)
    rows = (np.outer(np.sin(angles), radii) + centre).astype(np.float32)
    polar = cv2.remap(peaks, columns, rows, cv2.INTER_LINEAR)
    polar -= polar.mean(axis=0, keepdims=True)  # pictures differ along the radius; pilots stand out in angle
    polar = cv2.copyMakeBorder(polar, 0, 0, _MARGIN, _MARGIN + 80, cv2.BORDER_CONSTANT)
    return np.concatenate([polar, polar])


def _peaks(
    polar: Image,
    pilots: NDArray[np.int64],
    magnifications: tuple[float, float],
    *,
    flipped: bool,
    aspect: float,
) -> Iterator[Pose]:
    """Strongest displacements of the constellation for one mirroring and aspect."""
    low = -int(math.log(magnifications[1]) / _RADIUS_STEP)
    width = int(math.log(magnifications[1] / magnifications[0]) / _RADIUS_STEP)
    rows, columns = pilots[:, 0].astype(float), pilots[:, 1] * ((-1.0 if flipped else 1.0) / aspect)
    turns = np.rint(np.arctan2(rows, columns) * (_ANGLES / math.pi)).astype(int) % _ANGLES
    starts = np.log(np.hypot(rows, columns) / (TILE * _RADIUS_LOW)) / _RADIUS_STEP + low + _MARGIN
    sums = np.zeros((_ANGLES, width), np.float32)
    for turn, start in zip(turns, np.rint(starts).astype(int), strict=True):
        sums += polar[turn : turn + _ANGLES, start : start + width]
    sums /= np.sqrt(np.mean(sums * sums, axis=0, keepdims=True)) + 1e-6
    for rows_left in [_ANGLES] * _PEAKS_PER_POSE + [
        1
    ] * _PEAKS_PER_POSE:  # over all angles, then at angle 0 alone
        turn, column = divmod(int(sums[:rows_left].argmax()), width)
        strength = float(sums[turn, column])
        angle, scale = turn * math.pi / _ANGLES, math.exp((low + column) * _RADIUS_STEP)
        yield Pose(strength=strength, angle=angle, scale=scale, flipped=flipped, aspect=aspect)
        near = np.arange(turn - 6, turn + 7) % _ANGLES
        sums[near, max(0, column - 6) : column + 7] = 0


def refine(spectrum: Spectrum, start: Matrix, pilots: NDArray[np.int64]) -> Matrix | None:
    """Least-squares frequency matrix through the peaks next to where `start` expects the pilots.

    Returns:
        float64 (2, 2), or None when fewer than six pilots show or the fit runs away.
    """
    matrix = start
    for reach in (3, 2, 2):
        fitted = _fit_peaks(spectrum, matrix, pilots, reach=reach)
        if fitted is None or abs(np.linalg.det(fitted) / np.linalg.det(matrix) - 1) > 0.08:
            return None
        matrix = fitted
    return matrix


def _fit_peaks(spectrum: Spectrum, matrix: Matrix, pilots: NDArray[np.int64], *, reach: int) -> Matrix | None:
    """One round: highest bin within `reach` of each pilot, sub-bin place, reweighted least squares."""
    flat, centre, size = spectrum.flat, spectrum.centre, spectrum.size
    expected = np.rint(pilots @ matrix.T * size).astype(int) + centre
    inside = np.all((expected > reach) & (expected < size - reach - 1), axis=1)
    around = np.arange(-reach, reach + 1)
    rows = expected[inside, 0, None, None] + around[:, None]
    columns = expected[inside, 1, None, None] + around
    best = flat[rows, columns].reshape(len(rows), -1).argmax(axis=1)
    row = expected[inside, 0] + best // (2 * reach + 1) - reach
    column = expected[inside, 1] + best % (2 * reach + 1) - reach
    height = flat[row, column]
    seen = height >= _LEAST_PEAK
    if np.count_nonzero(seen) < _LEAST_PILOTS:
        return None
    row, column, height = row[seen], column[seen], height[seen]
    places = np.stack(
        [
            row + parabola_offset(flat[row - 1, column], height, flat[row + 1, column]),
            column + parabola_offset(flat[row, column - 1], height, flat[row, column + 1]),
        ],
        axis=1,
    )
    return _robust_fit(
        pilots[inside][seen].astype(float),
        (places - centre) / size,
        np.minimum(height, 6) - 1,
        bin_width=1 / size,
    )


def _robust_fit(source: Matrix, target: Matrix, weights: NDArray[np.floating], *, bin_width: float) -> Matrix:
    """Linear map from source to target rows; rounds of reweighting let go of peaks that do not fit."""
    weights = weights.astype(float)[:, None]
    for _ in range(3):
        fitted: Matrix = np.linalg.lstsq(source * weights, target * weights, rcond=None)[0].T
        error = np.hypot(*(target - source @ fitted.T).T)[:, None] / bin_width
        weights = weights / (1 + (error / 0.6) ** 2)
    return fitted


def parabola_offset(
    before: NDArray[np.floating], peak: NDArray[np.floating], after: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Place of a parabola's top relative to its middle sample, -0.5 to 0.5; 0 where there is no top."""
    bend = before - 2 * peak + after
    offset = 0.5 * (before - after) / np.where(bend < 0, bend, 1)
    return np.where(bend < 0, np.clip(offset, -0.5, 0.5), 0)
