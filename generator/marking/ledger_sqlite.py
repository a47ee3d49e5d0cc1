"""The ledger in one SQLite file (WAL): safe under several processes, never written by a reader."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from generator.errors import CannotCheckError, DiskFullError, InputError

VERSION = 2

_APPLICATION_ID = 0x41535359  # "ASSY"
_READABLE = (1, 2)  # version 1 had no table `likeness`
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
CREATE TABLE IF NOT EXISTS likeness (
    asset_id TEXT PRIMARY KEY,
    image_code BLOB NOT NULL,
    preview BLOB NOT NULL
);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""


class SqliteStore:
    """One open file; belongs to one thread and one process.

    Args:
        path: of the file; made on first writing use, its folder must exist.
        read_only: open for looking up only; the file must exist and is not changed.

    Raises:
        InputError: the file is absent (read-only) or cannot be made.
        CannotCheckError: it is locked, damaged, not a ledger, or of a newer version.
        DiskFullError: no room to make it.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path = path
        self._read_only = read_only
        if read_only and not path.is_file():
            raise InputError(f"{path}: no ledger there; it is made when an image is published")
        if not path.parent.is_dir():
            raise InputError(f"{path}: the folder for the ledger does not exist; make it first")
        with self._translated():
            self._connection = self._open()
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        self.has_likenesses = version >= VERSION

    def run(self, statement: str, **values: Any) -> list[Sequence[Any]]:  # noqa: ANN401 - what SQL can hold
        """Rows of one statement with :named values."""
        with self._translated():
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def writing(self, asset_id: str) -> Iterator[None]:  # noqa: ARG002 - SQLite has one writer for all assets
        """All statements within take effect together, or none."""
        with self._translated(), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        if not self._read_only:
            return _connect(self._path, "rwc", _prepare)
        try:
            return _connect(self._path, "ro", _check_schema)
        except sqlite3.OperationalError as error:
            # A WAL file needs its shared-memory twin, which a folder without write permission cannot get. With no
            # WAL content there is nothing that a reader of the bare file could miss.
            wal = self._path.with_name(self._path.name + "-wal")
            if "unable to open" not in str(error) or (wal.exists() and wal.stat().st_size):
                raise
            return _connect(self._path, "ro&immutable=1", _check_schema)

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
        if code == "SQLITE_FULL" or (code.startswith("SQLITE_IOERR") and _free(self._path) < _LEAST_FREE):
            return DiskFullError(
                f"{self._path}: disk full, the entry was not written; free space and run again, earlier entries "
                "are kept"
            )
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return CannotCheckError(
                f"{self._path}: locked by another process for more than {_BUSY_SECONDS:.0f} s; end it or wait"
            )
        if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_IOERR")):
            return CannotCheckError(f"{self._path}: cannot be used ({error}); check permissions and the disk")
        return CannotCheckError(
            f"{self._path}: damaged, or not a ledger ({error}); restore it from a copy, or publish again"
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
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
            raise CannotCheckError(f"{path}: this SQLite file is not a ledger; name another file")
        _switch_to_wal(connection)
    else:
        _check_schema(connection, path)
    if version < VERSION:
        connection.executescript(_SCHEMA)
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
    if version not in _READABLE:
        raise CannotCheckError(
            f"{path}: ledger version {version}, this program reads version {VERSION}; use a matching Assay"
        )
