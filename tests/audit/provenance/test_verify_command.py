"""`assay verify` and `assay inspect` as a user meets them."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from provenance_making import flip, make_signer, picture, sign, trust_folder

from audit.cli.main import main

SIGNER = make_signer("Jane \x1b[31mDoe")
ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("torch", "torchvision", "open_clip", "streamlit", "pandas", "pyarrow", "sklearn", "scipy")
# Seconds, the figure that the project promises. Processor time of one thread, so that a busy machine does not count.
COLD_START = 0.6

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    trust_folder(tmp_path / "trust", SIGNER)
    folder = tmp_path / "files"
    folder.mkdir()
    signed = sign(picture("JPEG"), SIGNER, mime="image/jpeg")
    (folder / "good.jpg").write_bytes(signed)
    (folder / "tampered.jpg").write_bytes(signed + b"x")
    (folder / "bare.jpg").write_bytes(picture("JPEG", seed=1))
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def assay(capsys: pytest.CaptureFixture[str], files: Path) -> Run:
    def run(verb: str, *arguments: object) -> tuple[int, str, str]:
        code = main([verb, *map(str, arguments), "--trust", str(files.parent / "trust")])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("good.jpg", 0, "trusted"),
        ("tampered.jpg", 1, "tampered"),
        ("bare.jpg", 3, "nothing found"),
        ("broken.jpg", 4, "could not check"),
    ],
)
def test_exit_code_and_word(assay: Run, files: Path, name: str, code: int, word: str) -> None:
    got, out, err = assay("verify", files / name)
    assert got == code
    assert out.splitlines()[0].startswith(f"{files / name}: {word} [")
    assert err == ""


def test_a_folder_is_judged_to_the_end_and_the_worst_file_counts(assay: Run, files: Path) -> None:
    code, out, _ = assay("verify", files)
    assert code == 4
    assert out.splitlines()[-1] == "4 files: 1 pass, 1 fail, 1 inconclusive, 1 error"


def test_json_is_one_document(assay: Run, files: Path) -> None:
    _, out, _ = assay("verify", files, "--json")
    document = json.loads(out)
    assert document["status"] == "error"
    assert len(document["trust_list"]) == 64
    assert {Path(asset["path"]).name: asset["verdict"] for asset in document["assets"]} == {
        "good.jpg": "trusted",
        "tampered.jpg": "tampered",
        "bare.jpg": "nothing found",
        "broken.jpg": "could not check",
    }
    for asset in document["assets"]:
        assert {check["name"] for check in asset["checks"]} >= {
            "verdict",
            "c2pa.integrity",
            "watermark.payload",
        }


def test_jsonl_is_one_line_a_file(assay: Run, files: Path) -> None:
    _, out, _ = assay("verify", files / "good.jpg", files / "bare.jpg", "--jsonl")
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["pass", "inconclusive"]


def test_stdin(assay: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO((files / "good.jpg").read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin())
    code, out, _ = assay("verify", "-")
    assert code == 0
    assert out.startswith("stdin: trusted [pass]")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.png"], "no such file or folder"),
        (["-", "-"], "only once"),
        (["{empty}"], "holds no files"),
        (["{good}", "--ledger", "absent.sqlite"], "no ledger there"),
    ],
)
def test_usage_errors_are_exit_code_two(
    assay: Run, files: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    filled = [word.format(empty=tmp_path / "empty", good=files / "good.jpg") for word in arguments]
    code, _, err = assay("verify", *filled)
    assert code == 2
    assert message in err


def test_rubric_on_demand(assay: Run, files: Path) -> None:
    code, out, _ = assay("verify", files / "good.jpg", "--rubric")
    assert code == 1
    assert "of 31 statements" in out
    assert "mandatory_spec_version" in out


@pytest.mark.parametrize("verb", ["verify", "inspect"])
def test_control_characters_do_not_reach_the_terminal(assay: Run, files: Path, verb: str) -> None:
    evil = files / "evil\x1b[2J.jpg"
    parent = ("\x1b]0;title\x07", picture("JPEG"))
    evil.write_bytes(sign(picture("JPEG"), SIGNER, mime="image/jpeg", title="\x9b31m", parents=[parent]))
    _, out, _ = assay(verb, evil)
    assert all(character.isprintable() or character == "\n" for character in out)
    assert "\\u{1b}" in out


def test_inspect_shows_the_tree(assay: Run, files: Path) -> None:
    signed = (files / "good.jpg").read_bytes()
    (files / "child.jpg").write_bytes(
        sign(signed, SIGNER, mime="image/jpeg", parents=[("the parent", flip(signed, -40))])
    )
    code, out, _ = assay("inspect", files / "child.jpg")
    assert code == 1
    for expected in (
        "laundered ingredient",
        "the parent",
        "assertion.dataHash.mismatch",
        "c2pa.opened",
        "parentOf",
    ):
        assert expected in out
    _, out, _ = assay("inspect", files / "child.jpg", "--json")
    manifest = json.loads(out)["assets"][0]["content credentials"]["manifest"]
    assert manifest["ingredients"][0]["manifest"]["assertions"]["c2pa.actions.v2"]["actions"]


def test_a_reader_of_a_closed_pipe_gets_no_traceback(files: Path) -> None:
    command = [sys.executable, "-m", "audit", "verify", *[str(files / "good.jpg")] * 400, "--jsonl"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


PROBE = """
import sys
from audit.cli.main import main
code = main(sys.argv[1:])
sys.stderr.write(",".join(name for name in {heavy!r} if name in sys.modules))
raise SystemExit(code)
"""


@pytest.mark.parametrize("search", ["off", "auto"])
def test_cold_start_is_quick_and_imports_nothing_heavy(
    files: Path, assay_home: Path, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from generator.marking.watermark.keys import load_or_create_key

    load_or_create_key(assay_home)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-c", PROBE.format(heavy=HEAVY), "verify", str(files / "good.jpg")]
    command += ["--watermark", search]
    seconds = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 3, done.stderr
        assert done.stderr == ""
    assert min(seconds) < COLD_START, seconds
