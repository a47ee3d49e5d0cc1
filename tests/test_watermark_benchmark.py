"""The watermark's benchmark: its attacks, counts and floors, on a handful of pictures."""

from __future__ import annotations

import argparse
import dataclasses
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from audit.evidence import Interval
from benchmarks import attacks, watermark, watermark_parts
from benchmarks import watermark_tables as tables
from benchmarks.document import Figure
from benchmarks.watermark_averaging import measure_averaging
from benchmarks.watermark_content import measure_content
from benchmarks.watermark_null import measure_false_positives, measure_tail, sample_bounds
from benchmarks.watermark_pareto import draw_pareto
from benchmarks.watermark_parts import Findings, Part, run_part
from benchmarks.watermark_pictures import cut_unmarked, draw_portraits, list_photographs
from benchmarks.watermark_survival import Registered, Survival, compute_psnr, compute_ssim, measure_survival
from generator.marking.watermark.interface import Detection, Search
from generator.marking.watermark.registry import DEFAULT

SVG = "{http://www.w3.org/2000/svg}"
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
    assert set(tables.GRID) == set(tables.FLOORS_512)
    assert set(tables.FLOORS_1024) == set(attacks.ATTACKS)
    assert len({table.name for table in tables.TABLES}) == len(tables.TABLES)
    for table in tables.TABLES:
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
    entries = [dataclasses.replace(found, name=f"scheme {number}") for number in range(10)]
    draw_pareto(entries, tmp_path / "trade.svg")
    tree = ElementTree.parse(tmp_path / "trade.svg")
    dots = [each for each in tree.iter(f"{SVG}rect") if each.find(f"{SVG}title") is not None]
    assert len(dots) == 3 * len(entries), "one in each panel, one in the legend"
    looks = {(dot.get("fill"), dot.get("rx") == "0.0") for dot in dots}
    assert len(looks) == len(entries), "no two schemes look alike"


def test_quality_measures() -> None:
    assert compute_psnr(PICTURE, PICTURE) == float("inf")
    assert compute_ssim(PICTURE, PICTURE) == pytest.approx(1.0)
    assert compute_ssim(PICTURE, 255 - PICTURE) < 0.5


@pytest.mark.parametrize("search", ["quick", "full"])
def test_null_counts(search: Search) -> None:
    figures = list(measure_false_positives(DEFAULT, NOWHERE, search=search, count=8, seed=1))
    assert [figure.name.rsplit(".", 1)[-1] for figure in figures][0] == "false_positives"
    assert len(figures) == 4
    assert all(figure.met and figure.value == 0 for figure in figures)


def test_null_would_show_a_detector_that_cries_wolf() -> None:
    class Wolf:
        def detect(self, *_: object, **__: object) -> Detection:
            return Detection(True, None, -9.0, 64, 0.0, None, "", "", "")

    found = {
        figure.name: figure
        for figure in measure_false_positives(Wolf(), NOWHERE, search="quick", count=3, seed=1)
    }
    assert found["null.quick.false_positives"].value == 3
    assert not any(figure.met for figure in found.values())


def test_tail() -> None:
    assert all(figure.met for figure in measure_tail(NOWHERE, count=400, seed=1))


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


def test_content_is_told_from_anothers() -> None:
    shares = {
        figure.name: figure.value
        for figure in measure_content(list(draw_portraits(2)), psnr=42, damage=["none"])
    }
    assert shares["content.none.own_same"] == 1.0
    assert shares["content.none.foreign_called_same"] == 0.0


FIGURE = Figure(
    "a.b", 0.5, "share", floor=0.4, interval=Interval(0.1, 0.9, 0.95, "Clopper-Pearson"), note="n"
)


def part(calls: list[int]) -> Part:
    entry = Survival("ours", 256, 2, 0, 42.0, 0.99, {"none": 2}, 3.0, {"none": 4.0})

    def measure() -> Findings:
        calls.append(1)
        return Findings((FIGURE,), (entry,))

    return Part("some.part", measure)


def test_a_finished_part_is_taken_from_its_file(tmp_path: Path) -> None:
    calls: list[int] = []
    one, other = (
        run_part(part(calls), folder=tmp_path, options={"images": 2}, any_code=False) for _ in range(2)
    )
    assert len(calls) == 1
    assert one.findings == other.findings
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(("options", "code", "measured"), [(3, "same", 2), (2, "other", 2), (2, "same", 1)])
def test_a_part_of_another_run_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: int, code: str, measured: int
) -> None:
    calls: list[int] = []
    run_part(part(calls), folder=tmp_path, options={"images": 2}, any_code=False)
    if code == "other":
        monkeypatch.setattr(watermark_parts, "digest_code", lambda: "0" * 16)
    run_part(part(calls), folder=tmp_path, options={"images": options}, any_code=False)
    assert len(calls) == measured


def test_whole_benchmark_lists_every_part_once() -> None:
    options = argparse.Namespace(images=1, quick=False, no_peers=True, photographs=NOWHERE)
    names = [part.name for part in watermark.list_parts(options)]
    assert len(set(names)) == len(names)
    assert {"times.512px", "survival.512px.46dB", "null.full", "averaging", "content", "large"} <= set(names)
