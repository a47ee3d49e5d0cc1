"""The engine measures every item once and turns a broken one into a row of status error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from audit.collection import Item
from audit.engine import Module, audit
from audit.evidence import Check, Evidence, Status
from audit.run import RunDirectory
from generator.errors import CannotCheckError, DiskFullError


def _summarise(rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
    return Evidence("detector", (Check("rows", Status.PASS, "Counted.", float(len(rows))),))


def measure_or_break(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Breaks on items whose id starts with x."""
    for item in items:
        if item.image_id.startswith("x"):
            raise CannotCheckError(f"{item.path.name}: broken")
    return [{"image_id": item.image_id, "status": "pass", "reason": ""} for item in items]


def _run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", record={"config": {}})


def _items(*ids: str, **kwargs: Any) -> list[Item]:
    return [Item(image_id, Path(f"/{image_id}.png"), **kwargs) for image_id in ids]


@pytest.mark.parametrize("parallel", [False, True])
def test_one_broken_item_does_not_stop_the_others(tmp_path: Path, parallel: bool) -> None:
    run = _run(tmp_path)
    module = Module("detector", "Test", measure_or_break, _summarise, batch=2, parallel=parallel)
    audit(module, run, _items("a", "x1", "b", "c"), workers=2)
    rows = run.rows("detector").set_index("image_id")
    assert list(rows.index) == ["a", "x1", "b", "c"]
    assert rows.loc["x1", "status"] == "error"
    assert "x1.png: broken" in rows.loc["x1", "reason"]
    assert (rows.drop("x1")["status"] == "pass").all()


def test_unreadable_items_are_named_and_not_measured(tmp_path: Path) -> None:
    run = _run(tmp_path)
    items = _items("a") + _items("x2", readable=False, reason="the file is empty (0 bytes)")
    evidence = audit(Module("detector", "Test", measure_or_break, _summarise), run, items)
    rows = run.rows("detector").set_index("image_id")
    assert rows.loc["x2", "reason"] == "the file is empty (0 bytes)"
    assert evidence.find("rows").value == 2.0


def test_measured_items_are_not_measured_again(tmp_path: Path) -> None:
    run = _run(tmp_path)
    calls: list[str] = []

    def measure(items: Sequence[Item]) -> list[dict[str, Any]]:
        calls.extend(item.image_id for item in items)
        return measure_or_break(items)

    module = Module("detector", "Test", measure, _summarise)
    audit(module, run, _items("a", "b"))
    audit(module, run, _items("a", "b", "c"))
    assert calls == ["a", "b", "c"]


def test_a_full_disk_is_no_finding_about_an_image(tmp_path: Path) -> None:
    def measure(items: Sequence[Item]) -> list[dict[str, Any]]:
        raise DiskFullError("no space")

    with pytest.raises(DiskFullError):
        audit(Module("detector", "Test", measure, _summarise), _run(tmp_path), _items("a"))
