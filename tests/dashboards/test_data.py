"""Reading runs for the pages: found, cached by the state of their files, filtered."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pytest
from sample_run import build_sample_run

from audit.evidence import Check, Interval, Status
from audit.report.shares import COLUMNS, compute_shares
from audit.run import RunDirectory
from dashboards import charts, data, view
from dashboards.frame import plain


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return build_sample_run(tmp_path_factory.mktemp("runs") / "run")


def test_runs_are_found_in_a_folder_or_are_the_folder(tmp_path: Path) -> None:
    assert data.find_runs(tmp_path / "absent") == []
    for name in ("a", "b"):
        RunDirectory.create(tmp_path / name, record={})
    (tmp_path / "other").mkdir()
    assert [entry.name for entry in data.find_runs(tmp_path)] == ["b", "a"]
    assert [entry.path for entry in data.find_runs(tmp_path / "a")] == [tmp_path / "a"]


def test_runs_folder_comes_from_the_environment() -> None:
    assert data.runs_folder({"ASSAY_RUNS": "/somewhere"}) == Path("/somewhere")
    assert data.runs_folder({}) == Path("runs")


def test_table_is_read_again_when_it_grows(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", record={})
    columns = ("image_id", "verdict")
    assert data.load_table(run.path, "detector", columns=columns).rows.empty
    run.append("detector", [{"image_id": "a", "verdict": "real"}])
    first = data.load_table(run.path, "detector", columns=columns)
    assert len(first.rows) == 1
    assert data.load_table(run.path, "detector", columns=columns) is first
    run.append("detector", [{"image_id": "b", "verdict": "real"}])
    assert len(data.load_table(run.path, "detector", columns=columns).rows) == 2


def test_damaged_table_is_a_sentence(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", record={})
    (run.path / "bias.parquet").write_bytes(b"damage")
    table = data.load_table(run.path, "bias", columns=("image_id", "value"))
    assert table.rows.empty
    assert "damaged table" in table.problem


def test_only_tables_of_a_run_are_read(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        data.load_table(run.path, "../secret", columns=("image_id",))


def test_gallery_shows_flagged_images_first_and_filters(run: RunDirectory) -> None:
    every = data.load_gallery(run.path, data.ImageFilter()).rows
    flagged = every["flags"].map(bool)
    assert len(every) == 16
    assert flagged.tolist() == sorted(flagged, reverse=True)
    judges = data.load_gallery(run.path, data.ImageFilter(prompts=("judge",))).rows
    assert set(judges["prompt_id"]) == {"judge"}
    altered = data.load_gallery(run.path, data.ImageFilter(verdicts=("tampered",))).rows
    assert altered["path"].tolist() == ["images/engineer-0001.png"]
    named = data.load_gallery(run.path, data.ImageFilter(text=" Judge-0002 ")).rows
    assert named["path"].tolist() == ["images/judge-0002.png"]
    chosen = data.ImageFilter(prompts=("nurse",), only_flagged=True)
    both = data.load_gallery(run.path, chosen).rows
    assert both["path"].tolist() == ["images/nurse-0002.png", "images/nurse-0003.png"]


def test_image_view_joins_every_room(run: RunDirectory) -> None:
    row = run.rows("images").iloc[0]
    found = view.load_image(run.path, row["image_id"])
    assert found is not None
    assert found.evidence is not None
    assert found.evidence.find("c2pa.integrity").status is Status.PASS
    assert [attribute for attribute, *_ in found.perceived] == ["presentation", "age"]
    assert sum(found.perceived[1][2].values()) == pytest.approx(1)
    assert [candidate["rank"] for candidate in found.candidates] == [1, 2, 3]
    assert found.detector["p_synthetic"] > 0.5
    assert view.load_image(run.path, "absent") is None


def test_original_is_offered_only_unchanged(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"], per_prompt=1, broken=False, rooms=[])
    found = view.load_image(run.path, run.rows("images")["image_id"].iloc[0])
    assert found is not None
    original = view.read_original(found)
    assert original is not None
    assert hashlib.sha256(original).hexdigest() == found.image["sha256"]
    found.file.write_bytes(original + b"x")
    assert view.read_original(found) is None
    found.file.unlink()
    assert view.read_original(found) is None


def test_manifest_tree_of_a_file_without_manifest_and_of_none(run: RunDirectory) -> None:
    tree = view.load_manifest_tree(run.path / "images" / "nurse-0000.png")
    assert tree is not None
    assert tree["content credentials"]["state"] == "absent"
    assert view.load_manifest_tree(run.path / "absent.png") is None


def test_charts_hold_the_numbers(run: RunDirectory) -> None:
    check = Check("detector.recall", Status.PASS, "x.", value=0.9, unit="share",
                  interval=Interval(0.8, 0.95, 0.95, "m"), threshold=0.7)  # fmt: skip
    drawn = charts.interval_chart([check], room="detector", unit="share").to_dict()
    (rows,) = drawn["datasets"].values()
    assert rows == [{"check": "recall", "value": 0.9, "low": 0.8, "high": 0.95, "threshold": 0.7}]
    rows = data.load_table(run.path, "provenance", columns=("image_id", *charts.LAYERS)).rows
    parts = next(iter(charts.layer_chart(rows).to_dict()["datasets"].values()))
    assert {(part["layer"], part["status"]): part["files"] for part in parts}[
        "Content as signed", "Finding"
    ] == 1
    shares = compute_shares(data.load_table(run.path, "bias", columns=COLUMNS).rows)[0]
    assert len(next(iter(charts.group_chart(shares).to_dict()["datasets"].values()))) == len(shares.table)
    counts = next(iter(charts.count_chart({"real": 1, "synthetic": 3}).to_dict()["datasets"].values()))
    assert [row["said"] for row in counts] == ["real: 1 (25.0 %)", "synthetic: 3 (75.0 %)"]
    bars = charts.histogram(pd.Series([0.1, 0.9]).to_numpy(), title="p", bounds=(0.0, 1.0)).to_dict()
    assert sum(bar["images"] for bar in next(iter(bars["datasets"].values()))) == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b*c*", "a\\_b\\*c\\*"),
        ("two\nlines", "two lines"),
        ("[x](y)", "\\[x\\]\\(y\\)"),
        (":red[x]", "\\:red\\[x\\]"),
        ("$x$", "\\$x\\$"),
        ("HTTPS://a", "HTTPS\u2060\\:\\/\\/a"),
        ("me@here", "me\u2060\\@here"),
        ("x" * 500, "x" * 399 + "…"),
    ],
)
def test_plain_text_stays_text(text: str, shown: str) -> None:
    assert plain(text) == shown
