"""Laying a picture as it was when it was marked: its pixels come back to their places, and nothing is invented."""

import cv2
import numpy as np
import pytest
from PIL import Image

from generator.marking.payload import AssetId
from generator.marking.watermark.interface import ALPHA
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.realign import MOST, realign
from generator.marking.watermark.registry import DEFAULT

KEY = WatermarkKey(bytes(range(32)))


def picture(height, width):
    rng = np.random.default_rng(3)
    coarse = rng.integers(40, 215, (height // 24, width // 24, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(float)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def small():
    return DEFAULT.embed(picture(256, 320), AssetId(77), key=KEY).pixels


@pytest.fixture(scope="module")
def large():
    """Its tiles are larger than 128 px."""
    return DEFAULT.embed(picture(900, 820), AssetId(78), key=KEY).pixels


def lay(pixels, size):
    mark = DEFAULT.detect(pixels, key=KEY, alpha=ALPHA)
    assert mark.payload is not None
    return realign(pixels, mark, key=KEY, size=size)


def rotated(pixels):
    return np.asarray(Image.fromarray(pixels).rotate(5, Image.Resampling.BICUBIC))


def cropped(pixels):
    height, width = pixels.shape[:2]
    return pixels[height // 20 : -height // 12, width // 16 : -width // 24].copy()


def reduced(pixels):
    height, width = pixels.shape[:2]
    return cv2.resize(pixels, (int(width * 0.8), int(height * 0.8)), interpolation=cv2.INTER_AREA)


def enlarged_part(pixels):
    height, width = pixels.shape[:2]
    return cv2.resize(cropped(pixels), (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("change", [rotated, cropped, reduced, enlarged_part, np.fliplr, np.rot90])
@pytest.mark.parametrize("name", ["small", "large"])
def test_what_is_seen_lies_where_it_was(name, change, request):
    original = request.getfixturevalue(name)
    changed = np.ascontiguousarray(change(original))
    found = lay(changed, original.shape[:2])
    assert 1 <= len(found) <= MOST
    best = found[0]
    assert best.pixels.shape == original.shape
    assert best.seen.shape == original.shape[:2]
    assert (best.seen > 0.99).mean() > 0.7
    tolerance = 0.7 if change is cropped else 1.5  # px; a search finds angles and scales roughly
    height, width = (side // 4 for side in original.shape[:2])
    for row in (height, 2 * height):  # four squares around the middle
        for column in (width, 2 * width):
            here = np.s_[row : row + height, column : column + width]
            pair = [pixels[here].mean(axis=2).astype(np.float32) for pixels in (best.pixels, original)]
            (across, down), _ = cv2.phaseCorrelate(*pair)
            assert abs(across) < tolerance
            assert abs(down) < tolerance


def test_a_picture_as_it_was_needs_nothing(small):
    assert lay(small, small.shape[:2]) == []


def test_a_small_part_fits_in_several_places_and_one_of_them_is_right():
    original = DEFAULT.embed(picture(512, 512), AssetId(79), key=KEY).pixels
    part = original[200:400, 150:400].copy()
    found = lay(part, (512, 512))
    assert 2 <= len(found) <= MOST
    errors = [
        np.abs(one.pixels[210:390, 160:390].astype(int) - original[210:390, 160:390]).mean() for one in found
    ]
    assert min(errors) < 2
    assert sum(error < 2 for error in errors) == 1


def test_without_a_mark_there_is_nothing_to_lay():
    pixels = picture(256, 256)
    assert realign(pixels, DEFAULT.detect(pixels, key=KEY), key=KEY, size=(256, 256)) == []
