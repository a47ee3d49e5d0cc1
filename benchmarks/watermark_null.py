"""What the watermark says of pictures without one: false positives, and the tail of the bound itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.attacks import Pixels
from benchmarks.document import Figure
from benchmarks.watermark_pictures import MIX, cut_unmarked
from generator.marking.watermark import decision, folding, lattice
from generator.marking.watermark.carrier import TILE, build_carrier
from generator.marking.watermark.interface import ALPHA, Scheme, Search
from generator.marking.watermark.keys import WatermarkKey

LEVELS = (1e-2, 1e-3, 1e-4)
_PICTURES_PER_KEY = 50
_TAIL_PICTURES = 100
_PHASES_PER_CHUNK = 500


def measure_false_positives(
    scheme: Scheme, folder: Path, *, search: Search, count: int, seed: int
) -> Iterator[Figure]:
    """What the whole detector says of unmarked pictures: found at ALPHA, and how often p is below each level.

    Args:
        scheme: detector under test.
        folder: of photographs.
        search: "quick" or "full".
        count: number of decodes.
        seed: of pictures and keys.
    """
    rng = np.random.default_rng([seed, 0 if search == "quick" else 1])
    p_values = []
    found = 0
    for index, pixels in enumerate(cut_unmarked(folder, count=count, rng=rng)):
        if index % _PICTURES_PER_KEY == 0:
            key = WatermarkKey(rng.bytes(32))
        detection = scheme.detect(pixels, key=key, search=search)
        found += detection.found
        p_values.append(detection.log10_p)
    note = f"of {count} unmarked decodes ({MIX}), {search} search; bound {ALPHA:g} over {decision.READINGS} readings"
    yield Figure(f"null.{search}.false_positives", found, "pictures", ceiling=0, note=note)
    for level in LEVELS:
        share = float(np.mean(np.array(p_values) <= math.log10(level)))
        note = f"share of {count} decodes with p below it"
        yield Figure(f"null.{search}.p_below_{level:g}", share, "share", ceiling=level, note=note)


def measure_tail(folder: Path, *, count: int, seed: int) -> Iterator[Figure]:
    """The tail of the bound itself, for one known message: what the union over 2**64 messages hides.

    Args:
        folder: of photographs.
        count: number of tests.
        seed: of pictures, pilots and phases.
    """
    rng = np.random.default_rng([seed, 2])
    pictures = list(cut_unmarked(folder, count=_TAIL_PICTURES, rng=rng))
    bounds = sample_bounds(pictures, draws=count // len(pictures) + 1, rng=rng)
    for level in LEVELS:
        share = float(np.mean(bounds <= math.log10(level)))
        note = f"share of {len(bounds)} known-message tests with a bound below it"
        yield Figure(f"null.tail.{level:g}", share, "share", ceiling=level, note=note)


def sample_bounds(pictures: Iterable[Pixels], *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """log10 bounds of the decision's statistic for one known message, with fresh data phases per test.

    The union over messages would hide everything (2**64 is in it), so the tail is looked at for one message and one
    candidate: exactly the inequality that the proof starts from.

    Args:
        pictures: unmarked ones.
        draws: number of keys (data phases) per picture.
        rng: of phases and pilots.

    Returns:
        float64 (pictures read * draws,).
    """
    bounds = []
    for pixels in pictures:
        carrier = build_carrier(WatermarkKey(rng.bytes(32)))
        luma, _ = lattice.reduce_luma(pixels)
        matrix = np.eye(2) / TILE
        (spectrum,) = folding.fold(lattice.compute_residual(luma), [matrix])
        if spectrum is None or not spectrum.any():
            continue
        (placement,) = lattice.locate(spectrum, matrix, carrier, turns=lattice.DIHEDRAL[:1])
        magnitude = np.abs(placement.read(carrier))
        energy = float(np.sum(magnitude.astype(np.float64) ** 2))
        left = draws
        while left > 0:
            rows = min(left, _PHASES_PER_CHUNK)
            angles = rng.random((rows, len(magnitude)), dtype=np.float32) * np.float32(2 * np.pi)
            scores = np.cos(angles) @ magnitude
            bounds += [decision.log10_bound(s, energy, message_bits=0, candidates=1) for s in scores.tolist()]
            left -= rows
    return np.array(bounds)
