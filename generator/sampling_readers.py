"""Marks that are left while a picture is made, under the registry's `Reader` interface.

The noise of an embedded family or of a diffusers pipeline is keyed (`sampling_mark`). Who has the key and the issued
seeds (`sampling_keys`) reads from pixels alone which seed made a picture. Such a mark names a sampler and a seed; it
has no identifier, and it cannot be put into a finished picture.

It lives in the generator's own grid, so a crop or a rotation hides it. Where the watermark was found, its geometry
lays the picture as it was before the mark is read. Everything that is tried is paid for: the p-value is corrected for
seeds and placements, whose number is settled before the sampling key has a say. Under the public key it holds for
pictures that were made without that key, and a find proves no origin.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.embedded import MARKED, EmbeddedGenerator
from generator.errors import InputError
from generator.marking.watermark.interface import (
    ALPHA,
    Detection,
    Geometry,
    Pixels,
    Search,
    check_pixels,
    check_question,
    too_small,
)
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.realign import realign
from generator.sampling_keys import BY_FAMILY, LATENTS, TOKENS, Issued, SamplingDetection, SamplingKey
from generator.sampling_mark import MarkReading
from generator.sources import Source

PIPELINE = "diffusers"
"""Folder, beside the models of others, with the pipeline that is asked when no run names another."""

_LEAST_SHARE = 4  # of the side that was generated, below which nothing is left to read


class NoiseReader(Protocol):
    """A generator that finds the noise of its pictures again."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its pictures, px."""

    @property
    def weights_digest(self) -> str:
        """`sha256:` digest of the weights."""

    def read_mark(
        self,
        pixels: NDArray[np.uint8],
        seeds: Sequence[int] | NDArray[np.uint64],
        *,
        keys: Sequence[bytes],
        seen: NDArray[np.float32] | None = None,
    ) -> MarkReading:
        """Which of the seeds made the picture."""


class SamplingMark:
    """The mark that one generator leaves; see `interface.Reader`.

    Args:
        name: of the technique.
        maker: what made the pictures, in words.
        generator: reads the noise.
    """

    def __init__(self, name: str, maker: str, generator: NoiseReader) -> None:
        self.name, self._maker, self.generator = name, maker, generator

    @property
    def min_side(self) -> int:
        """Shortest side of a picture that is read, px."""
        return -(-min(self.generator.size) // _LEAST_SHARE)

    def detect(
        self,
        pixels: Pixels,
        *,
        key: WatermarkKey,
        search: Search = "full",
        alpha: float = ALPHA,
        mark: Detection | None = None,
        mark_key: WatermarkKey | None = None,
    ) -> SamplingDetection:
        """Decide which of the issued seeds made a picture.

        Args:
            pixels: uint8 (H, W, 3).
            key: a `SamplingKey`; any other has no seeds, and nothing is found with it.
            search: makes no difference.
            alpha: level of the decision, in (0, 1).
            mark: what this project's watermark says of the picture; its geometry is undone.
            mark_key: that it was found with.

        Raises:
            InputError: as `Reader.detect`.
            CannotCheckError: a pipeline that cannot be run backwards.
        """
        check_pixels(pixels)
        check_question(search, alpha)
        known = key if isinstance(key, SamplingKey) else SamplingKey(key.secret)
        if reason := too_small(pixels, least=self.min_side):
            return self._answer(known, reason)
        if not len(known.seeds):
            return self._answer(known, "No seed is known that was issued under this key.")
        readings = [self._read(pixels, known)]
        if mark is not None and mark_key is not None:
            for placed in realign(pixels, mark, key=mark_key, size=self.generator.size):
                readings.append(self._read(placed.pixels, known, seen=placed.seen))
        best = min(readings, key=lambda reading: reading.log10_p)
        log10_p = min(0.0, best.log10_p + math.log10(len(readings)))
        found = log10_p <= math.log10(alpha)
        laid = mark.geometry if mark is not None and found and best is not readings[0] else None
        return self._answer(
            known,
            self._name(best, log10_p, known, laid) if found else _name_none(best, log10_p, alpha),
            log10_p=log10_p,
            readings=len(readings),
            seed=best.seed if found else None,
            as_is=readings[0].log10_p,
            laid=laid,
        )

    def _read(
        self, pixels: Pixels, key: SamplingKey, *, seen: NDArray[np.float32] | None = None
    ) -> MarkReading:
        size = self.generator.size
        if pixels.shape[:2] != size:
            pixels = np.asarray(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
        return self.generator.read_mark(pixels, key.seeds, keys=(key.secret,), seen=seen)

    def _name(self, best: MarkReading, log10_p: float, key: SamplingKey, laid: Geometry | None) -> str:
        undone = f" It was read after undoing {_describe(laid)}, which the watermark tells." if laid else ""
        public = " The key is public, so anyone could have made it." if key.is_public else ""
        return (
            f"Seed {best.seed} of {self._maker} made this picture: one of other origin agrees this well with any of "
            f"{best.tried} seeds with probability 10^{log10_p:.1f} at most.{undone}{public}"
        )

    def _answer(
        self,
        key: SamplingKey,
        reason: str,
        *,
        log10_p: float = 0.0,
        readings: int = 1,
        seed: int | None = None,
        as_is: float = 0.0,
        laid: Geometry | None = None,
    ) -> SamplingDetection:
        return SamplingDetection(
            found=seed is not None,
            payload=None,
            log10_p=log10_p,
            candidates=len(key.seeds) * readings,
            log10_odds=0.0,
            geometry=laid,
            reason=reason,
            scheme=self.name,
            key_id=key.key_id,
            seed=seed,
            tried=len(key.seeds),
            as_is=as_is,
            undone=_describe(laid) if laid else "",
            is_public=key.is_public,
        )


def _name_none(best: MarkReading, log10_p: float, alpha: float) -> str:
    return (
        f"None of {best.tried} seeds is named: the best one reaches p = {10**log10_p:.2g}, more than {alpha:.2g}. "
        "The picture is of other origin, or changed too much."
    )


def _describe(geometry: Geometry) -> str:
    """What happened to a picture, in words."""
    parts = [f"a rotation by {geometry.rotation:.1f} degrees"] if abs(geometry.rotation) >= 0.05 else []
    parts += ["a mirroring"] if geometry.flipped else []
    parts += [f"a scaling by {geometry.scale:.3f}"] if abs(geometry.scale - 1) >= 0.002 else []
    return ", ".join(parts) or "a crop"


def load_mark(issued: Issued) -> SamplingMark:
    """The mark of the generator that seeds were issued to; the default family's when it is not said.

    Raises:
        InputError: the generator is not there, or it has other weights than then.
        WeightsError: the embedded weights are damaged.
        CannotCheckError: a library is missing, or the model cannot be loaded.
    """
    mark = _load(issued.source)
    digest = mark.generator.weights_digest
    if issued.weights_digest and digest != issued.weights_digest:
        raise InputError(
            f"the seeds were given to weights {issued.weights_digest[:19]}, the model here has "
            f"{digest[:19]}; restore the model of that run"
        )
    return mark


@functools.lru_cache(maxsize=4)
def _load(source: Source) -> SamplingMark:
    if source.kind == "embedded":
        family = source.family or MARKED[0]
        technique = BY_FAMILY[family]
        maker = "the token families" if technique == TOKENS else f"the {family} family"
        return SamplingMark(technique, maker, EmbeddedGenerator.load(family=family))
    from generator.adapters.diffusers import DiffusersGenerator  # an extra, and slow to import

    pipeline = DiffusersGenerator(
        source.target, source.options, guidance=source.guidance, negative=source.negative
    )
    return SamplingMark(LATENTS, source.spec, pipeline)


def load_tokens(_: Path) -> SamplingMark:
    """The token mark of the autoregressive and the masked family."""
    return _load(Source(family="autoregressive"))


def load_noise(_: Path) -> SamplingMark:
    """The noise mark of the diffusion family."""
    return _load(Source(family="diffusion"))


def load_latents(folder: Path) -> SamplingMark:
    """The noise mark of the diffusers pipeline in the folder's `PIPELINE`."""
    return _load(Source(f"diffusers:{folder / PIPELINE}"))
