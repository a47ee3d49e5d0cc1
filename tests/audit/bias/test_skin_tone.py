"""Skin tone by colour: the ten swatches, the light, and what a drawn face of known tone comes out as."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.people import load_detector
from audit.bias.skin_tone import MONK_GROUPS, read_skin_tone, to_lab, typology_angle
from generator.portraits.corpus import Corpus
from generator.portraits.rates import Rates
from generator.portraits.traits import MONK_TONES

SWATCHES = np.array(list(MONK_TONES.values()), dtype=np.uint8)


def patch(colour: object, *, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    flat = np.full((64, 64, 3), colour, dtype=np.float64)
    flat += np.random.default_rng(seed).normal(0, noise, flat.shape) if noise else 0
    return np.clip(flat.round(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_the_ten_monk_swatches_come_back(noise: float) -> None:
    assert [read_skin_tone(patch(colour, noise=noise)).value for colour in SWATCHES] == list(MONK_GROUPS)


def test_lab_of_known_colours() -> None:
    # CIE Lab (D65) of the sRGB primaries and of mid grey, from the standard's own formulas
    known = {(255, 255, 255): (100, 0, 0), (0, 0, 0): (0, 0, 0), (119, 119, 119): (50.03, 0, 0),
             (255, 0, 0): (53.24, 80.09, 67.20), (0, 0, 255): (32.30, 79.19, -107.86)}  # fmt: skip
    for colour, lab in known.items():
        assert to_lab(np.array(colour, dtype=np.uint8)) == pytest.approx(lab, abs=0.02)


def test_channels_are_not_swapped() -> None:
    assert read_skin_tone(patch(SWATCHES[5][::-1])).value == "undetermined"  # BGR: a blue face


def test_typology_angles_fall_from_light_to_dark() -> None:
    angles = typology_angle(to_lab(SWATCHES))
    assert np.all(np.diff(angles) < 0)
    assert angles[0] > 55
    assert angles[-1] < -30


def halves(first: object, second: object) -> np.ndarray:
    return np.concatenate([patch(first)[:, :32], patch(second)[:, :32]], axis=1)


def speckled(*colours: object) -> np.ndarray:
    chosen = np.random.default_rng(0).integers(0, len(colours), (64, 64))
    return np.array(colours, dtype=np.uint8)[chosen]


@pytest.mark.parametrize(
    ("face", "word"),
    [
        (patch((255, 255, 255)), "overexposed"),
        (patch((3, 3, 3)), "underexposed"),
        (halves(SWATCHES[3], SWATCHES[6]), "uneven light"),
        (patch((90, 140, 200)), "colour cast"),
        (patch((130, 130, 130)), "colour cast"),  # grey is no skin, though its angle is defined
        (speckled(SWATCHES[2], SWATCHES[5], SWATCHES[8]), "not one colour"),
        (patch(SWATCHES[4])[:4, :4], "pixels"),
        (patch(SWATCHES[4])[:1, :1], "pixels"),
    ],
)
def test_bad_light_is_undetermined_and_says_why(face: np.ndarray, word: str) -> None:
    reading = read_skin_tone(face)
    assert reading.value == "undetermined"
    assert word in reading.reason


def lit(gain: float, cast: tuple[float, float, float]) -> list[str]:
    """Every swatch under another light: linear light times a gain for each channel."""
    encoded = SWATCHES / 255.0
    linear = (
        np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
        * gain
        * np.array(cast)
    )
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.clip(linear, 0, 1) ** (1 / 2.4) - 0.055)
    return [read_skin_tone(patch(255 * colour)).value for colour in np.clip(back, 0, 1)]


def test_a_strong_cast_is_undetermined_where_colour_shows_it() -> None:
    assert lit(0.8, (0.6, 0.9, 1.6))[:6] == ["undetermined"] * 6  # dark swatches hardly have a colour to move


def test_a_little_less_light_moves_a_tone_by_one_at_most() -> None:
    for tone, value in enumerate(lit(0.9, (1, 1, 1)), start=1):
        assert value == "undetermined" or abs(int(value.removeprefix("monk-")) - tone) <= 1


def test_a_frame_or_hair_across_a_cheek_is_not_taken_for_skin() -> None:
    face = patch(SWATCHES[4])
    face[::3] = (20, 20, 24)
    assert read_skin_tone(face).value == "monk-5"


def test_most_drawn_faces_are_read_and_read_right() -> None:
    """Beards, glasses and hair as they are drawn; the whole figures stand in the module's head."""
    corpus, find = Corpus(31_009, Rates.default(), 150), load_detector("centre")
    faces = [corpus.drawing(index, 256) for index in range(150)]
    read = [read_skin_tone(find(face)[0].crop(face)).value for face in faces]
    known = [
        (value, corpus.traits(index).tone) for index, value in enumerate(read) if value != "undetermined"
    ]
    assert len(known) >= 0.7 * len(read)
    assert np.mean([value == f"monk-{tone}" for value, tone in known]) > 0.9
