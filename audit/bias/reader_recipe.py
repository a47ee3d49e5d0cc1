"""How the embedded reader's calibration was made and measured: `assay train reader`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from audit.bias.perception import CALIBRATION, OCCUPATION, SCHEMA, Reader, measure_errors
from audit.bias.reader_calibration import calibrate_embedded, save_calibration
from audit.bias.sources import Pixels, Transform, through_tokenizer
from generator.clip import load_clip
from generator.portraits.corpus import Corpus, Rates
from generator.recipes_clip import HELD_OUT_SEED, disturb
from generator.weights import Weights, load_weights

CALIBRATION_DRAWINGS = 4000
MEASURED_DRAWINGS = 2000
CHUNK = 50  # drawings through the tokenizer at once

LIMITS = (
    "The gate is a distance in CLIP space: it turns away photographs and photo-like pictures; drawings of other "
    "worlds in a similar style may pass.",
    "Attributes are what was drawn, in equal shares; on generated pictures the error is larger: measure it with "
    "measure_errors and a transform.",
)


def train_reader(
    folder: Path, *, device: str = "cpu", log: Callable[[str], None] = lambda _: None
) -> Weights:
    """Calibrate the reader over `clip.*` and `tokenizer.*` in `folder`; writes `clip_reader.*` there.

    Args:
        folder: of the weights it reads and writes.
        device: unused, the calibration is a small fit; every recipe takes it.
        log: gets progress in words.

    Raises:
        WeightsError: the CLIP or the tokenizer is missing or damaged.
    """
    clip, generated = load_clip(folder=folder), _in_chunks(through_tokenizer(folder))
    log("reader: calibrating")
    calibration = calibrate_embedded(clip, redraw=generated, n=CALIBRATION_DRAWINGS)
    reader = Reader(clip, (*SCHEMA, OCCUPATION), calibration=calibration)
    rng = np.random.default_rng(HELD_OUT_SEED)
    balanced, biased = (Corpus(HELD_OUT_SEED, rates, 10_000) for rates in (Rates.balanced(), Rates.default()))

    def disturbed(pictures: Pixels, /) -> Pixels:
        return np.stack([disturb(picture, rng, untouched=0.0) for picture in pictures])

    settings: dict[str, tuple[Corpus, Transform | None]] = {
        "balanced": (balanced, None),
        "default": (biased, None),
        "through_tokenizer": (biased, generated),
        "disturbed": (balanced, disturbed),
    }
    figures: dict[str, float] = {"drawings_each": MEASURED_DRAWINGS}
    for name, (corpus, transform) in settings.items():
        log(f"reader: measuring on {name} drawings")
        matrices = measure_errors(reader, corpus, MEASURED_DRAWINGS, transform=transform)
        for attribute, matrix in matrices.items():
            right = int(np.trace(matrix.counts))  # an undetermined reading is no agreement
            figures[f"agreement_{name}_{attribute}"] = right / int(matrix.counts.sum())
    save_calibration(calibration, folder, figures=figures, limits=LIMITS)
    return load_weights(CALIBRATION, family=CALIBRATION, folder=folder)


def _in_chunks(transform: Transform) -> Transform:
    def transform_all(pictures: Pixels, /) -> Pixels:
        return np.concatenate([transform(pictures[i : i + CHUNK]) for i in range(0, len(pictures), CHUNK)])

    return transform_all
