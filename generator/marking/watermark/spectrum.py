"""The spectrum of a picture, in the forms in which the pilots are looked for. Reads no key."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Image = NDArray[np.float32]

ANGLES = 720  # rows of the log-polar map, over half a turn
RADIUS_STEP = 0.005  # natural logarithm of the radius, per column of the log-polar map
RADIUS_LOW = 0.014  # cycles per px; the lowest pilot at the highest magnification
_RADIUS_HIGH = 0.49
MARGIN = (40, 120)  # empty columns left and right of the map, for stretched pilots
_HIGHEST_PEAK = 4.0  # times its surroundings; one strong line of the picture must not outvote the pilots
_LEVELS = 60  # of the log-polar map, per unit of height; 56 pilots of full height still fit into 16 bits
_TAPER = 0.05  # share of the window's side over which it fades in and out; more would waste the picture


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Locally flattened magnitude spectrum of a picture: one half plane, the other is its mirror image.

    Args:
        flat: float32 (size, size // 2), rows with frequency 0 in the middle, columns from frequency 0; about 1 on
            average.
        axis_bins: half width of the axes, where pictures have lines of their own.
    """

    flat: Image
    axis_bins: int

    @property
    def size(self) -> int:
        """Frequencies per axis."""
        return len(self.flat)

    @cached_property
    def polar(self) -> NDArray[np.uint16]:
        """Log-polar map of the clipped spectrum, twice round the half turn: (2 * ANGLES, n_radii)."""
        levels = (np.minimum(self.flat, _HIGHEST_PEAK) * np.float32(_LEVELS)).astype(np.uint8)
        centre = self.size // 2
        levels[centre - self.axis_bins : centre + self.axis_bins + 1] = _LEVELS
        levels[:, : self.axis_bins + 1] = _LEVELS
        polar = cv2.remap(levels, *_polar_places(self.size), cv2.INTER_LINEAR)
        polar = cv2.copyMakeBorder(polar, 0, 0, *MARGIN, cv2.BORDER_CONSTANT)
        return np.concatenate([polar, polar]).astype(np.uint16)

    def heights(self, matrices: Matrix, pilots: NDArray[np.int64]) -> Image:
        """How far the spectrum stands out where the pilots would lie: float32 (..., n_pilots), 0 outside it.

        Args:
            matrices: float64 (..., 2, 2), frequency matrices.
            pilots: int64 (n_pilots, 2).
        """
        places = (matrices @ (pilots.T * self.size)).astype(np.float32)  # (..., 2, n_pilots), bins
        rows, columns = (places[..., axis, :].reshape(-1, len(pilots)) for axis in (0, 1))
        rows = np.copysign(rows, rows * columns) + np.float32(self.size // 2)  # mirrored to columns above 0
        seen = cv2.remap(
            self.flat, np.abs(columns), rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=1
        )
        heights: Image = (np.minimum(seen, _HIGHEST_PEAK) - 1).reshape(*matrices.shape[:-2], len(pilots))
        return heights


@lru_cache(maxsize=4)
def _polar_places(size: int) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Where a log-polar map reads a spectrum of this size, in OpenCV's fixed-point form."""
    angles = np.arange(ANGLES) * (math.pi / ANGLES)
    count = int(math.log(_RADIUS_HIGH / RADIUS_LOW) / RADIUS_STEP)
    radii = size * RADIUS_LOW * np.exp(np.arange(count) * RADIUS_STEP)
    side = np.where(angles <= math.pi / 2, 1, -1)  # the mirror image serves for the other half plane
    columns = np.outer(side * np.cos(angles), radii).astype(np.float32)
    rows = (np.outer(side * np.sin(angles), radii) + size // 2).astype(np.float32)
    places, weights = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    return places, weights


def compute_spectrum(residual: Image) -> Spectrum:
    """Flattened spectrum of the central window (at most 1024 px) of a whitened residual."""
    height, width = residual.shape
    size = 1024 if max(height, width) > 512 else 512
    rows, columns = min(height, size), min(width, size)
    top, left = (height - rows) // 2, (width - columns) // 2
    window = residual[top : top + rows, left : left + columns] * np.outer(_fade(rows), _fade(columns))
    padded = cv2.copyMakeBorder(window, 0, size - rows, 0, size - columns, cv2.BORDER_CONSTANT)
    return Spectrum(flat=_flatten(np.abs(compute_transform(padded)), box=25), axis_bins=3)


def compute_coarse_spectrum(residual: Image, size: int) -> Spectrum:
    """Mean flattened spectrum of windows of `size` px, at most half overlapping and at most 7 x 7 of them.

    In a bent picture the pilots lie at slightly different frequencies from place to place: a large window smears
    them, one as large as a tile does not resolve the difference, and the mean of many steadies it.
    """
    taper = np.outer(np.hanning(size), np.hanning(size)).astype(np.float32)
    height, width = residual.shape
    total = np.zeros((size, (size + 1) // 2), np.float32)
    down, across = (max(size // 2, (side - size) // 6 + 1) for side in (height, width))
    for top in range(0, height - size + 1, down):
        for left in range(0, width - size + 1, across):
            total += np.abs(compute_transform(residual[top : top + size, left : left + size] * taper))
    return Spectrum(flat=_flatten(total, box=9), axis_bins=2)


def _fade(side: int) -> Image:
    """Window that rises and falls over _TAPER of half its length: float32 (side,)."""
    distance = np.minimum(np.arange(side) + 0.5, side - np.arange(side) - 0.5) / (_TAPER * side / 2)
    fade: Image = (0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1))).astype(np.float32)
    return fade


def _flatten(magnitudes: Image, *, box: int) -> Image:
    """Divide by the local mean, with the rows around frequency 0: float32, of the same shape."""
    centred = np.fft.fftshift(magnitudes, axes=0)
    flat: Image = centred / (cv2.blur(centred, (box, box)) + 1e-6)
    return flat


def compute_transform(image: Image) -> NDArray[np.complex64]:
    """Discrete Fourier transform of a real image: complex64 (h, (w + 1) // 2), columns from 0, Nyquist left out.

    OpenCV's packed form, unpacked here, is five times faster than its complex one and ten times than numpy's.
    """
    packed: Image = cv2.dft(np.ascontiguousarray(image, np.float32))
    height, width = packed.shape
    half = np.empty((height, (width + 1) // 2), np.complex64)
    count = half.shape[1] - 1
    half[:, 1:] = packed[:, 1 : 1 + 2 * count].copy().view(np.complex64)
    paired = (height - 1) // 2  # column 0 is packed once more, as a real row would be
    first = packed[1 : 1 + 2 * paired, 0].copy().view(np.complex64)
    half[0, 0] = packed[0, 0]
    half[height // 2, 0] = packed[-1, 0]  # Nyquist; overwritten when the height is odd
    half[1 : 1 + paired, 0] = first
    half[height - paired :, 0] = first[::-1].conj()
    return half
