"""What enters a run from outside, and the items that a run holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from audit.collection import Item, inspect_image, path_id, walk_files
from audit.engine import progress
from audit.evidence import Status
from audit.run import RunDirectory
from generator.errors import InputError


def _foreign_row(path: Path, folder: Path) -> dict[str, Any]:
    facts = inspect_image(path)
    relative = path.relative_to(folder).as_posix()
    return {
        "image_id": path_id(relative),
        "path": str(path),
        "sha256": facts.sha256,
        "prompt_id": None,
        "prompt": None,
        "replicate": None,
        "seed": None,
        "generator": None,
        "weights_digest": None,
        "unknown_words": "",
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
        "status": str(Status.ERROR if facts.reason else Status.PASS),
        "reason": facts.reason or facts.note,
    }


def collect_folder(run: RunDirectory, folder: Path) -> None:
    """Enter every file of a folder into the images table, readable or not.

    Raises:
        InputError: the folder does not exist or holds no file at all.
    """
    started = time.monotonic()
    root = folder.resolve()
    paths = list(walk_files(root))
    if not paths:
        raise InputError(f"{folder}: holds no files; give a folder with images")
    done = run.done("images")
    waiting = [path for path in paths if path_id(path.relative_to(root).as_posix()) not in done]
    with progress(len(paths), label="Read files", done=len(paths) - len(waiting)) as bar:
        for start in range(0, len(waiting), 64):
            batch = waiting[start : start + 64]
            run.append("images", [_foreign_row(path, root) for path in batch])
            bar.update(len(batch))
    run.finish_table("images", order=[path_id(path.relative_to(root).as_posix()) for path in paths])
    run.finish_stage("collect", seconds=time.monotonic() - started)


def run_item(run: RunDirectory, row: Mapping[Any, Any]) -> Item:
    """The item of one row of a run's images table."""
    known = pd.notna(row["prompt_id"])
    return Item(
        image_id=row["image_id"],
        path=run.path / row["path"],
        prompt_id=row["prompt_id"] if known else None,
        prompt=row["prompt"] if known else None,
        replicate=int(row["replicate"]) if known else None,
        readable=row["status"] != Status.ERROR,
        reason=row["reason"],
    )


def run_items(run: RunDirectory) -> list[Item]:
    """The items of a run, from its images table."""
    return [run_item(run, row) for row in run.rows("images").to_dict("records")]
