"""Labelled images of the embedded world: drawings (real, 0), and what generators made of others (synthetic, 1).

Two precautions against learning the wrong thing. Half of each class carries a watermark, each with a key of its own,
so that the detector is no watermark detector. Half of the drawings go through the same enlargement as a published
picture, so that it is no enlargement detector either.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from generator.embedded import EmbeddedGenerator
from generator.interface import Prompt, Request
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import InsufficientCapacityError
from generator.marking.watermark.keys import SECRET_BYTES, WatermarkKey
from generator.marking.watermark.tile_fourier import TileFourier
from generator.portraits.corpus import Corpus
from generator.tokenizer import OUTPUT_SIZE, PUBLISHED_SIZE, Tokenizer, enlarge, reduce_by_two
from generator.weights import write_atomically

Pixels = NDArray[np.uint8]
Maker = Callable[[Sequence[int]], Pixels]
"""Item numbers -> uint8 (n, side, side, 3), before any watermark."""

CHUNK = 50  # images made at once


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images of one class.

    Attributes:
        pixels: uint8 (n, 256, 256, 3), memory-mapped.
        kinds: name of the maker of each image.
        marked: bool (n,), which carry a watermark.
    """

    pixels: Pixels
    kinds: tuple[str, ...]
    marked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.kinds)


def build_image_set(
    stem: Path, makers: Mapping[str, Maker], *, count: int, seed: int, source: str = ""
) -> ImageSet:
    """Make the images of one class, or open them when they are already there.

    Args:
        stem: path without suffix; gets `.npy` and `.json`.
        makers: by name; image i comes from maker i modulo their number.
        count: images in all.
        seed: of the watermarks' keys, identifiers and choice.
        source: digests of whatever the makers run; a set made with another source, seed or count is made again.

    Returns:
        The set; image i depends on the makers, the seed and i alone.
    """
    names = list(makers)
    kinds = tuple(names[i % len(names)] for i in range(count))
    marked = np.random.default_rng([seed, 0]).permutation(count) < count // 2
    description = {"kinds": kinds, "seed": seed, "complete": count, "source": source}
    array, note = stem.with_suffix(".npy"), stem.with_suffix(".json")
    if note.exists() and json.loads(note.read_text("utf-8")) == json.loads(json.dumps(description)):
        return ImageSet(np.load(array, mmap_mode="r"), kinds, marked)
    stem.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    shape = (count, PUBLISHED_SIZE, PUBLISHED_SIZE, 3)
    pixels = np.lib.format.open_memmap(array, mode="w+", dtype=np.uint8, shape=shape)
    for offset, name in enumerate(names):
        mine = range(offset, count, len(names))
        for start in range(0, len(mine), CHUNK):
            indices = mine[start : start + CHUNK]
            for i, image in zip(indices, makers[name](indices), strict=True):
                pixels[i] = _mark(image, seed=seed, index=i) if marked[i] else image
    pixels.flush()
    write_atomically(
        note, json.dumps(description).encode()
    )  # last: its presence says that the array is whole
    return ImageSet(np.load(array, mmap_mode="r"), kinds, marked)


def _mark(pixels: Pixels, *, seed: int, index: int) -> Pixels:
    rng = np.random.default_rng([seed, 1, index])
    key = WatermarkKey(rng.bytes(SECRET_BYTES))
    try:
        return TileFourier().embed(pixels, AssetId(int(rng.integers(2**63))), key=key).pixels
    except InsufficientCapacityError:
        return pixels  # almost all black or white: it stays as it is, in either class


def make_drawings(corpus: Corpus) -> Maker:
    """Drawings at the published size."""
    return lambda indices: corpus.batch(indices, PUBLISHED_SIZE).pixels


def make_enlarged_drawings(corpus: Corpus) -> Maker:
    """Drawings at the size of the decoder, enlarged as a generated picture is."""
    return lambda indices: _enlarge_all(_channels_first(corpus.batch(indices, OUTPUT_SIZE).pixels))


def make_reconstructions(corpus: Corpus, tokenizer: Tokenizer) -> Maker:
    """Drawings that went through the tokenizer: what its decoder makes of them, as published."""

    def make(indices: Sequence[int]) -> Pixels:
        drawings = _channels_first(corpus.batch(indices, OUTPUT_SIZE).pixels)
        return _enlarge_all(tokenizer.decode(tokenizer.encode(reduce_by_two(drawings.float() / 255))))

    return make


def make_samples(corpus: Corpus, generator: EmbeddedGenerator, *, seed: int) -> Maker:
    """What a generator makes when it is asked for the captions of drawings.

    Args:
        corpus: its captions are the prompts.
        generator: makes square pictures of the published size.
        seed: of the requests; item i has the same seed whatever else is asked for.
    """

    def make(indices: Sequence[int]) -> Pixels:
        requests = [
            Request(Prompt(f"item-{i}", corpus.caption(i)), replicate=0, seed=_request_seed(seed, i))
            for i in indices
        ]
        return np.stack([image.pixels for image in generator.generate(requests)])

    return make


def _request_seed(seed: int, index: int) -> int:
    return int(np.random.default_rng([seed, 2, index]).integers(2**62))


def _channels_first(drawings: Pixels) -> Tensor:
    return torch.from_numpy(drawings).permute(0, 3, 1, 2)


def _enlarge_all(pictures: Tensor) -> Pixels:
    """uint8 (n, 3, 128, 128) -> uint8 (n, 256, 256, 3)."""
    return np.stack([enlarge(picture) for picture in pictures])
