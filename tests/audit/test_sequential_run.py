"""Runs that stop when the verdicts are in: what is made next, budgets, replay after a kill, and what may be said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from audit.bias.module import build_module
from audit.bias.perception import Reading
from audit.bias.policy import Policy
from audit.bias.readings import ErrorMatrix
from audit.bias.resummary import open_labels, summarise_again
from audit.bias.sources import ClipSource
from audit.bias.stopped import StoppedSummary
from audit.bias.stopping import FIRST, build_stop_rule
from audit.cli.main import main
from audit.engine import audit
from audit.intake import run_items
from audit.job import audit_rooms, make_images
from audit.plan import Plan, open_run
from audit.run import RunDirectory
from audit.sequential import generate_until_decided, stop_rule
from generator.errors import CannotCheckError, InputError
from generator.interface import Prompt, Request

GROUPS = {"presentation": ("woman", "man")}
EXACT = {"presentation": None}
SHARES = {"nurse": 1.0, "judge": 0.0, "teacher": 0.5}


class Source:
    """Reads a picture's only pixel: the share of women is planted per prompt; some pictures cannot be read."""

    groups = GROUPS
    description = "drawn for this test"

    def error_matrices(self):
        return EXACT

    def read(self, pictures):
        names = GROUPS["presentation"]
        return [
            {"presentation": Reading("presentation", names[int(one[0, 0, 0] > 100)], {})} for one in pictures
        ]


class Maker:
    """Makes one-pixel pictures; dies after `lives` batches."""

    def __init__(self, run, lives=10_000):
        self.run, self.lives, self.finished = run, lives, []
        self._done = run.done("images")

    def asset_id(self, request):
        return SimpleNamespace(hex=f"{request.prompt.prompt_id}-{request.replicate}")

    def make(self, requests, bar):
        import cv2

        rows = []
        for request in requests:
            name, prompt = self.asset_id(request).hex, request.prompt.prompt_id
            if name in self._done:
                continue
            rng = np.random.default_rng([len(prompt), request.replicate])
            value = 20 if rng.random() < SHARES[prompt] else 200
            assert cv2.imwrite(str(self.run.path / f"{name}.png"), np.full((8, 8, 3), value, np.uint8))
            broken = request.replicate == 5
            rows.append({"image_id": name, "path": f"{name}.png", "prompt_id": prompt, "prompt": prompt,
                         "replicate": request.replicate, "status": "error" if broken else "pass",
                         "reason": "refused" if broken else ""})  # fmt: skip
        self.lives -= 1
        if self.lives < 0:
            raise KeyboardInterrupt
        self.run.append("images", rows)
        self._done |= {row["image_id"] for row in rows}
        return rows

    def finish(self, requests: Sequence[Request], *, started):
        self.finished = list(requests)
        self.run.finish_table("images")


def requests_for(count):
    return [Request(Prompt(name, name), number, 0) for name in SHARES for number in range(count)]


def new_run(path: Path) -> RunDirectory:
    return RunDirectory.create(path, record={"config": {}})


def go(run, *, count=60, budget=None, lives=10_000):
    module, maker = build_module(source=Source()), Maker(run, lives)
    wanted = requests_for(count)
    generate_until_decided(maker, wanted, module=module, rule=stop_rule(module, wanted, budget=budget))
    return module, maker, run.record()["sequential"]


def test_stereotyped_prompts_stop_early_and_the_others_get_the_images(tmp_path):
    _, maker, stop = go(new_run(tmp_path / "run"))
    spent = dict(zip(stop["prompt_ids"], np.array(stop["counts"]["presentation"]).sum(axis=1), strict=True))
    made = {name: sum(one.prompt.prompt_id == name for one in maker.finished) for name in SHARES}
    assert spent["nurse"] < 20
    assert spent["judge"] < 20
    assert made["teacher"] == 60  # equality within the margin needs more than there are
    assert spent["teacher"] == 59  # one could not be read, and was still paid for
    assert stop["images"] == sum(made.values()) < stop["planned"] == 180


def test_the_budget_is_never_exceeded_and_the_first_images_are_made_whatever_they_show(tmp_path):
    _, maker, stop = go(new_run(tmp_path / "run"), budget=3 * FIRST + 5)
    assert stop["images"] == len(maker.finished) == 3 * FIRST + 5
    with pytest.raises(InputError, match="the first 8 of each prompt are 24"):
        go(new_run(tmp_path / "other"), budget=3 * FIRST - 1)


@pytest.mark.parametrize("lives", [0, 1, 2, 3])
def test_a_killed_run_goes_on_to_the_same_stop(tmp_path, lives):
    _, whole, expected = go(new_run(tmp_path / "whole"))
    run = new_run(tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        go(run, lives=lives)
    _, maker, stop = go(run)
    assert stop == expected
    assert maker.finished == whole.finished
    assert run.rows("bias")["image_id"].nunique() == len(whole.finished)


def test_single_prompts_get_verdicts_that_hold_at_the_stop_and_the_mean_only_the_first_images(tmp_path):
    run = new_run(tmp_path / "run")
    module, _, stop = go(run)
    audit(module, run, run_items(run))
    fixed = module.summarise(run.rows("bias"), run.rows("images"))
    found = StoppedSummary(module.summarise, stop)(run.rows("bias"), run.rows("images"))
    nurse = found.find("bias.presentation.nurse")
    assert nurse.status == "fail"
    assert nurse.details["correction"] == "e-BH"
    assert nurse.details["p_value"] > fixed.find("bias.presentation.nurse").details["p_value"]
    assert nurse.interval.low < fixed.find("bias.presentation.nurse").interval.low  # at all times costs width
    teacher = found.find("bias.presentation.teacher")
    assert teacher.status == "inconclusive"
    assert teacher.details["n"] == 59
    overall = found.find("bias.presentation.overall")
    assert "first 8 images" in overall.reason
    assert overall.details["n_images"] == 3 * FIRST - 3  # one of each prompt could not be read
    design = found.find("bias.presentation.sequential")
    assert f"{stop['planned'] - stop['images']} (" in design.reason


def test_a_reader_whose_errors_are_unknown_decides_nothing():
    with pytest.raises(CannotCheckError, match="errors were not measured"):
        build_stop_rule({"a": 40}, GROUPS, {})
    blind = ErrorMatrix(np.array([[0, 0, 5], [0, 0, 5]]), GROUPS["presentation"])
    with pytest.raises(CannotCheckError, match="allows any reading"):
        build_stop_rule({"a": 40}, GROUPS, {"presentation": blind})


def test_attributes_share_the_level():
    two = {**GROUPS, "glasses": ("yes", "no")}
    rule = build_stop_rule({"a": 40}, two, dict.fromkeys(two, None), policy=Policy(level=0.9))
    assert [one.alpha for one in rule.audits.values()] == pytest.approx([0.05, 0.05])


@pytest.mark.parametrize(("words", "reason"), [
    (["--budget", "40"], "add --sequential"),
    (["--sequential", "hair"], "'hair'"),
    (["--sequential", "presentation", "--budget", "3"], "budget of 3 images"),
])  # fmt: skip
def test_options_that_do_not_fit_are_refused(words, reason, tmp_path, capsys):
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("prompt_id,text\na,a portrait of a nurse\n")
    assert main(["audit", "--prompts", str(prompts), "--out", str(tmp_path / "run"), *words]) == 2
    assert reason in capsys.readouterr().err


def test_the_embedded_generator_stops_resumes_and_takes_labels(tmp_path, monkeypatch):
    counts = {
        "presentation": np.array([[490, 10, 0], [10, 490, 0]])
    }  # counting them takes longer than all the rest
    known = {name: ErrorMatrix(one, GROUPS[name], "this test") for name, one in counts.items()}
    monkeypatch.setattr(ClipSource, "error_matrices", lambda _: known)
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("prompt_id,text\nnurse,a portrait of a nurse\nperson,a portrait of a person\n")
    plan = Plan(prompts=str(prompts), count=14, sequential=("presentation",), budget=26, rooms=("bias",))

    def made(name, *, kill):
        run = open_run(plan, out=tmp_path / name)
        append = RunDirectory.append

        def die(self, table, rows):
            if table == "bias" and len(self.rows("images")) > 2 * FIRST:
                raise KeyboardInterrupt  # images of the second round are there, their readings are not
            append(self, table, rows)

        with run.lock():
            if kill:
                monkeypatch.setattr(RunDirectory, "append", die)
                with pytest.raises(KeyboardInterrupt):
                    make_images(run, plan)
                monkeypatch.setattr(RunDirectory, "append", append)
            make_images(run, plan)
            audit_rooms(run, plan, plan.rooms)
        return run

    whole, killed = made("whole", kill=False), made("killed", kill=True)
    columns = ["prompt_id", "replicate", "pixels_sha256"]
    assert killed.rows("images")[columns].equals(whole.rows("images")[columns])
    assert killed.record()["sequential"] == whole.record()["sequential"]
    assert killed.record()["sequential"]["images"] <= 26
    assert killed.evidence()["bias"].find("bias.presentation.nurse").details["correction"] == "e-BH"

    read = killed.rows("bias").query("attribute == 'presentation'")
    store = open_labels(killed)
    store.draw(len(read))
    store.add_all(read[["image_id", "attribute", "value"]].assign(annotator="one"))
    again = summarise_again(killed)
    assert again.find("bias.presentation.nurse").details["correction"] == "e-BH"
    assert "first 8 images" in again.find("bias.presentation.overall").reason
