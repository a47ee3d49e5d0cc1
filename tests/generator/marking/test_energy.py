"""Energy: read from counters that wrap, estimated only with stated watts, else not claimed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from generator.errors import InputError
from generator.marking.energy import ASSUMED_WATTS, WATTS, CoreWatts, Energy, core_watts, measure_energy


def counter(folder: Path, name: str, count: int, limit: int = 10_000_000) -> Path:
    package = folder / name
    package.mkdir(exist_ok=True)
    (package / "energy_uj").write_text(f"{count}\n")
    (package / "max_energy_range_uj").write_text(f"{limit}\n")
    return package / "energy_uj"


def test_counters_of_all_packages_are_added_and_may_wrap(tmp_path: Path) -> None:
    first, second = counter(tmp_path, "intel-rapl:0", 9_000_000), counter(tmp_path, "intel-rapl:1", 100)
    counter(tmp_path, "intel-rapl:0:0", 5)  # a part of the first package, already counted in it
    with measure_energy(watts=CoreWatts(10), counters=tmp_path) as meter:
        first.write_text("2_599_999\n".replace("_", ""))
        second.write_text("100")
        (tmp_path / "intel-rapl:0:0" / "energy_uj").write_text("999999")
    assert meter.energy is not None
    assert meter.energy.kwh == pytest.approx(3.6 / 3.6e6)
    assert meter.energy.is_measured
    assert "RAPL" in meter.energy.method


def test_an_estimate_needs_stated_watts(tmp_path: Path) -> None:
    with measure_energy(watts=CoreWatts(36), counters=tmp_path) as meter:
        started = time.process_time()
        while time.process_time() - started < 0.05:
            pass
    assert meter.energy is not None
    assert not meter.energy.is_measured
    assert 0.05 * 36 / 3.6e6 <= meter.energy.kwh < 0.05 * 36 / 3.6e6 * 3
    assert meter.energy.method.startswith("estimated, not measured: ")
    assert "stated 36 W" in meter.energy.method
    with measure_energy(counters=tmp_path) as unknown:
        pass
    assert unknown.energy is None
    assert "cannot be read" in unknown.reason


def test_shares_say_that_they_are_shares() -> None:
    whole = Energy(0.4, "measured", is_measured=True)
    assert whole.share(1) is whole
    assert whole.share(4) == Energy(0.1, "measured; equal share of 4 images", is_measured=True)


def test_watts_are_stated_by_the_owner_or_assumed_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(WATTS, raising=False)
    assert core_watts() == CoreWatts(ASSUMED_WATTS, is_stated=False)
    with measure_energy(watts=core_watts(), counters=tmp_path) as meter:
        sum(range(100_000))
    assert meter.energy is not None
    assert "at an assumed 10 W" in meter.energy.method
    monkeypatch.setenv(WATTS, "4.5")
    assert core_watts() == CoreWatts(4.5)
    monkeypatch.setenv(WATTS, "0")
    with measure_energy(watts=core_watts(), counters=tmp_path) as nothing:
        sum(range(100_000))
    assert nothing.energy is None
    for wrong in ("much", "-1", "nan", "inf"):
        monkeypatch.setenv(WATTS, wrong)
        with pytest.raises(InputError, match="expected watts"):
            core_watts()
