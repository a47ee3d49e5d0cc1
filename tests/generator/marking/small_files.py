"""The smallest files of every kind that can be signed, built by hand or by Pillow at test time."""

from __future__ import annotations

import io
import struct
import wave
import zipfile

import numpy as np
from PIL import Image


def picture(form: str) -> bytes:
    pixels = np.random.default_rng(5).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, form)
    return target.getvalue()


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def movie(brand: bytes) -> bytes:
    """An ISO media file with a movie header, no tracks, and a little media data."""
    header = bytes(4) + struct.pack(">IIII", 0, 0, 1000, 0) + struct.pack(">IH", 0x10000, 0x100) + bytes(10)
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    moov = box(b"moov", box(b"mvhd", header + matrix + bytes(24) + struct.pack(">I", 1)))
    return box(b"ftyp", brand + bytes(4) + brand + b"isom") + moov + box(b"mdat", bytes(range(256)))


def still(brand: bytes) -> bytes:
    """A HEIF skeleton: file type, empty meta box, media data. Nothing can be decoded from it."""
    handler = box(b"hdlr", bytes(8) + b"pict" + bytes(13))
    return (
        box(b"ftyp", brand + bytes(4) + brand + b"mif1")
        + box(b"meta", bytes(4) + handler)
        + box(b"mdat", bytes(range(256)))
    )


def jxl() -> bytes:
    """A JPEG XL container around bytes that nobody decodes here."""
    return (
        b"\x00\x00\x00\x0cJXL \r\n\x87\n"
        + box(b"ftyp", b"jxl " + bytes(4) + b"jxl ")
        + box(b"jxlc", b"\xff\x0a" + bytes(range(64)))
    )


def pdf() -> bytes:
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    ]
    data, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(data)
    data += b"xref\n0 4\n0000000000 65535 f \n" + table
    return data + b"trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


def sound() -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(800))
    return target.getvalue()


def mp3() -> bytes:
    """An empty ID3 tag and two silent frames: MPEG 1 layer 3, 128 kbit/s, 44.1 kHz, 417 bytes each."""
    return b"ID3\x03\x00\x00\x00\x00\x00\x00" + (b"\xff\xfb\x90\x00" + bytes(413)) * 2


def flac() -> bytes:
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + bytes.fromhex("0ac442f000000000") + bytes(16)
    return b"fLaC" + b"\x80" + len(info).to_bytes(3) + info + b"\xff\xf8" + bytes(32)


def avi() -> bytes:
    def part(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("<I", len(content)) + content

    header = part(b"LIST", b"hdrl" + part(b"avih", bytes(56)))
    return part(b"RIFF", b"AVI " + header + part(b"LIST", b"movi" + part(b"00dc", bytes(16))))


def archive(*, mimetype: str = "", name: str = "content.xml") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as out:
        if mimetype:
            out.writestr("mimetype", mimetype)
        out.writestr(name, "<document/>")
    return target.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>'

FILES = {
    ".png": lambda: picture("PNG"),
    ".jpg": lambda: picture("JPEG"),
    ".webp": lambda: picture("WEBP"),
    ".gif": lambda: picture("GIF"),
    ".tiff": lambda: picture("TIFF"),
    ".dng": lambda: picture("TIFF"),
    ".avif": lambda: picture("AVIF"),
    ".heic": lambda: still(b"heic"),
    ".heif": lambda: still(b"mif1"),
    ".jxl": jxl,
    ".svg": lambda: SVG,
    ".pdf": pdf,
    ".mp4": lambda: movie(b"isom"),
    ".m4v": lambda: movie(b"M4V "),
    ".mov": lambda: movie(b"qt  "),
    ".m4a": lambda: movie(b"M4A "),
    ".avi": avi,
    ".mp3": mp3,
    ".wav": sound,
    ".flac": flac,
    ".zip": lambda: archive(),
    ".epub": lambda: archive(mimetype="application/epub+zip"),
    ".docx": lambda: archive(name="word/document.xml"),
    ".xlsx": lambda: archive(name="xl/workbook.xml"),
    ".pptx": lambda: archive(name="ppt/presentation.xml"),
    ".odt": lambda: archive(mimetype="application/vnd.oasis.opendocument.text"),
    ".ods": lambda: archive(mimetype="application/vnd.oasis.opendocument.spreadsheet"),
    ".odp": lambda: archive(mimetype="application/vnd.oasis.opendocument.presentation"),
    ".odg": lambda: archive(mimetype="application/vnd.oasis.opendocument.graphics"),
}
"""Suffix -> content."""
