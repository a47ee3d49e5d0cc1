"""The ledger: asset id -> manifest, so that a credential that was stripped from a file can be found again.

One SQLite file (WAL), safe under several processes, never written by a reader. It keeps the manifest of the latest
publication of an asset, and the plain fact that earlier ones with other content existed. It holds no prompt.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from generator.errors import CannotCheckError, DiskFullError, InputError

LEDGER_FILE = "ledger.sqlite"
"""Name of the ledger in its folder, usually `identity.assay_home()`."""

_APPLICATION_ID = 0x41535359  # "ASSY"
_VERSION = 1
_BUSY_SECONDS = 30.0
_LEAST_FREE = 256 << 10  # bytes; less than an empty ledger with its log and shared memory needs

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS asset (
    asset_id TEXT PRIMARY KEY,
    manifest_id TEXT NOT NULL,
    manifest BLOB NOT NULL,
    sha256 TEXT NOT NULL,
    format TEXT NOT NULL,
    generator TEXT NOT NULL,
    weights_digest TEXT NOT NULL,
    created TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS asset_sha256 ON asset (sha256);
CREATE INDEX IF NOT EXISTS asset_manifest_id ON asset (manifest_id);
CREATE TABLE IF NOT EXISTS replaced (
    number INTEGER PRIMARY KEY,
    asset_id TEXT NOT NULL,
    manifest_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    created TEXT NOT NULL,
    UNIQUE (asset_id, sha256)
);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""

_COLUMNS = "asset_id, manifest_id, manifest, sha256, format, generator, weights_digest, created"


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
    """

    asset_id: str
    manifest_id: str
    manifest: bytes = field(repr=False)
    sha256: str
    format: str
    generator: str
    weights_digest: str
    created: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """An earlier publication under the same asset id with other content; copies of that file may still travel."""

    manifest_id: str
    sha256: str
    created: str


class Ledger:
    """An open ledger; a context manager. One instance belongs to one thread and one process.

    Args:
        path: the SQLite file; made on first writing use, its folder must exist.
        read_only: open for looking up only; the file must exist and is not changed.

    Raises:
        InputError: the file is absent (read-only) or cannot be made.
        CannotCheckError: it is locked, damaged, not a ledger, or of a newer version.
        DiskFullError: no room to make it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        if read_only and not path.is_file():
            raise InputError(f"{path}: no ledger there; it is made when an image is published")
        if not path.parent.is_dir():
            raise InputError(f"{path}: the folder for the ledger does not exist; make it first")
        with self._translated():
            self._connection = self._open()

    def record(self, entry: Entry) -> None:
        """Insert or replace the entry of an asset; the same entry twice is one row.

        Raises:
            CannotCheckError: the ledger is locked by another process for 30 s, read-only or damaged.
            DiskFullError: the disk is full; earlier entries are kept.
        """
        with self._translated(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(
                "INSERT OR IGNORE INTO replaced (asset_id, manifest_id, sha256, created) "
                "SELECT asset_id, manifest_id, sha256, created FROM asset WHERE asset_id = ? AND sha256 <> ?",
                (entry.asset_id, entry.sha256),
            )
            self._connection.execute(
                f"INSERT OR REPLACE INTO asset ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (
                    entry.asset_id,
                    entry.manifest_id,
                    entry.manifest,
                    entry.sha256,
                    entry.format,
                    entry.generator,
                    entry.weights_digest,
                    entry.created,
                ),
            )

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
        statement = (
            "SELECT manifest_id, sha256, created FROM replaced WHERE asset_id = ?1 AND sha256 NOT IN "
            "(SELECT sha256 FROM asset WHERE asset_id = ?1) ORDER BY number"
        )
        with self._translated():
            return tuple(Replaced(*row) for row in self._connection.execute(statement, (asset_id,)))

    def __len__(self) -> int:
        with self._translated():
            return int(self._connection.execute("SELECT count(*) FROM asset").fetchone()[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def _find(self, column: str, value: str) -> Entry | None:
        statement = f"SELECT {_COLUMNS} FROM asset WHERE {column} = ?"  # noqa: S608 - column is one of ours
        with self._translated():
            row = self._connection.execute(statement, (value,)).fetchone()
        return Entry(*row) if row else None

    def _open(self) -> sqlite3.Connection:
        if not self.read_only:
            return _connect(self.path, "rwc", _prepare)
        try:
            return _connect(self.path, "ro", _check_schema)
        except sqlite3.OperationalError as error:
            # A WAL file needs its shared-memory twin, which a folder without write permission cannot get. With no
            # WAL content there is nothing that a reader of the bare file could miss.
            wal = self.path.with_name(self.path.name + "-wal")
            if "unable to open" not in str(error) or (wal.exists() and wal.stat().st_size):
                raise
            return _connect(self.path, "ro&immutable=1", _check_schema)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors as ours, once, here."""
        try:
            yield
        except sqlite3.ProgrammingError:  # ours, not the file's: closed, or used from another thread
            raise
        except sqlite3.DatabaseError as error:
            raise self._explain(error) from error

    def _explain(self, error: sqlite3.DatabaseError) -> CannotCheckError:
        code = getattr(error, "sqlite_errorname", "")
        # on a full disk SQLite reports SQLITE_FULL for the file, but an I/O error for its shared memory
        if code == "SQLITE_FULL" or (code.startswith("SQLITE_IOERR") and _free(self.path) < _LEAST_FREE):
            return DiskFullError(
                f"{self.path}: disk full, the entry was not written; free space and run again, earlier entries are "
                "kept"
            )
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return CannotCheckError(
                f"{self.path}: locked by another process for more than {_BUSY_SECONDS:.0f} s; end it or wait"
            )
        if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")):
            return CannotCheckError(f"{self.path}: cannot be used ({error}); check permissions and the disk")
        return CannotCheckError(
            f"{self.path}: damaged, or not a ledger ({error}); restore it from a copy, or publish again"
        )


def _free(path: Path) -> int:
    """Bytes free where the file lies."""
    return shutil.disk_usage(path.parent).free


def _connect(path: Path, mode: str, check: Callable[[sqlite3.Connection, Path], None]) -> sqlite3.Connection:
    location = f"file:{quote(str(path.absolute()))}?mode={mode}"
    connection = sqlite3.connect(location, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """WAL: readers never wait for the writer, and a killed writer leaves the last complete entry."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            raise CannotCheckError(f"{path}: this SQLite file is not a ledger; name another file")
        _switch_to_wal(connection)
        connection.executescript(_SCHEMA)
    _check_schema(connection, path)
    connection.execute("PRAGMA synchronous = NORMAL")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Wait for our turn by hand: SQLite answers BUSY at once when two processes switch a new file together."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION_ID:
        raise CannotCheckError(f"{path}: this SQLite file is not a ledger; name another file")
    if version != _VERSION:
        raise CannotCheckError(
            f"{path}: ledger version {version}, this program reads version {_VERSION}; use a matching Assay"
        )
