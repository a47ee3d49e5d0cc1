"""One file with scripts in every text it can bring, through every form of output: shown as text, and never more."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from audit.cli.main import main
from audit.report.sarif import write_sarif
from benchmarks.attack_case import Kit
from benchmarks.attack_hostile import HOSTILE, hostile
from benchmarks.forgeries import Authority

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worst file of the matrix, under a name that is a formula."""
    folder = tmp_path_factory.mktemp("hostile")
    kit = Kit(folder)
    case = next(case for case in hostile(kit) if case.name == "script in every text")
    path = folder / "=cmd('[x](javascript:alert(1))')<script>.png"
    path.write_bytes(case.data)
    return path


def output(file: Path, form: str, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["verify", file.name, "--format", form, "--watermark", "off", "--rubric", *words])
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\u202e" not in text
    return text


@pytest.fixture(autouse=True)
def _in_its_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)


def test_the_file_brings_its_text_as_far_as_the_outputs(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(output(file, "json", capsys))
    assert "<script>alert(1)</script>" in json.dumps(document)  # else the others would prove nothing
    assert "<script>" in output(file, "text", capsys)


def test_no_cell_is_a_formula(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.reader(io.StringIO(output(file, "csv", capsys))))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(_FORMULA)]
    assert "'" + file.name in cells


def test_no_markup_in_junit(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = ET.fromstring(output(file, "junit", capsys))
    assert {element.tag for element in suite.iter()} <= {
        "testsuite",
        "testcase",
        "skipped",
        "failure",
        "error",
    }
    assert "<script>" in "".join(suite.itertext()) + str(suite[0].get("name"))


def test_no_link_in_sarif(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (result,) = json.loads(output(file, "sarif", capsys))["runs"][0]["results"]
    assert "[" not in result["message"]["text"].replace("\\[", "")
    stream = io.StringIO()
    check = {"name": "c", "status": "fail", "reason": "[here](https://example.org) {0} \\["}
    write_sarif([{"path": "p", "status": "fail", "verdict": "tampered", "checks": [check, check]}], stream)
    (told,) = json.loads(stream.getvalue())["runs"][0]["results"]
    assert told["message"]["text"].endswith("\\[here\\](https://example.org) {{0}} \\\\\\[")


@pytest.mark.parametrize("verb", ["inspect", "doctor"])
def test_other_verbs_print_text_only(verb: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = file.name
    if verb == "doctor":
        leaf = Authority().issue(HOSTILE[:60], organisation=HOSTILE[:60])
        Path("leaf.pem").write_bytes(leaf.chain)
        target = "leaf.pem"
    main([verb, target])
    text = capsys.readouterr().out
    assert not [c for c in text if not c.isprintable() and c != "\n"]
