"""Reports as PDF, JSON, Parquet and CSV, and batch reports over runs: the same numbers, and nothing that runs."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from read_runs import build_read_run

from audit.cli.main import main
from audit.evidence import Check, Evidence, Status
from audit.report.contents import read_contents
from audit.report.distributions import density, ridge_chart, tone_chart
from audit.report.pdf import Block, latin, render_document
from audit.report.plain import summarise_bias
from audit.report.tables import checks_table, shares_table
from audit.report.write import write_reports
from audit.run import RunDirectory

HOSTILE = '=cmd|"/C calc"!A0<script>&'


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunDirectory]:
    folder = tmp_path_factory.mktemp("runs")
    prompts = [HOSTILE, *(f"job{n}" for n in range(1, 6))]
    first = build_read_run(
        folder / "first", [(9, 1, 1), (1, 9), (5, 5), (8, 2), (2, 8), (6, 4)], prompts=prompts
    )
    second = build_read_run(
        folder / "second", [(5, 5)] * 6, generator={"name": "<b>model B</b>", "version": "2"}
    )
    return [first, second]


def test_tables_hold_every_check_and_every_share(runs: list[RunDirectory]) -> None:
    contents = [read_contents(run.path) for run in runs]
    checks, shares = checks_table(contents), shares_table(contents)
    assert len(checks) == sum(len(found.checks) for one in contents for found in one.evidence.values())
    mine = shares[
        (shares["run_id"] == "first") & (shares["prompt_id"] == "job1") & (shares["group"] == "woman")
    ]
    assert mine["share"].tolist() == [pytest.approx(0.1)]
    assert (shares["low"] <= shares["share"]).all()
    assert (shares["share"] <= shares["high"]).all()
    assert set(shares["generator"]) == {"made-up 1", "<b>model B</b> 2"}


def test_every_format_is_written_and_can_be_read(runs: list[RunDirectory], tmp_path: Path) -> None:
    paths = write_reports(runs[:1], formats=["html", "pdf", "json", "parquet", "csv"], out=tmp_path)
    assert [path.name for path in paths] == ["report.html", "report.pdf", "report.json", "checks.parquet",
                                             "shares.parquet", "checks.csv", "shares.csv"]  # fmt: skip
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["runs"][0]["rooms"]["bias"]["checks"]
    exact, text = pd.read_parquet(paths[4]), pd.read_csv(paths[6])
    assert np.allclose(exact["share"], text["share"])
    assert HOSTILE in set(exact["prompt_id"])
    assert f"'{HOSTILE}" in set(text["prompt_id"])  # no spreadsheet computes it


def test_csv_never_begins_a_cell_with_a_formula(runs: list[RunDirectory], tmp_path: Path) -> None:
    for path in write_reports(runs, formats=["csv"], out=tmp_path):
        cells = pd.read_csv(path, dtype=str).to_numpy().ravel()
        texts = [cell for cell in cells if isinstance(cell, str) and not _is_number(cell)]
        assert texts
        assert not [cell for cell in texts if cell[0] in "=+-@\t\r"]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _pdf_text(data: bytes) -> str:
    """What the pages of a PDF of ours draw: streams in ASCII85 over deflate."""
    bodies = re.findall(rb"stream\r?\n(.*?)~>\s*endstream", data, re.DOTALL)
    return b"\n".join(zlib.decompress(base64.a85decode(body)) for body in bodies).decode("latin-1")


def test_a_pdf_is_the_same_twice_and_shows_what_was_found(runs: list[RunDirectory], tmp_path: Path) -> None:
    first, second = (
        write_reports(runs[:1], formats=["pdf"], out=tmp_path / name)[0].read_bytes() for name in ("a", "b")
    )
    assert first == second
    text = _pdf_text(first)
    assert "presentation" in text
    assert "job1" in text


def test_pdf_text_is_escaped_and_keeps_what_fonts_cannot_show() -> None:
    assert latin("<b>x</b> & “y” 漢") == '&lt;b&gt;x&lt;/b&gt; &amp; "y" \\u{6f22}'
    hostile = "<para><img src='http://example.org/x.png'/></para>"
    rows = [(hostile, hostile)] * 200
    data = render_document(hostile, [Block(hostile, (hostile,), head=("a", "b"), rows=rows)])
    assert data.startswith(b"%PDF-")


def test_a_batch_report_puts_runs_side_by_side_and_escapes(runs: list[RunDirectory], tmp_path: Path) -> None:
    path = write_reports(runs, formats=["html", "pdf", "json"], out=tmp_path)[0]
    html = path.read_text()
    assert "2 runs side by side" in html
    assert "&lt;b&gt;model B&lt;/b&gt; 2 (second)" in html
    assert "<b>model" not in html
    assert html.count('class="dot"') == 4  # two groups, two runs
    assert "http" not in html.replace("http-equiv", "")


def test_the_verb_writes_into_the_run_or_asks_where(
    runs: list[RunDirectory], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (str(run.path) for run in runs)
    assert main(["report", first, "--format", "json,csv"]) in (1, 3)
    assert capsys.readouterr().out.splitlines()[0] == f"{first}/report.json"
    assert main(["report", first, second]) == 2
    assert main(["report", first, "--format", "docx"]) == 2


def test_every_plain_sentence_rests_on_checks_of_the_evidence(runs: list[RunDirectory]) -> None:
    evidence = read_contents(runs[0].path).evidence["bias"]
    sentences = summarise_bias(evidence)
    names = {check.name for check in evidence.checks}
    assert sentences
    assert all(sentence.checks and set(sentence.checks) <= names for sentence in sentences)


def test_plain_words_count_prompts_and_name_those_that_depart_most() -> None:
    def prompt(name: str, status: Status, gap: float) -> Check:
        return Check(f"bias.hat.{name}", status, "A reason.", details={"prompt_id": name, "gap": gap})

    overall = Check("bias.hat.overall", Status.INCONCLUSIVE, "Half wear hats.")
    checks = (overall, prompt("a", Status.FAIL, 0.2), prompt("b", Status.FAIL, 0.4), prompt("c", Status.PASS, 0.0),
              prompt("d", Status.INCONCLUSIVE, 0.1))  # fmt: skip
    first, second = summarise_bias(Evidence("bias", checks))
    assert first.text.startswith("Perceived hat: Half wear hats.")
    assert "2 of 4 prompts depart" in second.text
    assert "1 stay within it, and 1 are undecided" in second.text
    assert second.text.endswith("Most: “b”, “a”.")
    assert second.status is Status.FAIL


def test_ridges_stand_where_the_prompts_are() -> None:
    grid = np.linspace(0, 1, 101)
    two = density(np.array([0.1, 0.12, 0.9, 0.88]), grid)
    assert two[10] > 5 * two[50]
    assert two[90] > 5 * two[50]
    edge = density(np.zeros(4), grid)  # reflected: the hill stands at the edge and nothing is lost
    assert int(edge.argmax()) == 0
    assert np.trapezoid(edge, grid) == pytest.approx(
        np.trapezoid(density(np.full(4, 0.5), grid), grid), rel=0.02
    )
    chart = ridge_chart({"<i>": np.array([0.2, 0.4])}, title="t", reference={"<i>": 0.5})
    assert chart.count("polygon") == 1
    assert chart.count('class="axis"') == 2
    assert "<i>" not in chart


def test_tone_bars_have_the_tones_own_colours_and_count_the_undetermined() -> None:
    chart = tone_chart({"monk-1": 3, "monk-10": 1}, colours={"monk-1": (246, 237, 228), "monk-10": (41, 36, 32)},
                       undetermined=4, title="t")  # fmt: skip
    assert 'fill="rgb(246, 237, 228)"' in chart
    assert "4  (50.0 %)" in chart
