"""The search for the lattice: its transform, folding, refinement, order and budget."""

from __future__ import annotations

import math

import numpy as np
import pytest

from generator.marking.payload import AssetId
from generator.marking.watermark import decision, folding, lattice, search, spectrum, synchronise
from generator.marking.watermark.carrier import TILE, build_carrier
from generator.marking.watermark.keys import WatermarkKey

KEY = WatermarkKey(bytes(range(32)))
CARRIER = build_carrier(KEY)


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (9, 7), (6, 10), (171, 171)])
def test_unpacked_transform_is_the_transform(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = np.fft.fft2(image)[:, : (shape[1] + 1) // 2]
    assert np.allclose(spectrum.compute_transform(image), expected, atol=1e-3)


def test_tiles_that_the_edges_cut_are_added_too() -> None:
    sheet = np.arange(35, dtype=np.float32).reshape(5, 7)
    tile = folding.add_tiles(sheet, 3)
    assert tile[0, 0] == sheet[::3, ::3].sum()
    assert tile[2, 1] == sheet[2::3, 1::3].sum()


def sheet_of_tiles(matrix: np.ndarray, side: int, *, noise: float = 0.0) -> np.ndarray:
    """The carrier's tile as it lies under a frequency matrix, in noise: float32 (side, side)."""
    tile = CARRIER.tile(AssetId(77)).astype(float)
    rows, columns = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    places = np.stack([rows, columns], axis=-1) @ (TILE * matrix)
    low = np.floor(places).astype(int)
    part = places - low
    total = np.zeros((side, side))
    for down in (0, 1):
        for across in (0, 1):
            weight = np.abs(1 - down - part[..., 0]) * np.abs(1 - across - part[..., 1])
            total += weight * tile[(low[..., 0] + down) % TILE, (low[..., 1] + across) % TILE]
    return (total + noise * np.random.default_rng(2).normal(size=total.shape)).astype(np.float32)


def turned(degrees: float, scale: float, stretch: float = 1.0) -> np.ndarray:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return turn @ np.diag([1, 1 / stretch]) / (TILE * scale)


def farthest(one: np.ndarray, other: np.ndarray, size: int) -> float:
    """Largest distance between the pilots' places under two frequency matrices, bins."""
    return float(np.hypot(*(CARRIER.pilots @ (one - other).T * size).T).max())


def test_refinement_finds_the_pilots_in_noise_that_drowns_most() -> None:
    truth = turned(20, 0.9)
    view = spectrum.compute_spectrum(sheet_of_tiles(truth, 512, noise=7.0))
    start = turned(20.1, 0.9 * 1.002, 1.004)
    assert farthest(start, truth, 512) > 0.5
    (fit,) = synchronise.refine(view, [start], CARRIER.pilots)
    assert farthest(fit.matrix, truth, 512) < 0.5


def test_refinement_finds_a_stretch_between_those_searched_for() -> None:
    truth, start = turned(0, 1.0, 0.9), turned(0, 1.0, 0.88)
    view = spectrum.compute_spectrum(sheet_of_tiles(truth, 512, noise=2.0))
    fits = synchronise.refine(view, [start, turned(33, 0.8)], CARRIER.pilots)
    assert farthest(fits[0].matrix, truth, 512) < 0.6
    assert fits[0].evidence > 4 * fits[1].evidence


@pytest.mark.parametrize("degrees", [0.0, 12.0, 75.0])
def test_poses_are_found_at_any_angle(degrees: float) -> None:
    truth = turned(degrees, 0.8)
    view = spectrum.compute_spectrum(sheet_of_tiles(truth, 512, noise=3.0))
    pose = synchronise.find_poses(view, CARRIER.pilots, aspects=(1.0,), count=1)[0]
    assert min(farthest(pose.matrix(), truth, 512), farthest(-pose.matrix(), truth, 512)) < 1.5


def test_half_steps_and_full_steps_fold_alike() -> None:
    """Tiles of 80 px are read at 64 steps: the coefficients must be those of the whole band."""
    (found,) = folding.fold(sheet_of_tiles(turned(10, 0.625), 512), [turned(10, 0.625)])
    assert found is not None
    (placement, *_) = sorted(
        lattice.locate(found, turned(10, 0.625), CARRIER, turns=lattice.HALF_TURN), key=lambda p: -p.coherence
    )
    (reading,) = decision.read([placement.read(CARRIER)], carrier=CARRIER)
    assert reading.payload == AssetId(77)


def stages(residual: np.ndarray, mode: str) -> list[list[lattice.Placement]]:
    found = search.find_placements(residual, CARRIER, factor=1.0, shape=residual.shape, search=mode)  # type: ignore[arg-type]
    return list(found)


def test_search_stays_within_what_the_bound_pays_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_LEAST_COHERENCE", 0.0)
    noise = np.random.default_rng(4).normal(size=(512, 512)).astype(np.float32)
    full, quick = (sum(len(stage) for stage in stages(noise, mode)) for mode in ("full", "quick"))
    assert quick < full <= decision.N_MAX


def test_placements_without_coherent_pilots_are_not_decoded() -> None:
    noise = np.random.default_rng(5).normal(size=(256, 256)).astype(np.float32)
    assert sum(len(stage) for stage in stages(noise, "full")) <= 2
    marked = stages(sheet_of_tiles(turned(0, 1.0), 256, noise=5.0), "quick")
    assert len(marked[0]) >= 1
