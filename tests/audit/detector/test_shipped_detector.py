"""The shipped detector against images it has never seen: drawings, reconstructions, samples, photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audit.collection import load_pixels
from audit.detector.calibration import Verdict
from audit.detector.processing import Chain
from audit.detector.scoring import Detector, load_detector
from audit.detector.world import make_drawings, make_enlarged_drawings, make_reconstructions, make_samples
from generator.embedded import EmbeddedGenerator, load_tokenizer
from generator.portraits.corpus import Corpus, Rates
from generator.weights import load_weights

REAL, OTHER = Corpus(8801, Rates.default(), 100), Corpus(8802, Rates.default(), 100)
N = 24
JPEG = Chain(codec="jpeg", quality=75)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return load_detector()


def answers(detector: Detector, images: np.ndarray, chain: Chain) -> list[Verdict]:
    return [detector.read(chain(pixels)).verdict for pixels in images]


@pytest.mark.parametrize("chain", [Chain(), JPEG, Chain(scale=0.7)], ids=["png", "jpeg75", "resize"])
def test_drawings_are_seldom_called_synthetic(detector: Detector, chain: Chain) -> None:
    for make in (make_drawings(REAL), make_enlarged_drawings(REAL)):
        found = answers(detector, make(range(N)), chain)
        assert found.count(Verdict.SYNTHETIC) <= 5  # P(Binomial(24, 0.05) > 5) < 0.001


@pytest.mark.parametrize("chain", [Chain(), JPEG], ids=["png", "jpeg75"])
def test_reconstructions_are_mostly_called_synthetic(detector: Detector, chain: Chain) -> None:
    tokenizer = load_tokenizer(load_weights("tokenizer", family="tokenizer"))
    found = answers(detector, make_reconstructions(OTHER, tokenizer)(range(N)), chain)
    assert found.count(Verdict.REAL) <= 5
    assert found.count(Verdict.SYNTHETIC) >= N - 8


def test_samples_of_the_embedded_generator_are_mostly_called_synthetic(detector: Detector) -> None:
    samples = make_samples(OTHER, EmbeddedGenerator.load(), seed=3)(range(N))
    found = answers(detector, samples, Chain())
    assert found.count(Verdict.SYNTHETIC) >= N - 8


def test_the_card_reports_rates_with_intervals(detector: Detector) -> None:
    figures = detector.card.figures
    for chain in ("", "png_", "jpeg75_", "resize0.5_"):
        for rate in ("fpr", "fnr", "recall"):
            low, value, high = (figures[f"{chain}{rate}{end}"] for end in ("_low", "", "_high"))
            assert low <= value <= high
            assert figures[f"{chain}{rate}_n"] >= 100
    assert figures["fpr_low"] <= detector.calibration.alpha


def test_photographs_and_other_generators_are_out_of_scope(detector: Detector, shared_data: Path) -> None:
    images = sorted((shared_data / "images").rglob("*.*"))
    chosen = [path for path in images if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp"}][::12]
    readings = [detector.read(load_pixels(path, max_side=1024)) for path in chosen]
    assert len(readings) > 20
    refused = sum(reading.verdict is Verdict.ABSTAIN for reading in readings)
    assert refused >= 0.9 * len(readings)
