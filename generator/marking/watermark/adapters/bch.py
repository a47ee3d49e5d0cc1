"""Binary BCH codes, shortened: what hard bits of a foreign watermark are protected with.

A codeword is its data bits followed by the check bits, most significant first, as a polynomial over GF(2) that the
generator polynomial divides. Bits are uint8 arrays of 0 and 1.

Source: Berlekamp-Massey and Chien's search, as in every textbook on algebraic codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
_PRIMITIVE = {7: 0x89, 8: 0x11D}  # x^7 + x^3 + 1 (also TrustMark's), x^8 + x^4 + x^3 + x^2 + 1


@dataclass(frozen=True, slots=True)
class Corrected:
    """A codeword near the bits received.

    Args:
        data: uint8 (data_bits,).
        errors: number of bits that were flipped to get there.
    """

    data: Bits
    errors: int


@dataclass(frozen=True)
class BCH:
    """One code.

    Args:
        field: m of GF(2**m), 7 or 8; the code is at most 2**m - 1 bits long.
        errors: number of wrong bits that it corrects for sure.
        data_bits: number of data bits; the code is shortened to them.
    """

    field: int
    errors: int
    data_bits: int

    def __post_init__(self) -> None:
        if self.length > self._order:
            raise ValueError(f"BCH: {self.length} bits do not fit into {self._order}")

    @property
    def length(self) -> int:
        """Bits of a codeword."""
        return self.data_bits + self.check_bits

    @property
    def check_bits(self) -> int:
        """Degree of the generator polynomial."""
        return self._generator.bit_length() - 1

    @property
    def _order(self) -> int:
        return (1 << self.field) - 1

    @cached_property
    def _powers(self) -> NDArray[np.int64]:
        """Powers of the primitive element, twice around: int64 (2 * order,)."""
        powers, value = [], 1
        for _ in range(2 * self._order):
            powers.append(value)
            value <<= 1
            if value >> self.field:
                value ^= _PRIMITIVE[self.field]
        return np.array(powers)

    @cached_property
    def _logs(self) -> dict[int, int]:
        return {int(value): exponent for exponent, value in enumerate(self._powers[: self._order])}

    @cached_property
    def _generator(self) -> int:
        """Product of the minimal polynomials of the first 2 * errors powers, as a bit mask."""
        product, seen = 1, set[int]()
        for exponent in range(1, 2 * self.errors, 2):
            conjugates = {exponent * (1 << step) % self._order for step in range(self.field)}
            if not conjugates & seen:
                seen |= conjugates
                product = _multiply(product, self._minimal_polynomial(sorted(conjugates)))
        return product

    def _minimal_polynomial(self, exponents: list[int]) -> int:
        coefficients = [1]  # highest degree first; the product of (x + root)
        for exponent in exponents:
            root = int(self._powers[exponent])
            shifted = [0, *(self._product(value, root) for value in coefficients)]
            coefficients = [a ^ b for a, b in zip([*coefficients, 0], shifted, strict=True)]
        return int("".join(map(str, coefficients)), 2)

    def _product(self, one: int, other: int) -> int:
        return int(self._powers[self._logs[one] + self._logs[other]]) if one and other else 0

    def _quotient(self, one: int, other: int) -> int:
        return int(self._powers[self._logs[one] - self._logs[other] + self._order]) if one else 0

    def encode(self, data: Bits) -> Bits:
        """The codeword of `data`: uint8 (length,)."""
        value = int("".join(map(str, data.tolist())), 2) << self.check_bits
        rest = value
        for position in range(self.length - 1, self.check_bits - 1, -1):
            if rest >> position & 1:
                rest ^= self._generator << (position - self.check_bits)
        text = f"{value | rest:0{self.length}b}"
        return np.frombuffer(text.encode(), np.uint8) - ord("0")

    def decode(self, received: Bits) -> Corrected | None:
        """The codeword within `errors` bits of `received`, uint8 (length,); None: there is none."""
        positions = self.length - 1 - np.flatnonzero(received)  # exponents of x
        syndromes = [
            int(np.bitwise_xor.reduce(self._powers[positions * power % self._order]))
            for power in range(1, 2 * self.errors + 1)
        ]
        if not any(syndromes):
            return Corrected(received[: self.data_bits].copy(), 0)
        locator = self._locator(syndromes)
        degree = len(locator) - 1
        wrong = self._roots(locator)
        if degree > self.errors or len(wrong) != degree:
            return None
        repaired = received.copy()
        repaired[self.length - 1 - wrong] ^= 1
        return Corrected(repaired[: self.data_bits], degree)

    def _locator(self, syndromes: list[int]) -> list[int]:
        """Berlekamp-Massey: coefficients of the shortest recurrence of the syndromes, lowest degree first."""
        current, previous = [1], [1]
        degree, gap, last = 0, 1, 1
        for index, syndrome in enumerate(syndromes):
            discrepancy = syndrome
            for step in range(1, min(degree, len(current) - 1) + 1):
                discrepancy ^= self._product(current[step], syndromes[index - step])
            if discrepancy == 0:
                gap += 1
                continue
            factor = self._quotient(discrepancy, last)
            update = [0] * gap + [self._product(factor, value) for value in previous]
            size = max(len(current), len(update))
            padded = (part + [0] * (size - len(part)) for part in (current, update))
            updated = [a ^ b for a, b in zip(*padded, strict=True)]
            if 2 * degree <= index:
                previous, last, degree, gap = current, discrepancy, index + 1 - degree, 1
            else:
                gap += 1
            current = updated
        while len(current) > 1 and current[-1] == 0:
            current.pop()
        return current

    def _roots(self, locator: list[int]) -> NDArray[np.int64]:
        """Chien's search: exponents of x at which a bit of this code is wrong."""
        exponents = np.arange(self.length)
        total = np.zeros(self.length, np.int64)
        for step, value in enumerate(locator):
            if value:
                total ^= self._powers[(self._logs[value] - step * exponents) % self._order]
        return np.flatnonzero(total == 0)


def _multiply(one: int, other: int) -> int:
    """Product of two polynomials over GF(2), as bit masks."""
    product = 0
    while other:
        product ^= one * (other & 1)
        one, other = one << 1, other >> 1
    return product
