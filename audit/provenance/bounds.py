"""Which manifest stores are not given to an engine: those that it would work on for minutes, or need gigabytes for.

c2pa-rs 0.91 takes time that grows with the square of the number of assertions (10,000 ingredients: 44 s and 2.6 MB of
file) and about 75 bytes of memory for each byte of a claim (both measured). It bounds what a compressed manifest
unpacks to, but nothing else. A store is walked here only when it is large enough to matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

from audit.provenance.containers import Data, locate_store
from audit.provenance.jumbf import Box, MalformedError, boxes, outer_box

MAX_SUPERBOXES = 2_000  # of one store, 2 s of work; an edited picture has about eight for each generation
MAX_STRUCTURE = 4 << 20  # bytes of a store that are no embedded file, 300 MB of memory
_LOOKED_AT = 256 << 20  # bytes at the start of a file in which its store is looked for
_SMALL = 128 << 10  # bytes; a store below it exceeds neither bound
_MAX_DEPTH = 4  # store, manifest, assertion store, assertion
_FILE_CONTENT = b"bidb"
_COMPRESSED = b"brob"
_MAX_COMPRESSED = (
    256 << 10
)  # bytes of one compressed manifest; they unpack to at most a few thousand assertions
_DESCRIPTION = b"jumd"
_BEGINNING = b"jumb\x00\x00\x00\x1ejumdc2pa"  # of a store, behind its length
_WALKED = (b"\x89PNG", b"RIFF", b"GIF8")  # containers whose own lengths lead to the store
_JPEG = b"\xff\xd8"


def costly_store(source: Path | Data | None) -> str:
    """Why a file's manifest store is not to be read, as the end of a sentence; "" when it may be.

    Args:
        source: the file, its content, or a manifest store; None counts as nothing.

    Raises:
        OSError: the path cannot be opened.
    """
    if isinstance(source, Path):
        with source.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            if size < _SMALL:
                return ""
            with mmap(stream.fileno(), min(size, _LOOKED_AT), access=ACCESS_READ) as mapped:
                return _judge(mapped)
    return _judge(source) if source is not None and len(source) >= _SMALL else ""


def _judge(data: Data) -> str:
    store = locate_store(data).store(data) or _unlocated(data)
    if len(store) < _SMALL:
        return ""
    superboxes = structure = 0
    try:
        for box in _every_box(store, outer_box(store), 0):
            superboxes += box.kind == b"jumb"
            structure += 0 if box.kind in (b"jumb", _FILE_CONTENT) else box.end - box.body
            if box.kind == _COMPRESSED and box.end - box.body > _MAX_COMPRESSED:
                return f"a compressed manifest has more than {_MAX_COMPRESSED:,} bytes"
            if superboxes > MAX_SUPERBOXES:
                return f"its manifest store has more than {MAX_SUPERBOXES:,} parts, which could take minutes to read"
    except MalformedError:  # engines tolerate more than we do: count what looks like a part
        superboxes, structure = store.count(_DESCRIPTION), len(store)
    if superboxes > MAX_SUPERBOXES or structure > MAX_STRUCTURE:
        return f"its manifest store is larger than any that describes a picture ({structure:,} bytes)"
    return ""


def _unlocated(data: Data) -> bytes:
    """What follows the beginning of a store whose length is a lie; engines go by the length of the box around it."""
    if data[:4] in _WALKED or data[:2] == _JPEG:
        return b""
    start = data.find(_BEGINNING)
    return data[max(0, start - 4) :] if start >= 0 else b""


def _every_box(store: bytes, outer: Box, depth: int) -> Iterator[Box]:
    for box in boxes(store, outer.content, outer.end):
        yield box
        if box.kind == b"jumb" and depth < _MAX_DEPTH:
            yield from _every_box(store, box, depth + 1)
