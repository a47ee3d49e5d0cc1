"""Marks that others stamp without a key: what Stable Diffusion, SDXL and FLUX write, and TrustMark's own packets.

Everybody can read these, and everybody can write them. There is no key, hence no p-value with a proof: what is given
is the chance that random bits agree as well, and the bits that a reader finds in a picture are not random. So such a
mark is a hint where the picture came from, never evidence of ours, and its absence says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from generator.marking.watermark.adapters.bch import BCH, Bits
from generator.marking.watermark.adapters.invisible_watermark import BlockTechnique, vote
from generator.marking.watermark.interface import Pixels, check_pixels

CHANCE = 1e-6
"""A mark is named only if random bits agree as well with at most this probability."""

_LEAST_SIDE = 256  # px; the package neither writes nor reads smaller areas


@dataclass(frozen=True, slots=True)
class PublicMark:
    """A public mark that was recognised.

    Args:
        technique: how it was written.
        says: what it says, in words.
        errors: bits that differ from what was written.
        length: bits in all.
        log10_chance: log10 of the probability that random bits agree as well; not a p-value, see above.
    """

    technique: str
    says: str
    errors: int
    length: int
    log10_chance: float

    def __str__(self) -> str:
        right = self.length - self.errors
        return f"{self.technique}: {self.says} ({right} of {self.length} bits); anybody can write this mark"


def _text(text: str) -> Bits:
    return np.unpackbits(np.frombuffer(text.encode(), np.uint8))


def _number(value: int) -> Bits:
    return np.array(
        list(f"{value:b}"), np.uint8
    )  # the first bit is 1: the stamping code writes them like this


# What stamps it, and the bits. Sources: CompVis/stable-diffusion scripts/txt2img.py; Stability-AI/generative-models
# and diffusers (SDXL); black-forest-labs/flux2 src/flux2/watermark.py.
STAMPS: tuple[tuple[str, Bits], ...] = (
    ("the string that Stable Diffusion 1 writes", _text("StableDiffusionV1")),
    ("the number that Stable Diffusion XL writes", _number(0xB3EC907BB19E)),
    ("the number that FLUX writes", _number(0x2AFE879CF52E)),
)

# Version field -> name, data bits, correctable errors; TrustMark 0.9. The two schemas with fewer check bits are left
# out: 1 and 7 of 100 strings of random bits pass them.
_TRUSTMARK = {0: ("BCH_SUPER", 40, 8), 1: ("BCH_5", 61, 5)}
_TRUSTMARK_BITS = 100


def recognise(pixels: Pixels) -> tuple[PublicMark, ...]:
    """The stamps in one picture, uint8 (H, W, 3); none below 256 px."""
    if min(check_pixels(pixels).shape[:2]) < _LEAST_SIDE:
        return ()
    blocks = BlockTechnique(svd=False).read_blocks(pixels)
    found = []
    for says, bits in STAMPS:
        errors = int(np.sum(vote(blocks, len(bits)) != bits))
        chance = _log10_chance(len(bits), errors, data_bits=0)
        if chance <= math.log10(CHANCE):
            found.append(PublicMark("dwtDct", says, errors, len(bits), chance))
    return tuple(found)


def parse_trustmark(bits: Bits) -> PublicMark | None:
    """TrustMark's own packet in its 100 raw bits; None when its check bits do not hold."""
    version = int("".join(map(str, bits[-2:])), 2)
    if len(bits) != _TRUSTMARK_BITS or version not in _TRUSTMARK:
        return None
    name, data_bits, correctable = _TRUSTMARK[version]
    code = BCH(7, correctable, -(-data_bits // 8) * 8)  # the check bits are over whole bytes
    packet = bits[: data_bits + code.check_bits]
    padding = np.zeros(code.data_bits - data_bits, np.uint8)
    corrected = code.decode(np.concatenate([packet[:data_bits], padding, packet[data_bits:]]))
    if corrected is None or corrected.data[data_bits:].any():
        return None
    payload = "".join(map(str, corrected.data[:data_bits]))
    chance = _log10_chance(len(packet), corrected.errors, data_bits=data_bits)
    says = f"a packet of schema {name}, payload {payload}"
    return PublicMark("TrustMark", says, corrected.errors, len(packet), chance)


def _log10_chance(length: int, errors: int, *, data_bits: int) -> float:
    near = sum(math.comb(length, wrong) for wrong in range(errors + 1))
    return min(0.0, math.log10(near) + (data_bits - length) * math.log10(2))
