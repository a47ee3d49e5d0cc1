"""Which run a plan belongs to: an unfinished one of the same inputs, never a finished one, never other prompts."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cli.main import main
from audit.plan import Plan, finish_run, open_run
from generator.errors import InputError


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.csv"
    path.write_text("prompt_id,text\na,a portrait of a nurse\n")
    return path


def test_an_unfinished_run_goes_on_and_a_finished_one_does_not(
    tmp_path: Path, prompts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, runs = Plan(prompts=str(prompts)), tmp_path / "runs"
    first = open_run(plan, out=None, runs=runs)
    assert open_run(plan, out=None, runs=runs).path == first.path
    assert "unfinished" in capsys.readouterr().err
    finish_run(first)
    assert open_run(plan, out=None, runs=runs).path != first.path


def test_prompts_that_changed_are_another_run(tmp_path: Path, prompts: Path) -> None:
    plan = Plan(prompts=str(prompts))
    open_run(plan, out=tmp_path / "run")
    prompts.write_text("prompt_id,text\na,a portrait of a judge\n")
    with pytest.raises(InputError, match="other prompts"):
        open_run(plan, out=tmp_path / "run")
    assert open_run(plan, out=None, runs=tmp_path).path != tmp_path / "run"


def test_a_named_finished_run_says_so(
    tmp_path: Path, prompts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(prompts=str(prompts))
    finish_run(open_run(plan, out=tmp_path / "run"))
    open_run(plan, out=tmp_path / "run")
    assert "is finished" in capsys.readouterr().err


def test_the_record_names_the_digest_of_every_input(tmp_path: Path, prompts: Path) -> None:
    inputs = open_run(Plan(prompts=str(prompts)), out=tmp_path / "run").record()["inputs"]
    assert set(inputs) >= {"prompts", "tokenizer", "autoregressive", "clip", "clip_reader", "detector"}
    assert all(digest.startswith("sha256:") for digest in inputs.values())


@pytest.mark.parametrize("option", ["--clip", "--trust", "--out"])
def test_options_that_a_run_would_ignore_are_refused(
    tmp_path: Path, prompts: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    open_run(Plan(prompts=str(prompts)), out=tmp_path / "run")
    assert main(["bias", str(tmp_path / "run"), option, "x"]) == 2
    assert "keeps its own" in capsys.readouterr().err


def test_a_plan_of_another_version_is_refused(tmp_path: Path, prompts: Path) -> None:
    run = open_run(Plan(prompts=str(prompts)), out=tmp_path / "run")
    run.update({"config": {"unknown": 1}})
    assert main(["trace", str(tmp_path / "run")]) == 4
