"""Training data of the embedded models: drawn, not collected.

A pool on disk is only a cache of a corpus seed (and of the weights that turned it into tokens); deleting it loses
nothing. The last `HELD_OUT` items of every pool are for figures only, no batch contains them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from generator.embedded import compute_encoder_digest, load_tokenizer
from generator.figures import CHUNK
from generator.portraits import Corpus
from generator.portraits.captions import caption
from generator.tokenizer import OUTPUT_SIZE, TOKENS, reduce_by_two
from generator.weights import Weights, write_atomically

HELD_OUT = 256
CAPTIONS = 4  # captions per drawing; a batch takes one of them

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pool:
    """Drawings with captions.

    Attributes:
        drawings: uint8 (n, 128, 128, 3), memory-mapped.
        captions: one per drawing.
    """

    drawings: NDArray[np.uint8]
    captions: tuple[str, ...]

    @property
    def training(self) -> int:
        """Number of items that batches are taken from."""
        return len(self.captions) - HELD_OUT


def draw_pool(corpus: Corpus, folder: Path, *, log: Log) -> Pool:
    """All items of a corpus at 128 px, drawn once and kept in `folder` under the digest of the corpus."""
    stem = folder / f"pool-{corpus.digest.removeprefix('sha256:')[:16]}"
    array, text = stem.with_suffix(".npy"), stem.with_suffix(".json")
    if not text.exists():
        log(f"drawing {len(corpus)} portraits into {array}")
        folder.mkdir(parents=True, exist_ok=True)
        captions: list[str] = []
        pixels = np.lib.format.open_memmap(
            array, mode="w+", dtype=np.uint8, shape=(len(corpus), OUTPUT_SIZE, OUTPUT_SIZE, 3)
        )
        for start in range(0, len(corpus), 500):
            part = corpus.batch(range(start, min(start + 500, len(corpus))), OUTPUT_SIZE)
            pixels[start : start + len(part.captions)] = part.pixels
            captions += part.captions
        pixels.flush()
        text.write_text(
            json.dumps(captions), encoding="utf-8"
        )  # last: its presence says that the pool is whole
    return Pool(np.load(array, mmap_mode="r"), tuple(json.loads(text.read_text(encoding="utf-8"))))


def pick(step: int, count: int, *, size: int, seed: int) -> NDArray[np.int64]:
    """Indices of the batch of a step, without repeats, from 0 to count - 1."""
    return np.random.default_rng([seed, step]).choice(count, size=size, replace=False)


@dataclass(frozen=True, slots=True)
class TokenPool:
    """Drawings as the prior sees them.

    Attributes:
        tokens: int64 (n, 64).
        captions: four per drawing.
    """

    tokens: Tensor
    captions: Sequence[Sequence[str]]


def tokenise_pool(corpus: Corpus, weights: Weights, folder: Path, *, log: Log) -> TokenPool:
    """All items of a corpus as tokens, computed once and kept in `folder`, with their captions."""
    name = hashlib.sha256(f"{corpus.digest} {compute_encoder_digest(weights)}".encode()).hexdigest()[:16]
    path = folder / f"tokens-{name}.safetensors"
    if not path.exists():
        log(f"tokenising {len(corpus)} portraits into {path}")
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = load_tokenizer(weights)
        tokens = torch.empty(len(corpus), TOKENS, dtype=torch.int16)
        for start in range(0, len(corpus), CHUNK):
            part = corpus.batch(range(start, min(start + CHUNK, len(corpus))), OUTPUT_SIZE)
            end = start + len(part.captions)
            tokens[start:end] = tokenizer.encode(reduce_by_two(channels_first(part.pixels).float() / 255))
        write_atomically(path, save({"tokens": tokens}))
    rng = np.random.default_rng([corpus.seed, 1])
    captions = [tuple(caption(corpus.traits(i), rng) for _ in range(CAPTIONS)) for i in range(len(corpus))]
    return TokenPool(load_file(path)["tokens"].long(), captions)


def channels_first(drawings: NDArray[np.uint8]) -> Tensor:
    """Drawings uint8 (n, H, W, 3) -> tensor (n, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(drawings.transpose(0, 3, 1, 2)))
