"""The benchmark of the learned watermark compares it with ours under every attack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import learned_watermark as benchmark
from generator.learned_watermark import FAMILY, Learned
from generator.training import seeded
from generator.weights import Card, save_weights


def test_both_are_measured_and_the_rule_for_shipping_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "GRID", ("none", "rotation5"))
    with seeded(0):
        model = Learned(width=4)
    model.filters.data = model.patterns.data / model.grid  # reads without training
    save_weights(FAMILY, model.state_dict(), Card(FAMILY, "", {}, 0, {}, (), model.config), tmp_path)
    ramp = np.add.outer(np.arange(256), np.arange(256))[..., None] // 3 + np.array([20, 40, 10])
    figures = {f.name: f for f in benchmark.compare(tmp_path, [ramp.astype(np.uint8)], psnr=42)}
    assert (figures["learned.none"].value, figures["ours.none"].value) == (1, 1)
    assert (figures["learned.rotation5"].value, figures["ours.rotation5"].value) == (0, 1)
    assert (figures["learned.ahead_of_ours"].value, figures["learned.ahead_of_ours"].met) == (0, False)
    assert (figures["learned.behind_ours"].value, figures["learned.behind_ours"].met) == (1, False)
    assert figures["learned.psnr"].value == pytest.approx(42, abs=0.2)
