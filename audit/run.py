"""The run directory: the evidence itself, portable and self-describing, written atomically and resumable.

    run.json           the run record: configuration, seeds, digests, versions, commit, argv, times
    images/            the generated pictures (a run over foreign files has none)
    TABLE.parquet      one table per room; `parts/TABLE/` holds the batches of an unfinished one
    evidence/ROOM.json the checks of a room

A batch of rows is committed by one rename, so a killed run has each batch whole or not at all. A batch that
was committed twice (killed between the merge and the clean-up) counts once: rows are keyed by `image_id`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pandas as pd

from audit.evidence import Evidence
from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.marking.files import is_disk_full, remove_partials, write_atomic

SCHEMA_VERSION = 1
TABLES = ("images", "provenance", "bias", "detector", "similarity")

Row = Mapping[str, Any]


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or quota into one clear error; what was committed before stays."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(
                f"{path}: no space left; everything committed before is kept. "
                "Free some space and run the same command again: it goes on where it stopped"
            ) from error
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old or the new content, never a part.

    Raises:
        DiskFullError: the disk or quota is full; the old content is still there.
    """
    with _disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def now() -> str:
    """The current time, UTC, ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run directory that this process reads or writes.

    Use `create` for a new one and `open` for one that exists; `lock` while writing.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, *, record: Mapping[str, Any]) -> RunDirectory:
        """Make a run directory and write its record.

        Args:
            path: must not exist, or be an empty folder.
            record: everything the run says about itself; `config` inside decides whether a run is the same.

        Raises:
            InputError: the folder holds other files.
            DiskFullError: no space.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path}: exists and is not an empty folder; choose another --out")
        run = cls(path)
        run._write_record({"schema_version": SCHEMA_VERSION, "created": now(), "stages": {}, **record})
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Open an existing run directory.

        Raises:
            InputError: the folder is no run directory.
            CannotCheckError: its record is damaged or of an unknown schema version.
        """
        run = cls(path)
        if not (path / "run.json").is_file():
            raise InputError(
                f"{path}: no run.json in it, so it is no run directory; give the folder of a run"
            )
        version = run.record().get("schema_version")
        if version != SCHEMA_VERSION:
            raise CannotCheckError(
                f"{path}/run.json: schema version {version!r}, this version reads {SCHEMA_VERSION}"
            )
        return run

    def record(self) -> dict[str, Any]:
        """The run record.

        Raises:
            CannotCheckError: run.json is damaged.
        """
        try:
            record = json.loads((self.path / "run.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CannotCheckError(f"{self.path}/run.json: cannot be read ({error})") from error
        if not isinstance(record, dict):
            raise CannotCheckError(f"{self.path}/run.json: expected a JSON object")
        return record

    def _write_record(self, record: Mapping[str, Any]) -> None:
        text = json.dumps(record, indent=2, ensure_ascii=False)
        write_atomically(self.path / "run.json", (text + "\n").encode())

    def update(self, changes: Mapping[str, Any]) -> None:
        """Merge top-level fields into the run record."""
        self._write_record({**self.record(), **changes})

    def finish_stage(self, name: str, *, seconds: float) -> None:
        """Record that a stage is complete; a resumed run adds its seconds to those spent before."""
        record = self.record()
        before = record["stages"].get(name, {}).get("seconds", 0.0)
        stage = {"finished": now(), "seconds": round(before + seconds, 2)}
        self._write_record({**record, "stages": {**record["stages"], name: stage}})

    def finished(self, name: str) -> bool:
        """Whether a stage was completed."""
        return name in self.record()["stages"]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing; what a killed writer left half-written is removed.

        Raises:
            InputError: another process writes this run.
        """
        handle: IO[bytes] = (self.path / ".lock").open("wb")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.close()
            raise InputError(
                f"{self.path}: another process writes this run; wait for it or use another --out"
            ) from error
        try:
            remove_partials(self.path)
            yield
        finally:
            handle.close()

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Commit a batch of rows; all of it or nothing.

        Raises:
            DiskFullError: no space; nothing of this batch was committed.
        """
        if not rows:
            return
        folder = self.path / "parts" / table
        numbers = [int(part.stem) for part in folder.glob("*.parquet")]
        target = folder / f"{max(numbers, default=-1) + 1:06d}.parquet"
        write_atomically(target, _to_parquet(pd.DataFrame(rows)))

    def _parts(self, table: str) -> list[Path]:
        return sorted((self.path / "parts" / table).glob("*.parquet"))

    def rows(self, table: str) -> pd.DataFrame:
        """All committed rows of a table, each image once; an empty frame when there are none.

        Raises:
            CannotCheckError: a Parquet file is damaged.
        """
        final = self.path / f"{table}.parquet"
        frames = [_read_parquet(path) for path in ([final] if final.exists() else []) + self._parts(table)]
        kept: list[pd.DataFrame] = []
        seen: set[str] = set()
        for frame in frames:
            fresh = frame[~frame["image_id"].isin(seen)]
            seen.update(fresh["image_id"])
            if len(fresh):
                kept.append(fresh)
        return (
            pd.concat(kept, ignore_index=True) if kept else pd.DataFrame({"image_id": pd.Series(dtype=str)})
        )

    def done(self, table: str) -> set[str]:
        """The image ids that already have rows in a table."""
        return set(self.rows(table)["image_id"])

    def finish_table(self, table: str, *, order: Sequence[str] = ()) -> pd.DataFrame:
        """Merge all parts into the one Parquet file of a table.

        Args:
            table: its name.
            order: image ids in the order wanted; rows of other images follow.

        Returns:
            The rows as written.
        """
        frame = self.rows(table)
        if order:
            place = {image_id: index for index, image_id in enumerate(order)}
            rank = frame["image_id"].map(lambda image_id: place.get(image_id, len(place)))
            frame = frame.iloc[rank.argsort(kind="stable")].reset_index(drop=True)
        write_atomically(self.path / f"{table}.parquet", _to_parquet(frame))
        shutil.rmtree(self.path / "parts" / table, ignore_errors=True)
        with suppress(OSError):  # other tables have parts still
            (self.path / "parts").rmdir()
        return frame

    def write_evidence(self, evidence: Evidence, *, room: str) -> None:
        """Write the checks of a room."""
        text = json.dumps(evidence.to_json(), indent=1, ensure_ascii=False)
        write_atomically(self.path / "evidence" / f"{room}.json", text.encode())

    def evidence(self) -> dict[str, Evidence]:
        """The checks of every room that has been audited, by room.

        Raises:
            CannotCheckError: a file is damaged.
        """
        found = {}
        for path in sorted((self.path / "evidence").glob("*.json")):
            try:
                found[path.stem] = Evidence.from_json(json.loads(path.read_text("utf-8")))
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise CannotCheckError(f"{path}: cannot be read as evidence ({error})") from error
        return found


def _to_parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(None, index=False, compression="zstd")


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise CannotCheckError(
            f"{path}: damaged table ({error}); delete it and run the same command again"
        ) from error
