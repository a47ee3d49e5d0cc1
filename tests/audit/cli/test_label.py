"""`assay label`: keys from a pipe, import and export, and the bias room that rests on the labels at once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from read_runs import build_read_run

from audit.bias.labels import has_labels
from audit.bias.resummary import open_labels
from audit.cli.main import build_parser
from audit.cli.terminal import format_picture
from audit.run import RunDirectory
from generator.errors import InputError


def run_verb(*words: str) -> int:
    args = build_parser(("label",)).parse_args(["label", *words])
    return int(args.run(args))


def press(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{key}\n" for key in keys)))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return build_read_run(tmp_path / "r", [(4, 6)] * 6, trusted=False)


def test_keys_are_kept_and_the_room_uses_them(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.evidence()["bias"].find("bias.presentation.overall")
    assert before.value is None  # the reader's errors are unknown
    press("12u" + "21" * 15 + "q", monkeypatch)
    assert run_verb(str(run.path), "--annotator", "ada", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["labels"] == 33
    assert document["sample"] == 60
    values = open_labels(run).frame()["value"].tolist()
    assert values[:3] == ["woman", "man", "undetermined"]
    after = run.evidence()["bias"].find("bias.presentation.overall")
    assert after.details["labelled_images"] == 33
    assert after.value is not None
    assert after.interval is not None


def test_back_wrong_keys_and_the_end_of_input(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    press("1x2b1", monkeypatch)
    run_verb(str(run.path), "--annotator", "ada", "--sample", "5")
    assert open_labels(run).frame()["value"].tolist() == ["woman", "woman"]
    assert "Keys are 1, 2, u" in capsys.readouterr().err


def test_stopping_at_once_leaves_the_evidence_alone(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = run.path / "evidence" / "bias.json"
    before = file.read_bytes()
    press("q", monkeypatch)
    assert run_verb(str(run.path), "--annotator", "ada") == 0
    assert file.read_bytes() == before


def test_labels_go_out_and_come_back(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    press("12" * 12, monkeypatch)
    run_verb(str(run.path), "--annotator", "ada", "--sample", "24")
    path = tmp_path / "labels.csv"
    assert run_verb(str(run.path), "--export", str(path)) == 0
    other = build_read_run(tmp_path / "copy", [(4, 6)] * 6, trusted=False)
    with pytest.raises(InputError, match="drawn-at-random"):
        run_verb(str(other.path), "--import", str(path))
    assert run_verb(str(other.path), "--import", str(path), "--drawn-at-random") == 0
    assert open_labels(other).frame().sort_values("image_id")["value"].tolist() == (
        open_labels(run).frame().sort_values("image_id")["value"].tolist()
    )
    assert other.evidence()["bias"].find("bias.presentation.overall").details["labelled_images"] == 24
    capsys.readouterr()


def test_labels_of_other_images_are_refused_by_name(run: RunDirectory, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image_id,attribute,value,annotator\nstranger,presentation,woman,ada\n")
    with pytest.raises(InputError, match="'stranger'"):
        run_verb(str(run.path), "--import", str(path))
    assert open_labels(run).frame().empty


def test_a_run_that_was_not_read_cannot_be_labelled(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "r", record={"config": {}})
    with pytest.raises(InputError, match="assay bias"):
        run_verb(str(run.path))
    assert not has_labels(run.path)


def test_a_picture_is_drawn_in_its_colours() -> None:
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:20] = (255, 0, 0)
    lines = format_picture(pixels, columns=20).split("\n")
    assert len(lines) == 5
    assert lines[0].count("▀") == 20
    assert "38;2;255;0;0;48;2;255;0;0" in lines[0]
    assert "38;2;0;0;0" in lines[-1]
    for shape in ((1, 1, 3), (3, 900, 3), (900, 3, 3)):
        assert "▀" in format_picture(np.full(shape, 7, dtype=np.uint8))
