"""Files made to exhaust, crash or deceive the reader: bombs, holes of two gigabytes, scripts in every text."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime

from PIL import Image

from audit.provenance.jumbf import boxes
from benchmarks.attack_case import OPEN, REFUSED, TAMPERED, UNKNOWN, Case, Kit
from benchmarks.forgeries import GENERATED, picture, sign
from benchmarks.store_surgery import box, chunk, manifests, part, put_store, store_of
from generator.marking.labels import build_xmp

HOSTILE = "\"><script>alert(1)</script>\x1b[31m\u202e{{7*7}}';DROP TABLE x;--=cmd|'/c calc'!A0"
"""Markup, a terminal's escape sequence, reversed writing, a template, SQL, and a spreadsheet's formula."""

TWO_GIGABYTES = 2 << 30
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BOMB = 1 << 26  # bytes that a few kilobytes unpack to
# A gibibyte of zeros, 841 bytes in brotli, as far as its first block: enough to unpack for long.
_BROTLI_ZEROS = bytes.fromhex("cfffff7ff82700e2b14020f7fe9ffffffff04f00")


def hostile(kit: Kit) -> Iterator[Case]:
    """Every hostile file."""
    for group in (_bombs, _stores, _huge, _texts, _no_pictures):
        yield from group(kit)


def _with_chunk(picture_: bytes, kind: bytes, content: bytes) -> bytes:
    return picture_[:33] + chunk(kind, content) + picture_[33:]


def _bombs(kit: Kit) -> Iterator[Case]:
    """A few bytes that want to become many; with the search on, pixels would be decoded."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    inflating = chunk(b"IDAT", zlib.compress(bytes(_BOMB), 9)) + chunk(b"IEND", b"")
    yield Case("PNG of 10 gigabytes of pixels", _SIGNATURE + header + inflating, OPEN, search="full")
    wide = bytearray(picture("JPEG"))
    frame = wide.index(b"\xff\xc0") + 5
    wide[frame : frame + 4] = struct.pack(">HH", 65_500, 65_500)
    yield Case("JPEG of 12 gigabytes of pixels", bytes(wide), OPEN, search="full")
    frames = [Image.new("P", (64, 64), n % 256) for n in range(1_000)]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    yield Case("GIF of 1,000 pictures", target.getvalue(), OPEN, search="full")
    text = b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(b"<" * _BOMB, 9)
    yield Case("compressed label that unpacks to 64 MB", _with_chunk(kit.plain, b"iTXt", text), OPEN)
    profile = b"icc\x00\x00" + zlib.compress(bytes(_BOMB), 9)
    yield Case(
        "colour profile that unpacks to 64 MB", _with_chunk(kit.plain, b"iCCP", profile), OPEN, search="full"
    )
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    yield Case("entities in a label", picture("JPEG", xmp=entities), OPEN)
    packed = gzip.compress(b'<svg xmlns="http://www.w3.org/2000/svg">' + b" " * _BOMB)
    yield Case("compressed SVG that unpacks to 64 MB", packed, OPEN)


def _stores(kit: Kit) -> Iterator[Case]:
    """Manifest stores that are deep, long, or unpack to much."""
    deep = b"\xa1\x61a" * 100_000
    nested = box(b"jumb", deep)
    yield Case("deeply nested CBOR as a store", _with_chunk(kit.plain, b"caBX", nested), TAMPERED | OPEN)
    boxed = b""
    for _ in range(5_000):
        boxed = box(b"jumb", box(b"jumd", b"c2ma" + bytes(12) + b"\x03x\x00") + boxed)
    outer = store_of(kit.signed)[: manifests(store_of(kit.signed))[0].start]
    inner = box(b"jumb", outer[8:] + boxed)
    yield Case("5,000 boxes in each other", put_store(kit.signed, inner), TAMPERED | OPEN)
    store = store_of(kit.signed)
    huge = chunk(b"caBX", b"\x7f\xff\xff\xff" + store[4:])
    longer = kit.plain[:33] + huge + kit.plain[33:]
    yield Case("box longer than the file", longer, frozenset({"trusted"}), "c2pa.unsigned")
    manifest = manifests(store)[-1]
    zeros = box(
        b"jumb",
        store[manifest.body : manifest.content].replace(b"c2ma", b"c2cm") + box(b"brob", _BROTLI_ZEROS),
    )
    bomb = box(b"jumb", store[8 : manifest.start] + zeros)
    yield Case("compressed manifest that unpacks to a gigabyte", put_store(kit.signed, bomb), TAMPERED | OPEN)
    yield Case(
        "claim that names one assertion 100,000 times", put_store(kit.signed, _long_claim(store)), REFUSED
    )


def _long_claim(store: bytes, *, times: int = 100_000) -> bytes:
    """The store with a claim of eight megabytes, which an engine makes six hundred of."""
    manifest = manifests(store)[-1]
    claim = part(store, manifest, b"c2cl")
    content = next(boxes(store, claim.content, claim.end))
    text = store[content.body : content.end]
    start = text.index(b"created_assertions") + len(b"created_assertions")
    first = text[start + 1 : text.index(b"\xa2curl", start + 5)]
    count = text[start] - 0x80 + times
    longer = text[:start] + b"\x9a" + struct.pack(">I", count) + first * times + text[start + 1 :]
    changed = box(b"jumb", store[claim.body : content.start] + box(b"cbor", longer))
    inner = box(b"jumb", store[manifest.body : claim.start] + changed + store[claim.end : manifest.end])
    return box(b"jumb", store[8 : manifest.start] + inner)


def _huge(kit: Kit) -> Iterator[Case]:
    """Files of two gigabytes, nearly all of it a hole."""
    for name, data, words in (
        ("two gigabytes of nothing", b"", OPEN),
        ("two gigabytes behind an unsigned picture", kit.plain, OPEN),
        ("two gigabytes behind a signed picture", kit.signed, TAMPERED),
    ):
        seconds = 30.0 if data is kit.signed else 4.0  # the engine reads all of it, to compare its hash
        yield Case(name, data, words, size=TWO_GIGABYTES, seconds=seconds, mebibytes=700)


def _texts(kit: Kit) -> Iterator[Case]:
    """Scripts in every text that a file can bring."""
    created = {
        "action": "c2pa.edited",
        "when": "2026-11-01T00:00:00Z",
        "description": HOSTILE,
        "softwareAgent": {"name": HOSTILE, "version": HOSTILE},
        "parameters": {"org.example.text": HOSTILE},
    }
    assertions = [
        {"label": "org.example.note", "created": True, "data": {HOSTILE: HOSTILE}},
        {"label": "c2pa.actions.v2__1", "created": True, "data": {"actions": [created]}},
        {
            "label": "c2pa.soft-binding",
            "created": True,
            "data": {"alg": HOSTILE, "blocks": [{"scope": {}, "value": HOSTILE}]},
        },
    ]
    signer = kit.stranger.issue(HOSTILE[:60], organisation=HOSTILE[:60])
    xmp = build_xmp(
        asset_id="00112233445566aa",
        producer=HOSTILE,
        system=HOSTILE,
        version=HOSTILE,
        created=datetime(2026, 11, 1, tzinfo=UTC),
        prompt=HOSTILE,
        digital_source_type=GENERATED,
    )
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    info.add_itxt("Comment", HOSTILE)
    labelled = picture(pnginfo=info)
    signed = sign(
        labelled,
        signer,
        title=HOSTILE,
        generator=HOSTILE,
        parents=[(HOSTILE, kit.plain)],
        assertions=assertions,
    )
    yield Case("script in every text", signed, UNKNOWN | {"marks disagree"}, "c2pa.trust")
    yield Case("script in every label", labelled, frozenset({"labels only (unsigned)"}))


def _no_pictures(kit: Kit) -> Iterator[Case]:
    for name, data in {
        "empty file": b"",
        "text called picture": b"This is no picture.\n",
        "random bytes": bytes(range(256)) * 8,
        "only a header": kit.plain[:33],
    }.items():
        yield Case(name, data, OPEN)
