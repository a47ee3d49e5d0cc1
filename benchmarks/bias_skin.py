"""Skin tone of swatches and of drawn faces of known tone: how many are read, how many of those are read right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.bias.people import load_detector
from audit.bias.skin_tone import MONK_GROUPS, read_skin_tone
from audit.statistics import wilson
from benchmarks.document import Figure
from generator.portraits import Corpus, Rates
from generator.portraits.traits import MONK_TONES

FACES, _SEED, _SIDE = 600, 31_007, 256


def measure_skin_tone() -> Iterator[Figure]:
    """The ten swatches, then faces; a tone's undetermined share is of its own faces."""
    flat = [np.full((64, 64, 3), colour, dtype=np.uint8) for colour in MONK_TONES.values()]
    right = sum(read_skin_tone(one).value == group for one, group in zip(flat, MONK_GROUPS, strict=True))
    yield Figure("skin tone.swatches", right, "of 10", floor=10)
    corpus, find = Corpus(_SEED, Rates.balanced(), FACES), load_detector("centre")
    drawings = [corpus.drawing(index, _SIDE) for index in range(FACES)]
    read = np.array([read_skin_tone(find(drawing)[0].crop(drawing)).value for drawing in drawings])
    drawn = np.array([f"monk-{corpus.traits(index).tone}" for index in range(FACES)])
    unknown = read == "undetermined"
    known = int((~unknown).sum())
    agree = int((read == drawn)[~unknown].sum())
    yield Figure(
        "skin tone.undetermined",
        float(unknown.mean()),
        f"of {FACES}",
        interval=wilson(int(unknown.sum()), FACES),
    )
    yield Figure("skin tone.right", agree / known, f"of {known}", interval=wilson(agree, known))
    for group in MONK_GROUPS:
        mine = unknown[drawn == group]
        yield Figure(f"skin tone.undetermined.{group}", float(mine.mean()), f"of {len(mine)}")
