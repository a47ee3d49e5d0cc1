"""The ISCC Image-Code: the standard's own vectors, the reference implementation where installed, and its limits."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from generator.errors import InputError
from generator.marking.fingerprint import (
    compute_image_code,
    distances,
    encode_unit,
    find_code,
    hash_grey,
    make_preview,
)
from generator.portraits import Corpus, Rates

PORTRAIT = Corpus(3, Rates.default(), 9).drawing(1, 256)


def test_conformance_vectors_of_the_standard() -> None:
    """All black, 64 bits (EEA...), and all white, 128 bits (EEB...): the bodies of both published codes."""
    for published, value, size in (("EEAQAAAAAAAAAAAA", 0, 8), ("EEBYAAAAAAAAAAAAAAAAAAAAAAAAA", 255, 16)):
        body = base64.b32decode(published + "=" * (-len(published) % 8))[2:]
        assert hash_grey(np.full((32, 32), value, np.uint8))[:size] == body


def test_reference_implementation() -> None:
    reference = pytest.importorskip("iscc_core")
    rng = np.random.default_rng(0)
    for picture in [
        *rng.integers(0, 256, (20, 32, 32), dtype=np.uint8),
        np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1)),
    ]:
        assert hash_grey(picture) == reference.soft_hash_image_v0(picture.ravel().tolist(), 256)
        unit = reference.gen_image_code_v0(picture.ravel().tolist(), 256)["iscc"].removeprefix("ISCC:")
        assert base64.b32encode(encode_unit(hash_grey(picture))).decode().rstrip("=") == unit


def bits(first: np.ndarray, second: np.ndarray) -> int:
    table = np.frombuffer(compute_image_code(second), np.uint8)[None]
    return int(distances(compute_image_code(first), table)[0])


def test_near_for_the_same_picture_far_for_another() -> None:
    noisy = np.clip(PORTRAIT + np.random.default_rng(0).normal(0, 2, PORTRAIT.shape), 0, 255).astype(np.uint8)
    small = np.asarray(Image.fromarray(noisy).resize((128, 128), Image.Resampling.BICUBIC))
    assert bits(noisy, noisy) == 0
    assert bits(noisy, small) < 40
    assert bits(noisy, np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)) > 80


def test_a_plain_border_changes_nothing() -> None:
    noisy = np.random.default_rng(0).integers(1, 255, (60, 60, 3), dtype=np.uint8)
    framed = np.full((80, 100, 3), 255, np.uint8)
    framed[10:70, 20:80] = noisy
    assert compute_image_code(framed) == compute_image_code(noisy)
    assert compute_image_code(framed, cut=False) != compute_image_code(noisy, cut=False)
    assert len(compute_image_code(np.zeros((1, 1, 3), np.uint8))) == 32


def test_sequence_of_units() -> None:
    code = compute_image_code(PORTRAIT)
    text_unit = b"\x20\x07" + bytes(32)
    assert find_code(text_unit + encode_unit(code)) == code
    assert find_code(text_unit) is None
    for broken in (b"", encode_unit(code)[:-1]):
        with pytest.raises(InputError, match="ISCC units"):
            find_code(broken)
    with pytest.raises(InputError, match="32"):
        encode_unit(code[:8])


def test_preview_is_small_and_keeps_the_shape() -> None:
    preview = make_preview(np.zeros((600, 1200, 3), np.uint8))
    assert Image.open(io.BytesIO(preview)).size == (256, 128)
    assert len(make_preview(PORTRAIT)) < 20_000
    with pytest.raises(InputError):
        make_preview(PORTRAIT.astype(np.float32))
