"""Where a lost manifest may be found: our own ledger, or a resolution server that the user named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from audit.provenance.recovery_client import ResolutionClient
from generator.marking.fingerprint import ALGORITHM, CODE_BYTES, distances, encode_unit
from generator.marking.ledger import Entry, Ledger
from generator.marking.watermark.registry import SCHEMES

NEAR_BITS = 32
"""Most of the 256 bits in which a fingerprint may differ to be a candidate. Measured: see `benchmarks.recovery`."""

_MOST = 16  # candidates of one query
_CHUNK = 100_000  # fingerprints compared at a time


@dataclass(frozen=True, slots=True)
class Candidate:
    """A manifest that may be the lost one.

    Attributes:
        manifest_id: its label.
        manifest: the manifest store.
        preview: JPEG of the published picture; empty when the source has none.
        source: where it was found.
        sha256: of the published file, hex; "" when the source does not tell.
    """

    manifest_id: str
    manifest: bytes = field(repr=False)
    preview: bytes = field(repr=False)
    source: str
    sha256: str = ""


class Source(Protocol):
    """Somewhere to look; raises CannotCheckError when it cannot be asked."""

    def by_watermark(self, payload: str) -> Sequence[Candidate]:
        """Candidates of an asset id, 16 hex digits."""

    def by_fingerprint(self, code: bytes) -> Sequence[Candidate]:
        """Candidates whose fingerprint is near, best first."""


@dataclass(frozen=True, slots=True)
class LedgerSource:
    """A ledger.

    Attributes:
        location: SQLite file or postgresql:// URL.
    """

    location: str | Path

    def by_watermark(self, payload: str) -> Sequence[Candidate]:
        """The asset's entry, if there is one."""
        with Ledger(self.location, read_only=True) as ledger:
            entry = ledger.find(payload)
        return [_candidate(entry)] if entry is not None else []

    def by_fingerprint(self, code: bytes) -> Sequence[Candidate]:
        """Entries whose fingerprint differs in at most `NEAR_BITS` bits; every fingerprint is looked at."""
        with Ledger(self.location, read_only=True) as ledger:
            near = find_near(code, ledger.image_codes())
            entries = [ledger.find(asset_id) for _, asset_id in near]
        return [_candidate(entry) for entry in entries if entry is not None]


@dataclass(frozen=True, slots=True)
class ServerSource:
    """A resolution server.

    Attributes:
        client: of the server.
    """

    client: ResolutionClient

    def by_watermark(self, payload: str) -> Sequence[Candidate]:
        """What the server knows under our watermarks' (unlisted) algorithm names."""
        return [found for name in SCHEMES for found in self._fetch(name, payload.encode("ascii"))]

    def by_fingerprint(self, code: bytes) -> Sequence[Candidate]:
        """What the server finds near the listed fingerprint."""
        return self._fetch(ALGORITHM, encode_unit(code))

    def _fetch(self, algorithm: str, value: bytes) -> Sequence[Candidate]:
        ids = dict.fromkeys(match.manifest_id for match in self.client.by_binding(algorithm, value))
        return [Candidate(name, self.client.manifest(name), b"", self.client.name) for name in ids]


def find_near(code: bytes, codes: Iterator[tuple[str, bytes]]) -> list[tuple[int, str]]:
    """(bits that differ, asset id) of the nearest fingerprints within `NEAR_BITS`, nearest first, at most 16."""
    near: list[tuple[int, str]] = []
    for chunk in _chunks(codes):
        table = np.frombuffer(b"".join(other for _, other in chunk), np.uint8).reshape(-1, CODE_BYTES)
        differing = distances(code, table)
        near += [(int(differing[i]), chunk[i][0]) for i in np.flatnonzero(differing <= NEAR_BITS)]
        near = sorted(near)[:_MOST]
    return near


def _chunks(codes: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    chunk: list[tuple[str, bytes]] = []
    for asset_id, code in codes:
        if len(code) == CODE_BYTES:
            chunk.append((asset_id, code))
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _candidate(entry: Entry) -> Candidate:
    return Candidate(entry.manifest_id, entry.manifest, entry.preview, "ledger", entry.sha256)
