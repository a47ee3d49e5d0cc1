"""Takes the manifest store of a signed PNG apart and puts it together again, signed anew where that is wanted.

So can certificates that no library would sign with, tokens that no authority gave, and histories that no writer would
write be put before a verifier. Nothing of the project's own signing code is used.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from audit.provenance.containers import locate_store
from audit.provenance.jumbf import Box, boxes, outer_box, parse_cose
from benchmarks.forgeries import Leaf


def cbor(value: object) -> bytes:
    """The few kinds of CBOR that a COSE signature needs."""
    match value:
        case None:
            return b"\xf6"
        case int() if value < 0:
            return _head(1, -1 - value)
        case int():
            return _head(0, value)
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            return _head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())
    raise TypeError(type(value).__name__)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    size = next(size for size in (1, 2, 4, 8) if argument < 1 << 8 * size)
    return bytes([major << 5 | 24 + size.bit_length() - 1]) + argument.to_bytes(size, "big")


def box(kind: bytes, content: bytes) -> bytes:
    """A JUMBF box."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """A PNG chunk."""
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def manifest_chunk(signed: bytes) -> bytes:
    """The PNG chunk that holds the manifest store."""
    start, end = locate_store(signed).pieces[0]
    return signed[start - 8 : end + 4]


def store_of(signed: bytes) -> bytes:
    """The manifest store of a signed file."""
    return locate_store(signed).store(signed)


def strip(signed: bytes) -> bytes:
    """The PNG without its manifest chunk."""
    return signed.replace(manifest_chunk(signed), b"")


def put_store(signed: bytes, store: bytes) -> bytes:
    """The PNG with another manifest store."""
    return signed.replace(manifest_chunk(signed), chunk(b"caBX", store))


def manifests(store: bytes) -> list[Box]:
    """The manifests of a store; the active one is the last."""
    outer = outer_box(store)
    return list(boxes(store, outer.content, outer.end))


def part(store: bytes, manifest: Box, kind: bytes) -> Box:
    """A part of a manifest by the first four bytes of its type: c2as, c2cl or c2cs."""
    return next(found for found in boxes(store, manifest.content, manifest.end) if found.uuid == kind)


def forge(
    signed: bytes,
    leaf: Leaf,
    unprotected: dict[str, Any] | None = None,
    *,
    pad: int = 0,
    stamp: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """The signed PNG with another certificate and a signature that fits it, nothing else moved.

    Args:
        signed: PNG from `sign`.
        leaf: whose certificate and key are put in.
        unprotected: further entries of the unprotected header.
        pad: value of the padding bytes.
        stamp: gives the time-stamp token (DER) of a message; the PNG has to be one that was stamped, for room.
    """
    store = store_of(signed)
    manifest = manifests(store)[-1]
    return put_store(signed, resign(store, manifest, leaf, unprotected, pad=pad, stamp=stamp))


def resign(
    store: bytes,
    manifest: Box,
    leaf: Leaf,
    unprotected: dict[str, Any] | None = None,
    *,
    pad: int = 0,
    stamp: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """The store with one manifest's claim signed by `leaf`; every length stays as it is."""
    claim, signature = (_content(store, part(store, manifest, kind)) for kind in (b"c2cl", b"c2cs"))
    der = [c.public_bytes(serialization.Encoding.DER) for c in (leaf.certificate, leaf.issuer)]
    protected = cbor({1: -7, 33: der})
    message = cbor(["Signature1", protected, b"", store[claim.body : claim.end]])
    r, s = decode_dss_signature(leaf.key.sign(message, ec.ECDSA(hashes.SHA256())))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    header = dict(unprotected or {})
    if stamp is not None:
        message = cbor(["CounterSignature", protected, b"", cbor(raw)])
        header["sigTst2"] = {"tstTokens": [{"val": stamp(message)}]}
    old = parse_cose(store, signature.body)
    size = old.end - signature.body

    def cose(padding: int) -> bytes:
        return b"\xd2" + cbor([protected, {**header, "pad": bytes([pad]) * padding}, None, raw])

    length = next(n for n in range(size) if len(cose(n)) == size)
    return store[: signature.body] + cose(length) + store[old.end :]


def edit_assertions(store: bytes, number: int, leaf: Leaf, change: Callable[[bytes], bytes]) -> bytes:
    """The store with the assertions of one manifest changed, their hashes in its claim corrected, and signed anew.

    Args:
        store: of a file from `sign`.
        number: of the manifest, as in `manifests`.
        leaf: who signs.
        change: from the content of an assertion to another of the same length.
    """
    manifest = manifests(store)[number]
    changed = bytearray(store)
    for start, end in list(_assertions(store, manifest)):
        new = change(store[start:end])
        if len(new) != end - start:
            raise ValueError("an assertion keeps its length")
        changed[start:end] = new
        claim = _content(store, part(store, manifest, b"c2cl"))
        old_hash, new_hash = (hashlib.sha256(content).digest() for content in (store[start:end], new))
        changed[claim.body : claim.end] = changed[claim.body : claim.end].replace(old_hash, new_hash)
    return resign(bytes(changed), manifest, leaf)


def _assertions(store: bytes, manifest: Box) -> Iterator[tuple[int, int]]:
    holder = part(store, manifest, b"c2as")
    for assertion in boxes(store, holder.content, holder.end):
        yield assertion.body, assertion.end


def _content(store: bytes, superbox: Box) -> Box:
    return next(boxes(store, superbox.content, superbox.end))
