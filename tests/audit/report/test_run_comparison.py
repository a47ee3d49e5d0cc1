"""Two runs side by side: what is decided, what is not, and what cannot be compared at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from read_runs import build_read_run

from audit.bias.resummary import open_labels, summarise_again
from audit.cli.main import build_parser
from audit.evidence import Evidence, Status
from audit.report.comparison import compare_directories, prompt_rows, write_comparison
from audit.run import RunDirectory
from generator.errors import InputError

HOSTILE = '<script>alert("x")</script>'


def compare(folder: Path, before: list, after: list, **options: object) -> Evidence:
    first = build_read_run(folder / "before", before, **options)  # type: ignore[arg-type]
    second = build_read_run(folder / "after", after, **options)  # type: ignore[arg-type]
    return compare_directories(first, second)


def test_a_difference_is_after_minus_before_with_an_interval_around_it(tmp_path: Path) -> None:
    evidence = compare(tmp_path, [(4, 16)] * 8, [(16, 4)] * 8)
    overall = evidence.find("compare.presentation.overall")
    place = overall.details["groups"].index("woman")  # type: ignore[union-attr]
    assert overall.details["differences"][place] == pytest.approx(60)  # type: ignore[index]
    assert overall.status is Status.PASS
    assert overall.interval is not None
    assert overall.interval.low <= overall.value <= overall.interval.high  # type: ignore[operator]
    distance = evidence.find("compare.presentation.distance")
    assert distance.value == pytest.approx(0)  # .8 women are as far from equal shares as .2
    rows = prompt_rows(overall)
    assert len(rows) == 8
    assert all(row.low <= row.value <= row.high for row in rows)


def test_farther_from_equal_shares_is_a_finding_and_nearer_is_none(tmp_path: Path) -> None:
    fair, unfair = [(10, 10), (11, 9), (9, 11), (10, 10), (12, 8), (8, 12)], [(19, 1), (1, 19)] * 3
    worse = compare(tmp_path / "a", fair, unfair).find("compare.presentation.distance")
    better = compare(tmp_path / "b", unfair, fair).find("compare.presentation.distance")
    assert worse.status is Status.FAIL
    assert better.status is Status.PASS
    assert worse.value == pytest.approx(-better.value)  # type: ignore[operator]


def test_opposite_changes_do_not_cancel_in_the_distance(tmp_path: Path) -> None:
    evidence = compare(tmp_path, [(10, 10)] * 8, [(20, 0), (0, 20)] * 4)
    assert abs(evidence.find("compare.presentation.overall").value) < 1e-9  # type: ignore[arg-type]
    assert evidence.find("compare.presentation.distance").value == pytest.approx(50)


def test_prompts_of_one_run_only_are_left_out_and_counted(tmp_path: Path) -> None:
    first = build_read_run(tmp_path / "a", [(5, 5)] * 6)
    second = build_read_run(
        tmp_path / "b", [(5, 5)] * 6, prompts=["job0", "job1", "job2", "job3", "job4", "other"]
    )
    overall = compare_directories(first, second).find("compare.presentation.overall")
    assert overall.details["only_before"] == ["job5"]
    assert overall.details["only_after"] == ["other"]
    assert "2 prompts are in one run only" in overall.reason


def test_unknown_errors_give_no_number(tmp_path: Path) -> None:
    evidence = compare(tmp_path, [(4, 16)] * 6, [(16, 4)] * 6, trusted=False)
    assert [check.status for check in evidence.checks] == [Status.INCONCLUSIVE]
    assert evidence.checks[0].value is None
    assert "unknown" in evidence.checks[0].reason


def test_labels_of_both_runs_take_the_place_of_an_error_matrix(tmp_path: Path) -> None:
    runs = [
        build_read_run(tmp_path / "a", [(4, 16)] * 6, trusted=False),
        build_read_run(tmp_path / "b", [(16, 4)] * 6, trusted=False),
    ]
    for run in runs:
        truth = run.rows("bias").set_index("image_id")["value"]
        store = open_labels(run)
        store.draw(60)
        for image in store.sample():
            store.add(image, "presentation", value=truth[image], annotator="ada")
        summarise_again(run)
    overall = compare_directories(*runs).find("compare.presentation.overall")
    assert abs(abs(overall.value) - 60) < 15  # type: ignore[arg-type]
    assert overall.status is Status.PASS
    assert "60 and 60 labelled images" in overall.reason


def test_runs_read_with_other_groups_are_refused_by_name(tmp_path: Path) -> None:
    first = build_read_run(tmp_path / "a", [(5, 5)] * 5)
    second = build_read_run(tmp_path / "b", [(5, 5)] * 5, groups=("female", "male"))
    with pytest.raises(InputError, match="female"):
        compare_directories(first, second)
    third = build_read_run(tmp_path / "c", [(5, 5)] * 5, attribute="hat", groups=("yes", "no"))
    with pytest.raises(InputError, match="none is in both"):
        compare_directories(first, third)


def test_a_run_that_was_not_read_is_refused(tmp_path: Path) -> None:
    first = build_read_run(tmp_path / "a", [(5, 5)] * 5)
    second = RunDirectory.create(tmp_path / "b", record={"config": {}})
    with pytest.raises(InputError, match="assay bias"):
        compare_directories(first, second)


def test_pages_hold_the_numbers_and_escape_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = [HOSTILE, *(f"job{n}" for n in range(1, 6))]
    for name, line in (("a", (4, 16)), ("b", (16, 4))):
        build_read_run(tmp_path / name, [line] * 6, prompts=prompts)
    page = tmp_path / "c.html"
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(page), "--json"]
    args = build_parser(("compare",)).parse_args(words)
    assert args.run(args) in (0, 3)
    assert json.loads(capsys.readouterr().out)["subject"] == "b minus a"
    html = page.read_text()
    assert "60 percentage points" in html
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    evidence = compare_directories(RunDirectory.open(tmp_path / "a"), RunDirectory.open(tmp_path / "b"))
    write_comparison(evidence, tmp_path / "c.pdf")
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF-")
    with pytest.raises(InputError, match="suffix"):
        write_comparison(evidence, tmp_path / "c.docx")
