"""Bent pictures: the affine lattice fails, the windows' shifts straighten it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from generator.marking.payload import AssetId
from generator.marking.watermark import bending, lattice
from generator.marking.watermark.carrier import TILE, build_carrier
from generator.marking.watermark.interface import Pixels
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

KEY = WatermarkKey(bytes(range(32)))
PAYLOAD = AssetId.from_hex("0123456789abcdef")


def texture(seed: int, side: int) -> Pixels:
    """A picture with the falling spectrum of photographs, busy everywhere."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.normal(size=(side, side)))
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    field = np.fft.irfft2(spectrum / (np.hypot(rows, columns) + 0.01) ** 2, (side, side))
    grey = 128 + 40 * field / field.std()
    return np.clip(grey[..., None] + rng.normal(0, 2, (side, side, 3)), 0, 255).astype(np.uint8)


def bend(pixels: Pixels, share: float) -> Pixels:
    """A page seen from one side: two corners move inwards."""
    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inwards = np.array([[0, 0], [-share, share], [-share, -share], [0, 0]]) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, (corners + inwards).astype(np.float32))
    return cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("seed", "share"), [(6, 0.04), (4, 0.05)])
def test_perspective_is_read_only_because_it_is_straightened(
    seed: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = bend(DEFAULT.embed(texture(seed, 512), PAYLOAD, key=KEY, psnr=42).pixels, share)
    assert DEFAULT.detect(seen, key=KEY).payload == PAYLOAD
    monkeypatch.setattr("generator.marking.watermark.bending.straighten", lambda *_: None)
    assert DEFAULT.detect(seen, key=KEY).payload is None


def test_perspective_upside_down() -> None:
    seen = bend(DEFAULT.embed(texture(6, 512), PAYLOAD, key=KEY, psnr=42).pixels, 0.04)
    assert DEFAULT.detect(np.ascontiguousarray(seen[::-1, ::-1]), key=KEY).payload == PAYLOAD


def test_nothing_stands_out_in_pictures_without_the_mark() -> None:
    """The gate saves the time of the finer steps; most unmarked pictures must stop there."""
    carrier = build_carrier(KEY)
    found = 0
    for seed in range(8):
        luma, _ = lattice.reduce_luma(texture(seed, 300))
        found += bending.straighten(lattice.compute_residual(luma), np.eye(2) / TILE, carrier) is not None
    assert found <= 4


def test_too_small_a_picture_is_not_straightened() -> None:
    luma, _ = lattice.reduce_luma(texture(1, 100))
    assert bending.straighten(lattice.compute_residual(luma), np.eye(2) / TILE, build_carrier(KEY)) is None


def test_quarter_size_of_a_large_picture_is_read() -> None:
    marked = DEFAULT.embed(texture(9, 1024), PAYLOAD, key=KEY, psnr=44).pixels
    small = cv2.resize(marked, (256, 256), interpolation=cv2.INTER_AREA)
    assert DEFAULT.detect(small, key=KEY).payload == PAYLOAD
