"""Where the lattice lies: from the pilots' spectral peaks to candidate geometries. Reads no data phase.

A geometry is the matrix B that takes a pilot's integer frequency (row, column; cycles per tile) to its
frequency in the picture (cycles per px). Rotation and scale of the picture turn and shrink all frequencies
together, so on a log-polar map of the spectrum the constellation of pilots only moves: it is found by
adding up the map at the pilots' places for every displacement. The best few are then moved, stretched and
sheared a little, to where the pilots' places together are highest.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from generator.marking.watermark.carrier import TILE
from generator.marking.watermark.spectrum import ANGLES, MARGIN, RADIUS_LOW, RADIUS_STEP, Matrix, Spectrum

ASPECTS = (0.94, 1.064, 0.88, 1.136)  # width stretches tried besides 1
MAGNIFICATIONS = (0.31, 4.0)  # of the lattice, within reach of the search
ASPECT_MAGNIFICATIONS = (0.45, 2.0)  # within reach together with ASPECTS
NEAR_MAGNIFICATIONS = (0.7, 1.45)  # within reach of the coarse search for bent pictures
_PEAKS_PER_POSE = 5
_SUPPRESSED = 6  # rows and columns around a peak that belong to it
_PILOT_RADIUS = 0.2  # cycles per lattice step; the outermost pilots, which a deviation moves most
# Deviations of a geometry: scale, turn, stretch, shear; in bins by which they move the outermost pilots.
_NEAR = (-1.2, -0.6, 0.0, 0.6, 1.2)
_WIDE = np.array(list(itertools.product(_NEAR, _NEAR, np.arange(-5, 6) * 0.7, (0.0,))))  # tried first
_CUBE = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=4)))
_REFINING = (0.5, 0.4, 0.2, 0.1)  # bins; the cube's half side, round by round
_PRICE = np.array([0.0, 0.0, 0.012, 0.15])  # mean height that a stretch or shear of one bin must gain


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
    poses: list[Pose] = []
    for aspect in aspects:
        for flipped in (False, True):
            poses += _peaks(spectrum.polar, pilots, magnifications, flipped=flipped, aspect=aspect)
    poses.sort(key=lambda pose: -pose.strength)
    others = [pose for pose in poses[count:] if pose.angle == 0 and not pose.flipped]
    return poses[:count] + others[:upright]


def _peaks(
    polar: NDArray[np.uint16],
    pilots: NDArray[np.int64],
    magnifications: tuple[float, float],
    *,
    flipped: bool,
    aspect: float,
) -> list[Pose]:
    """Strongest displacements of the constellation for one mirroring and aspect: over all angles, and at angle 0."""
    low = -int(math.log(magnifications[1]) / RADIUS_STEP)
    width = int(math.log(magnifications[1] / magnifications[0]) / RADIUS_STEP)
    rows, columns = pilots[:, 0].astype(float), pilots[:, 1] * ((-1.0 if flipped else 1.0) / aspect)
    turns = np.rint(np.arctan2(rows, columns) * (ANGLES / math.pi)).astype(int) % ANGLES
    starts = np.log(np.hypot(rows, columns) / (TILE * RADIUS_LOW)) / RADIUS_STEP + low + MARGIN[0]
    total = np.zeros((ANGLES, width), np.uint16)
    for turn, start in zip(turns, np.rint(starts).astype(int), strict=True):
        total += polar[turn : turn + ANGLES, start : start + width]
    sums = total.astype(np.float32)
    sums -= sums.mean(axis=0)  # pictures differ along the radius; pilots stand out in angle
    sums /= np.sqrt(np.einsum("ij,ij->j", sums, sums) / ANGLES) + 1e-6
    highest = sums.max(axis=1)  # per angle
    poses = []
    for angles in [ANGLES] * _PEAKS_PER_POSE + [1] * _PEAKS_PER_POSE:
        turn = int(highest[:angles].argmax())
        column = int(sums[turn].argmax())
        poses.append(
            Pose(
                strength=float(sums[turn, column]),
                angle=turn * math.pi / ANGLES,
                scale=math.exp((low + column) * RADIUS_STEP),
                flipped=flipped,
                aspect=aspect,
            )
        )
        near = np.arange(turn - _SUPPRESSED, turn + _SUPPRESSED + 1) % ANGLES
        sums[near, max(0, column - _SUPPRESSED) : column + _SUPPRESSED + 1] = 0
        highest[near] = sums[near].max(axis=1)
    return poses


@dataclass(frozen=True, eq=False)
class Fit:
    """A geometry at which the pilots' places are highest.

    Args:
        matrix: float64 (2, 2), frequency matrix.
        evidence: mean height of the pilots' places there; about 0.2 by chance, after the best of many was taken.
    """

    matrix: Matrix
    evidence: float


def refine(spectrum: Spectrum, starts: list[Matrix], pilots: NDArray[np.int64]) -> list[Fit]:
    """Move each geometry to where the pilots' places in the spectrum are highest together; strongest first.

    This climbs on the sum of all pilots. Fitting a map through each pilot's own peak fails where most pilots are
    drowned: the highest bin next to them is noise, and noise pulls the fit away.

    Args:
        spectrum: of the residual.
        starts: frequency matrices, each within about a bin of the truth (its stretch: three).
        pilots: int64 (n_pilots, 2).
    """
    if not starts:
        return []
    matrices = np.stack(starts)
    magnifications = 1 / (TILE * np.sqrt(np.abs(np.linalg.det(matrices))))
    bins = magnifications / (_PILOT_RADIUS * spectrum.size)  # relative change by one bin, at the rim
    found = np.zeros((len(starts), 4))
    for steps in (_WIDE, *(_CUBE * step for step in _REFINING)):
        tried = found[:, None] + steps  # (n, n_steps, 4)
        moved = matrices[:, None] @ _deviations(tried * bins[:, None, None])
        height = spectrum.heights(moved, pilots).mean(axis=-1) - tried**2 @ _PRICE
        found = tried[np.arange(len(starts)), height.argmax(axis=1)]
    matrices = matrices @ _deviations(found * bins[:, None])
    evidence = spectrum.heights(matrices, pilots).mean(axis=-1)
    fits = [Fit(matrix, float(value)) for matrix, value in zip(matrices, evidence, strict=True)]
    return sorted(fits, key=lambda fit: -fit.evidence)


def _deviations(amounts: Matrix) -> Matrix:
    """Linear maps (..., 2, 2) close to identity, from (..., 4) amounts of scale, turn, stretch and shear."""
    scale, turn, stretch, shear = np.moveaxis(amounts, -1, 0)
    rows = np.stack([1 + scale + stretch, shear - turn, shear + turn, 1 + scale - stretch], axis=-1)
    return rows.reshape(*scale.shape, 2, 2)
