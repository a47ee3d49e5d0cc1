"""Which part of a verdict a C2PA status code speaks about.

Engines return one flat list of codes and one state. A reader needs to know whether the bytes changed, whether the
signature holds, who signed, and when; so every code is given to exactly one part. A failure code that nobody listed
counts against integrity: unknown never passes.

Source: C2PA specification 2.4, section 15.2 (status codes), and CAWG identity assertion 1.2 (cawg.*).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_CODES = 10_000  # codes kept of one list, more than a store of bounded size has


class Part(StrEnum):
    """The part of the verdict that a code belongs to."""

    INTEGRITY = "integrity"
    SIGNATURE = "signature"
    TRUST = "trust"
    TIME = "time"
    IDENTITY = "identity"


_BY_CODE = {
    "claimSignature.outsideValidity": Part.TIME,
    "signingCredential.expired": Part.TIME,
}
_BY_PREFIX = (
    ("claimSignature.", Part.SIGNATURE),
    ("ingredient.claimSignature.", Part.SIGNATURE),
    ("algorithm.", Part.SIGNATURE),
    ("signingCredential.", Part.TRUST),
    ("timeStamp.", Part.TIME),
    ("timestamp.", Part.TIME),
    ("manifest.timestamp.", Part.TIME),
    ("cawg.", Part.IDENTITY),
)
# What a recorded list may hold beside failures; older claim versions keep all codes in one list.
_HARMLESS_ENDINGS = (
    ".match",
    ".validated",
    ".trusted",
    ".insideValidity",
    ".accessible",
    ".notRevoked",
    ".ocsp.skipped",
    ".ocsp.inaccessible",
    ".well-formed",
    ".unknownProvenance",
    ".additionalExclusionsPresent",
)


@functools.lru_cache(maxsize=1024)  # the same few codes come with every file
def _part_of(code: str) -> Part:
    if code in _BY_CODE:
        return _BY_CODE[code]
    return next((part for prefix, part in _BY_PREFIX if code.startswith(prefix)), Part.INTEGRITY)


@dataclass(frozen=True, slots=True)
class Code:
    """One status code as a validator gave it.

    Attributes:
        code: e.g. "assertion.dataHash.mismatch".
        url: JUMBF address of what it is about; "" when not given.
        explanation: the validator's words; they come from the file and are never printed unescaped.
    """

    code: str
    url: str = ""
    explanation: str = ""

    @property
    def part(self) -> Part:
        """The part of the verdict it speaks about; integrity for a code that nobody listed."""
        return _part_of(self.code)

    @property
    def is_harmless(self) -> bool:
        """True for a success or a remark, which recorded lists may hold beside failures."""
        return self.code.endswith(_HARMLESS_ENDINGS)


@dataclass(frozen=True, slots=True)
class Codes:
    """The three lists of one validation."""

    success: tuple[Code, ...] = ()
    informational: tuple[Code, ...] = ()
    failure: tuple[Code, ...] = ()

    def of(self, part: Part) -> tuple[Code, ...]:
        """Failures of one part."""
        return tuple(code for code in self.failure if code.part is part)

    def has(self, *names: str) -> bool:
        """Whether one of these codes stands in any list."""
        return any(code.code in names for code in (*self.success, *self.informational, *self.failure))


def parse_code_list(value: object) -> tuple[Code, ...]:
    """Codes of an untrusted JSON list; entries of another shape are kept as `malformed` failures, not dropped."""
    if value is None:
        return ()
    if not isinstance(value, list):
        return (
            Code("assertion.ingredient.malformed", explanation="a list of status codes has another shape"),
        )
    return tuple(_parse_code(entry) for entry in value[:MAX_CODES])


def _parse_code(entry: object) -> Code:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("code"), str):
        return Code("assertion.ingredient.malformed", explanation="a recorded status has another shape")
    return Code(entry["code"], str(entry.get("url") or ""), str(entry.get("explanation") or ""))


def parse_codes(value: object) -> Codes:
    """The three lists of an untrusted JSON object `{success, informational, failure}`."""
    if value is None:
        return Codes()
    if not isinstance(value, Mapping):
        return Codes(failure=parse_code_list(value))
    return Codes(
        success=parse_code_list(value.get("success")),
        informational=parse_code_list(value.get("informational")),
        failure=parse_code_list(value.get("failure")),
    )


def names(codes: Iterable[Code]) -> list[str]:
    """The distinct code names, in order of appearance."""
    return list(dict.fromkeys(code.code for code in codes))
