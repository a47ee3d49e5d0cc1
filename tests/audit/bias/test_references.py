"""References: the labour market with its year, the user's own file, and what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from read_runs import build_read_run

from audit.bias.against import load_prompt_groups, load_training
from audit.bias.references import BLS, load_references
from audit.bias.resummary import RECORD, summarise_again
from audit.cli.main import main
from generator.errors import InputError

SCHEMA = {"presentation": ("woman", "man"), "hat": ("yes", "no")}
PROMPTS = ["nurse", "pilot", "sailor"]
HEAD = "attribute,prompt_id,group,share,n"


def load(folder: Path, text: str) -> dict:
    path = folder / "reference.csv"
    path.write_text(text)
    return load_references([str(path)], schema=SCHEMA, prompt_ids=PROMPTS)


def test_labour_market_shares_of_the_runs_prompts() -> None:
    found = load_references([BLS], schema=SCHEMA, prompt_ids=PROMPTS)["presentation"]
    table = found.table(("woman", "man"), PROMPTS)
    assert table[:, 0] == pytest.approx(
        [0.867, 0.053, 0.470]
    )  # registered nurses, pilots, all employed (sailors)
    assert "2021" in found.name
    assert "table 11" in found.name
    assert found.trials["pilot"] < found.trials["nurse"] < found.trials["sailor"]  # type: ignore[index]


def test_every_shipped_share_is_a_share_and_every_prompt_of_the_shipped_set_has_one() -> None:
    from generator.prompts import load_prompts

    prompts = [prompt.prompt_id for prompt in load_prompts("occupations").prompts]
    found = load_references([BLS], schema=SCHEMA, prompt_ids=prompts)["presentation"]
    assert set(prompts) - set(found.by_prompt) == {"soldier", "athlete", "sailor"}  # too few or no civilians
    assert all(0 < shares["woman"] < 1 for shares in found.by_prompt.values())


def test_activities_that_are_an_occupation_have_its_share() -> None:
    from generator.prompts import load_prompts

    prompts = load_prompts("activities").prompts
    ids = [prompt.prompt_id for prompt in prompts]
    found = load_references([BLS], schema=SCHEMA, prompt_ids=ids)["presentation"]
    without = {
        prompt.prompt_id
        for prompt in prompts
        if prompt.metadata["activity.kind"] == "work" and prompt.prompt_id not in found.by_prompt
    }
    assert without == {"giving-a-speech"}
    assert found.by_prompt["driving-a-truck"]["woman"] == pytest.approx(0.079)
    assert "cooking" not in found.by_prompt  # at home, of which a labour market knows nothing


def test_labour_market_shares_need_the_groups_they_are_of() -> None:
    with pytest.raises(InputError, match="female"):
        load_references([BLS], schema={"presentation": ("female", "male")}, prompt_ids=PROMPTS)


def test_a_file_may_hold_shares_for_all_prompts_and_for_single_ones(tmp_path: Path) -> None:
    rows = "presentation,,woman,0.5,100\npresentation,,man,0.5,100\npresentation,nurse,woman,0.9,50\n"
    found = load(tmp_path, f"{HEAD}\n{rows}presentation,nurse,man,0.1,40\n")["presentation"]
    assert found.table(("woman", "man"), PROMPTS)[:, 0] == pytest.approx([0.9, 0.5, 0.5])
    assert found.trials == {"nurse": 40, "pilot": 100, "sailor": 100}
    bare = load(tmp_path, "attribute,prompt_id,group,share\nhat,,yes,0.3\nhat,,no,0.7\n")["hat"]
    assert bare.trials is None


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ("presentation,,woman,0.5,\npresentation,,man,0.6,", "sum to 1"),
        ("presentation,,woman,1.2,\npresentation,,man,-0.2,", "sum to 1"),
        ("presentation,,woman,1.0,", "missing groups"),
        ("presentation,,woman,0.5,\npresentation,,man,0.4,\npresentation,,other,0.1,", "'other'"),
        ("presentation,,woman,0.5,\npresentation,,woman,0.5,\npresentation,,man,0.5,", "twice"),
        ("presentation,baker,woman,0.5,\npresentation,baker,man,0.5,", "'baker'"),
        ("presentation,nurse,woman,0.5,\npresentation,nurse,man,0.5,", "no shares for prompts"),
        ("shoes,,woman,0.5,\nshoes,,man,0.5,", "'shoes'"),
        ("presentation,,woman,half,\npresentation,,man,half,", "no number"),
    ],
)
def test_references_that_do_not_fit_are_refused_by_name(tmp_path: Path, rows: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        load(tmp_path, f"{HEAD}\n{rows}\n")


def test_unknown_names_and_missing_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bls-1950"):
        load_references(["bls-1950"], schema=SCHEMA, prompt_ids=PROMPTS)
    with pytest.raises(InputError, match="group"):
        load(tmp_path, "attribute,share\nhat,1\n")


def test_a_reference_changes_the_verdict_of_a_run_and_stays_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = build_read_run(tmp_path / "r", [(2, 18)] * 6, prompts=[*"abcde", "pilot"])
    path = tmp_path / "market.csv"
    path.write_text("attribute,prompt_id,group,share\npresentation,,woman,0.1\npresentation,,man,0.9\n")
    assert run.evidence()["bias"].find("bias.presentation.pilot").details["reference"] == [0.5, 0.5]
    main(["bias", str(run.path), "--reference", str(path)])
    check = run.evidence()["bias"].find("bias.presentation.pilot")
    assert check.details["reference"] == [0.1, 0.9]
    assert run.record()[RECORD] == {"references": [str(path)]}
    again = summarise_again(run)  # as after labelling: the reference is kept
    assert again.find("bias.presentation.pilot").details["reference"] == [0.1, 0.9]
    main(["bias", str(run.path), "--reference", "parity"])
    assert run.evidence()["bias"].find("bias.presentation.pilot").details["reference"] == [0.5, 0.5]
    capsys.readouterr()


def test_training_data_and_groups_of_prompts_are_held_against_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = build_read_run(tmp_path / "r", [(18, 2)] * 3 + [(2, 18)] * 3, prompts=[*"abcdef"])
    training, fields = tmp_path / "training.csv", tmp_path / "fields.csv"
    cells = [
        f"presentation,{prompt},{group},{count}"
        for prompt in "abcdef"
        for group, count in (("woman", 500), ("man", 500))
    ]
    training.write_text("\n".join(["attribute,prompt_id,group,count", *cells]))
    fields.write_text(
        "prompt_id,group\n"
        + "\n".join(f"{prompt},{'care' if prompt in 'abc' else 'craft'}" for prompt in "abcdef")
    )
    main(["bias", str(run.path), "--training", str(training), "--prompt-groups", str(fields)])
    evidence = run.evidence()["bias"]
    described = evidence.find("bias.presentation.prompt_groups").details["by_group"]
    assert set(described) == {"care", "craft"}  # type: ignore[arg-type]
    assert evidence.find("bias.presentation.amplification").value is not None
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "word"),
    [("attribute,prompt_id,group\n", "columns"), ("attribute,prompt_id,group,count\nhat,a,yes,1.5\n", "whole number"),
     ("attribute,prompt_id,group,count\nhat,a,yes,\n", "expected a value"),
     ("attribute,prompt_id,group,count\nhat,a,yes,1\nhat,a,yes,2\n", "twice")],
)  # fmt: skip
def test_training_tables_that_do_not_fit(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "training.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        load_training(path)


def test_groups_of_prompts_that_are_not_in_the_run_are_named(tmp_path: Path) -> None:
    path = tmp_path / "fields.csv"
    path.write_text("prompt_id,group\nnurse,care\nbaker,craft\nnurse,craft\n")
    with pytest.raises(InputError, match=r"baker.*nurse"):
        load_prompt_groups(path, PROMPTS)
