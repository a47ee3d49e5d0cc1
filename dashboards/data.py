"""Reads run directories for the pages, cached by the state of their files. Free of Streamlit; never writes.

`ASSAY_RUNS` names one run directory or a folder of them; without it, `runs` in the current folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.report import flags as flagging
from audit.report.contents import Contents, read_contents, read_table
from audit.run import TABLES
from generator.errors import AssayError

GALLERY_COLUMNS = ("image_id", "path", "sha256", "prompt_id", "prompt", "replicate", "seed", "generator",
                   "unknown_words", "width", "height", "format", "status", "reason")  # fmt: skip

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class RunEntry:
    """A run that can be chosen.

    Attributes:
        name: of its folder; unique, and what stands in the address.
        path: of the run directory.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class Table:
    """Rows, or the reason why there are none.

    Attributes:
        rows: empty when the table is missing or damaged.
        problem: a sentence; "" when it could be read.
    """

    rows: pd.DataFrame
    problem: str = ""


def runs_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where runs are looked for."""
    return Path(environment.get("ASSAY_RUNS") or "runs")


def find_runs(folder: Path) -> list[RunEntry]:
    """Run directories, newest name first: the folder itself when it is one, else those directly in it."""
    if (folder / "run.json").is_file():
        return [RunEntry(folder.name, folder)]
    if not folder.is_dir():
        return []
    found = [file.parent for file in folder.glob("*/run.json")]
    return [RunEntry(path.name, path) for path in sorted(found, key=lambda path: path.name, reverse=True)]


def compute_stamp(run: Path) -> Stamp:
    """Name, size and time of every file that a page may read; changes whenever one of them does."""
    patterns = ("run.json", "*.parquet", "evidence/*.json", "parts/*/*.parquet")
    stamp = []
    for file in sorted(file for pattern in patterns for file in run.glob(pattern)):
        try:
            info = file.stat()
        except FileNotFoundError:  # merged away by the audit that is writing this run
            continue
        stamp.append((file.relative_to(run).as_posix(), info.st_size, info.st_mtime_ns))
    return tuple(stamp)


def load_contents(run: Path) -> Contents:
    """Record and evidence of a run."""
    return _contents(run, compute_stamp(run))


@lru_cache(maxsize=32)
def _contents(run: Path, stamp: Stamp) -> Contents:
    return read_contents(run)


def load_table(run: Path, table: str, *, columns: Sequence[str]) -> Table:
    """Rows of a table with these columns; treat them as read-only, they are shared.

    Args:
        run: the run directory.
        table: one of the run's tables.
        columns: which; those that the table lacks are null.
    """
    if table not in TABLES:
        raise ValueError(f"table {table!r}: expected one of {', '.join(TABLES)}")
    return _table(run, table, tuple(columns), compute_stamp(run))


def load_rows(run: Path, table: str, *, columns: Sequence[str], image_id: str) -> pd.DataFrame:
    """Rows of one image; empty when there are none or the table is damaged."""
    try:
        return read_table(run, table, columns=columns, image_id=image_id)
    except (AssayError, FileNotFoundError):
        return pd.DataFrame(columns=list(columns))


@lru_cache(maxsize=12)
def _table(run: Path, table: str, columns: tuple[str, ...], stamp: Stamp) -> Table:
    try:
        return Table(read_table(run, table, columns=columns))
    except AssayError as error:
        return Table(pd.DataFrame(columns=list(columns)), str(error))
    except FileNotFoundError:  # a part was merged away while it was read
        return Table(
            pd.DataFrame(columns=list(columns)), "The run is being written just now; load the page again."
        )


def load_flags(run: Path) -> dict[str, list[str]]:
    """Reasons to look at an image, by image id."""
    return _flags(run, compute_stamp(run))


@lru_cache(maxsize=4)
def _flags(run: Path, stamp: Stamp) -> dict[str, list[str]]:
    return flagging.compute_flags(
        load_table(run, "images", columns=flagging.IMAGE_COLUMNS).rows,
        provenance=load_table(run, "provenance", columns=flagging.PROVENANCE_COLUMNS).rows,
        detector=load_table(run, "detector", columns=flagging.DETECTOR_COLUMNS).rows,
        similarity=load_table(run, "similarity", columns=flagging.SIMILARITY_COLUMNS).rows,
    )


@dataclass(frozen=True)
class ImageFilter:
    """Which images a gallery shows; empty choices mean all.

    Attributes:
        prompts: prompt ids.
        verdicts: overall words of the provenance room.
        only_flagged: only images with a reason to look at them.
        text: part of a file name, a prompt or an image id, in any case.
    """

    prompts: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    only_flagged: bool = False
    text: str = ""


def load_gallery(run: Path, chosen: ImageFilter) -> Table:
    """Images that fit a filter, flagged ones first, each with `verdict` (null where unknown) and `flags` (a list)."""
    images = load_table(run, "images", columns=GALLERY_COLUMNS)
    verdicts = load_table(run, "provenance", columns=("image_id", "verdict")).rows
    flags = load_flags(run)
    rows = images.rows.merge(verdicts.drop_duplicates("image_id"), on="image_id", how="left")
    rows["flags"] = [flags.get(image_id, []) for image_id in rows["image_id"]]
    if chosen.prompts:
        rows = rows[rows["prompt_id"].isin(chosen.prompts)]
    if chosen.verdicts:
        rows = rows[rows["verdict"].isin(chosen.verdicts)]
    if chosen.only_flagged:
        rows = rows[rows["flags"].map(bool)]
    if chosen.text.strip():
        rows = rows[_contains(rows, chosen.text.strip().lower())]
    order = (~rows["flags"].map(bool)).astype(int).to_numpy().argsort(kind="stable")
    return Table(rows.iloc[order].reset_index(drop=True), images.problem)


def _contains(rows: pd.DataFrame, wanted: str) -> NDArray[np.bool_]:
    joined = rows["path"].fillna("") + "\n" + rows["prompt"].fillna("").astype(str) + "\n" + rows["image_id"]
    return np.asarray([wanted in text.lower() for text in joined], dtype=bool)
