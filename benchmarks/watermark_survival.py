"""How many identifiers survive each attack: the same pictures, damage and count for every scheme."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np

from benchmarks.attacks import ATTACKS, Pixels
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import InsufficientCapacityError, Scheme
from generator.marking.watermark.keys import WatermarkKey

T = TypeVar("T")
_LUMA_CONSTANTS = ((0.01 * 255) ** 2, (0.03 * 255) ** 2)  # of SSIM


class Contender(Protocol):
    """A scheme under measurement: it marks a picture, and says whether it reads that very identifier again."""

    @property
    def name(self) -> str:
        """For tables."""

    @property
    def bits(self) -> int:
        """Length of its identifier."""

    def embed(self, pixels: Pixels, seed: int) -> Pixels | None:
        """The marked picture for the identifier that `seed` stands for; None when it is refused."""

    def reads(self, pixels: Pixels, seed: int) -> bool:
        """Whether all bits of that identifier are read."""


@dataclass(frozen=True)
class Registered:
    """A scheme of the registry at a chosen PSNR; every picture has its own key and identifier."""

    scheme: Scheme
    psnr: float
    name: str = "ours"
    bits: int = 64

    def _secrets(self, seed: int) -> tuple[WatermarkKey, AssetId]:
        rng = np.random.default_rng([seed, 7])
        return WatermarkKey(rng.bytes(32)), AssetId(int.from_bytes(rng.bytes(self.bits // 8)), self.bits)

    def embed(self, pixels: Pixels, seed: int) -> Pixels | None:
        """See `Contender`."""
        key, payload = self._secrets(seed)
        try:
            return self.scheme.embed(pixels, payload, key=key, psnr=self.psnr).pixels
        except InsufficientCapacityError:
            return None

    def reads(self, pixels: Pixels, seed: int) -> bool:
        """See `Contender`."""
        key, payload = self._secrets(seed)
        return self.scheme.detect(pixels, key=key).payload == payload


@dataclass(frozen=True)
class Survival:
    """What one contender reached on one set of pictures.

    Attributes:
        name: of the contender.
        side: px.
        pictures: number of pictures.
        refused: of them, how many could not be marked; they count as lost under every attack.
        psnr: dB, mean over the marked pictures.
        ssim: mean over the marked pictures.
        read: attack -> number of pictures whose identifier was read exactly.
        embed_ms: median CPU time.
        read_ms: attack -> median CPU time of reading.
    """

    name: str
    side: int
    pictures: int
    refused: int
    psnr: float
    ssim: float
    read: Mapping[str, int]
    embed_ms: float
    read_ms: Mapping[str, float]

    def share(self, attack: str) -> float:
        """Share of all pictures read after an attack."""
        return self.read[attack] / self.pictures

    def to_json(self) -> dict[str, object]:
        """As one object of the document."""
        return {
            "name": self.name,
            "side": self.side,
            "pictures": self.pictures,
            "refused": self.refused,
            "psnr": round(self.psnr, 2),
            "ssim": round(self.ssim, 4),
            "embed_ms": round(self.embed_ms, 1),
            "read_ms": {name: round(value, 1) for name, value in self.read_ms.items()},
            "read": dict(self.read),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Survival:
        """The inverse of `to_json`, up to rounding."""
        return cls(**record)


@dataclass
class _Tally:
    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    embed_ms: list[float] = field(default_factory=list)
    read: dict[str, list[bool]] = field(default_factory=dict)
    read_ms: dict[str, list[float]] = field(default_factory=dict)


def measure_survival(contender: Contender, pictures: Iterable[Pixels], *, attacks: Sequence[str]) -> Survival:
    """Mark every picture, attack it in every way, and read.

    Raises:
        ValueError: no pictures.
    """
    tally = _Tally(read={name: [] for name in attacks}, read_ms={name: [] for name in attacks})
    count, side = 0, 0
    for seed, pixels in enumerate(pictures):
        count, side = count + 1, pixels.shape[0]
        if seed == 0:
            contender.embed(pixels, seed)  # the first call pays for imports and tables
        marked, seconds = _timed(lambda p=pixels, s=seed: contender.embed(p, s))
        if marked is None:
            continue
        tally.embed_ms.append(seconds)
        tally.psnr.append(compute_psnr(pixels, marked))
        tally.ssim.append(compute_ssim(pixels, marked))
        for number, name in enumerate(attacks):
            damaged = ATTACKS[name](marked, np.random.default_rng([seed, number]))
            right, seconds = _timed(lambda d=damaged, s=seed: contender.reads(d, s))
            tally.read[name].append(right)
            tally.read_ms[name].append(seconds)
    if not tally.psnr:
        raise ValueError(f"{contender.name}: none of {count} pictures could be marked")
    return Survival(
        name=contender.name,
        side=side,
        pictures=count,
        refused=count - len(tally.psnr),
        psnr=statistics.mean(tally.psnr),
        ssim=statistics.mean(tally.ssim),
        read={name: sum(right) for name, right in tally.read.items()},
        embed_ms=statistics.median(tally.embed_ms),
        read_ms={name: statistics.median(values) for name, values in tally.read_ms.items()},
    )


def _timed(action: Callable[[], T]) -> tuple[T, float]:
    """Result and CPU milliseconds of this process."""
    started = time.process_time()
    result = action()
    return result, 1000 * (time.process_time() - started)


def compute_psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio over all channels, dB; infinite for equal pictures."""
    return float(cv2.PSNR(one, other)) if not np.array_equal(one, other) else float("inf")


def compute_ssim(one: Pixels, other: Pixels) -> float:
    """Structural similarity of the luma, 11 x 11 Gaussian window of deviation 1.5.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13(4), 2004.
    """
    first, second = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in (one, other))

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (11, 11), 1.5)

    low, high = _LUMA_CONSTANTS
    means = mean(first), mean(second)
    product = means[0] * means[1]
    squares = means[0] ** 2 + means[1] ** 2
    covariance = mean(first * second) - product
    variances = mean(first * first) + mean(second * second) - squares
    similarity = (2 * product + low) * (2 * covariance + high) / ((squares + low) * (variances + high))
    return float(similarity.mean())
