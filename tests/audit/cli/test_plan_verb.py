"""`assay plan`: a goal, a size, and what cannot be planned."""

from __future__ import annotations

import json

import pytest

from audit.bias.planning import Expectation, plan
from audit.cli.main import build_parser
from generator.errors import InputError


def assay_plan(capsys, *argv):
    args = build_parser(("plan",)).parse_args(["plan", *argv])
    assert args.run(args) == 0
    return capsys.readouterr().out


def test_a_size_is_judged(capsys):
    found = json.loads(assay_plan(capsys, "--prompts", "40", "--images", "16", "--labels", "100", "--json"))
    expected = plan(40, 16, labels=100, expect=Expectation())
    assert found["half_width"] == pytest.approx(expected.half_width)
    assert found["power"] == pytest.approx(expected.power)


def test_the_cheapest_design_reaches_the_goal(capsys):
    found = json.loads(
        assay_plan(capsys, "--half-width", "0.1", "--power", "0.8", "--effect", "0.15", "--json")
    )
    assert found["half_width"] <= 0.1
    assert found["power"] >= 0.8
    words = assay_plan(capsys, "--half-width", "0.1", "--effect", "0.15")
    assert "mean share over new prompts" in words
    assert "labels of audited images" in words


@pytest.mark.parametrize(("argv", "words"), [
    ((), "half_width, a power"),
    (("--prompts", "20"), "both --prompts and --images"),
    (("--prompts", "20", "--images", "8", "--power", "0.8"), "not both"),
    (("--prompts", "20", "--images", "8"), "error matrix is needed"),
    (("--half-width", "0.1", "--recall", "0.4", "0.5"), "sees nothing"),
])  # fmt: skip
def test_what_cannot_be_planned_is_said(capsys, argv, words):
    with pytest.raises(InputError, match=words):
        assay_plan(capsys, *argv)
