"""Stores that an engine would work on for minutes are refused, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.provenance import bounds
from audit.provenance.bounds import MAX_SUPERBOXES, costly_store
from audit.provenance.read import ManifestState, read_manifests
from audit.provenance.trust import TrustLists
from benchmarks.forgeries import Authority, picture, sign
from benchmarks.store_surgery import box, put_store, store_of

LEAF = Authority().issue()
SIGNED = sign(picture(), LEAF)


def filled(count: int, content: bytes = b"") -> bytes:
    """A store with one manifest of `count` parts."""
    store = store_of(SIGNED)
    part = box(b"jumb", box(b"jumd", b"cbor" + bytes(12) + b"\x03x\x00") + content)
    manifest = box(b"jumb", box(b"jumd", b"c2ma" + bytes(12) + b"\x03m\x00") + part * count)
    description = store[8 : 8 + int.from_bytes(store[8:12], "big")]
    return box(b"jumb", description + manifest)


def test_the_bound_lies_where_it_is_said(tmp_path: Path) -> None:
    content = bytes(200)
    padded = box(b"cbor", content)
    assert costly_store(filled(MAX_SUPERBOXES - 10, padded)) == ""
    many = filled(MAX_SUPERBOXES + 10, padded)
    assert "more than 2,000 parts" in costly_store(many)
    path = tmp_path / "asset.png"
    path.write_bytes(put_store(SIGNED, many))
    assert costly_store(path) == costly_store(path.read_bytes()) == costly_store(many)
    report = read_manifests(path, TrustLists())
    assert (report.state, report.reason) == (ManifestState.UNREADABLE, costly_store(many))
    assert read_manifests(picture(), TrustLists(), sidecar=many).reason == costly_store(many)


def test_embedded_files_may_be_large_and_structure_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_STRUCTURE", 1 << 20)
    large = bytes(2 << 20)
    assert costly_store(filled(1, box(b"bidb", large))) == ""
    assert "larger than any" in costly_store(filled(1, box(b"cbor", large)))
    assert "compressed" in costly_store(filled(1, box(b"brob", large)))


def test_a_store_that_cannot_be_walked_is_judged_by_what_it_looks_like() -> None:
    broken = filled(MAX_SUPERBOXES + 10, box(b"cbor", bytes(200)))
    cut = broken[:-1_000]  # its outer length is forgiven, its last part breaks off
    assert costly_store(cut)


def test_ordinary_files_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "locate_store", None)
    assert costly_store(SIGNED) == ""
    assert costly_store(None) == ""
