"""A corpus of portraits: a seed and a table of rates instead of files.

Item i depends on (seed, rates, i) alone: its random numbers come from a counter-based generator at counter i, and
every trait uses its own number, so dialling one rate leaves the traits that do not depend on it as they were.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import index as whole

import numpy as np
from numpy.typing import NDArray

from generator.errors import InputError
from generator.portraits import captions
from generator.portraits.captions import CAPTION_VERSION
from generator.portraits.draw import DRAWING_VERSION, Pose, check_size, draw
from generator.portraits.rates import Rates
from generator.portraits.sampling import DRAWS, Sampler
from generator.portraits.traits import Traits

__all__ = ["Batch", "Corpus", "Rates"]

_TRAIT_STREAM, _CAPTION_STREAM = 0, 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Some items of a corpus.

    Attributes:
        pixels: uint8 (n, size, size, 3), RGB.
        traits: what is true of each drawing.
        captions: one caption per drawing.
    """

    pixels: NDArray[np.uint8]
    traits: tuple[Traits, ...]
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Corpus:
    """A numbered set of portraits.

    Attributes:
        seed: 0 to 2**64 - 1; two corpora with different seeds share no item but by chance.
        rates: distribution of the traits.
        size: number of items, at least 1.

    Raises:
        InputError: seed or size out of range.
    """

    seed: int
    rates: Rates
    size: int
    _key: NDArray[np.uint64] = field(init=False, repr=False, compare=False)
    _sampler: Sampler = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**64:
            raise InputError(f"corpus seed: got {self.seed}, expected a whole number from 0 to 2**64 - 1")
        if self.size < 1:
            raise InputError(f"corpus size: got {self.size}, expected at least 1 item")
        key = hashlib.sha256(b"assay portraits corpus" + whole(self.seed).to_bytes(8, "little")).digest()[:16]
        object.__setattr__(self, "_key", np.frombuffer(key, dtype="<u8").astype(np.uint64))
        object.__setattr__(self, "_sampler", Sampler(self.rates))

    def __len__(self) -> int:
        return self.size

    @property
    def digest(self) -> str:
        """`sha256:` over seed, size, rates and the versions of drawing and captions, as canonical JSON."""
        content = {
            "seed": whole(self.seed),
            "size": whole(self.size),
            "rates": self.rates.to_json(),
            "drawing_version": DRAWING_VERSION,
            "caption_version": CAPTION_VERSION,
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def traits(self, index: int) -> Traits:
        """Traits of item `index` (0 to size - 1)."""
        return self._sampler.traits(self._draws(index))

    def pose(self, index: int) -> Pose:
        """Pose of item `index`."""
        return self._sampler.pose(self._draws(index))

    def drawing(self, index: int, size: int) -> NDArray[np.uint8]:
        """Item `index` as uint8 (size, size, 3), RGB; size is 16 to 2048 px."""
        draws = self._draws(index)
        return draw(self._sampler.traits(draws), self._sampler.pose(draws), size=size)

    def caption(self, index: int) -> str:
        """Caption of item `index`."""
        return captions.caption(self.traits(index), self._rng(index, _CAPTION_STREAM))

    def batch(self, indices: Sequence[int], size: int) -> Batch:
        """Drawings, traits and captions of some items, in the order asked for.

        Args:
            indices: item numbers, 0 to size of the corpus - 1; repeats are allowed, none gives an empty batch.
            size: side of the drawings in pixels, 16 to 2048.

        Raises:
            InputError: an index or the size is out of range.
        """
        check_size(size)
        pixels = np.empty((len(indices), size, size, 3), dtype=np.uint8)
        traits: list[Traits] = []
        texts: list[str] = []
        for row, index in enumerate(map(int, indices)):
            draws = self._draws(index)
            traits.append(self._sampler.traits(draws))
            pixels[row] = draw(traits[-1], self._sampler.pose(draws), size=size)
            texts.append(captions.caption(traits[-1], self._rng(index, _CAPTION_STREAM)))
        return Batch(pixels=pixels, traits=tuple(traits), captions=tuple(texts))

    def _rng(self, index: int, stream: int) -> np.random.Generator:
        if not 0 <= index < self.size:
            raise InputError(f"corpus item {index}: expected 0 to {self.size - 1}")
        return np.random.Generator(np.random.Philox(key=self._key, counter=[0, 0, stream, index]))

    def _draws(self, index: int) -> list[float]:
        draws: list[float] = self._rng(index, _TRAIT_STREAM).random(DRAWS).tolist()
        return draws
