"""The ledger in a PostgreSQL database, for several machines that publish together.

Needs the package pg8000 (BSD), the extra `postgres`. The URL is postgresql://USER@HOST:PORT/DATABASE; a password is
taken from the URL or, better, from PGPASSWORD, and appears in no message. `?host=/folder` names a socket folder,
`?sslmode=require|verify-full|disable` says whether the connection is encrypted.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from generator.errors import CannotCheckError, DiskFullError, InputError

VERSION = 2
_LOCK = 0x41535359  # advisory lock of who makes the tables
_WAIT_SECONDS = 30  # for a lock
_SOCKET_SECONDS = 60  # for any answer

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS ledger_version (version INTEGER PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS asset (asset_id TEXT PRIMARY KEY, manifest_id TEXT NOT NULL, "
    "manifest BYTEA NOT NULL, sha256 TEXT NOT NULL, format TEXT NOT NULL, generator TEXT NOT NULL, "
    "weights_digest TEXT NOT NULL, created TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS asset_sha256 ON asset (sha256)",
    "CREATE INDEX IF NOT EXISTS asset_manifest_id ON asset (manifest_id)",
    "CREATE TABLE IF NOT EXISTS replaced (number BIGSERIAL PRIMARY KEY, asset_id TEXT NOT NULL, "
    "manifest_id TEXT NOT NULL, sha256 TEXT NOT NULL, created TEXT NOT NULL, UNIQUE (asset_id, sha256))",
    "CREATE TABLE IF NOT EXISTS likeness (asset_id TEXT PRIMARY KEY, image_code BYTEA NOT NULL, "
    "preview BYTEA NOT NULL)",
    f"INSERT INTO ledger_version VALUES ({VERSION}) ON CONFLICT DO NOTHING",  # noqa: S608 - a number of ours
)


class PostgresStore:
    """One open connection; belongs to one thread and one process.

    Args:
        url: see the head of the module.
        read_only: open for looking up only; the tables must exist.

    Raises:
        InputError: pg8000 is absent, the URL is malformed, or there is no ledger (read-only).
        CannotCheckError: the server does not answer or refuses, or the ledger is of another version.
    """

    has_likenesses = True

    def __init__(self, url: str, *, read_only: bool) -> None:
        try:
            from pg8000 import exceptions, native
        except ImportError as error:
            raise InputError(
                "a PostgreSQL ledger needs the package pg8000; install it with `pip install assay-audit[postgres]`"
            ) from error
        options = _parse(url)
        self._name = f"postgresql://{options['user']}@{options.get('host') or 'socket'}/{options['database']}"
        self._errors = (exceptions.InterfaceError, exceptions.DatabaseError, OSError)
        with self._translated():
            self._connection = native.Connection(**options, timeout=_SOCKET_SECONDS)
        try:
            self._prepare(read_only=read_only)
        except BaseException:
            self.close()
            raise

    def run(self, statement: str, **values: Any) -> list[Sequence[Any]]:  # noqa: ANN401 - what SQL can hold
        """Rows of one statement with :named values."""
        with self._translated():
            return self._connection.run(statement, **values) or []

    @contextlib.contextmanager
    def writing(self, asset_id: str) -> Iterator[None]:
        """All statements within take effect together, or none; one writer an asset at a time."""
        self.run("BEGIN")
        try:
            self.run("SELECT pg_advisory_xact_lock(hashtext(:asset_id))", asset_id=asset_id)
            yield
            self.run("COMMIT")
        except BaseException:
            with contextlib.suppress(CannotCheckError):  # the first error is the one to report
                self.run("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with contextlib.suppress(*self._errors):
            self._connection.close()

    def _prepare(self, *, read_only: bool) -> None:
        self.run(f"SET lock_timeout = '{_WAIT_SECONDS}s'")
        if read_only:
            self.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        elif not self._has_tables():
            self._make_tables()
        if not self._has_tables():
            raise InputError(f"{self._name}: no ledger there; it is made when an image is published")
        version = self.run("SELECT max(version) FROM ledger_version")[0][0]
        if version != VERSION:
            raise CannotCheckError(
                f"{self._name}: ledger version {version}, this program reads version {VERSION}; use a matching Assay"
            )

    def _make_tables(self) -> None:
        """All of them or none, so that nobody meets half of a ledger."""
        self.run("BEGIN")
        self.run("SELECT pg_advisory_xact_lock(:number)", number=_LOCK)
        for statement in _SCHEMA:
            self.run(statement)
        self.run("COMMIT")

    def _has_tables(self) -> bool:
        return bool(self.run("SELECT to_regclass('ledger_version') IS NOT NULL")[0][0])

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """The driver's errors as ours, once, here."""
        try:
            yield
        except self._errors as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> CannotCheckError:
        said = error.args[0] if error.args else ""
        state, message = (
            (said.get("C", ""), said.get("M", "")) if isinstance(said, dict) else ("", str(error))
        )
        match state:
            case "53100":
                return DiskFullError(
                    f"{self._name}: the server's disk is full, the entry was not written; earlier entries are kept"
                )
            case "55P03" | "57014":
                return CannotCheckError(
                    f"{self._name}: locked by another process for more than {_WAIT_SECONDS} s; end it or wait"
                )
            case "25006" | "42501":
                return CannotCheckError(
                    f"{self._name}: not permitted ({message}); check the user's permissions"
                )
            case "28P01" | "28000" | "3D000":
                return CannotCheckError(
                    f"{self._name}: refused ({message}); check user, password and database"
                )
        return CannotCheckError(
            f"{self._name}: cannot be used ({message or error}); check that the server runs and can be reached"
        )


def _parse(url: str) -> dict[str, Any]:
    """Arguments of the driver from a URL; raises InputError for what it does not know."""
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
        query = parse_qs(parts.query, strict_parsing=True) if parts.query else {}
    except ValueError as error:
        raise InputError(f"PostgreSQL ledger: malformed URL ({error})") from error
    database = unquote(parts.path.lstrip("/"))
    unknown = sorted(set(query) - {"host", "sslmode"})
    if not database or unknown:
        raise InputError(
            "PostgreSQL ledger: expected postgresql://USER@HOST:PORT/DATABASE, with ?host=FOLDER and ?sslmode=MODE "
            f"where needed; got {'unknown options ' + ', '.join(unknown) if unknown else 'no database'}"
        )
    options: dict[str, Any] = {
        "user": unquote(parts.username or os.environ.get("PGUSER") or "postgres"),
        "password": unquote(parts.password) if parts.password else os.environ.get("PGPASSWORD"),
        "database": database,
    }
    folder = query.get("host", [""])[0]
    if folder.startswith("/"):
        return options | {"unix_sock": f"{folder}/.s.PGSQL.{port}"}
    return options | {
        "host": folder or parts.hostname or "localhost",
        "port": port,
        "ssl_context": _tls(query.get("sslmode", ["prefer"])[0]),
    }


def _tls(mode: str) -> ssl.SSLContext | bool | None:
    """What the driver wants: None tries encryption and falls back, as `prefer` does elsewhere."""
    match mode:
        case "prefer":
            return None
        case "disable":
            return False
        case "require":
            return True
        case "verify-full":
            return ssl.create_default_context()
    raise InputError(f"PostgreSQL ledger: sslmode {mode!r}; expected prefer, require, verify-full or disable")
