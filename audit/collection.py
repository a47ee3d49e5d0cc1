"""What is audited: the images of a run directory or of any folder, each judged before its pixels are read.

Every file found becomes an item, also one that cannot be read: it is named with a reason and never dropped.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from generator.errors import CannotCheckError, InputError

MAX_PIXELS = 250_000_000  # pixels; a decoded RGB copy stays under 750 MB
_PIL_ERRORS = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, MemoryError)


@dataclass(frozen=True, slots=True)
class Item:
    """One file to audit.

    Attributes:
        image_id: unique in its collection.
        path: absolute path.
        prompt_id: of the prompt that made it; None when unknown.
        prompt: text of that prompt.
        replicate: number of the image within its prompt.
        readable: False when no pixels can be had.
        reason: why not readable; "" otherwise.
    """

    image_id: str
    path: Path
    prompt_id: str | None = None
    prompt: str | None = None
    replicate: int | None = None
    readable: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the header and a full decode of a file say.

    Attributes:
        sha256: of the file's bytes, hex.
        width: pixels; 0 when unknown.
        height: pixels; 0 when unknown.
        format: e.g. "PNG"; "" when no image.
        reason: why the file is no readable image; "" when it is one.
        note: what a reader should know of a readable one, e.g. "the extension says png, the bytes are JPEG".
    """

    sha256: str
    width: int
    height: int
    format: str
    reason: str
    note: str = ""


def path_id(relative: str) -> str:
    """Identifier of a foreign file: 16 hex digits of a digest over its path within the folder."""
    return hashlib.blake2b(relative.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def walk_files(folder: Path) -> Iterator[Path]:
    """Every file under a folder in sorted order, symlink loops cut, hidden ones left out.

    Raises:
        InputError: the folder does not exist or is no folder.
    """
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; check the path")
    if not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder; give the folder that holds it")
    seen: set[tuple[int, int]] = set()
    for root, names, files in os.walk(folder, followlinks=True):
        info = os.stat(root)
        if (info.st_dev, info.st_ino) in seen:
            names.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root) / name


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _note(path: Path, image: Image.Image) -> str:
    notes = []
    expected = Image.registered_extensions().get(path.suffix.lower())
    if image.format and expected != image.format and {expected, image.format} != {"JPEG", "MPO"}:
        notes.append(f"the extension says {path.suffix or 'nothing'}, the bytes are {image.format}")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        notes.append(f"animated: the first of {frames} frames is measured")
    if image.mode not in {"RGB", "RGBA", "L", "P", "LA", "1"}:
        notes.append(f"mode {image.mode} is converted to 8-bit RGB")
    return "; ".join(notes)


def inspect_image(path: Path) -> ImageFacts:
    """Judge a file: digest, format, size, and whether every pixel decodes. Never raises for a bad file."""
    try:
        if not path.is_file():
            return ImageFacts("", 0, 0, "", "not a regular file")
        if path.stat().st_size == 0:
            return ImageFacts(hashlib.sha256(b"").hexdigest(), 0, 0, "", "the file is empty (0 bytes)")
        digest = _sha256(path)
    except OSError as error:
        return ImageFacts("", 0, 0, "", f"cannot be read: {error.strerror or error}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                name, note = image.format or "", _note(path, image)
                if width * height > MAX_PIXELS:
                    reason = f"{width} x {height} pixels is more than the limit of {MAX_PIXELS:,}"
                    return ImageFacts(digest, width, height, name, reason)
                image.load()
    except UnidentifiedImageError:
        return ImageFacts(digest, 0, 0, "", "not an image that can be decoded (unknown or damaged format)")
    except _PIL_ERRORS as error:
        return ImageFacts(digest, 0, 0, "", f"damaged image: {error}")
    return ImageFacts(digest, width, height, name, "", note)


def _to_rgb8(image: Image.Image) -> Image.Image:
    """8-bit RGB; 16-bit and float grey are scaled by their own range, transparency is laid on white."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0.0) > 255 else 255.0
        return Image.fromarray(np.clip(values / top * 255.0, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def load_pixels(path: Path, *, max_side: int | None = None) -> NDArray[np.uint8]:
    """Pixels of an image file: first frame, upright by EXIF, 8-bit RGB.

    Args:
        path: of the file.
        max_side: when given, a larger picture is reduced (area mean) so that its longer side is at most this.

    Returns:
        uint8 (height, width, 3).

    Raises:
        CannotCheckError: the file is missing, no image, damaged, or larger than 250 million pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise CannotCheckError(
                        f"{path.name}: {image.width} x {image.height} pixels exceeds the limit"
                    )
                if max_side is not None and image.format == "JPEG":
                    image.draft("RGB", (max_side, max_side))
                upright = ImageOps.exif_transpose(image)
                pixels = np.asarray(_to_rgb8(upright))
    except _PIL_ERRORS as error:
        raise CannotCheckError(
            f"{path.name}: cannot be decoded ({error}); the file is damaged or no image"
        ) from error
    longest = max(pixels.shape[:2])
    if max_side is not None and longest > max_side:
        size = tuple(max(1, round(side * max_side / longest)) for side in pixels.shape[1::-1])
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels, dtype=np.uint8)
