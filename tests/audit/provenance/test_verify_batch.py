"""`assay verify` over many files, to files, at other times, beside other engines; and the engines themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from audit.cli.main import main
from audit.evidence import Status
from audit.provenance.engines import check_engines
from audit.provenance.gather import Setup, examine
from audit.provenance.trust import TrustLists, build_lists
from benchmarks.forgeries import Authority, picture, sign

ROOT = Authority()
LEAF = ROOT.issue()
TRUST = build_lists([ROOT.pem], [], [], source="test")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "signers.pem").write_text(ROOT.pem)
    folder = tmp_path / "files"
    folder.mkdir()
    signed = sign(picture("JPEG"), LEAF, mime="image/jpeg")
    (folder / "good.jpg").write_bytes(signed)
    (folder / "bad.jpg").write_bytes(signed + b"x")
    (folder / "none.jpg").write_bytes(picture("JPEG"))
    return folder


@pytest.fixture
def assay(capsys: pytest.CaptureFixture[str], files: Path) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(
            ["verify", "--watermark", "off", "--trust", str(files.parent / "trust"), *map(str, arguments)]
        )
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_processes_give_what_one_process_gives(assay: Run, files: Path) -> None:
    outputs = [assay(files, "--jsonl", "--jobs", jobs) for jobs in (1, 2)]
    for one, other in zip(*(output[1].splitlines() for output in outputs), strict=True):
        assert json.loads(one) == json.loads(other)
    assert outputs[0] == outputs[1]
    assert [json.loads(line)["verdict"] for line in outputs[0][1].splitlines()] == [
        "tampered",
        "trusted",
        "nothing found",
    ]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv", "out.json", "out.sarif", "out.xml", "out.parquet"])
def test_to_a_file(assay: Run, files: Path, tmp_path: Path, name: str) -> None:
    code, out, err = assay(files, "--out", tmp_path / name, "--jobs", 1)
    assert (code, err) == (1, "")
    assert out == "3 files: 1 pass, 1 fail, 1 inconclusive\n"
    assert b"tampered" in (tmp_path / name).read_bytes()
    assert assay(files, "--out", tmp_path / name)[0] == 2  # complete: never written over


def test_a_stopped_run_goes_on(
    assay: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit import batch

    judge, seen = batch.judge_one, []

    def stop_at_second(source: object, *rest: object) -> object:
        seen.append(source)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return judge(source, *rest)

    monkeypatch.setattr(batch, "judge_one", stop_at_second)
    assert assay(files, "--out", tmp_path / "o.jsonl", "--jobs", 1)[0] == 130
    code, out, err = assay(files, "--out", tmp_path / "o.jsonl", "--jobs", 1)
    assert "going on after 1 files" in err
    assert out == "3 files: 1 pass, 1 fail, 1 inconclusive\n"
    assert code == 1
    assert len(seen) == 4  # the first was not judged again
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 3


def test_what_fails_the_run(assay: Run, files: Path) -> None:
    assert assay(files, "--fail-on", "never")[0] == 0
    assert assay(files / "none.jpg", "--fail-on", "fail")[0] == 0
    assert assay(files, "--fail-on", "nothing found")[0] == 1
    assert assay(files, "--fail-on", "nonsense")[0] == 2
    assert assay("--jobs", "0", files)[0] == 2
    assert assay()[0] == 2


def test_another_time(assay: Run, files: Path) -> None:
    code, out, _ = assay(files / "good.jpg", "--at", "2040-01-01")
    assert code == 1
    assert "expired, no time stamp" in out


def test_what_if_is_shown_and_counts_for_nothing(assay: Run, files: Path) -> None:
    code, out, _ = assay(files / "good.jpg", "--what-if")
    assert code == 0
    assert "-> if it is verified after its certificate ends" in " ".join(out.split())
    assert "-> if you had no trust list: intact, no trust list given [inconclusive]" in " ".join(out.split())


def test_explain_needs_no_file(assay: Run) -> None:
    code, out, _ = assay("--explain")
    assert code == 0
    assert "| laundered ingredient |" in out


def test_recovery_finds_nothing_to_do_in_a_whole_file(assay: Run, files: Path) -> None:
    code, out, _ = assay(files / "good.jpg", "--recover", "--json")
    checks = {check["name"]: check for check in json.loads(out)["assets"][0]["checks"]}
    assert (code, checks["recovered"]["value"]) == (0, "not-needed")


def test_unsigned_bytes_are_named(assay: Run, files: Path) -> None:
    _, out, _ = assay(files / "good.jpg", "--json")
    check = next(c for c in json.loads(out)["assets"][0]["checks"] if c["name"] == "c2pa.unsigned")
    assert {"JPEG segment headers", "box headers", "COSE padding"} <= set(check["details"]["bytes"])


def _check(path: Path, trust: TrustLists = TRUST) -> object:
    return check_engines(examine(path, Setup(trust=trust, search="off")), path, trust)


def test_without_another_engine_there_is_nothing_to_compare(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "encypher_c2pa", None)
    check = _check(files / "good.jpg")
    assert (check.value, check.status) == ("alone", Status.SKIPPED)


@pytest.mark.parametrize(
    ("report", "value"),
    [
        (
            {"present": True, "integrity": "valid", "signature": "valid", "trust": {"status": "trusted"}},
            "agree",
        ),
        (
            {"present": True, "integrity": "valid", "signature": "valid", "trust": {"status": "untrusted"}},
            "disagree",
        ),
        ({"present": True, "integrity": "invalid", "signature": "valid"}, "disagree"),
        ({"present": False}, "disagree"),
        (OSError("too large"), "disagree"),
    ],
)
def test_disagreement_is_reported(
    files: Path, monkeypatch: pytest.MonkeyPatch, report: object, value: str
) -> None:
    def verify(*_: object, **options: object) -> object:
        assert options["no_default_trust"] is True
        assert options["online"] is False
        if isinstance(report, Exception):
            raise report
        return report

    monkeypatch.setitem(sys.modules, "encypher_c2pa", SimpleNamespace(verify=verify))
    check = _check(files / "good.jpg")
    assert check.value == value
    assert check.status is (Status.PASS if value == "agree" else Status.INCONCLUSIVE)
    assert len(check.details["opinions"]) == 3


def test_the_real_other_engine(files: Path, assay: Run) -> None:
    pytest.importorskip("encypher_c2pa")
    assert _check(files / "good.jpg").value == "agree"
    _, out, _ = assay(files / "bad.jpg", "--cross-check", "--json")
    check = next(c for c in json.loads(out)["assets"][0]["checks"] if c["name"] == "engines.agreement")
    assert {opinion["content"] for opinion in check["details"]["opinions"]} == {"broken"}
