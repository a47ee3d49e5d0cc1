"""What happens to pictures on their way: one fixed grid of attacks, for the watermark and for the detector.

Every attack is a function of pixels and a seeded generator, so that each scheme meets the same damage.
Crops keep a share of each SIDE; "restored" means resized back to the size before.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

Pixels = NDArray[np.uint8]
Attack = Callable[[Pixels, np.random.Generator], Pixels]
_Plain = Callable[[Pixels], Pixels]

_GREY_LEVELS = 255.0


def _fixed(change: _Plain) -> Attack:
    return lambda pixels, _: change(pixels)


def _pillow(change: Callable[[Image.Image], Image.Image]) -> Attack:
    return lambda pixels, _: np.asarray(change(Image.fromarray(pixels)).convert("RGB"))


def _save(form: str, quality: int) -> Attack:
    """Pillow's encoder at its defaults (JPEG: 4:2:0)."""

    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, form, quality=quality)
        return Image.open(buffer)

    return _pillow(change)


def _scaled(size: tuple[int, int], across: float, down: float) -> tuple[int, int]:
    return max(1, round(size[0] * across)), max(1, round(size[1] * down))


def _resize(across: float, down: float | None = None, *, restored: bool = False) -> Attack:
    def change(image: Image.Image) -> Image.Image:
        resized = image.resize(_scaled(image.size, across, down or across), Image.Resampling.BICUBIC)
        return resized.resize(image.size, Image.Resampling.BICUBIC) if restored else resized

    return _pillow(change)


def _crop(share: float, *, restored: bool = False) -> Attack:
    """The middle of the picture."""

    def change(image: Image.Image) -> Image.Image:
        width, height = _scaled(image.size, share, share)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        part = image.crop((left, top, left + width, top + height))
        return part.resize(image.size, Image.Resampling.BICUBIC) if restored else part

    return _pillow(change)


def _rotate(degrees: float) -> Attack:
    """Counter-clockwise, same size, black corners."""
    return _pillow(lambda image: image.rotate(degrees, Image.Resampling.BICUBIC))


def _blur(radius: float) -> Attack:
    return _pillow(lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def _noise(deviation: float) -> Attack:
    """Gaussian, independent per pixel and channel; `deviation` is a share of the grey range."""

    def attack(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        noisy = pixels + rng.normal(0, deviation * _GREY_LEVELS, pixels.shape).astype(np.float32)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    return attack


def _gamma(exponent: float) -> Attack:
    table = np.rint(_GREY_LEVELS * (np.arange(256) / _GREY_LEVELS) ** exponent).astype(np.uint8)
    return _fixed(lambda pixels: table[pixels])


def _occlude(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """A grey box over 45 % of each side, 20 % of the area."""
    height, width = pixels.shape[:2]
    covered = pixels.copy()
    covered[int(0.35 * height) : int(0.8 * height), int(0.3 * width) : int(0.75 * width)] = 128
    return covered


def _collage(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture at a random place of a sheet with sides 1.5 times as long."""
    height, width = pixels.shape[:2]
    sheet = np.full((height + height // 2, width + width // 2, 3), 200, np.uint8)
    top, left = int(rng.integers(0, height // 2)), int(rng.integers(0, width // 2))
    sheet[top : top + height, left : left + width] = pixels
    return sheet


def _screenshot(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Shown at 83 %, cut off-centre by some 6 %, a little brighter, JPEG 85."""
    image = Image.fromarray(pixels)
    image = image.resize(_scaled(image.size, 0.83, 0.83), Image.Resampling.BILINEAR)
    left, top = 0.03 * image.width + rng.integers(0, 7), 0.02 * image.height + rng.integers(0, 7)
    image = image.crop((int(left), int(top), int(0.97 * image.width), int(0.96 * image.height)))
    shown = np.asarray(ImageEnhance.Brightness(image).enhance(1.06))
    return _save("JPEG", 85)(shown, rng)


def _perspective(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Each corner moved by up to 4 % of the sides."""
    height, width = pixels.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-0.04, 0.04, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return np.asarray(cv2.warpPerspective(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC))


def _elastic(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A smooth random field of 8 x 8 knots; deviation 1.5 px in a picture 512 px wide."""
    height, width = pixels.shape[:2]
    knots = rng.normal(0, 1.5 * width / 512, (8, 8, 2)).astype(np.float32)
    field = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    moved = columns + field[..., 0], rows + field[..., 1]
    return np.asarray(cv2.remap(pixels, *moved, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def _denoise(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """Non-local means, strength 10."""
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, 10, 10, 5, 15))


def _chain(*attacks: Attack) -> Attack:
    def attack(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        for step in attacks:
            pixels = step(pixels, rng)
        return pixels

    return attack


COMMON = (
    "none", "jpeg90", "jpeg75", "jpeg50", "webp80", "resize3/4", "resize3/4_restored", "resize1/2",
    "resize1/2_restored", "resize1.37", "crop90", "crop75", "brightness1.5", "contrast1.5", "grey", "gamma0.6",
    "noise.02", "noise.05", "blur1", "median3", "bilateral", "occlusion20", "collage", "palette64",
)  # fmt: skip
"""What every publishing chain does."""
STRONG = (
    "jpeg30", "webp50", "rotation2", "rotation5", "rotation30", "rotation45", "rotation90", "flip", "blur2",
    "screenshot", "resize.6+jpeg70",
)  # fmt: skip
HARD = ("crop50", "crop75_restored", "aspect.9")
BENT = ("perspective4", "elastic", "denoise10")
HEAVY = ("jpeg10", "resize1/4", "crop25")
STACKED = ("rotation5+crop50+resize1/2+jpeg50",)

ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        "none": _fixed(lambda pixels: pixels),
        **{f"jpeg{quality}": _save("JPEG", quality) for quality in (90, 75, 50, 30, 10)},
        **{f"webp{quality}": _save("WEBP", quality) for quality in (80, 50)},
        "resize3/4": _resize(0.75),
        "resize3/4_restored": _resize(0.75, restored=True),
        "resize1/2": _resize(0.5),
        "resize1/2_restored": _resize(0.5, restored=True),
        "resize1/4": _resize(0.25),
        "resize1.37": _resize(1.37),
        "resize.6+jpeg70": _chain(_resize(0.6), _save("JPEG", 70)),
        **{f"crop{percent}": _crop(percent / 100) for percent in (90, 75, 50, 25)},
        "crop75_restored": _crop(0.75, restored=True),
        "aspect.9": _resize(0.9, 1.0),
        **{f"rotation{degrees}": _rotate(degrees) for degrees in (2, 5, 30, 45)},
        "rotation90": _fixed(lambda pixels: np.ascontiguousarray(np.rot90(pixels))),
        "flip": _fixed(lambda pixels: np.ascontiguousarray(pixels[:, ::-1])),
        "brightness1.5": _pillow(lambda image: ImageEnhance.Brightness(image).enhance(1.5)),
        "contrast1.5": _pillow(lambda image: ImageEnhance.Contrast(image).enhance(1.5)),
        "grey": _pillow(lambda image: image.convert("L")),
        "gamma0.6": _gamma(0.6),
        "noise.02": _noise(0.02),
        "noise.05": _noise(0.05),
        "blur1": _blur(1),
        "blur2": _blur(2),
        "median3": _fixed(lambda pixels: cv2.medianBlur(pixels, 3)),
        "bilateral": _fixed(lambda pixels: cv2.bilateralFilter(pixels, 7, 40, 5)),
        "denoise10": _denoise,
        "palette64": _pillow(lambda image: image.quantize(64)),
        "occlusion20": _occlude,
        "collage": _collage,
        "screenshot": _screenshot,
        "perspective4": _perspective,
        "elastic": _elastic,
        STACKED[0]: _chain(_rotate(5), _crop(0.5), _resize(0.5), _save("JPEG", 50)),
    }
)
