"""Every registered watermark scheme: contract; and ours: survival, geometry, false positives."""

from __future__ import annotations

import io
import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from generator.errors import InputError
from generator.marking.payload import AssetId
from generator.marking.watermark import registry
from generator.marking.watermark.interface import InsufficientCapacityError, Pixels, Scheme
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.tile_fourier import TileFourier

KEY = WatermarkKey(bytes(range(32)))
OTHER_KEY = WatermarkKey(bytes(range(1, 33)))
PAYLOAD = AssetId.from_hex("0123456789abcdef")
SCHEME = TileFourier()

Attack = Callable[[Pixels], Pixels]


def drawing(seed: int, height: int = 256, width: int | None = None) -> Pixels:
    """A picture of flat shapes, as the embedded world has them, with soft shading."""
    rng = np.random.default_rng(seed)
    width = width or height
    pixels = np.full((height, width, 3), rng.integers(40, 250, 3), np.uint8)
    for _ in range(12):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(rng.integers(5, width // 4)), int(rng.integers(5, height // 4)))
        cv2.ellipse(pixels, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return pixels


def texture(seed: int, height: int = 256, width: int | None = None) -> Pixels:
    """A picture with the falling spectrum of photographs, busy everywhere."""
    rng = np.random.default_rng(seed)
    width = width or height
    spectrum = np.fft.rfft2(rng.normal(size=(height, width)))
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    field = np.fft.irfft2(spectrum / (np.hypot(rows, columns) + 0.01) ** 2, (height, width))
    grey = 128 + 40 * field / field.std()
    return np.clip(grey[..., None] + rng.normal(0, 2, (height, width, 3)), 0, 255).astype(np.uint8)


def save(form: str, **options: int) -> Attack:
    def attack(pixels: Pixels) -> Pixels:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, form, **options)
        return np.asarray(Image.open(buffer).convert("RGB"))

    return attack


def resize(factor: float) -> Attack:
    def attack(pixels: Pixels) -> Pixels:
        size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))

    return attack


def crop(share: float) -> Attack:
    def attack(pixels: Pixels) -> Pixels:
        height, width = (round(side * share) for side in pixels.shape[:2])
        top, left = pixels.shape[0] - height - 3, (pixels.shape[1] - width) // 3
        return pixels[top : top + height, left : left + width]

    return attack


def rotate(degrees: float) -> Attack:
    return lambda pixels: np.asarray(Image.fromarray(pixels).rotate(degrees, Image.Resampling.BICUBIC))


def psnr(one: Pixels, other: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


# Contract of every scheme


@pytest.fixture(params=sorted(registry.SCHEMES))
def scheme(request: pytest.FixtureRequest) -> Scheme:
    return registry.get_scheme(request.param)


def test_registry_knows_schemes_by_their_name() -> None:
    assert registry.DEFAULT is registry.get_scheme("io.github.assay-audit.tile-fourier.1")
    assert all(name == scheme.name for name, scheme in registry.SCHEMES.items())
    with pytest.raises(InputError, match="tile-fourier"):
        registry.get_scheme("dwtDct")


def test_marked_picture_meets_the_contract(scheme: Scheme) -> None:
    picture = drawing(1)
    before = picture.copy()
    marked = scheme.embed(picture, PAYLOAD, key=KEY)
    assert np.array_equal(picture, before)
    assert marked.pixels.shape == picture.shape
    assert marked.pixels.dtype == np.uint8
    assert marked.psnr == pytest.approx(psnr(marked.pixels, picture), abs=1e-6)
    assert (marked.payload, marked.scheme, marked.key_id) == (PAYLOAD, scheme.name, KEY.key_id)
    found = scheme.detect(marked.pixels, key=KEY)
    assert (found.found, found.payload) == (True, PAYLOAD)
    assert found.log10_p <= -6
    assert (found.scheme, found.key_id) == (scheme.name, KEY.key_id)
    assert scheme.capacity >= 64


def test_marking_and_reading_are_deterministic(scheme: Scheme) -> None:
    one, other = (scheme.embed(drawing(2), PAYLOAD, key=KEY) for _ in range(2))
    assert np.array_equal(one.pixels, other.pixels)
    assert scheme.detect(one.pixels, key=KEY) == scheme.detect(other.pixels, key=KEY)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((256, 0, 3), np.uint8),
        np.zeros((256, 256), np.uint8),
        np.zeros((256, 256, 4), np.uint8),
        np.zeros((2, 256, 256, 3), np.uint8),
        np.full((256, 256, 3), np.nan),
        np.zeros((256, 256, 3), np.uint16),
        [[1, 2, 3]],
        None,
    ],
)
def test_what_is_no_picture_is_refused(scheme: Scheme, pixels: object) -> None:
    with pytest.raises(InputError, match="pixels"):
        scheme.embed(pixels, PAYLOAD, key=KEY)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="pixels"):
        scheme.detect(pixels, key=KEY)  # type: ignore[arg-type]


def test_too_small_picture_is_refused_when_marking_and_not_found_when_reading(scheme: Scheme) -> None:
    for shape in ((1, 1, 3), (scheme.min_side - 1, 400, 3)):
        picture = np.full(shape, 90, np.uint8)
        with pytest.raises(InsufficientCapacityError, match="insufficient capacity"):
            scheme.embed(picture, PAYLOAD, key=KEY)
        assert not scheme.detect(picture, key=KEY).found
    tiny = scheme.detect(np.zeros((1, 1, 3), np.uint8), key=KEY)
    assert (tiny.payload, tiny.log10_p, tiny.geometry) == (None, 0.0, None)
    assert "too small" in tiny.reason


def test_grey_pictures_are_marked_like_coloured_ones(scheme: Scheme) -> None:
    grey = np.repeat(cv2.cvtColor(drawing(3), cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    marked = scheme.embed(grey, PAYLOAD, key=KEY).pixels
    assert np.ptp(marked.astype(int), axis=2).max() == 0
    assert scheme.detect(marked, key=KEY).payload == PAYLOAD


@pytest.mark.parametrize("value", [29.0, 61.0, math.nan, math.inf])
def test_psnr_out_of_range_is_refused(scheme: Scheme, value: float) -> None:
    with pytest.raises(InputError, match="PSNR"):
        scheme.embed(drawing(1), PAYLOAD, key=KEY, psnr=value)


def test_other_options_out_of_range_are_refused(scheme: Scheme) -> None:
    with pytest.raises(InputError, match="search"):
        scheme.detect(drawing(1), key=KEY, search="slow")  # type: ignore[arg-type]
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(InputError, match="alpha"):
            scheme.detect(drawing(1), key=KEY, alpha=alpha)


# What ours reads


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**64 - 1), st.integers(0, 5), st.binary(max_size=8))
def test_any_payload_round_trips(value: int, seed: int, nonce: bytes) -> None:
    marked = SCHEME.embed(drawing(seed), AssetId(value), key=KEY, nonce=nonce)
    assert SCHEME.detect(marked.pixels, key=KEY, search="quick").payload == AssetId(value)


SIZES = [(200, 331), (640, 480), (900, 1300), (300, 2000)]
CASES = [(drawing, (128, 128)), *((make, size) for make in (drawing, texture) for size in SIZES)]


@pytest.mark.parametrize(("make", "size"), CASES)
def test_sizes(make: Callable[..., Pixels], size: tuple[int, int]) -> None:
    picture = make(4, *size)
    marked = SCHEME.embed(picture, PAYLOAD, key=KEY)
    expected = 42.0 if min(size) < 400 else 44.5
    assert expected <= psnr(marked.pixels, picture) < expected + 0.3
    found = SCHEME.detect(marked.pixels, key=KEY, search="quick")
    assert found.payload == PAYLOAD
    assert found.log10_p == pytest.approx(marked.log10_p, abs=1e-3)


ATTACKS = {
    "png": save("PNG"),
    "jpeg75": save("JPEG", quality=75),
    "webp90": save("WEBP", quality=90),
    "resize 3/4": resize(0.75),
    "resize 1.37": resize(1.37),
    "crop 90 %": crop(0.9),
    "mirror": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "upside down": lambda pixels: np.ascontiguousarray(pixels[::-1]),
    "quarter turn": lambda pixels: np.ascontiguousarray(np.rot90(pixels)),
    "rotate 5": rotate(5),
    "rotate 200": rotate(200),
    "brighter": lambda pixels: cv2.convertScaleAbs(pixels, alpha=1.15, beta=6),
}


@pytest.mark.parametrize("make", [drawing, texture])
@pytest.mark.parametrize("name", ATTACKS)
def test_identifier_survives(make: Callable[..., Pixels], name: str) -> None:
    for seed in (5, 6):
        marked = SCHEME.embed(make(seed), PAYLOAD, key=KEY).pixels
        assert SCHEME.detect(ATTACKS[name](marked), key=KEY).payload == PAYLOAD


def test_stretched_picture_is_read() -> None:
    marked = SCHEME.embed(texture(5, 400), PAYLOAD, key=KEY).pixels
    narrow = cv2.resize(marked, (360, 400), interpolation=cv2.INTER_AREA)
    found = SCHEME.detect(narrow, key=KEY)
    assert found.payload == PAYLOAD
    assert found.geometry is not None
    assert found.geometry.aspect == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("attack", "scale", "rotation", "flipped"),
    [
        (ATTACKS["png"], 1.0, 0.0, False),
        (resize(0.75), 0.75, 0.0, False),
        (resize(1.37), 1.37, 0.0, False),
        (rotate(5), 1.0, 5.0, False),
        (rotate(-33), 1.0, -33.0, False),
        (ATTACKS["quarter turn"], 1.0, 90.0, False),
        (ATTACKS["upside down"], 1.0, 180.0, True),
        (ATTACKS["mirror"], 1.0, 0.0, True),
    ],
)
def test_geometry_is_evidence(attack: Attack, scale: float, rotation: float, flipped: bool) -> None:
    marked = SCHEME.embed(texture(7, 320), PAYLOAD, key=KEY).pixels
    geometry = SCHEME.detect(attack(marked), key=KEY).geometry
    assert geometry is not None
    assert geometry.scale == pytest.approx(scale, abs=0.005)
    assert abs((geometry.rotation - rotation + 180) % 360 - 180) < 0.3
    assert geometry.flipped == flipped
    assert geometry.tile == pytest.approx(128 * scale, abs=0.6)


def test_crop_shows_in_the_shift() -> None:
    marked = SCHEME.embed(texture(8, 320), PAYLOAD, key=KEY).pixels
    whole = SCHEME.detect(marked, key=KEY).geometry
    part = SCHEME.detect(marked[20:, 33:], key=KEY).geometry
    assert whole is not None
    assert part is not None
    moved = (np.array(whole.shift) - part.shift) % 128
    assert moved == pytest.approx([20, 33], abs=0.2)


def test_shift_differs_by_payload_and_nonce() -> None:
    flat = np.full((256, 256, 3), 120, np.uint8)
    one = SCHEME.embed(flat, PAYLOAD, key=KEY).pixels
    other = SCHEME.embed(flat, PAYLOAD, key=KEY, nonce=b"1").pixels
    assert not np.array_equal(one, other)
    shifts = set()
    for value in range(6):
        geometry = SCHEME.detect(SCHEME.embed(flat, AssetId(value), key=KEY).pixels, key=KEY).geometry
        assert geometry is not None
        shifts.add(tuple(round(part) for part in geometry.shift))
    assert len(shifts) == 6


WIDE = AssetId(0x0123456789ABCDEF_FEDCBA9876543210, 128)


@pytest.mark.parametrize("make", [drawing, texture])
@pytest.mark.parametrize("name", ["png", "jpeg75", "resize 3/4", "crop 90 %", "mirror"])
def test_longer_identifier_survives(make: Callable[..., Pixels], name: str) -> None:
    marked = SCHEME.embed(make(5, 320), WIDE, key=KEY)
    assert marked.payload == WIDE
    found = SCHEME.detect(ATTACKS[name](marked.pixels), key=KEY)
    assert found.payload == WIDE
    if name == "png":
        assert found.log10_p == pytest.approx(marked.log10_p, abs=1e-3)


def test_identifiers_of_both_lengths_are_told_apart() -> None:
    for value in (0, 2**64 - 1):
        for payload in (AssetId(value), AssetId(value, 128)):
            marked = SCHEME.embed(drawing(3), payload, key=KEY).pixels
            assert SCHEME.detect(marked, key=KEY, search="quick").payload == payload


# What ours must not read


def test_unmarked_pictures_and_wrong_keys_are_not_found() -> None:
    marked = SCHEME.embed(drawing(9), PAYLOAD, key=KEY).pixels
    pictures = [marked, *(make(seed, 160) for make in (drawing, texture) for seed in range(9))]
    for seed in range(12):
        key = WatermarkKey(seed.to_bytes(32, "big"))
        for picture in pictures:
            result = SCHEME.detect(picture, key=key, search="quick")
            assert (result.found, result.payload, result.geometry) == (False, None, None)
            assert -6 < result.log10_p <= 0
            assert result.reason


@pytest.mark.parametrize("seed", range(6))
def test_full_search_finds_nothing_in_unmarked_pictures(seed: int) -> None:
    marked_by_other = SCHEME.embed(texture(seed), PAYLOAD, key=OTHER_KEY).pixels
    for picture in (drawing(seed), texture(seed), marked_by_other):
        assert not SCHEME.detect(picture, key=KEY).found


def test_flat_noisy_and_periodic_pictures_are_not_found() -> None:
    rng = np.random.default_rng(1)
    stripes = np.tile(np.arange(256, dtype=np.uint8)[:, None, None] // 4 * 4, (1, 256, 3))
    pictures = [np.full((256, 256, 3), value, np.uint8) for value in (0, 7, 255)]
    pictures += [rng.integers(0, 256, (256, 256, 3), np.uint8), stripes, np.tile(drawing(1, 64), (4, 4, 1))]
    for picture in pictures:
        result = SCHEME.detect(picture, key=KEY)
        assert not result.found
        assert result.log10_p > -6


def test_a_mark_that_is_nearly_gone_gives_no_wrong_identifier() -> None:
    marked = SCHEME.embed(texture(3), PAYLOAD, key=KEY).pixels.astype(float)
    rng = np.random.default_rng(0)
    present, read = 0, 0
    for level in np.linspace(8, 60, 30):
        noisy = np.clip(marked + rng.normal(0, level, marked.shape), 0, 255).astype(np.uint8)
        result = SCHEME.detect(noisy, key=KEY, search="quick")
        assert result.payload in (None, PAYLOAD)
        assert result.found or result.payload is None
        assert result.payload is not None or result.log10_odds < 3
        present += result.found
        read += result.payload is not None
    assert 0 < read <= present < 30


def test_saturated_pictures_are_marked_or_refused_never_marked_unreadably() -> None:
    for value in (0, 255):
        flat = np.full((256, 256, 3), value, np.uint8)
        try:
            marked = SCHEME.embed(flat, PAYLOAD, key=KEY)
        except InsufficientCapacityError:
            continue
        assert SCHEME.detect(marked.pixels, key=KEY, search="quick").payload == PAYLOAD


def test_picture_that_drowns_the_mark_is_refused_with_the_reason() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (128, 128, 3), np.uint8)
    with pytest.raises(InsufficientCapacityError, match=r"insufficient capacity.*texture"):
        SCHEME.embed(noise, PAYLOAD, key=KEY, psnr=50)


def test_strips_of_a_large_picture_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = texture(1, 300)
    whole = SCHEME.embed(picture, PAYLOAD, key=KEY)
    monkeypatch.setattr("generator.marking.watermark.imprint._STRIP_PIXELS", 300 * 70)
    assert np.array_equal(SCHEME.embed(picture, PAYLOAD, key=KEY).pixels, whole.pixels)


@pytest.mark.slow
def test_very_large_picture() -> None:
    picture = cv2.resize(drawing(1, 512), (8192, 8192), interpolation=cv2.INTER_LINEAR)
    marked = SCHEME.embed(picture, PAYLOAD, key=KEY)
    assert marked.psnr >= 44
    assert SCHEME.detect(marked.pixels, key=KEY, search="quick").payload == PAYLOAD
    reduced = cv2.resize(marked.pixels, (900, 900), interpolation=cv2.INTER_AREA)
    assert SCHEME.detect(reduced, key=KEY).payload == PAYLOAD
