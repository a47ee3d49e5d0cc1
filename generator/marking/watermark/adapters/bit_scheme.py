"""A scheme out of any technique that writes bits into pixels and reads bits from them.

The technique knows nothing of keys, identifiers and p-values; `keyed_bits` adds those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from generator.marking.payload import PAYLOAD_BITS, AssetId
from generator.marking.watermark.adapters.bch import BCH, Bits
from generator.marking.watermark.adapters.keyed_bits import Message
from generator.marking.watermark.interface import (
    ALPHA,
    Detection,
    Embedding,
    InsufficientCapacityError,
    Pixels,
    Search,
    check_payload,
    check_pixels,
    check_psnr,
    check_question,
    check_room,
    too_small,
)
from generator.marking.watermark.keys import WatermarkKey

_ROUNDING = 1 / 12  # mean square of rounding to whole grey levels
_ROUNDS = 8  # of finding the strength


class Technique(Protocol):
    """One way to write and read a fixed number of bits."""

    @property
    def name(self) -> str:
        """Of the scheme that it becomes."""

    @property
    def bits(self) -> int:
        """Number of bits that a picture carries."""

    @property
    def readings(self) -> int:
        """Most bit strings that `read` returns."""

    @property
    def min_side(self) -> int:
        """Shortest side of a picture that can be marked or read, px."""

    @property
    def default_psnr(self) -> float | None:
        """Strength when none is asked for, dB; None: the technique's own, which cannot be changed."""

    def change(self, pixels: Pixels, bits: Bits) -> NDArray[np.float32]:
        """What to add: float32 (H, W, 3) or (H, W, 1), grey levels; up to a factor if the strength can be chosen."""

    def read(self, pixels: Pixels, *, search: Search) -> list[Bits]:
        """Bit strings uint8 (bits,), one per geometry tried."""


@dataclass(frozen=True)
class BitScheme:
    """A technique under our keys; see `interface.Scheme` for the methods' contracts."""

    technique: Technique

    @property
    def name(self) -> str:
        """Name of the technique."""
        return self.technique.name

    @property
    def capacity(self) -> int:
        """Payload in bits: 64, or 0 when the technique's bits only suffice to tell whose key it is."""
        return self._message.capacity

    @property
    def min_side(self) -> int:
        """Shortest side of a picture that can be marked, px."""
        return self.technique.min_side

    @property
    def _message(self) -> Message:
        technique = self.technique
        return Message(technique.name, technique.bits, choose_code(technique.bits), technique.readings)

    def embed(
        self,
        pixels: Pixels,
        payload: AssetId,
        *,
        key: WatermarkKey,
        psnr: float | None = None,
        nonce: bytes = b"",
    ) -> Embedding:
        """Mark one picture; nothing varies with the nonce."""
        check_pixels(pixels)
        if self.capacity:
            check_payload(payload, capacity=self.capacity)
        if psnr is not None:
            check_psnr(psnr)
        check_room(pixels, least=self.min_side)
        change = self.technique.change(pixels, self._message.write(payload, key))
        if self.technique.default_psnr is None:
            marked = _add(pixels, change)
            measured = _psnr(marked, pixels)
            if psnr is not None and measured < psnr:
                raise InsufficientCapacityError(
                    f"insufficient capacity: {self.name} marks this picture at {measured:.1f} dB, expected at "
                    f"least {psnr:g} dB; its strength cannot be chosen, use another scheme"
                )
        else:
            marked, measured = add_at_psnr(pixels, change, psnr=psnr or self.technique.default_psnr)
        found = self.detect(marked, key=key, search="quick")
        if not found.found or found.payload != (payload if self.capacity else None):
            raise InsufficientCapacityError(
                f"insufficient capacity: what {self.name} wrote into this picture at {measured:.1f} dB could not be "
                "read back; lower the PSNR or use another scheme"
            )
        return Embedding(marked, payload, measured, found.log10_p, self.name, key.key_id)

    def detect(
        self, pixels: Pixels, *, key: WatermarkKey, search: Search = "full", alpha: float = ALPHA
    ) -> Detection:
        """Decide whether one picture carries a mark made with `key`."""
        check_pixels(pixels)
        check_question(search, alpha)
        message = self._message
        if reason := too_small(pixels, least=self.min_side):
            return message.judge([], alpha=alpha, key=key, reason=reason)
        readings = [message.read(bits, key) for bits in self.technique.read(pixels, search=search)]
        return message.judge(readings, alpha=alpha, key=key)


@lru_cache(maxsize=8)
def choose_code(bits: int) -> BCH | None:
    """The strongest code for an identifier in that many bits; None when its p-value could never be small."""
    spare = bits - PAYLOAD_BITS
    field = 7 if bits < 128 else 8
    errors = min(spare // field, 29)  # 29: the most with 64 data bits in 255
    if errors < 3:
        return None
    return BCH(field, errors, PAYLOAD_BITS)


def add_at_psnr(pixels: Pixels, change: NDArray[np.float32], *, psnr: float) -> tuple[Pixels, float]:
    """Add a change, float32 (H, W, 1 or 3), as strongly as `psnr`, dB, allows; returns pixels and measured PSNR."""
    wanted = 255.0**2 / 10 ** (psnr / 10)  # mean squared change
    gain = math.sqrt(max(wanted - _ROUNDING, wanted / 4) / max(float(np.mean(change**2)), 1e-12))
    low, high = 0.0, math.inf  # gains known to be weak enough, and too strong
    marked, measured = pixels, math.inf
    for _ in range(_ROUNDS):
        trial = _add(pixels, gain * change)
        got = float(np.mean((trial.astype(np.float32) - pixels) ** 2))
        if got <= wanted:
            low, marked, measured = gain, trial, _psnr(trial, pixels)
        else:
            high = gain
        if 0.97 * wanted <= got <= wanted:
            break
        guess = gain * math.sqrt(0.985 * wanted / max(got, wanted / 9))
        gain = guess if low < guess < high else (low + min(high, 4 * low)) / 2
    return marked, measured


def _add(pixels: Pixels, change: NDArray[np.float32]) -> Pixels:
    marked: Pixels = np.clip(np.rint(pixels + change), 0, 255).astype(np.uint8)
    return marked


def _psnr(one: Pixels, other: Pixels) -> float:
    mean_square = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 10 * math.log10(255.0**2 / mean_square) if mean_square else math.inf
