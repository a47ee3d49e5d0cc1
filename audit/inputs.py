"""What a verb was asked to look at: files, folders, globs, Parquet tables of paths, tar archives and stdin.

Everything that is named or found becomes a `Source`, also what cannot be opened: it is judged with a reason, never
dropped. Sources are made one at a time, so that a hundred thousand of them need no more memory than one.
"""

from __future__ import annotations

import glob
import itertools
import os
import shutil
import stat
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from generator.errors import CannotCheckError, InputError

STDIN = "-"
MAX_MEMBER = 4 << 30  # bytes of one archive member that are unpacked
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_TABLE = ".parquet"
_ROWS = 4_096  # of a table, read at a time


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to judge; picklable.

    Attributes:
        name: as shown and as remembered by a run that is resumed; "archive.tar::member" for a member.
        path: the file to open.
        problem: why it cannot be opened; "" for a file.
        is_temporary: whether the file is a copy that is to be removed once it was judged.
    """

    name: str
    path: Path
    problem: str = ""
    is_temporary: bool = False


def expand(arguments: Sequence[str], folder: Path, *, column: str = "path") -> Iterator[Source]:
    """Everything that the arguments name, in their order; folders and globs in sorted order.

    Args:
        arguments: files, folders, globs, .parquet tables, .tar archives (also compressed); "-" is stdin.
        folder: where copies of archive members and of stdin are kept; the caller removes it in the end.
        column: of a table, holds paths; relative ones are relative to the table's folder.

    Raises:
        InputError: nothing of that name, an empty folder, a table without that column, stdin named twice.
        CannotCheckError: stdin cannot be kept, or the disk is full.
    """
    if list(arguments).count(STDIN) > 1:
        raise InputError("- (stdin) can be read only once; name it once")
    for argument in arguments:
        path = Path(argument)
        if argument == STDIN:
            yield Source("stdin", _copy(sys.stdin.buffer, folder / "stdin"))
        elif path.is_dir():
            yield from _required(_walk(path), f"{argument}: holds no files; give a folder with images")
        elif path.exists() or path.is_symlink():
            yield from _file(path, folder, column=column)
        elif glob.has_magic(argument):
            found = (Path(name) for name in sorted(glob.iglob(argument, recursive=True)))
            files = (
                source
                for match in found
                if not match.is_dir()
                for source in _file(match, folder, column=column)
            )
            yield from _required(files, f"{argument}: matches no file; check the pattern")
        else:
            raise InputError(f"{argument}: no such file or folder; check the path")


def _required(sources: Iterator[Source], message: str) -> Iterator[Source]:
    first = next(sources, None)
    if first is None:
        raise InputError(message)
    return itertools.chain([first], sources)


def _file(path: Path, folder: Path, *, column: str) -> Iterator[Source]:
    name = path.name.lower()
    if name.endswith(_TABLE):
        return _rows(path, column=column)
    if name.endswith(_ARCHIVES):
        return _members(path, folder)
    return iter([_source(path)])


def _source(path: Path) -> Source:
    """A path as a source; opening what is no regular file could wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return Source(str(path), path, f"cannot be read: {error.strerror or error}")
    if not stat.S_ISREG(mode):
        return Source(str(path), path, "is no regular file (a pipe, socket, device or folder)")
    return Source(str(path), path)


def _walk(folder: Path) -> Iterator[Source]:
    """Every file below a folder, symlink loops cut, hidden ones left out, unreadable folders named."""
    seen: set[tuple[int, int]] = set()
    closed: list[OSError] = []
    for root, names, files in os.walk(folder, onerror=closed.append, followlinks=True):
        info = os.stat(root)
        if (info.st_dev, info.st_ino) in seen:
            names.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield from (_source(Path(root) / name) for name in sorted(files) if not name.startswith("."))
        yield from map(_closed, closed)
        closed.clear()
    yield from map(_closed, closed)


def _closed(error: OSError) -> Source:
    name = str(error.filename)
    return Source(name, Path(name), f"the folder cannot be read: {error.strerror or error}")


def _rows(path: Path, *, column: str) -> Iterator[Source]:
    import pyarrow as pa  # only for tables
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path)
        if column not in table.schema_arrow.names:
            raise InputError(
                f"{path}: no column {column!r}; it has {', '.join(table.schema_arrow.names)}. Name one with --column"
            )
        for batch in table.iter_batches(_ROWS, columns=[column]):
            for value in batch.column(0).to_pylist():
                if isinstance(value, str) and value:
                    yield _source(path.parent / value)
                else:
                    yield Source(f"{path}::{value}", path, "the table names no path in this row")
    except (pa.ArrowException, OSError) as error:
        raise CannotCheckError(
            f"{path}: the table cannot be read ({error}); check that it is Parquet"
        ) from error


def _members(path: Path, folder: Path) -> Iterator[Source]:
    try:
        with tarfile.open(path, "r|*") as archive:
            for number, member in enumerate(archive):
                if not member.isdir():
                    yield _member(archive, member, path, folder / f"{number}{_suffix(member.name)}")
    except (tarfile.TarError, EOFError, OSError) as error:
        yield Source(f"{path}::", path, f"the archive breaks off: {error}")


def _suffix(name: str) -> str:
    """Extension of a member, which hints at its kind; nothing else of the name reaches the disk."""
    suffix = Path(name).suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) < 10 else ""


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, target: Path) -> Source:
    name = f"{path}::{member.name}"
    if not member.isreg():
        return Source(name, path, "is a link or a device inside an archive, and those are not followed")
    if member.size > MAX_MEMBER:
        return Source(name, path, f"has {member.size:,} bytes; at most {MAX_MEMBER:,} are unpacked")
    stream = archive.extractfile(member)
    if stream is None:
        return Source(name, path, "has no content")
    return Source(name, _copy(stream, target), is_temporary=True)


def _copy(stream: IO[bytes], target: Path) -> Path:
    try:
        with target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    except OSError as error:
        raise CannotCheckError(
            f"{target.stem}: cannot be kept in a temporary file ({error.strerror})"
        ) from error
    return target
