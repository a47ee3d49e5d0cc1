"""The margin controller: as weak as the margin allows, as strong as it needs, and it says what it measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from generator.errors import InputError
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import Pixels
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.margin import DISTURBANCES, RESERVE, MarginController, measure_margins
from generator.marking.watermark.registry import DEFAULT

KEY = WatermarkKey(bytes(range(32)))
PAYLOAD = AssetId(77)


def texture(seed: int, roughness: float, side: int = 384) -> Pixels:
    """Falling spectrum; the rougher, the more the picture drowns the mark."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / (np.hypot(rows, columns) + 0.01) ** 2)
    grey = 128 + 40 * field / field.std() + roughness * rng.normal(size=(side, side))
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("margin", [30.0, 45.0, 60.0])
def test_pictures_get_the_strength_that_their_margin_needs(margin: float) -> None:
    controller = MarginController(DEFAULT, margin=margin)
    for seed, roughness in ((1, 2.0), (2, 6.0)):
        picture = texture(seed, roughness)
        marked = controller.embed(picture, PAYLOAD, key=KEY, psnr=40)
        assert 40 <= marked.psnr <= 40.2 + RESERVE
        assert min(marked.margins.values()) >= margin
        assert marked.margins == measure_margins(marked, scheme=DEFAULT, key=KEY)
        assert set(marked.margins) == set(DISTURBANCES)
        if marked.psnr < 40 + RESERVE:  # a step weaker would not have been enough
            weaker = DEFAULT.embed(picture, PAYLOAD, key=KEY, psnr=marked.psnr + 1)
            assert min(measure_margins(weaker, scheme=DEFAULT, key=KEY).values()) < margin
        assert controller.detect(marked.pixels, key=KEY) == DEFAULT.detect(marked.pixels, key=KEY)


def test_less_margin_needs_less_strength() -> None:
    picture = texture(3, 2.0)
    little, much = (
        MarginController(DEFAULT, margin=margin).embed(picture, PAYLOAD, key=KEY, psnr=40).psnr
        for margin in (30, 60)
    )
    assert little > much + 1


def test_margin_out_of_reach_is_said_and_not_claimed() -> None:
    marked = MarginController(DEFAULT, margin=900).embed(texture(4, 6.0), PAYLOAD, key=KEY, psnr=42)
    assert marked.psnr < 42.2
    assert 0 <= min(marked.margins.values()) < 900


def test_lost_mark_has_no_margin() -> None:
    marked = DEFAULT.embed(texture(5, 9.0, 256), PAYLOAD, key=KEY, psnr=46)
    assert min(measure_margins(marked, scheme=DEFAULT, key=KEY).values()) == 0


@pytest.mark.parametrize("margin", [0.0, -3.0, math.nan, math.inf])
def test_margin_that_is_no_number_above_zero_is_refused(margin: float) -> None:
    with pytest.raises(InputError, match="margin"):
        MarginController(DEFAULT, margin=margin)
