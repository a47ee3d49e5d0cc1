"""A run in a process of its own, for tests that kill it. Usage: crash_worker.py RUN_DIRECTORY N_IMAGES."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from audit.collection import Item
from audit.engine import Module, audit
from audit.evidence import Check, Evidence, Status
from audit.run import RunDirectory


def measure(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Two rows an image, slowly enough to be killed in between."""
    time.sleep(0.01)
    return [
        {"image_id": item.image_id, "rank": rank, "status": "pass", "reason": ""}
        for item in items
        for rank in (1, 2)
    ]


def summarise(rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
    """Counts what was measured."""
    return Evidence("similarity", (Check("rows.count", Status.PASS, "Rows were counted.", float(len(rows))),))


def main() -> None:
    """Open or create the run, audit, and say that it is done."""
    path, count = Path(sys.argv[1]), int(sys.argv[2])
    exists = (path / "run.json").exists()
    run = RunDirectory.open(path) if exists else RunDirectory.create(path, record={"config": {"n": count}})
    items = [Item(f"{number:04d}", path / f"{number}.png") for number in range(count)]
    with run.lock():
        sys.stdout.write("started\n")
        sys.stdout.flush()
        audit(Module("similarity", "Test", measure, summarise, batch=3), run, items, workers=1)
    sys.stdout.write("finished\n")


if __name__ == "__main__":
    main()
