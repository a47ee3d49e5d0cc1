"""Complete files or none: the one way the project puts bytes on disk."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from generator.errors import DiskFullError, InputError

_PARTIAL = ".part"


def is_disk_full(error: OSError) -> bool:
    """Whether the disk or the user's quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_atomic(path: Path, content: bytes) -> None:
    """Write beside the target, sync, then rename over it: a reader sees the old bytes or the new, never half.

    Raises:
        OSError: as the system reports it; the temporary file is gone, the target untouched.
    """
    with open_atomic(path) as stream:
        stream.write(content)


@contextlib.contextmanager
def open_atomic(path: Path) -> Iterator[IO[bytes]]:
    """A stream to write and read, beside the target; synced and renamed over it when the context ends well.

    Raises:
        OSError: as the system reports it; the temporary file is gone, the target untouched.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}{_PARTIAL}")
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:  # an interrupt, too, leaves nothing behind
        temporary.unlink(missing_ok=True)
        raise


def remove_partials(folder: Path) -> None:
    """Delete what processes that were killed in the middle of `write_atomic` left below a folder.

    Call it only while nobody else writes there.
    """
    for leftover in folder.rglob(f".*{_PARTIAL}"):
        leftover.unlink(missing_ok=True)


def write_private_once(target: Path, content: bytes) -> None:
    """Create a key file, mode 0600, complete or not at all; when one is there already, it stays.

    Raises:
        InputError: the folder cannot be made or written.
        DiskFullError: no room.
    """
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _temporary(target, content) as complete, contextlib.suppress(FileExistsError):
            os.link(complete, target)  # unlike a rename, a link never replaces
    except OSError as error:
        message = f"{target}: the key file cannot be written ({error.strerror})"
        if is_disk_full(error):
            raise DiskFullError(
                f"{message}; free space and run again, nothing half-written was left"
            ) from error
        raise InputError(
            f"{message}; choose a folder you can write to (ASSAY_HOME for the development identity)"
        ) from error


@contextlib.contextmanager
def _temporary(target: Path, content: bytes) -> Iterator[Path]:
    """A complete, synced file of mode 0600 beside the target; removed at the end."""
    path = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)
