"""The watermark's benchmark: its attacks, counts and floors, on a handful of pictures."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from benchmarks import attacks, watermark
from benchmarks.watermark_averaging import measure_averaging
from benchmarks.watermark_null import measure_null, sample_bounds
from benchmarks.watermark_pareto import draw_pareto
from benchmarks.watermark_pictures import cut_unmarked, draw_portraits, list_photographs
from benchmarks.watermark_survival import Registered, compute_psnr, compute_ssim, measure_survival
from generator.marking.watermark.registry import DEFAULT

PICTURE = next(draw_portraits(1))
NOWHERE = Path("/nonexistent")


@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_attack_changes_the_picture_and_is_the_same_for_a_seed(name: str) -> None:
    before = PICTURE.copy()
    one, other = (attacks.ATTACKS[name](PICTURE, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, other)
    assert np.array_equal(PICTURE, before)
    assert one.dtype == np.uint8
    assert one.shape[2] == 3
    assert np.array_equal(one, PICTURE) == (name == "none")


def test_every_attack_of_the_grid_has_a_floor_and_exists() -> None:
    assert set(watermark.GRID) == set(watermark.FLOORS_512)
    assert set(watermark.FLOORS_1024) == set(attacks.ATTACKS)
    for table in watermark.TABLES:
        assert set(table.floors) <= set(table.attacks) <= set(attacks.ATTACKS)


def test_sizes_that_attacks_leave() -> None:
    sizes = {"crop75": (192, 192), "aspect.9": (256, 230), "collage": (384, 384), "resize1/4": (64, 64)}
    for name, size in sizes.items():
        assert attacks.ATTACKS[name](PICTURE, np.random.default_rng(0)).shape[:2] == size


class Forgetful:
    """A contender that refuses the first picture and reads even seeds only."""

    name, bits = "forgetful", 64

    def embed(self, pixels: np.ndarray, seed: int) -> np.ndarray | None:
        return None if seed == 0 else np.clip(pixels + 1, 0, 255).astype(np.uint8)

    def reads(self, pixels: np.ndarray, seed: int) -> bool:
        return seed % 2 == 0


def test_refused_pictures_count_as_lost() -> None:
    pictures = [np.full((256, 256, 3), 90, np.uint8)] * 5
    found = measure_survival(Forgetful(), pictures, attacks=("none", "flip"))
    assert (found.pictures, found.refused, found.share("flip")) == (5, 1, 0.4)
    assert found.psnr == pytest.approx(48.13, abs=0.01)


def test_ours_survives_and_the_trade_is_drawn(tmp_path: Path) -> None:
    found = measure_survival(Registered(DEFAULT, 42.0), draw_portraits(2), attacks=("none", "jpeg75"))
    assert found.share("none") == found.share("jpeg75") == 1.0
    assert found.psnr >= 42
    draw_pareto([found], tmp_path / "trade.svg")
    tree = ElementTree.parse(tmp_path / "trade.svg")
    assert len(tree.findall(".//{http://www.w3.org/2000/svg}circle")) == 3


def test_quality_measures() -> None:
    assert compute_psnr(PICTURE, PICTURE) == float("inf")
    assert compute_ssim(PICTURE, PICTURE) == pytest.approx(1.0)
    assert compute_ssim(PICTURE, 255 - PICTURE) < 0.5


def test_null_counts_and_tail() -> None:
    figures = list(measure_null(DEFAULT, NOWHERE, quick=16, full=1, seed=1))
    assert [figure.name for figure in figures[:2]] == [
        "null.false_positives.quick",
        "null.false_positives.full",
    ]
    assert all(figure.met for figure in figures)


def test_tail_would_show_a_bound_that_is_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    pictures = list(cut_unmarked(NOWHERE, count=6, rng=rng))
    monkeypatch.setattr(
        "generator.marking.watermark.decision.log10_bound", lambda score, energy, **_: -2 * score**2 / energy
    )
    assert np.mean(sample_bounds(pictures, draws=400, rng=rng) <= -2) > 1e-2


def test_averaging_breaks_a_fixed_tile_and_not_a_shifted_one() -> None:
    pictures = list(draw_portraits(18))
    shares = {
        figure.name: figure.value for figure in measure_averaging(DEFAULT, pictures, victims=2, psnr=42)
    }
    assert shares["averaging.fixed_tile.forged"] == 1.0
    assert shares["averaging.shifted.forged"] == 0.0


def test_missing_photographs_are_none() -> None:
    assert list_photographs(NOWHERE) == []
