"""The shipped detector from nothing but the generator's weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from audit.detector.calibration import Verdict
from audit.detector.evaluation import compute_share
from audit.detector.measuring import Classes
from audit.detector.processing import Chain, draw_chain
from audit.detector.scoring import FAMILY, Detector, build_detector
from audit.detector.training import DETECTOR_RECIPE, Split, train_detector
from audit.detector.world import (
    Maker,
    build_image_set,
    make_drawings,
    make_enlarged_drawings,
    make_reconstructions,
    make_samples,
)
from generator.embedded import EmbeddedGenerator, load_tokenizer
from generator.portraits.corpus import Corpus, Rates
from generator.portraits.draw import DRAWING_VERSION
from generator.training import Recipe
from generator.weights import Weights, load_weights, save_weights

COUNT = 4400  # images per class
SPLIT = Split(training=2600, calibration=800)  # the last 1,000 test
REAL_SEED, SYNTHETIC_SEED, SHIPPED_SEED = 7001, 7002, 7003  # of corpora that no generator was trained on


def train_embedded_detector(
    folder: Path,
    *,
    generator_folder: Path | None = None,
    recipe: Recipe = DETECTOR_RECIPE,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Weights:
    """Draw and generate labelled images, then train, calibrate and measure; writes `detector.*` to `folder`.

    Args:
        folder: also gets the images (2 GB) and the checkpoints; a killed training goes on.
        generator_folder: where the generator's weights are; default: those that ship.
        recipe: of the training.
        device: torch device of the training.
        log: gets progress in words.

    Raises:
        WeightsError: the generator's weights are missing or damaged.
    """
    tokens = load_weights("tokenizer", family="tokenizer", folder=generator_folder)
    generator = EmbeddedGenerator.load(generator_folder)
    log("detector: making images")
    real = build_image_set(
        folder / "detector-real",
        real_makers(),
        count=COUNT,
        seed=REAL_SEED,
        source=f"drawings {DRAWING_VERSION}",
    )
    synthetic = build_image_set(
        folder / "detector-synthetic",
        synthetic_makers(tokens, generator),
        count=COUNT,
        seed=SYNTHETIC_SEED,
        source=generator.weights_digest,
    )
    classes = Classes(real, synthetic)
    data = (
        f"Real: {COUNT} drawings of the embedded world (corpora with seed {REAL_SEED}, biased and balanced), half of "
        f"them drawn at 128 px and enlarged like a published picture. Synthetic: {COUNT} pictures, half of them "
        f"reconstructions of other drawings (seed {SYNTHETIC_SEED}) by tokenizer {tokens.digest}, half made by "
        f"{generator.name} {generator.weights_digest} for captions of others. Half of each class is watermarked."
    )
    weights = train_detector(folder, classes, split=SPLIT, data=data, recipe=recipe, device=device, log=log)
    log("detector: measuring on the generator as it is")
    figures = dict(weights.card.figures) | measure_generator(build_detector(weights), generator)
    return save_weights(FAMILY, weights.tensors, replace(weights.card, figures=figures), folder)


def measure_generator(
    detector: Detector, generator: EmbeddedGenerator, *, count: int = 400
) -> dict[str, float]:
    """Recall on pictures of a generator as it is now, for captions that trained nothing: untouched and processed.

    Args:
        detector: to be measured.
        generator: the one that ships, which may be newer than the one the detector was trained on.
        count: pictures.

    Returns:
        Figures for the card, `shipped_generator_...`: shares called synthetic and real, with 95 % intervals.
    """
    corpus = Corpus(SHIPPED_SEED, Rates.default(), count)
    pictures = make_samples(corpus, generator, seed=SHIPPED_SEED)(range(count))
    figures: dict[str, float] = {}
    for name, chains in (
        ("png", [Chain()] * count),
        ("processed", [draw_chain(np.random.default_rng([SHIPPED_SEED, i])) for i in range(count)]),
    ):
        verdicts = [
            detector.read(chain(image)).verdict for chain, image in zip(chains, pictures, strict=True)
        ]
        for word, verdict in (
            ("recall", Verdict.SYNTHETIC),
            ("fnr", Verdict.REAL),
            ("abstained", Verdict.ABSTAIN),
        ):
            share = compute_share(verdicts.count(verdict), count)
            stem = f"shipped_generator_{name}_{word}"
            figures |= {
                stem: share.value,
                f"{stem}_low": share.interval.low,
                f"{stem}_high": share.interval.high,
            }
        figures[f"shipped_generator_{name}_n"] = float(count)
    return figures


def real_makers() -> dict[str, Maker]:
    """Drawings of the biased and the balanced world, at the published size and enlarged to it."""
    biased, balanced = _corpora(REAL_SEED)
    return {
        "drawing": make_drawings(biased),
        "enlarged_drawing": make_enlarged_drawings(biased),
        "balanced_drawing": make_drawings(balanced),
        "enlarged_balanced_drawing": make_enlarged_drawings(balanced),
    }


def synthetic_makers(tokens: Weights, generator: EmbeddedGenerator) -> dict[str, Maker]:
    """Reconstructions and samples, of and for drawings of both worlds that are in no other set."""
    biased, balanced = _corpora(SYNTHETIC_SEED)
    tokenizer = load_tokenizer(tokens)
    return {
        "reconstruction": make_reconstructions(biased, tokenizer),
        "autoregressive": make_samples(biased, generator, seed=SYNTHETIC_SEED),
        "balanced_reconstruction": make_reconstructions(balanced, tokenizer),
        "balanced_autoregressive": make_samples(balanced, generator, seed=SYNTHETIC_SEED + 1),
    }


def _corpora(seed: int) -> tuple[Corpus, Corpus]:
    return Corpus(seed, Rates.default(), COUNT), Corpus(seed, Rates.balanced(), COUNT)
