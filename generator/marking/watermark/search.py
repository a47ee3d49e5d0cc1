"""The order in which geometries are tried: cheap and likely ones first. Reads no data phase.

A search yields its candidates in stages; whoever decodes them stops after the stage that convinced him. How many are
yielded at most is fixed, because the proof in `decision` pays for all of them, whatever is reached.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from generator.marking.watermark import bending, decision, folding, lattice, synchronise
from generator.marking.watermark.carrier import TILE, Carrier
from generator.marking.watermark.interface import Search
from generator.marking.watermark.lattice import Placement
from generator.marking.watermark.spectrum import Image, Matrix, compute_coarse_spectrum, compute_spectrum

EXACT_SCALES = (1.0, 0.75, 0.5, 1.5, 2.0, 4.0)  # resize factors that need no search

# Placements yielded per stage.
_NATIVE, _EXACT, _FIRST, _REST, _BENT_POSES = 2, 2, 4, 12, 2
assert _NATIVE + _EXACT + 2 * _FIRST + _REST + (1 + _BENT_POSES) + 1 <= decision.N_MAX
_BENT_WINDOW = 1.5  # tiles; smaller windows blur the pilots, in larger ones the bend does
_LEAST_COHERENCE = 4.7
"""Of a placement worth decoding. Without a mark the most coherent of hundreds reach 5; with one that can be read they
start at 5.7 (measured on 24 photographs). Pilots decide it alone, so the bound on p does not change."""
_LEAST_EVIDENCE = 0.2  # of a fit worth folding; chance alone gives 0.25 to most
_MOST_TILES = 18  # along the working copy's side, that are searched for: a mark has about six
_FIRST_FITS = 3  # geometries per set of poses that are folded at once, before all others


def find_placements(
    residual: Image, carrier: Carrier, *, factor: float, shape: tuple[int, int], search: Search
) -> Iterator[list[Placement]]:
    """Geometries worth decoding, stage by stage; each stage is computed only when it is asked for.

    Args:
        residual: float32 (h, w), of the working copy.
        carrier: its pilots are used.
        factor: size of the working copy relative to the picture.
        shape: (height, width) of the picture.
        search: "quick" ends where rotations, unknown scales and bends begin.

    Yields:
        Placements of one stage, those with the most coherent pilots first, none without coherent pilots; all stages
        together at most decision.N_MAX.
    """
    for stage in _stages(residual, carrier, factor=factor, shape=shape, search=search):
        yield [placement for placement in stage if placement.coherence >= _LEAST_COHERENCE]


def _stages(
    residual: Image, carrier: Carrier, *, factor: float, shape: tuple[int, int], search: Search
) -> Iterator[list[Placement]]:
    """As `find_placements`, with the incoherent ones: a bent picture's best guess may be one of them."""
    native = lattice.native_tile(*shape)
    upright = np.eye(2) / factor
    yield _strongest(residual, carrier, [upright / native], turns=lattice.DIHEDRAL, keep=_NATIVE)
    exact = [upright / (TILE * scale) for scale in EXACT_SCALES if TILE * scale != native]
    yield _strongest(residual, carrier, exact, turns=lattice.UPRIGHT, keep=_EXACT)
    if search == "quick":
        return
    likeliest: list[Placement] = []
    for stage in _search_poses(residual, carrier):
        yield stage
        likeliest += stage[:1]
    likeliest.sort(key=lambda placement: -placement.coherence)
    starts = [placement.matrix for placement in likeliest[:1]]
    yield from _straightened(residual, carrier, starts, side=native * factor)


def _search_poses(residual: Image, carrier: Carrier) -> Iterator[list[Placement]]:
    """Any rotation and scale; then also other aspects; then the less likely ones of both."""
    spectrum = compute_spectrum(residual)
    least = max(residual.shape) / (_MOST_TILES * TILE)
    later: list[Matrix] = []
    for aspects, (low, high), count, upright in (
        ((1.0,), synchronise.MAGNIFICATIONS, 10, 5),
        (synchronise.ASPECTS, synchronise.ASPECT_MAGNIFICATIONS, 8, 4),
    ):
        poses = synchronise.find_poses(
            spectrum,
            carrier.pilots,
            aspects=aspects,
            magnifications=(max(low, least), high),
            count=count,
            upright=upright,
        )
        fits = synchronise.refine(spectrum, [pose.matrix() for pose in poses], carrier.pilots)
        later += [fit.matrix for fit in fits[_FIRST_FITS:] if fit.evidence >= _LEAST_EVIDENCE]
        first = [fit.matrix for fit in fits[:_FIRST_FITS]]
        yield _strongest(residual, carrier, first, turns=lattice.HALF_TURN, keep=_FIRST)
    yield _strongest(residual, carrier, later, turns=lattice.HALF_TURN, keep=_REST)


def _straightened(
    residual: Image, carrier: Carrier, starts: list[Matrix], *, side: float
) -> Iterator[list[Placement]]:
    """Placements in a bent picture whose tiles have about `side` px.

    They start from the unchanged lattice, from where the pilots of small windows point to, and from `starts`.
    """
    window = round(_BENT_WINDOW * side)
    if min(residual.shape) >= window:
        low, high = synchronise.NEAR_MAGNIFICATIONS
        near = low * side / TILE, high * side / TILE
        coarse = compute_coarse_spectrum(residual, window)
        poses = synchronise.find_poses(
            coarse, carrier.pilots, aspects=(1.0,), count=_BENT_POSES, magnifications=near
        )
        rough = [np.eye(2) / side, *(pose.matrix() for pose in poses)]
        starts = [fit.matrix for fit in synchronise.refine(coarse, rough, carrier.pilots)] + starts
    for matrix in starts:
        spectrum = bending.straighten(residual, matrix, carrier)
        if spectrum is not None:
            yield _most_coherent(lattice.locate(spectrum, matrix, carrier, turns=lattice.HALF_TURN), keep=1)


def _strongest(
    residual: Image, carrier: Carrier, matrices: list[Matrix], *, turns: tuple[Matrix, ...], keep: int
) -> list[Placement]:
    """The `keep` placements with the most coherent pilots, best first."""
    found: list[Placement] = []
    for matrix, spectrum in zip(matrices, folding.fold(residual, matrices), strict=True):
        if spectrum is not None:
            found += lattice.locate(spectrum, matrix, carrier, turns=turns)
    return _most_coherent(found, keep=keep)


def _most_coherent(placements: list[Placement], *, keep: int) -> list[Placement]:
    return sorted(placements, key=lambda placement: -placement.coherence)[:keep]
