"""Complete files or none: the one way the project puts bytes on disk."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

_PARTIAL = ".part"


def is_disk_full(error: OSError) -> bool:
    """Whether the disk or the user's quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_atomic(path: Path, content: bytes) -> None:
    """Write beside the target, sync, then rename over it: a reader sees the old bytes or the new, never half.

    Raises:
        OSError: as the system reports it; the temporary file is gone, the target untouched.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}{_PARTIAL}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
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
