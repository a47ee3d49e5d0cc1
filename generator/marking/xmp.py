"""Where the XMP packet sits in a file: bounded, hostile-proof extraction from PNG, JPEG, WebP and anything else.

Reads bytes only; decodes no pixels and interprets no XML (that is `labels`). `insert_packet` puts a packet into a
PNG, JPEG or WebP file that has none, and leaves every other byte as it is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAX_PACKET = 1 << 20
"""Bytes of XMP that are looked at; real label packets are 1 to 20 KB."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_PNG_KEYWORD = b"XML:com.adobe.xmp"
_MAX_PARTS = (
    1 << 20
)  # chunks or segments of a file that are walked; a 4 GB PNG of 8 KB chunks has half as many
_MAX_PACKETS = 8
_WEBP_XMP_FLAG, _WEBP_ALPHA_FLAG = 0x04, 0x10
_SCAN = 8 << 20  # bytes scanned for a packet in formats without a parser of our own


class DamagedFileError(ValueError):
    """The container or its packet cannot be parsed, or is larger than any honest one."""


@dataclass(frozen=True, slots=True)
class Packets:
    """What was found in a file.

    Attributes:
        xmp: the XMP packets in file order, at most one in an honest file.
        aigc_text: contents of PNG text chunks with keyword `AIGC` (an alternative place of the TC260 label).
    """

    xmp: tuple[bytes, ...] = ()
    aigc_text: tuple[bytes, ...] = ()


def find_packets(data: bytes) -> Packets:
    """The label packets of a file; none found is an empty result.

    Raises:
        DamagedFileError: the file breaks off, or a packet is larger than `MAX_PACKET`.
    """
    if data.startswith(_PNG):
        found = _from_png(data)
    elif data.startswith(b"\xff\xd8"):
        found = Packets(xmp=_from_jpeg(data))
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = Packets(xmp=_from_webp(data))
    else:
        found = Packets(xmp=_from_scan(data))
    if len(found.xmp) + len(found.aigc_text) > _MAX_PACKETS:
        raise DamagedFileError(f"more than {_MAX_PACKETS} label packets in one file")
    return found


def insert_packet(data: bytes, packet: bytes) -> bytes:
    """The file with an XMP packet; no pixel is decoded or changed.

    Args:
        data: a PNG, JPEG or WebP file without XMP.
        packet: at most 65,502 bytes for a JPEG.

    Raises:
        DamagedFileError: another kind of file, one that breaks off, or a packet that does not fit.

    Source: XMP specification part 3 (2020), sections 1.1.3 JPEG, 1.1.5 PNG, 1.2.4 WebP.
    """
    try:
        return _insert(data, packet)
    except (struct.error, IndexError) as error:
        raise DamagedFileError(f"the file breaks off in its first {len(data)} bytes") from error


def _insert(data: bytes, packet: bytes) -> bytes:
    if data.startswith(_PNG):
        content = _PNG_KEYWORD + bytes(5) + packet  # not compressed, no language, no translated keyword
        chunk = struct.pack(">I", len(content)) + b"iTXt" + content
        at = len(_PNG) + 25  # behind IHDR, which is always the first chunk and has 13 bytes
        return _put_in(data, at, chunk + struct.pack(">I", zlib.crc32(chunk[4:])))
    if data.startswith(b"\xff\xd8"):
        length = 2 + len(_JPEG_XMP) + len(packet)
        if length > 0xFFFF:
            raise DamagedFileError(f"a packet of {len(packet)} bytes does not fit into one JPEG segment")
        # behind the JFIF header where there is one, which must be the first segment
        at = 4 + int.from_bytes(data[4:6]) if data[2:4] == b"\xff\xe0" else 2
        head = struct.pack(">BBH", 0xFF, 0xE1, length)
        return _put_in(data, at, head + _JPEG_XMP + packet)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _insert_into_webp(data, packet)
    raise DamagedFileError("no PNG, JPEG or WebP file")


def _put_in(data: bytes, at: int, part: bytes) -> bytes:
    """The file with a part put in; its bytes are copied once."""
    return b"".join((memoryview(data)[:at], part, memoryview(data)[at:]))


def _insert_into_webp(data: bytes, packet: bytes) -> bytes:
    """XMP is the last chunk, and a flag of the extended header, which a simple file gets here."""
    end = min(8 + int.from_bytes(data[4:8], "little"), len(data))
    if data[12:16] == b"VP8X":
        header, first = data[12:20] + bytes([data[20] | _WEBP_XMP_FLAG]), 21
    else:
        header, first = _extended_header(data[12:42]), 12
    chunk = b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) & 1)
    size = 4 + len(header) + end - first + len(chunk)
    parts = (b"RIFF", struct.pack("<I", size), b"WEBP", header, memoryview(data)[first:end], chunk)
    return b"".join(parts)


def _extended_header(body: bytes) -> bytes:
    """VP8X for a simple WebP file. Source: RFC 9649, sections 2.5 to 2.7; RFC 6386 section 9.1."""
    flags = _WEBP_XMP_FLAG
    if body[:4] == b"VP8L":
        bits = int.from_bytes(body[9:13], "little")
        width, height = bits & 0x3FFF, bits >> 14 & 0x3FFF
        flags |= _WEBP_ALPHA_FLAG if bits >> 28 & 1 else 0
    elif body[:4] == b"VP8 ":
        wide, high = int.from_bytes(body[14:16], "little"), int.from_bytes(body[16:18], "little")
        width, height = max(wide & 0x3FFF, 1) - 1, max(high & 0x3FFF, 1) - 1
    else:
        raise DamagedFileError("the WebP file begins with an unknown chunk")
    size = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return b"VP8X" + struct.pack("<II", 10, flags) + size


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of each chunk's content."""
    position = len(_PNG)
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            raise DamagedFileError(f"the PNG chunk at byte {position} runs past the end of the file")
        yield kind, position + 8, position + 8 + length
        if kind == b"IEND":
            return
        position += 12 + length
    raise DamagedFileError(f"more than {_MAX_PARTS} PNG chunks")


def _from_png(data: bytes) -> Packets:
    xmp: list[bytes] = []
    aigc: list[bytes] = []
    for kind, start, end in _png_chunks(data):
        if kind == b"iTXt" and data.startswith(_PNG_KEYWORD + b"\x00", start):
            xmp.append(_international_text(data[start:end]))
        elif kind == b"tEXt" and data.startswith(b"AIGC\x00", start):
            aigc.append(_bounded(data[start + 5 : end]))
    return Packets(tuple(xmp), tuple(aigc))


def _international_text(chunk: bytes) -> bytes:
    """Text of an iTXt chunk: keyword, compression flag and method, language, translated keyword, text."""
    flags = len(_PNG_KEYWORD) + 1
    fields = chunk[flags + 2 :].split(b"\x00", 2)
    if len(fields) < 3:
        raise DamagedFileError("the PNG chunk with the XMP packet lacks fields")
    if not chunk[flags]:
        return _bounded(fields[2])
    try:
        return _bounded(zlib.decompressobj().decompress(fields[2], MAX_PACKET + 1))
    except zlib.error as error:
        raise DamagedFileError(f"the compressed XMP of the PNG cannot be inflated ({error})") from error


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the content of each segment before the picture data."""
    position = 2
    for _ in range(_MAX_PARTS):
        if position + 4 > len(data) or data[position] != 0xFF:
            return
        marker = data[position + 1]
        if marker in (0xDA, 0xD9):  # picture data, or the end
            return
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            position += 2
            continue
        length = struct.unpack_from(">H", data, position + 2)[0]
        if length < 2 or position + 2 + length > len(data):
            raise DamagedFileError(f"the JPEG segment at byte {position} runs past the end of the file")
        yield marker, position + 4, position + 2 + length
        position += 2 + length
    raise DamagedFileError(f"more than {_MAX_PARTS} JPEG segments")


def _from_jpeg(data: bytes) -> tuple[bytes, ...]:
    return tuple(
        data[start + len(_JPEG_XMP) : end]
        for marker, start, end in _jpeg_segments(data)
        if marker == 0xE1 and data.startswith(_JPEG_XMP, start, end)
    )


def _from_webp(data: bytes) -> tuple[bytes, ...]:
    found: list[bytes] = []
    position = 12
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            return tuple(found)
        kind, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length > len(data):
            raise DamagedFileError(f"the WebP chunk at byte {position} runs past the end of the file")
        if kind == b"XMP ":
            found.append(_bounded(data[position + 8 : position + 8 + length]))
        position += 8 + length + (length & 1)  # chunks are padded to even length
    raise DamagedFileError(f"more than {_MAX_PARTS} WebP chunks")


def _from_scan(data: bytes) -> tuple[bytes, ...]:
    """Packet scanning, for TIFF, AVIF, HEIC, GIF and the like: XMP is kept as plain text there."""
    start = data.find(b"<x:xmpmeta", 0, _SCAN)
    if start < 0:
        return ()
    end = data.find(b"</x:xmpmeta>", start, start + MAX_PACKET)
    if end < 0:
        raise DamagedFileError(f"XMP packet at byte {start} has no end")
    return (data[start : end + len(b"</x:xmpmeta>")],)


def _bounded(packet: bytes) -> bytes:
    if len(packet) > MAX_PACKET:
        raise DamagedFileError(f"label packet larger than {MAX_PACKET} bytes")
    return packet
