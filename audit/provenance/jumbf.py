"""Boxes of a manifest store and the one CBOR structure in it that matters here, the COSE signature: where they lie.

Only positions are read, never meaning: the engine validates. Every loop and depth is bounded, since the bytes can be
anything.

Source: ISO/IEC 19566-5 (JUMBF boxes), C2PA 2.4 section 11 (labels and types), RFC 9052 (COSE_Sign1), RFC 8949 (CBOR).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_BOXES = 20_000
_MAX_ITEMS = 10_000  # CBOR items of one signature
_MAX_NESTING = 16
_TAG_SIGN1 = 18


class MalformedError(ValueError):
    """The bytes are not the structure that was expected."""


@dataclass(frozen=True, slots=True)
class Box:
    """One JUMBF box.

    Attributes:
        kind: four bytes, e.g. b"jumb".
        start: of its header.
        body: of its content.
        end: of the box.
        uuid: of a superbox: first four bytes of its type; b"" otherwise.
        toggles: of a superbox: flags of its description box; 0 otherwise.
        label: of a superbox.
        content: of a superbox: where the boxes after its description begin; `body` otherwise.
    """

    kind: bytes
    start: int
    body: int
    end: int
    uuid: bytes = b""
    toggles: int = 0
    label: bytes = b""
    content: int = 0


def boxes(store: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes that follow each other in a range.

    Raises:
        MalformedError: a box runs past the range, or there are more than `MAX_BOXES`.
    """
    for _ in range(MAX_BOXES):
        if start >= end:
            return
        box = _box(store, start, end)
        yield box
        start = box.end
    raise MalformedError(f"more than {MAX_BOXES} boxes")


def outer_box(store: bytes) -> Box:
    """The superbox that a store is; a wrong length in its header does not matter, as it does not to engines.

    Raises:
        MalformedError: there is none.
    """
    if store[4:8] != b"jumb":
        raise MalformedError("no superbox")
    return _superbox(store, 0, 16 if store[:4] == b"\x00\x00\x00\x01" else 8, len(store))


def _box(store: bytes, start: int, end: int) -> Box:
    if start + 8 > end:
        raise MalformedError(f"box header at byte {start} is cut off")
    length, kind = struct.unpack_from(">I4s", store, start)
    body = start + 8
    if length == 1 and start + 16 <= end:
        length, body = int.from_bytes(store[body : body + 8], "big"), start + 16
    stop = end if length == 0 else start + length
    if stop > end or stop < body:
        raise MalformedError(f"box at byte {start} has length {length}")
    if kind != b"jumb":
        return Box(kind, start, body, stop, content=body)
    return _superbox(store, start, body, stop)


def _superbox(store: bytes, start: int, body: int, end: int) -> Box:
    if body + 25 > end:
        raise MalformedError(f"superbox at byte {start} has no description")
    length, kind = struct.unpack_from(">I4s", store, body)
    stop = body + length
    if kind != b"jumd" or stop > end or length < 25:
        raise MalformedError(f"superbox at byte {start} has no description")
    terminator = store.find(b"\x00", body + 25, stop)
    label = store[body + 25 : terminator] if terminator > 0 else b""
    return Box(b"jumb", start, body, end, store[body + 8 : body + 12], store[body + 24], label, stop)


@dataclass(frozen=True, slots=True)
class Cose:
    """Where the parts of a COSE_Sign1 lie.

    Attributes:
        protected: content of the protected header, a CBOR map.
        unprotected: the whole unprotected header.
        entries: its entries: key -> range of the value's content.
        signature: content of the signature.
        end: of the structure.
    """

    protected: tuple[int, int]
    unprotected: tuple[int, int]
    entries: dict[str | int, tuple[int, int]]
    signature: tuple[int, int]
    end: int


def parse_cose(data: bytes, start: int) -> Cose:
    """The COSE_Sign1 that begins at a byte.

    Raises:
        MalformedError: there is none.
    """
    walker = _Walker(data, start)
    major, count = walker.head()
    if major == 6 and count == _TAG_SIGN1:
        major, count = walker.head()
    if (major, count) != (4, 4):
        raise MalformedError("no COSE_Sign1")
    protected = walker.item()
    begin = walker.position
    entries = walker.entries()
    unprotected = (begin, walker.position)
    walker.item()  # payload: null, since the claim is detached
    signature = walker.item()
    return Cose(protected, unprotected, entries, signature, walker.position)


def parse_map(data: bytes, start: int) -> dict[str | int, tuple[int, int]]:
    """The entries of a CBOR map: key (text or number) -> range of the value.

    Raises:
        MalformedError: there is no map.
    """
    return _Walker(data, start).entries()


def byte_strings(data: bytes, start: int) -> list[tuple[int, int]]:
    """The ranges of a CBOR byte string, or of an array of byte strings.

    Raises:
        MalformedError: there is something else.
    """
    walker = _Walker(data, start)
    major, count = walker.head()
    if major == 2:
        return [(walker.position, walker.position + count)]
    if major != 4 or count > _MAX_ITEMS:
        raise MalformedError("no list of byte strings")
    return [walker.item() for _ in range(count)]


class _Walker:
    """Steps over CBOR items; definite lengths only, as COSE's deterministic encoding has them."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._left = _MAX_ITEMS
        self.position = position

    def head(self) -> tuple[int, int]:
        """Major type and argument of the item at the position, which moves behind its head."""
        self._left -= 1
        if self._left < 0 or self.position >= len(self._data):
            raise MalformedError("CBOR breaks off")
        first = self._data[self.position]
        self.position += 1
        argument = first & 31
        if argument > 27:
            raise MalformedError("CBOR of indefinite length")
        if argument > 23:
            size = 1 << (argument - 24)
            argument = int.from_bytes(self._data[self.position : self.position + size], "big")
            self.position += size
        return first >> 5, argument

    def item(self, nesting: int = 0) -> tuple[int, int]:
        """Step over one item; the range of its content (strings) or of the whole item (anything else)."""
        begin = self.position
        major, argument = self.head()
        if nesting > _MAX_NESTING:
            raise MalformedError("CBOR nested too deeply")
        if major in (2, 3):
            begin = self.position
            self.position += argument
        elif major in (4, 5, 6):
            for _ in range(argument * (major - 3) if major < 6 else 1):
                self.item(nesting + 1)
        if self.position > len(self._data):
            raise MalformedError("CBOR breaks off")
        return begin, self.position

    def entries(self) -> dict[str | int, tuple[int, int]]:
        """Step over a map whose keys are text or numbers."""
        major, count = self.head()
        if major != 5:
            raise MalformedError("no CBOR map")
        found: dict[str | int, tuple[int, int]] = {}
        for _ in range(count):
            kind, key = self.head()
            name: str | int = key if kind == 0 else -1 - key
            if kind == 3:
                name = self._data[self.position : self.position + key].decode("utf-8", "replace")
                self.position += key
            found[name] = (self.position, self.item()[1])
        return found
