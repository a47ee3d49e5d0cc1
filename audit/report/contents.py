"""What a run directory holds, read piece by piece: one damaged file costs that file and is named.

Both the report and the dashboard read runs through this module; nothing here writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from audit.evidence import Evidence, Status, worst
from audit.report.words import ROOMS
from audit.run import RunDirectory
from generator.errors import AssayError, CannotCheckError

_HIDDEN = frozenset(
    {"asset_secret"}
)  # fields of the run record that identify or protect, and are nobody's business


@dataclass(frozen=True)
class Contents:
    """A run as its readers see it.

    Attributes:
        path: of the run directory.
        record: the run record without secrets; empty when damaged.
        evidence: room -> its checks, in reading order, of the rooms that have been audited.
        problems: file within the run -> a sentence that says why it could not be read.
    """

    path: Path
    record: Mapping[str, Any]
    evidence: Mapping[str, Evidence]
    problems: Mapping[str, str]

    @property
    def run_id(self) -> str:
        """As recorded, else the folder's name."""
        return str(self.record.get("run_id") or self.path.name)

    @property
    def status(self) -> Status:
        """Worst status over rooms; `error` when a file is damaged or no room has evidence."""
        damaged = [Status.ERROR] if self.problems else []
        return worst([*damaged, *(found.status for found in self.evidence.values())])

    @property
    def rooms_planned(self) -> tuple[str, ...]:
        """Rooms that the run's configuration asks for, in reading order."""
        config = self.record.get("config")
        planned = config.get("rooms") if isinstance(config, dict) else None
        return tuple(room for room in ROOMS if not isinstance(planned, list) or room in planned)

    @property
    def rooms_waiting(self) -> tuple[str, ...]:
        """Planned rooms that have not been audited (yet)."""
        return tuple(
            room
            for room in self.rooms_planned
            if room not in self.evidence and f"evidence/{room}.json" not in self.problems
        )

    @property
    def in_progress(self) -> bool:
        """Whether planned rooms are missing: the run is still being made, or it was stopped."""
        return bool(self.rooms_waiting)


def read_contents(path: Path) -> Contents:
    """Read the run record and the evidence; damaged files are named in `problems`."""
    problems: dict[str, str] = {}
    record: dict[str, Any] = {}
    try:
        full = RunDirectory.open(path).record()
        record = {key: value for key, value in full.items() if key not in _HIDDEN}
    except AssayError as error:
        problems["run.json"] = str(error)
    evidence = {}
    for room in ROOMS:
        file = path / "evidence" / f"{room}.json"
        if not file.is_file():
            continue
        try:
            evidence[room] = Evidence.from_json(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            problems[f"evidence/{room}.json"] = (
                f"The checks of this room cannot be read ({type(error).__name__}: {error}). "
                "Delete the file and run the same command again."
            )
    return Contents(path, record, evidence, problems)


def read_table(
    path: Path, table: str, *, columns: Sequence[str], image_id: str | None = None
) -> pd.DataFrame:
    """Rows of a table, every column asked for present (null where the table lacks it).

    Args:
        path: of the run directory.
        table: its name.
        columns: which, `image_id` among them; only these are read from disk when the table is finished.
        image_id: only rows of this image; None: all rows.

    Returns:
        An empty frame when the run has no such table.

    Raises:
        CannotCheckError: a Parquet file is damaged.
    """
    final = path / f"{table}.parquet"
    parts = path / "parts" / table
    if final.is_file() and not any(parts.glob("*.parquet")):
        frame = _read_columns(final, columns, image_id)
    else:
        frame = RunDirectory(path).rows(table)
        frame = frame if image_id is None else frame[frame["image_id"] == image_id]
    return frame.reindex(columns=list(columns))


def _read_columns(file: Path, columns: Sequence[str], image_id: str | None) -> pd.DataFrame:
    import pyarrow.parquet as pq

    wanted = None if image_id is None else [("image_id", "==", image_id)]
    try:
        present = set(pq.read_schema(file).names)
        return pd.read_parquet(file, columns=[name for name in columns if name in present], filters=wanted)
    except (OSError, ValueError) as error:
        raise CannotCheckError(
            f"{file}: damaged table ({error}); delete it and run the same command again"
        ) from error
