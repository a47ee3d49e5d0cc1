"""Marking what is not 8-bit RGB: grey, transparent, 16-bit, turned by EXIF, animated.

A scheme knows uint8 (H, W, 3) only. Here every other picture is shown to it as a viewer would show it (transparency
on white, 16 bits reduced to 8), and the change that it makes there is carried over to the picture as it is: alpha and
the lower bits stay, and nothing is changed where nothing is visible.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from generator.errors import InputError
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import Embedding, InsufficientCapacityError, Pixels, Scheme
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.sixteen_bit import FORMATS as DEEP_FORMATS
from generator.marking.watermark.sixteen_bit import Deep, decode_deep, encode_deep

AnyPixels = NDArray[np.uint8] | NDArray[np.uint16]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF")
_ANIMATED = ("PNG", "WEBP", "GIF")
_STEP_16 = 257  # 16-bit levels per 8-bit level
_QUALITY = 95  # JPEG and WebP
_ORIENTATION = 0x0112  # EXIF tag
_OTHER_COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")  # modes of pictures that become RGB
_MOST_FRAMES = 1000
_MOST_PIXELS = 1 << 28  # of all frames together


@dataclass(frozen=True, eq=False)
class MarkedPicture:
    """A marked picture in the form in which it came.

    Attributes:
        pixels: same shape and dtype as the input.
        embedding: what the scheme says of the 8-bit RGB view; its pixels are that view as it now looks.
    """

    pixels: AnyPixels
    embedding: Embedding


@dataclass(frozen=True)
class MarkedFile:
    """A marked file.

    Attributes:
        data: the file, upright, in the format in which it came.
        form: of FORMATS.
        frames: number of marked frames, 1 for a still picture.
        psnr: dB, the lowest of all frames, before lossy encoding.
        log10_p: the weakest frame's bound, before lossy encoding.
    """

    data: bytes
    form: str
    frames: int
    psnr: float
    log10_p: float


def view(pixels: AnyPixels) -> Pixels:
    """The picture as a viewer shows it on white: uint8 (H, W, 3).

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, C) with C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.

    Raises:
        InputError: not such an array, or empty.
    """
    colour, alpha = _split(pixels)
    top = np.iinfo(pixels.dtype).max
    shown = colour if top == 255 else np.rint(colour / _STEP_16)
    if alpha is not None:
        opacity = alpha[..., None] / np.float32(top)
        shown = np.rint(shown * opacity + 255 * (1 - opacity))
    return np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:2], 3)).astype(np.uint8))


def mark_pixels(
    pixels: AnyPixels,
    payload: AssetId,
    *,
    scheme: Scheme,
    key: WatermarkKey,
    psnr: float | None = None,
    nonce: bytes = b"",
) -> MarkedPicture:
    """Mark a picture of any of the kinds that `view` takes; alpha is kept, transparent pixels stay as they are.

    Args:
        pixels: not changed.
        payload: the identifier to carry.
        scheme: how.
        key: the deployment's key.
        psnr: least PSNR of the view, dB; None for the scheme's default.
        nonce: as of `Scheme.embed`.

    Raises:
        InputError: not such an array, or it carries a mark of this key already: of two marks, either might be read.
        InsufficientCapacityError: too small, too flat, or too little of it visible to be read back.
    """
    before = view(pixels)
    earlier = scheme.detect(before, key=key, search="quick")
    if earlier.found:
        raise InputError(
            f"picture: carries this key's watermark already (identifier {earlier.payload or 'not readable'}); "
            "mark the unmarked original instead"
        )
    embedding = scheme.embed(before, payload, key=key, psnr=psnr, nonce=nonce)
    change = embedding.pixels.astype(np.int32) - before
    colour, alpha = _split(pixels)
    if colour.shape[2] == 1:
        change = change[..., :1]
    top = int(np.iinfo(pixels.dtype).max)
    if alpha is not None:
        change = change * (alpha > 0)[..., None]
    levels = 1 if top == 255 else _STEP_16
    changed = np.clip(colour.astype(np.int32) + change * levels, 0, top).astype(pixels.dtype)
    parts = [changed] if alpha is None else [changed, alpha[..., None]]
    marked: AnyPixels = np.concatenate(parts, axis=2).reshape(pixels.shape)
    if alpha is not None and int(alpha.min()) < top:
        embedding = _read_back(marked, before, embedding, scheme=scheme, key=key)
    return MarkedPicture(pixels=marked, embedding=embedding)


def _read_back(
    marked: AnyPixels, before: Pixels, embedding: Embedding, *, scheme: Scheme, key: WatermarkKey
) -> Embedding:
    """The embedding as it looks through the transparency; refused when it cannot be read there."""
    shown = view(marked)
    found = scheme.detect(shown, key=key, search="quick")
    if found.payload != embedding.payload:
        raise InsufficientCapacityError(
            "insufficient capacity: too little of the picture is opaque to carry the mark; "
            "lay it on a background before marking"
        )
    return replace(embedding, pixels=shown, psnr=float(cv2.PSNR(before, shown)), log10_p=found.log10_p)


def _split(pixels: Any) -> tuple[AnyPixels, AnyPixels | None]:  # noqa: ANN401 - refusing what is no array
    """Colour (H, W, 1 or 3) and alpha (H, W), or None."""
    if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.uint16):
        kind = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise InputError(f"pixels: got {kind}, expected a numpy array of uint8 or uint16")
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and not 1 <= pixels.shape[2] <= 4) or pixels.size == 0:
        raise InputError(f"pixels: got shape {pixels.shape}, expected (H, W) or (H, W, 1 to 4), not empty")
    channels = pixels[..., None] if pixels.ndim == 2 else pixels
    if channels.shape[2] in (2, 4):
        return channels[..., :-1], channels[..., -1]
    return channels, None


def mark_file(
    data: bytes, payload: AssetId, *, scheme: Scheme, key: WatermarkKey, psnr: float | None = None
) -> MarkedFile:
    """Mark a picture file and encode it again in its own format, every frame with the same carrier.

    A still picture is turned upright as its EXIF orientation says, and loses that entry; its colour profile is kept
    (not in 16-bit TIFF, and not CMYK's, which becomes RGB). 16-bit PNG and TIFF stay 16-bit. In an animation one
    carrier for all frames does not flicker.

    Args:
        data: PNG, JPEG, WebP, GIF or TIFF.
        payload: the identifier to carry.
        scheme: how.
        key: the deployment's key.
        psnr: least PSNR, dB; None for the scheme's default.

    Raises:
        InputError: no picture, damaged, several pages, or a format that cannot be written.
        InsufficientCapacityError: a frame cannot carry the mark.
    """

    def mark(pixels: AnyPixels) -> MarkedPicture:
        return mark_pixels(pixels, payload, scheme=scheme, key=key, psnr=psnr)

    try:
        with Image.open(io.BytesIO(data)) as image:
            form = image.format or ""
            if form not in FORMATS:
                raise InputError(
                    f"picture file: format {form} cannot be written; use one of {', '.join(FORMATS)}"
                )
            frames = getattr(image, "n_frames", 1)
            if frames > _MOST_FRAMES or frames * image.width * image.height > _MOST_PIXELS:
                raise InputError(
                    f"picture file: {frames} frames of {image.width} x {image.height} px are too many"
                )
            if form in _ANIMATED and frames > 1:
                return _mark_animation(image, form, mark)
            if frames > 1:
                raise InputError(
                    f"picture file: {form} with {frames} pages; mark each page as a file of its own"
                )
            orientation = int(image.getexif().get(_ORIENTATION, 1))
            deep = decode_deep(data, orientation) if form in DEEP_FORMATS else None
            if deep is not None:
                done = mark(deep)
                encoded = encode_deep(cast(Deep, done.pixels), form, image.info.get("icc_profile"))
                return _describe(encoded, form, [done.embedding])
            upright = ImageOps.exif_transpose(image)
            marked = mark(np.asarray(upright.convert(_mode(upright))))
            return _describe(_encode(upright, marked.pixels, form), form, [marked.embedding])
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"picture file: cannot be decoded ({error}); it is damaged or no picture") from error


def _describe(data: bytes, form: str, embeddings: list[Embedding]) -> MarkedFile:
    return MarkedFile(
        data=data,
        form=form,
        frames=len(embeddings),
        psnr=min(embedding.psnr for embedding in embeddings),
        log10_p=max(embedding.log10_p for embedding in embeddings),
    )


def _mode(image: Image.Image) -> str:
    """The plain mode that holds everything that an 8-bit image shows."""
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        return "LA" if image.mode == "LA" else "RGBA"
    return "L" if image.mode in {"L", "1"} else "RGB"


def _encode(original: Image.Image, pixels: AnyPixels, form: str) -> bytes:
    target = io.BytesIO()
    # A profile describes the colours that it was made for: CMYK's says nothing of RGB.
    profile = None if original.mode in _OTHER_COLOURS else original.info.get("icc_profile")
    options: dict[str, Any] = {"icc_profile": profile}
    if form in ("JPEG", "WEBP"):
        options["quality"] = _QUALITY
    if form == "JPEG":
        options["subsampling"] = 0
    Image.fromarray(pixels).save(target, form, **options)
    return target.getvalue()


def _mark_animation(image: Image.Image, form: str, mark: Callable[[AnyPixels], MarkedPicture]) -> MarkedFile:
    embeddings: list[Embedding] = []
    durations: list[int] = []

    def frames() -> Iterator[Image.Image]:
        for frame in ImageSequence.Iterator(image):
            marked = mark(np.asarray(frame.convert("RGBA")))
            durations.append(int(frame.info.get("duration", 0)))  # known only once the frame is decoded
            embeddings.append(marked.embedding)
            yield Image.fromarray(marked.pixels)

    first, *others = frames()
    target = io.BytesIO()
    options: dict[str, Any] = {"quality": _QUALITY} if form == "WEBP" else {}
    first.save(
        target,
        form,
        save_all=True,
        append_images=others,
        duration=durations,
        loop=image.info.get("loop", 0),
        **options,
    )
    return _describe(target.getvalue(), form, embeddings)
