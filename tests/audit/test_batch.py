"""Many files: order, bounded look-ahead, processes that die, records, journal, forms and exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from audit.batch import Judged, judge_all, judge_one, to_record
from audit.batch_output import Journal, policy_exit, write_text_form
from audit.evidence import Check, Evidence, Status
from audit.inputs import Source
from generator.errors import InputError

HOSTILE = "=cmd|' /C calc'!A0\"><script>alert(1)</script>\x1b[31m\u202e&amp;\ud800.png"


def evidence(name: str, status: Status = Status.PASS, word: str = "trusted") -> Evidence:
    checks = (
        Check("verdict", status, "So it is.", value=word),
        Check("c2pa.integrity", status, f"Said about {name!r}.", value="intact"),
    )
    return Evidence(name, checks)


def judge(source: Source) -> Evidence:
    """A judge that does what the name says; picklable."""
    match source.name.partition(" ")[0]:
        case "die":
            os._exit(3)
        case "raise":
            raise RuntimeError("no\x1bway")
        case "fail":
            return evidence(source.name, Status.FAIL, "tampered")
    return evidence(source.name)


def sources(*names: str) -> list[Source]:
    return [Source(name, Path(name)) for name in names]


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_source_has_a_record_in_order(jobs: int) -> None:
    names = [f"{'raise' if number % 7 == 3 else 'good'} {number}" for number in range(60)]
    judged = list(judge_all(sources(*names), judge, jobs=jobs))
    assert [one.name for one in judged] == names
    assert [one.status for one in judged] == [
        Status.ERROR if name.startswith("raise") else Status.PASS for name in names
    ]
    assert "RuntimeError: no\\u{1b}way" in judged[3].record()["checks"][0]["reason"]


def test_a_file_that_kills_its_process_is_one_error_and_the_others_are_judged() -> None:
    names = [f"good {number}" for number in range(40)]
    names[20] = "die here"
    judged = list(judge_all(sources(*names), judge, jobs=2))
    assert [one.name for one in judged] == names
    assert {one.name for one in judged if one.status is Status.ERROR} == {"die here"}
    assert "ended the process" in judged[20].record()["checks"][0]["reason"]


def test_sources_are_read_only_as_far_ahead_as_needed() -> None:
    taken = 0

    def endless() -> Iterator[Source]:
        nonlocal taken
        while True:
            taken += 1
            yield Source(f"good {taken}", Path("x"))

    stream = judge_all(endless(), judge, jobs=2)
    for _ in range(100):
        next(stream)
    assert taken <= 100 + 2 * 3 * 16 + 16
    stream.close()


def test_what_cannot_be_opened_is_judged_and_copies_are_removed(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(b"x")
    assert judge_one(Source("good", copy, is_temporary=True), judge).status is Status.PASS
    assert not copy.exists()
    closed = judge_one(Source("a/b", tmp_path, "is no regular file"), judge)
    assert (closed.status, closed.word) == (Status.ERROR, "could not check")
    assert "is no regular file" in closed.record()["checks"][0]["reason"]


def _judged(name: str, status: Status = Status.PASS, word: str = "trusted") -> Judged:
    record = to_record(name, evidence(name, status, word))
    return Judged(name, status, word, json.dumps(record))


BATCH = (
    _judged("a.png"),
    _judged(HOSTILE, Status.FAIL, "tampered"),
    _judged("c.png", Status.INCONCLUSIVE, "nothing found"),
    _judged("d.png", Status.ERROR, "could not check"),
)


def render(form: str) -> str:
    stream = io.StringIO()
    write_text_form(form, (one.record() for one in BATCH), stream, trust_list="abc")
    text = stream.getvalue()
    text.encode()  # a lone surrogate would not survive a file
    assert "\x1b" not in text
    return text


def test_json_is_one_document() -> None:
    document = json.loads(render("json"))
    assert document["status"] == "error"
    assert document["trust_list"] == "abc"
    assert [asset["verdict"] for asset in document["assets"]] == [one.word for one in BATCH]


def test_csv_holds_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(render("csv"))))
    assert [row["verdict"] for row in rows] == [one.word for one in BATCH]
    assert rows[1]["path"].startswith("'=cmd")
    assert rows[0]["integrity"] == "intact"


def test_junit_counts_and_escapes() -> None:
    suite = ET.fromstring(render("junit"))
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    assert [len(case) for case in suite] == [0, 1, 1, 1]
    assert "<script>" in str(suite[1].get("name"))  # as text, not as an element


def test_sarif_names_what_is_not_a_pass() -> None:
    document = json.loads(render("sarif"))
    (run,) = document["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert [result["level"] for result in run["results"]] == ["error", "note", "error"]
    assert {result["ruleId"] for result in run["results"]} <= rules
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert not set('<>" ') & set(uri)


def fill(target: Path, *batch: Judged, settings: str = "s") -> Journal:
    with Journal(target, settings=settings) as journal:
        for one in batch:
            if not journal.holds(one.name):
                journal.append(one)
        return journal


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    journal = fill(target, *BATCH[:2])
    assert not target.exists()
    with journal.path.open("ab") as stream:
        stream.write(b'{"name": "c.png", "record": {"sta')  # killed in the middle of a line
    with Journal(target, settings="s") as again:
        assert [again.holds(one.name) for one in BATCH] == [True, True, False, False]
        for one in BATCH[2:]:
            again.append(one)
        again.finish("jsonl")
        assert again.counts[Status.FAIL, "tampered"] == 1
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert lines == [one.record() for one in BATCH]
    assert list(tmp_path.iterdir()) == [target]


def test_it_does_not_go_on_with_other_settings_or_over_a_finished_file(tmp_path: Path) -> None:
    fill(tmp_path / "out.csv", BATCH[0])
    with pytest.raises(InputError, match="other settings"):
        Journal(tmp_path / "out.csv", settings="t")
    (tmp_path / "done.csv").write_text("kept")
    with pytest.raises(InputError, match="already and complete"):
        Journal(tmp_path / "done.csv", settings="s")
    assert (tmp_path / "done.csv").read_text() == "kept"


def test_parquet(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.parquet", settings="s") as journal:
        for one in BATCH:
            journal.append(one)
        journal.finish("parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table["verdict"].to_pylist() == [one.word for one in BATCH]
    assert json.loads(table["evidence"][0].as_py())["checks"][1]["name"] == "c2pa.integrity"
    with pytest.raises(InputError, match="name a file"):
        write_text_form("parquet", [], io.StringIO())


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ("", 4),
        ("fail", 1),
        ("fail,error", 4),
        ("inconclusive", 3),
        ("never", 0),
        ("tampered", 1),
        ("signer revoked", 0),
    ],
)
def test_what_sets_the_exit_code(policy: str, code: int) -> None:
    counts = {(one.status, one.word): 1 for one in BATCH}
    assert policy_exit(counts, policy) == code
    assert policy_exit({}, policy) == 4  # nothing was judged: never a pass


def test_a_misspelt_policy_is_refused() -> None:
    with pytest.raises(InputError, match="'tamperd'"):
        policy_exit({(Status.PASS, "trusted"): 1}, "tamperd")
