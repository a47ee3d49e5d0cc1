"""The pictures that watermarks are measured on: photographs from a folder, and this project's own drawings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.attacks import Pixels
from generator.portraits import Corpus, Rates

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "shared" / "data" / "images" / "real"
"""Development data; without it only drawings are measured."""

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_DRAWING_SIDE = 256  # px
_CORPUS_SEED = 90_211


def list_photographs(folder: Path) -> list[Path]:
    """All picture files below a folder, taking one from each sub-folder in turn, so that any few are a mixture."""
    if not folder.is_dir():
        return []
    groups: dict[Path, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES:
            groups.setdefault(path.parent, []).append(path)
    longest = max((len(group) for group in groups.values()), default=0)
    return [group[index] for index in range(longest) for group in groups.values() if index < len(group)]


def load_photographs(folder: Path, *, side: int, count: int) -> Iterator[Pixels]:
    """Up to `count` photographs with short side at least `side`: central square, reduced to `side` px."""
    found = 0
    for path in list_photographs(folder):
        if found == count:
            return
        with Image.open(path) as image:
            if min(image.size) < side:
                continue
            image.draft("RGB", (side, side))  # decodes a large JPEG at a fraction of its size
            rgb = image.convert("RGB")
        edge = min(rgb.size)
        left, top = (rgb.width - edge) // 2, (rgb.height - edge) // 2
        square = rgb.crop((left, top, left + edge, top + edge))
        yield np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))
        found += 1


def draw_portraits(count: int, *, side: int = _DRAWING_SIDE) -> Iterator[Pixels]:
    """`count` drawings of the embedded world."""
    corpus = Corpus(_CORPUS_SEED, Rates.default(), count)
    for index in range(count):
        yield corpus.drawing(index, side)


MIX = "of eight: 5 crops of photographs, 1 of a drawing, 1 noise, 1 flat colour or grating; 128 to 256 px"
"""What `cut_unmarked` yields, for the notes."""


def cut_unmarked(folder: Path, *, count: int, rng: np.random.Generator) -> Iterator[Pixels]:
    """`count` unmarked pictures of 128 to 256 px: crops of photographs, drawings, noise, flat colours, gratings."""
    photographs = list(load_photographs(folder, side=512, count=64))
    drawings = list(draw_portraits(32))
    for index in range(count):
        height, width = (int(side) for side in rng.integers(128, 257, 2))
        match index % 8:
            case 5:
                source = drawings[index // 8 % len(drawings)]
            case 6:
                yield rng.integers(0, 256, (height, width, 3), np.uint8)
                continue
            case 7:
                yield _pattern(height, width, rng=rng)
                continue
            case _:
                source = photographs[index % len(photographs)] if photographs else drawings[index % 32]
        top, left = (
            int(rng.integers(0, limit + 1)) for limit in np.subtract(source.shape[:2], (height, width))
        )
        yield np.ascontiguousarray(source[top : top + height, left : left + width])


def _pattern(height: int, width: int, *, rng: np.random.Generator) -> Pixels:
    """A flat colour or a grating: the pictures whose spectra look most like a mark's."""
    flat = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    if rng.random() < 0.5:
        return flat
    rows, columns = np.mgrid[:height, :width]
    wave = np.sin(rows * rng.uniform(0, 1.5) + columns * rng.uniform(0, 1.5)) * rng.uniform(1, 60)
    return cv2.add(flat, cv2.merge([wave.astype(np.float32)] * 3), dtype=cv2.CV_8U)
