"""From the hard bits that any watermark reads to an identifier and a proven bound on its p-value.

Whatever puts n bits into a picture and reads n bits from it can carry our identifier under our key, with a p-value
that needs no assumption about the reader: the bits written are a codeword plus a key-random mask.

Claim. Let a picture be made without knowledge of the key. Then the probability, over the key, that one of at most N
readings agrees with any of the 2**K codewords under the mask in at least a of n places is at most

    p = N * 2**K * P(Binomial(n, 1/2) >= a).

Proof. Fix the picture, hence the bits of each reading, and one codeword. The mask's bits are independent and uniform,
so each place agrees with probability 1/2, independently of the others, however much the bits that the reader found
depend on each other. Hence the binomial tail; then the union over codewords and readings. The error correction only
chooses the codeword that is looked at.

What the proof needs of the code: the reader knows nothing of the mask. What it does not cover: a picture made by
somebody who has the key or has read it from marked pictures. The mask is one per key, so one marked picture whose
identifier is known, and a reader that everybody has, give it away: such a mark is evidence against accidents, not
against forgery. Ours (`tile_fourier`) is better there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from generator.marking.payload import PAYLOAD_BITS, AssetId
from generator.marking.watermark.adapters.bch import BCH, Bits
from generator.marking.watermark.interface import Detection
from generator.marking.watermark.keys import WatermarkKey


@dataclass(frozen=True, slots=True)
class Message:
    """What n bits mean under a key.

    Args:
        name: of the scheme; other schemes get another mask.
        length: n, bits that the technique carries.
        code: of the identifier; None when n is too small for one: then the mark only tells whose key it is.
        readings: N, bit strings that one detection may look at, fixed in advance.
    """

    name: str
    length: int
    code: BCH | None
    readings: int = 1

    @property
    def capacity(self) -> int:
        """Payload in bits: 64 or 0."""
        return 0 if self.code is None else PAYLOAD_BITS

    def write(self, payload: AssetId, key: WatermarkKey) -> Bits:
        """The bits to embed: uint8 (length,)."""
        plain = np.zeros(self.length, np.uint8)
        if self.code is not None:
            bits = np.array(list(f"{payload.value:0{PAYLOAD_BITS}b}"), np.uint8)
            plain[: self.code.length] = self.code.encode(bits)
        return plain ^ self._mask(key)

    def read(self, bits: Bits, key: WatermarkKey) -> Reading:
        """What bits, uint8 (length,), of one reading say."""
        plain = bits ^ self._mask(key)
        if self.code is None:
            return Reading(None, self._bound(int(plain.sum()), message_bits=0), 0.0)
        corrected = self.code.decode(plain[: self.code.length])
        if corrected is None:
            return Reading(None, 0.0, 0.0)
        errors = corrected.errors + int(plain[self.code.length :].sum())
        value = int("".join(map(str, corrected.data.tolist())), 2)
        log10_p = self._bound(errors, message_bits=PAYLOAD_BITS)
        return Reading(AssetId(value), log10_p, self._odds(corrected.errors))

    def judge(
        self,
        readings: list[Reading],
        *,
        alpha: float,
        key: WatermarkKey,
        reason: str = "No watermark was found with this key.",
    ) -> Detection:
        """The decision over all readings of one picture, at most `self.readings`; `reason` if nothing is found."""
        assert len(readings) <= self.readings, "the union bound does not pay for so many"
        best = min(readings, key=lambda reading: reading.log10_p, default=Reading(None, 0.0, 0.0))
        found = best.log10_p <= math.log10(alpha)
        if found:
            reason = (
                "A watermark of this key was found; the chance that a picture without one looks like this is at most "
                f"1e{best.log10_p:.0f}."
            )
            if self.code is None:
                reason += " It has no room for an identifier."
        return Detection(
            found=found,
            payload=best.payload if found else None,
            log10_p=best.log10_p,
            candidates=self.readings,
            log10_odds=best.log10_odds if found else 0.0,
            geometry=None,
            reason=reason,
            scheme=self.name,
            key_id=key.key_id,
        )

    def _mask(self, key: WatermarkKey) -> Bits:
        return (key.stream(f"{self.name}/mask", self.length) >> np.uint64(63)).astype(np.uint8)

    def _bound(self, errors: int, *, message_bits: int) -> float:
        """log10 of the bound in the module's text, at most 0."""
        near = sum(math.comb(self.length, wrong) for wrong in range(errors + 1))
        return min(0.0, math.log10(self.readings * near) + (message_bits - self.length) * math.log10(2))

    def _odds(self, errors: int) -> float:
        """log10 of the likelihood ratio to the next codeword, at the error rate seen."""
        assert self.code is not None
        rate = (errors + 1) / (self.code.length + 2)
        return (2 * self.code.errors + 1 - 2 * errors) * math.log10((1 - rate) / rate)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one picture.

    Args:
        payload: the nearest identifier; None when there is none or the technique has no room for one.
        log10_p: bound of the module's text, at most 0; 0 also when no codeword is near.
        log10_odds: see `Detection.log10_odds`.
    """

    payload: AssetId | None
    log10_p: float
    log10_odds: float
