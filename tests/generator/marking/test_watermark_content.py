"""A mark on another picture than the one that was marked."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from generator.errors import InputError
from generator.marking.fingerprint import make_preview
from generator.marking.payload import AssetId
from generator.marking.watermark.content import match_content
from generator.marking.watermark.interface import Geometry, Pixels
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

KEY = WatermarkKey(bytes(range(32)))


def scene(seed: int, side: int = 384) -> Pixels:
    rng = np.random.default_rng(seed)
    pixels = np.full((side, side, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(40):
        centre = tuple(int(place) for place in rng.integers(0, side, 2))
        axes = tuple(int(axis) for axis in rng.integers(8, side // 7, 2))
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        cv2.ellipse(pixels, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return pixels


def plain(rotation: float = 0.0, *, flipped: bool = False, aspect: float = 1.0) -> Geometry:
    return Geometry(1.0, rotation, flipped, aspect, (0.0, 0.0), 128.0, (1.0, 0.0, 0.0, 1.0))


def turned(pixels: Pixels, degrees: float) -> Pixels:
    middle = (pixels.shape[1] / 2, pixels.shape[0] / 2)
    return cv2.warpAffine(pixels, cv2.getRotationMatrix2D(middle, degrees, 1.0), pixels.shape[1::-1])


@pytest.mark.parametrize(
    ("change", "geometry"),
    [
        (lambda p: p, plain()),
        (lambda p: p[60:300, 30:290], plain()),
        (lambda p: cv2.resize(p, (200, 200), interpolation=cv2.INTER_AREA), plain()),
        (lambda p: np.rot90(p), plain(90)),
        (lambda p: np.rot90(p, 3), plain(-90)),
        (lambda p: p[:, ::-1], plain(flipped=True)),
        (lambda p: turned(p, 30), plain(30)),
        (lambda p: turned(p, -12), plain(-12)),
        (lambda p: cv2.resize(p, (330, 384)), plain(aspect=330 / 384)),
        (
            lambda p: cv2.copyMakeBorder(p, 90, 20, 10, 120, cv2.BORDER_CONSTANT, value=(200, 200, 200)),
            plain(),
        ),
    ],
)
def test_same_picture_is_known_again(change, geometry: Geometry) -> None:
    for seed in range(3):
        pixels = np.ascontiguousarray(change(scene(seed)))
        assert match_content(pixels, make_preview(scene(seed)), geometry=geometry).verdict == "same"


def test_other_pictures_are_not_the_same() -> None:
    previews = [make_preview(scene(seed)) for seed in range(4)]
    for seed in range(4):
        for other, preview in enumerate(previews):
            verdict = match_content(scene(seed), preview, geometry=plain()).verdict
            assert (verdict == "same") == (seed == other)


def test_mark_copied_to_another_picture_is_found_and_does_not_belong() -> None:
    """The attack itself: the difference of a marked picture to its original, added to another picture."""
    payload = AssetId(77)
    original, victim = scene(1), scene(2)
    marked = DEFAULT.embed(original, payload, key=KEY).pixels
    forged = np.clip(victim.astype(int) + marked - original.astype(int), 0, 255).astype(np.uint8)
    found = DEFAULT.detect(forged, key=KEY)
    assert found.payload == payload
    assert found.geometry is not None
    preview = make_preview(marked)
    assert match_content(forged, preview, geometry=found.geometry).verdict == "other"
    honest = DEFAULT.detect(marked, key=KEY)
    assert honest.geometry is not None
    assert match_content(marked, preview, geometry=honest.geometry).verdict == "same"


def test_flat_picture_agrees_with_nothing() -> None:
    flat = np.full((200, 200, 3), 128, np.uint8)
    assert match_content(flat, make_preview(scene(1)), geometry=plain()).verdict == "other"


@pytest.mark.parametrize("preview", [b"", b"no picture"])
def test_preview_that_is_no_picture_is_an_error(preview: bytes) -> None:
    with pytest.raises(InputError, match="preview"):
        match_content(scene(1), preview, geometry=plain())
