"""`assay mark`: marks what is unmarked, refuses what carries marks already, never changes an original."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.cli.main import main
from audit.collection import load_pixels
from generator.marking.identity import assay_home
from generator.marking.watermark.keys import load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.portraits import Corpus, Rates


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An unmarked drawing on disk."""
    from PIL import Image

    path = tmp_path / "drawing.png"
    Image.fromarray(Corpus(5, Rates.default(), 1).drawing(0, 256)).save(path)
    return path


def _mark(capsys: pytest.CaptureFixture[str], *paths: Path, out: Path) -> tuple[int, list[dict[str, str]]]:
    words = ["mark", *map(str, paths), "--out", str(out), "--generator", "Other model", "--json"]
    code = main(words)
    return code, json.loads(capsys.readouterr().out)["images"]


def test_marked_copy_is_read_back_and_the_original_is_untouched(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    before = picture.read_bytes()
    code, rows = _mark(capsys, picture, out=tmp_path / "out")
    assert code == 0
    assert picture.read_bytes() == before
    found = DEFAULT.detect(
        load_pixels(Path(rows[0]["path"])), key=load_or_create_key(assay_home()), search="quick"
    )
    assert found.payload is not None
    assert found.payload.hex == rows[0]["asset_id"]


def test_marking_again_gives_the_same_file(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, first = _mark(capsys, picture, out=tmp_path / "out")
    data = Path(first[0]["path"]).read_bytes()
    _, second = _mark(capsys, picture, out=tmp_path / "out")
    assert second == first
    assert Path(second[0]["path"]).read_bytes() == data


def test_marked_and_unreadable_files_are_refused_by_name(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    from PIL import Image

    _, rows = _mark(capsys, picture, out=tmp_path / "out")
    signed = Path(rows[0]["path"])
    stripped = tmp_path / "stripped.png"
    Image.open(signed).save(stripped)
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    code, rows = _mark(capsys, signed, stripped, empty, out=tmp_path / "again")
    assert code == 4
    reasons = [row["reason"] for row in rows]
    assert "Content Credentials" in reasons[0]
    assert "watermark already" in reasons[1]
    assert "empty" in reasons[2]
    assert list((tmp_path / "again").iterdir()) == []


def test_certificate_without_key_is_a_usage_error(picture: Path, tmp_path: Path) -> None:
    words = ["mark", str(picture), "--out", str(tmp_path / "o"), "--generator", "x", "--certificate", "c.pem"]
    assert main(words) == 2


def test_inspect_does_not_pass_a_development_identity_off_as_trusted(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, rows = _mark(capsys, picture, out=tmp_path / "out")
    main(["inspect", rows[0]["path"]])
    out = capsys.readouterr().out
    assert "state rests on: this machine's own development root" in out
