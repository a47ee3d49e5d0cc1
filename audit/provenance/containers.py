"""Where the manifest store lies in a file: PNG, JPEG and RIFF are walked, in anything else the store is looked for.

Reads bytes only and interprets nothing. The engine decides what a file says; this is for naming the bytes that no
signature covers, and for showing the certificates of a signer whom the engine refuses.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

Span = tuple[int, int]
"""Start and end of a range of bytes."""

Data = bytes | mmap
"""A file's bytes, in memory or mapped."""

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_PARTS = 1 << 20  # chunks or segments walked
_STORE = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"  # description box of a manifest store
_GIF = b"\x21\xff\x0bC2PA_GIF"  # application extension; three bytes of version follow
_SVG = re.compile(rb"<c2pa:manifest[^>]{0,200}>([A-Za-z0-9+/=\s]*)</c2pa:manifest>")
_SNIFFED = 4_096  # bytes at the start of a file in which an SVG names itself
_JPEG_PREFIX = 8  # CI, En and Z of a JUMBF segment
_BOX_HEADER = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a manifest store lies.

    Attributes:
        pieces: ranges of the file that, one after the other, are the store; a JPEG has one for each segment.
        framing: name -> ranges of the file that hold the store but do not belong to it.
        damage: names of what is wrong with the framing although the engine does not mind.
        trailing: number of bytes after the end of the picture.
        decoded: the store itself, where the file holds it only in another writing (base64 in SVG).
    """

    pieces: tuple[Span, ...] = ()
    framing: tuple[tuple[str, tuple[Span, ...]], ...] = ()
    damage: tuple[str, ...] = ()
    trailing: int = 0
    decoded: bytes = b""

    def store(self, data: Data) -> bytes:
        """The bytes of the store; empty when there is none."""
        return self.decoded or b"".join(data[start:end] for start, end in self.pieces)

    def in_file(self, span: Span) -> list[Span]:
        """The ranges of the file that a range of the store occupies."""
        found = []
        offset = 0
        for start, end in self.pieces:
            low = max(span[0], offset)
            high = min(span[1], offset + end - start)
            if low < high:
                found.append((start + low - offset, start + high - offset))
            offset += end - start
        return found


def locate_store(data: Data) -> Place:
    """The place of the first manifest store; an empty `Place` when none is found or the container is damaged."""
    if data[:8] == _PNG:
        return _in_png(data)
    if data[:2] == b"\xff\xd8":
        return _in_jpeg(data)
    if data[:4] == b"RIFF":
        return _in_riff(data)
    if data[:4] == b"GIF8":
        return _in_gif(data)
    written = _SVG.search(data) if b"<svg" in data[:_SNIFFED] else None
    if written is not None:
        return _in_svg(written[1])
    start = data.find(_STORE) - _BOX_HEADER - 4
    if start < 0:
        return Place()
    end = start + int.from_bytes(data[start : start + 4], "big")
    if end > len(data) or data.find(_STORE, end) >= 0:
        return Place()  # cut off; or one of several, and which the engine reads is not known here
    return Place(((start, end),))


def _in_svg(written: bytes) -> Place:
    try:
        return Place(decoded=base64.b64decode(written))
    except binascii.Error:
        return Place()


def _in_png(data: Data) -> Place:
    position = len(_PNG)
    found: Span | None = None
    for _ in range(_MAX_PARTS):
        if position + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind == b"caBX" and found is None:
            found = (position + 8, min(end - 4, len(data)))
        position = end
        if kind == b"IEND":
            break
    trailing = max(0, len(data) - position)
    if found is None:
        return Place(trailing=trailing)
    start, end = found
    wrong = zlib.crc32(data[start - 4 : end]) != int.from_bytes(data[end : end + 4], "big")
    damage = ("PNG checksum",) if wrong else ()
    framing = (("PNG chunk header", ((start - 8, start),)), ("PNG checksum", ((end, end + 4),)))
    return Place((found,), framing, damage, trailing)


def _segments(data: Data) -> Iterator[tuple[int, int]]:
    """(start, end) of each APP11 segment before the picture data, from its marker on."""
    position = 2
    for _ in range(_MAX_PARTS):
        if position + 4 > len(data) or data[position] != 0xFF or data[position + 1] in (0xDA, 0xD9):
            return
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if data[position + 1] == 0xEB and data[position + 4 : position + 6] == b"JP":
            yield position, end
        position = end


def _in_jpeg(data: Data) -> Place:
    pieces: list[Span] = []
    headers: list[Span] = []
    number = b""  # the box instance that the segments belong to
    for marker, end in _segments(data):
        box = marker + 4 + _JPEG_PREFIX
        if not pieces and data[box + 12 : box + 12 + len(_STORE)] != _STORE:
            continue  # JUMBF of another kind
        number = number or data[marker + 6 : marker + 8]
        if data[marker + 6 : marker + 8] != number:
            continue  # a segment of another box
        start = box if not pieces else box + _BOX_HEADER  # later segments repeat the header of the outer box
        pieces.append((start, end))
        headers.append((marker, start))
    trailing = len(data) - data.rfind(b"\xff\xd9") - 2
    return Place(tuple(pieces), (("JPEG segment headers", tuple(headers)),) if headers else (), (), trailing)


def _in_riff(data: Data) -> Place:
    position = 12
    size = int.from_bytes(data[4:8], "little") + 8
    for _ in range(_MAX_PARTS):
        if position + 8 > min(size, len(data)):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        start, end = position + 8, position + 8 + length
        if kind == b"C2PA":
            framing = (("RIFF chunk header", ((position, start), (4, 8), (end, end + (length & 1)))),)
            return Place(((start, min(end, len(data))),), framing, (), max(0, len(data) - size))
        position = end + (length & 1)
    return Place(trailing=max(0, len(data) - size))


def _in_gif(data: Data) -> Place:
    position = data.find(_GIF) + len(_GIF) + 3
    if position < len(_GIF) + 3:
        return Place()
    pieces: list[Span] = []
    lengths: list[Span] = []
    for _ in range(_MAX_PARTS):
        length = data[position] if position < len(data) else 0
        lengths.append((position, position + 1))
        if not length:
            break
        pieces.append((position + 1, position + 1 + length))
        position += 1 + length
    return Place(tuple(pieces), (("GIF block lengths", tuple(lengths)),))
