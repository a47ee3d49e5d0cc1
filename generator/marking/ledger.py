"""The ledger: asset id -> manifest, so that a credential that was stripped from a file can be found again.

One SQLite file, or a PostgreSQL database named by its URL. It keeps the manifest of the latest publication of an
asset, a fingerprint and a small preview of it where the publisher gave them, and the plain fact that earlier
publications with other content existed. It holds no prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from generator.errors import InputError
from generator.marking.ledger_sqlite import SqliteStore

LEDGER_FILE = "ledger.sqlite"
"""Name of the ledger in its folder, usually `identity.assay_home()`."""

_ASSET = ("asset_id", "manifest_id", "manifest", "sha256", "format", "generator", "weights_digest", "created")
_LIKENESS = ("image_code", "preview")
_BATCH = 10_000  # fingerprints fetched at a time

_KEEP_EARLIER = (
    "INSERT INTO replaced (asset_id, manifest_id, sha256, created) SELECT asset_id, manifest_id, sha256, created "
    "FROM asset WHERE asset_id = :asset_id AND sha256 <> :sha256 ON CONFLICT DO NOTHING"
)
_EARLIER = (
    "SELECT manifest_id, sha256, created FROM replaced WHERE asset_id = :asset_id AND sha256 NOT IN "
    "(SELECT sha256 FROM asset WHERE asset_id = :asset_id) ORDER BY number"
)


def _upsert(table: str, columns: Sequence[str]) -> str:
    key, *others = columns
    values = ", ".join(f":{column}" for column in columns)
    update = ", ".join(f"{column} = excluded.{column}" for column in others)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values}) "  # noqa: S608 - names of ours
        f"ON CONFLICT ({key}) DO UPDATE SET {update}"
    )


_WRITE_ASSET = _upsert("asset", _ASSET)
_WRITE_LIKENESS = _upsert("likeness", ("asset_id", *_LIKENESS))


@dataclass(frozen=True, slots=True)
class Entry:
    """One published asset.

    Attributes:
        asset_id: 16 lower-case hex digits; the watermark's payload.
        manifest_id: "urn:c2pa:...".
        manifest: the manifest store (application/c2pa).
        sha256: hex digest of the published file.
        format: of the published file: "PNG", "JPEG" or "WEBP".
        generator: name of the generator.
        weights_digest: "sha256:..." of its weights.
        created: ISO 8601 time with zone.
        image_code: fingerprint, 32 bytes, see `fingerprint.compute_image_code`; empty when not kept.
        preview: small JPEG of the published picture, see `fingerprint.make_preview`; empty when not kept.
    """

    asset_id: str
    manifest_id: str
    manifest: bytes = field(repr=False)
    sha256: str
    format: str
    generator: str
    weights_digest: str
    created: str
    image_code: bytes = field(default=b"", repr=False)
    preview: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Replaced:
    """An earlier publication under the same asset id with other content; copies of that file may still travel."""

    manifest_id: str
    sha256: str
    created: str


class Store(Protocol):
    """A database with the ledger's tables."""

    has_likenesses: bool

    def run(self, statement: str, **values: Any) -> list[Sequence[Any]]:  # noqa: ANN401 - what SQL can hold
        """Rows of one statement with :named values."""

    def writing(self, asset_id: str) -> AbstractContextManager[None]:
        """All statements within take effect together, or none; one writer an asset at a time."""

    def close(self) -> None:
        """End its use; a second call does nothing."""


def is_ledger_url(location: str | Path) -> bool:
    """Whether a location names a database server rather than a file."""
    return isinstance(location, str) and "://" in location


def _open(location: str | Path, *, read_only: bool) -> Store:
    if not is_ledger_url(location):
        return SqliteStore(Path(location), read_only=read_only)
    url = str(location)
    if not url.startswith(("postgresql://", "postgres://")):
        raise InputError(
            f"ledger {url.partition('://')[0]}://...: unknown kind; give a file, or postgresql://USER@HOST/DATABASE"
        )
    from generator.marking.ledger_postgres import PostgresStore  # the driver is an extra

    return PostgresStore(url, read_only=read_only)


class Ledger:
    """An open ledger; a context manager. One instance belongs to one thread and one process.

    Args:
        location: the SQLite file, made on first writing use in a folder that exists; or a postgresql:// URL.
        read_only: open for looking up only; the ledger must exist and is not changed.

    Raises:
        InputError: the ledger is absent (read-only), cannot be made, or the URL is malformed.
        CannotCheckError: it is locked, damaged, not a ledger, of a newer version, or cannot be reached.
        DiskFullError: no room to make it.
    """

    def __init__(self, location: str | Path, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self._store = _open(location, read_only=read_only)

    def record(self, entry: Entry) -> None:
        """Insert or replace the entry of an asset; the same entry twice is one row.

        Raises:
            CannotCheckError: the ledger is locked by another process for 30 s, read-only or damaged.
            DiskFullError: the disk is full; earlier entries are kept.
        """
        key = {"asset_id": entry.asset_id}
        with self._store.writing(entry.asset_id):
            self._store.run(_KEEP_EARLIER, **key, sha256=entry.sha256)
            self._store.run(_WRITE_ASSET, **{name: getattr(entry, name) for name in _ASSET})
            if entry.image_code or entry.preview:
                self._store.run(_WRITE_LIKENESS, **key, **{name: getattr(entry, name) for name in _LIKENESS})
            else:
                self._store.run("DELETE FROM likeness WHERE asset_id = :asset_id", **key)

    def find(self, asset_id: str) -> Entry | None:
        """The entry of an asset id, None when the ledger has none."""
        return self._find("asset_id", asset_id)

    def find_file(self, sha256: str) -> Entry | None:
        """The entry whose published file has this SHA-256 (hex), None when there is none."""
        return self._find("sha256", sha256)

    def find_manifest(self, manifest_id: str) -> Entry | None:
        """The entry of a manifest id, None when there is none."""
        return self._find("manifest_id", manifest_id)

    def replaced(self, asset_id: str) -> tuple[Replaced, ...]:
        """Earlier publications under this asset id with other content, oldest first."""
        return tuple(Replaced(*row) for row in self._store.run(_EARLIER, asset_id=asset_id))

    def image_codes(self) -> Iterator[tuple[str, bytes]]:
        """(asset id, fingerprint) of every entry that has one, in order of asset id."""
        statement = (
            "SELECT asset_id, image_code FROM likeness WHERE asset_id > :after ORDER BY asset_id LIMIT :batch"
        )
        after, rows = "", self._store.has_likenesses
        while rows:
            found = self._store.run(statement, after=after, batch=_BATCH)
            yield from ((str(row[0]), bytes(row[1])) for row in found if row[1])
            rows = len(found) == _BATCH
            after = str(found[-1][0]) if found else ""

    def __len__(self) -> int:
        return int(self._store.run("SELECT count(*) FROM asset")[0][0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its use; a second call does nothing."""
        self._store.close()

    def _find(self, column: str, value: str) -> Entry | None:
        columns = ", ".join(_ASSET)
        rows = self._store.run(f"SELECT {columns} FROM asset WHERE {column} = :value", value=value)  # noqa: S608
        if not rows:
            return None
        asset: dict[str, Any] = dict(zip(_ASSET, rows[0], strict=True))
        asset["manifest"] = bytes(asset["manifest"])
        return Entry(**asset, **self._likeness(asset["asset_id"]))

    def _likeness(self, asset_id: str) -> dict[str, Any]:
        if not self._store.has_likenesses:
            return {}
        statement = "SELECT image_code, preview FROM likeness WHERE asset_id = :asset_id"
        rows = self._store.run(statement, asset_id=asset_id)
        return {name: bytes(cell) for name, cell in zip(_LIKENESS, rows[0], strict=True)} if rows else {}
