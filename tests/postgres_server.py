"""A PostgreSQL server of the tests' own, in a temporary folder, reached through a socket file only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _find(program: str) -> str:
    found = shutil.which(program) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{program}")), "")
    if not found:
        pytest.skip(f"PostgreSQL is not installed (no {program})")
    return str(Path(found).resolve())


def _as_other_user() -> list[str]:
    """PostgreSQL refuses to run as root: then as its own user, or as nobody."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL cannot run as root, and setpriv is not installed")
    return ["setpriv", f"--reuid={_user()}", "--clear-groups"]


def _user() -> str:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """URL of an empty database; the server ends with the context."""
    initdb, server, prefix = _find("initdb"), _find("postgres"), _as_other_user()
    with tempfile.TemporaryDirectory(prefix="assay-pg-") as name:
        folder = Path(name)
        if prefix:
            shutil.chown(folder, _user())
        data = folder / "data"
        make = [*prefix, initdb, "-D", data, "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*make, "--locale=C"], check=True, capture_output=True, cwd="/")
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB"]
        command = [*prefix, server, "-D", data, "-k", folder, *options]
        log = (folder / "log").open("wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        try:
            _wait(folder, process)
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def _wait(folder: Path, process: subprocess.Popen[bytes]) -> None:
    import time

    from pg8000 import exceptions, native

    for _ in range(600):
        if process.poll() is not None:
            break
        with contextlib.suppress(exceptions.InterfaceError, exceptions.DatabaseError, OSError):
            native.Connection("tester", database="postgres", unix_sock=f"{folder}/.s.PGSQL.5432").close()
            return
        time.sleep(0.1)
    pytest.fail(f"PostgreSQL did not start: {(folder / 'log').read_text()[-500:]}")
