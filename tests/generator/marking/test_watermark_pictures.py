"""Marking what is not 8-bit RGB."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, ImageSequence

from generator.errors import InputError
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import InsufficientCapacityError
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.pictures import mark_file, mark_pixels, view
from generator.marking.watermark.registry import DEFAULT

KEY = WatermarkKey(bytes(range(32)))
PAYLOAD = AssetId.from_hex("0123456789abcdef")


def picture(height: int = 192, width: int = 224, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(4)
    small = rng.integers(40, 216, (6, 7, channels), np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).reshape(
        height, width, channels
    )
    return np.clip(smooth + rng.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


def read(pixels: np.ndarray) -> AssetId | None:
    return DEFAULT.detect(view(pixels), key=KEY, search="quick").payload


def mark(pixels: np.ndarray) -> np.ndarray:
    return mark_pixels(pixels, PAYLOAD, scheme=DEFAULT, key=KEY).pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_every_kind_is_marked_in_its_own_form(dtype: type, channels: int) -> None:
    pixels = picture(channels=channels or 1).astype(dtype) * (257 if dtype is np.uint16 else 1)
    if channels == 0:
        pixels = pixels[..., 0]
    elif channels in (2, 4):
        pixels[..., -1] = np.iinfo(dtype).max
        pixels[:40, :, -1] = 0
    before = pixels.copy()
    marked = mark(pixels)
    assert np.array_equal(pixels, before)
    assert (marked.shape, marked.dtype) == (pixels.shape, pixels.dtype)
    assert read(marked) == PAYLOAD
    if channels in (2, 4):
        assert np.array_equal(marked[..., -1], pixels[..., -1])
        assert np.array_equal(marked[:40], pixels[:40])  # invisible: left as it was


def test_sixteen_bits_keep_their_lower_bits() -> None:
    pixels = picture().astype(np.uint16) * 257 + np.random.default_rng(1).integers(
        0, 90, (192, 224, 3), np.uint16
    )
    change = mark(pixels).astype(int) - pixels
    assert np.abs(change).max() > 0
    assert not (change % 257).any()


def test_view_lays_transparency_on_white() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, :, 3] = 255
    pixels[1, 1, 3] = 128
    assert view(pixels)[..., 0].tolist() == [[0, 0], [255, 127]]


def test_picture_that_is_nearly_all_transparent_is_refused() -> None:
    pixels = np.dstack([picture(), np.zeros((192, 224), np.uint8)])
    pixels[:20, :20, 3] = 255
    with pytest.raises(InsufficientCapacityError, match="opaque"):
        mark(pixels)


@pytest.mark.parametrize(
    "pixels", [None, np.zeros((9, 9), np.float32), np.zeros((9, 9, 5), np.uint8), np.zeros((0, 9), np.uint8)]
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(InputError, match="pixels"):
        mark(pixels)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)  # type: ignore[arg-type]
    return target.getvalue()


def marked_file(data: bytes) -> Image.Image:
    done = mark_file(data, PAYLOAD, scheme=DEFAULT, key=KEY)
    assert done.log10_p <= -6
    assert done.psnr >= 42
    return Image.open(io.BytesIO(done.data))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "GIF"])
def test_files_keep_their_format(form: str) -> None:
    image = marked_file(encoded(Image.fromarray(picture(256, 256)), form))
    assert image.format == form
    assert read(np.asarray(image.convert("RGB"))) == PAYLOAD


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P"])
def test_modes(mode: str) -> None:
    image = marked_file(encoded(Image.fromarray(picture()).convert(mode), "PNG"))
    assert read(np.asarray(image.convert("RGB"))) == PAYLOAD
    assert image.mode == {"P": "RGB"}.get(mode, mode)


def test_sixteen_bit_file_stays_so_and_keeps_the_order_of_its_colours() -> None:
    deep = picture().astype(np.uint16) * 257
    deep[..., 0] //= 2
    done = mark_file(cv2.imencode(".png", deep[..., ::-1])[1].tobytes(), PAYLOAD, scheme=DEFAULT, key=KEY)
    again = cv2.imdecode(np.frombuffer(done.data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert again.dtype == np.uint16
    assert read(again) == PAYLOAD
    assert np.abs(again.astype(int) - deep).max() <= 9 * 257


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_file_is_turned_upright_and_keeps_its_profile(orientation: int) -> None:
    deep = picture(140, 160).astype(np.uint16) * 257
    plain = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = orientation
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    extra = chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)) + chunk(b"eXIf", exif.tobytes()[6:])
    done = mark_file(plain[:33] + extra + plain[33:], PAYLOAD, scheme=DEFAULT, key=KEY)
    again = cv2.imdecode(np.frombuffer(done.data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    eight = Image.open(io.BytesIO(encoded(Image.fromarray(picture(140, 160)), "PNG", exif=exif)))
    upright = np.asarray(ImageOps.exif_transpose(eight)).astype(int) * 257
    assert again.dtype == np.uint16
    assert np.abs(again.astype(int) - upright).max() <= 9 * 257
    with Image.open(io.BytesIO(done.data)) as image:
        assert image.info["icc_profile"] == profile
        assert image.getexif().get(0x0112, 1) == 1


def test_profile_of_other_colours_is_not_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(picture(256, 256))
    assert marked_file(encoded(image, "JPEG", icc_profile=profile)).info["icc_profile"] == profile
    cmyk = marked_file(encoded(image.convert("CMYK"), "JPEG", icc_profile=profile))
    assert cmyk.mode == "RGB"
    assert "icc_profile" not in cmyk.info


def test_several_pages_are_refused() -> None:
    pages = [Image.fromarray(picture()) for _ in range(2)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="2 pages"):
        mark_file(data, PAYLOAD, scheme=DEFAULT, key=KEY)


def test_exif_orientation_is_applied_and_dropped() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    image = marked_file(encoded(Image.fromarray(picture()), "JPEG", quality=95, exif=exif))
    assert image.size == (192, 224)
    assert 0x0112 not in image.getexif()
    assert read(np.asarray(image)) == PAYLOAD


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_every_frame_of_an_animation_is_marked(form: str) -> None:
    frames = [Image.fromarray(np.roll(picture(256, 256), 40 * step, 1)) for step in range(3)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=[40, 80, 120], loop=0)
    image = marked_file(data)
    assert image.n_frames == 3  # type: ignore[attr-defined]
    durations = []
    for frame in ImageSequence.Iterator(image):
        assert read(np.asarray(frame.convert("RGB"))) == PAYLOAD
        durations.append(round(frame.info["duration"]))
    assert durations == [40, 80, 120]


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(Image.fromarray(picture()), "PNG")[:3000]])
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="picture file"):
        mark_file(data, PAYLOAD, scheme=DEFAULT, key=KEY)


def test_format_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InputError, match="BMP"):
        mark_file(encoded(Image.fromarray(picture()), "BMP"), PAYLOAD, scheme=DEFAULT, key=KEY)


def test_tiny_file_is_refused_for_its_capacity() -> None:
    with pytest.raises(InsufficientCapacityError, match="insufficient capacity"):
        mark_file(encoded(Image.new("RGB", (60, 60)), "PNG"), PAYLOAD, scheme=DEFAULT, key=KEY)


def test_marked_picture_is_not_marked_again() -> None:
    once = mark_pixels(picture(), PAYLOAD, scheme=DEFAULT, key=KEY).pixels
    with pytest.raises(InputError, match=f"already.*{PAYLOAD}"):
        mark_pixels(once, AssetId(5), scheme=DEFAULT, key=KEY)
    other = WatermarkKey(bytes(range(1, 33)))
    assert mark_pixels(once, AssetId(5), scheme=DEFAULT, key=other).embedding.payload == AssetId(5)
