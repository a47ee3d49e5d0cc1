"""Runs as tidy tables: every check, and every share, one row each. For spreadsheets, notebooks and other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from audit.evidence import Check
from audit.report.contents import Contents, read_table
from audit.report.shares import COLUMNS, find_shares
from audit.run import write_atomically
from generator.errors import AssayError

CHECK_COLUMNS = ("run_id", "room", "check", "status", "value", "unit", "low", "high", "level", "method", "threshold",
                 "reason", "next_step", "source")  # fmt: skip
SHARE_COLUMNS = ("run_id", "generator", "prompts", "attribute", "prompt_id", "group", "images", "share", "low",
                 "high", "reference", "corrected")  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet computes when a cell begins with it


def checks_table(runs: Sequence[Contents]) -> pd.DataFrame:
    """Every check of every run, CHECK_COLUMNS."""
    rows = [
        (contents.run_id, room, *_check_cells(check))
        for contents in runs
        for room, evidence in contents.evidence.items()
        for check in evidence.checks
    ]
    return pd.DataFrame(rows, columns=list(CHECK_COLUMNS))


def _check_cells(check: Check) -> Iterable[object]:
    interval = check.interval
    ends = (None, None, None, "") if interval is None else (
        interval.low, interval.high, interval.level, interval.method
    )  # fmt: skip
    value = None if check.value is None else str(check.value)  # words and numbers share the column
    return (
        check.name, str(check.status), value, check.unit, *ends, check.threshold, check.reason, check.next_step,
        check.source,
    )  # fmt: skip


def shares_table(runs: Sequence[Contents]) -> pd.DataFrame:
    """Shares of every attribute, prompt and group of every run, SHARE_COLUMNS; none where the table is damaged."""
    frames = []
    for contents in runs:
        try:
            rows = read_table(contents.path, "bias", columns=COLUMNS)
        except (AssayError, FileNotFoundError):
            continue
        for shares in find_shares(rows, contents.evidence.get("bias")):
            frames.append(
                shares.table.rename(columns={"of": "images"}).assign(
                    run_id=contents.run_id,
                    generator=describe_generator(contents),
                    prompts=describe_prompts(contents),
                    attribute=shares.attribute,
                    corrected=shares.corrected,
                )
            )
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return table.reindex(columns=list(SHARE_COLUMNS))


def describe_generator(contents: Contents) -> str:
    """What made a run's images, in a few words."""
    generator = contents.record.get("generator")
    if not isinstance(generator, dict):
        return "images of unknown origin"
    return (
        " ".join(str(generator[name]) for name in ("name", "version") if generator.get(name)) or "not named"
    )


def describe_prompts(contents: Contents) -> str:
    """The prompt set of a run, by name."""
    config = contents.record.get("config")
    if not isinstance(config, dict) or config.get("images"):
        return "none"
    return Path(str(config.get("prompt") or config.get("prompts") or "none")).name


def write_tables(runs: Sequence[Contents], folder: Path, *, suffix: str) -> list[Path]:
    """Write `checks` and `shares` as CSV or Parquet into a folder; returns their paths.

    Args:
        runs: to write.
        folder: made when it is not there.
        suffix: "csv" or "parquet". In CSV, text that a spreadsheet would compute begins with an apostrophe.

    Raises:
        DiskFullError: no space.
    """
    paths = []
    for name, table in (("checks", checks_table(runs)), ("shares", shares_table(runs))):
        path = folder / f"{name}.{suffix}"
        if suffix == "csv":
            text = table.map(_inert).to_csv(index=False)
            write_atomically(path, text.encode())
        else:
            write_atomically(path, table.to_parquet(None, index=False, compression="zstd"))
        paths.append(path)
    return paths


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def render_json(runs: Sequence[Contents]) -> str:
    """Runs as one JSON document: record, status, evidence, problems of each."""
    document = {
        "runs": [
            {
                "run_id": contents.run_id,
                "status": str(contents.status),
                "record": dict(contents.record),
                "rooms": {room: evidence.to_json() for room, evidence in contents.evidence.items()},
                "problems": dict(contents.problems),
            }
            for contents in runs
        ]
    }
    return json.dumps(document, indent=1, ensure_ascii=False)
