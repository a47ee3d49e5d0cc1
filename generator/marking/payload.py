"""The identifier that ties one picture's watermark, manifest, label and ledger entry together: 64 bits, or 128.

The identifier is opaque: it is derived with a secret, so nobody without that secret can tell from it which
run, prompt or person it belongs to, and two runs never share identifiers. What it means is written only in
the ledger. It holds no date, no counter and no name on purpose.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from generator.errors import InputError

PAYLOAD_BITS = 64
LENGTHS = (PAYLOAD_BITS, 128)
"""Lengths of an identifier, bits; the first is the default. The longer one costs the watermark some robustness."""

_HEX_FORM = re.compile(r"(?:[0-9a-f]{16}){1,2}")
_PERSON = b"assay-asset-id-1"  # BLAKE2b personalisation, exactly 16 bytes
_SECRET_BYTES = (16, 64)  # 64 is the longest key that BLAKE2b takes


@dataclass(frozen=True, slots=True, order=True)
class AssetId:
    """One asset's identifier.

    Args:
        value: unsigned integer, 0 to 2**bits - 1.
        bits: length, of LENGTHS.

    Raises:
        InputError: the value is no integer or does not fit into so many bits, or there is no such length.
    """

    value: int
    bits: int = PAYLOAD_BITS

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise InputError(
                f"asset id: got a {type(self.value).__name__}, expected an integer; "
                "use AssetId.from_hex for the text form"
            )
        if self.bits not in LENGTHS:
            raise InputError(f"asset id: length {self.bits!r}, expected {LENGTHS[0]} or {LENGTHS[1]} bits")
        if not 0 <= self.value < 1 << self.bits:
            raise InputError(
                f"asset id {self.value}: out of range, expected 0 to 2**{self.bits} - 1; "
                "derive it with AssetId.derive"
            )

    @classmethod
    def from_int(cls, value: int) -> AssetId:
        """Identifier from an unsigned 64-bit integer; raises InputError when it does not fit."""
        return cls(value)

    @classmethod
    def from_hex(cls, text: str) -> AssetId:
        """Identifier from its text form: exactly 16 lower-case hexadecimal digits, or 32 for the longer one.

        Raises:
            InputError: the text has another form (upper case, prefix and blanks are refused, so that
                equal identifiers always have equal text).
        """
        if not isinstance(text, str) or _HEX_FORM.fullmatch(text) is None:
            raise InputError(
                f"asset id {text!r}: expected 16 lower-case hexadecimal digits, or 32, "
                "as printed by `assay inspect` and kept in the ledger"
            )
        return cls(int(text, 16), 4 * len(text))

    @classmethod
    def derive(cls, secret: bytes, context: str, *, bits: int = PAYLOAD_BITS) -> AssetId:
        """Identifier of one asset of one run: the same (secret, context) always gives the same identifier.

        A resumed run therefore gives each picture the identifier that it had before. Two different contexts
        collide with probability 2**-bits per pair: with 64 about 3e-8 in a run of a million pictures.

        Args:
            secret: the run's secret, 16 to 64 bytes.
            context: what is identified, for example "nurse-03/7" (prompt id and replicate).
            bits: length, of LENGTHS.

        Raises:
            InputError: the secret is too short or too long, or the context is empty.

        Source: keyed BLAKE2b, RFC 7693.
        """
        low, high = _SECRET_BYTES
        if not low <= len(secret) <= high:
            raise InputError(f"run secret: got {len(secret)} bytes, expected {low} to {high} random bytes")
        if not context:
            raise InputError("asset id: empty context; name the prompt id and the replicate")
        if bits not in LENGTHS:
            raise InputError(f"asset id: length {bits!r}, expected {LENGTHS[0]} or {LENGTHS[1]} bits")
        digest = hashlib.blake2b(context.encode(), digest_size=bits // 8, key=secret, person=_PERSON).digest()
        return cls(int.from_bytes(digest, "big"), bits)

    @property
    def hex(self) -> str:
        """Text form: one lower-case hexadecimal digit per four bits."""
        return f"{self.value:0{self.bits // 4}x}"

    def __str__(self) -> str:
        return self.hex
