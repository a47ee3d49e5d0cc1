"""The planner: agrees with simulated audits, with known optima, and refuses what cannot be planned."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.intervals import NEW_PROMPTS, estimate_shares
from audit.bias.planning import Costs, Expectation, best_images, cheapest_plan, plan
from benchmarks.bias_audits import AUDIT_LABELS, Setting, simulate
from benchmarks.bias_coverage import cover_with_labels
from generator.errors import InputError

DEEPFACE = Expectation(0.5, 0.45, (0.67, 0.99))


@pytest.mark.parametrize("setting", [Setting(20, 8), Setting(150, 30)])
def test_expected_width_is_that_of_simulated_audits(setting):
    widths = cover_with_labels(setting, claim=NEW_PROMPTS, audits=80).widths
    expected = plan(setting.prompts, setting.images, labels=AUDIT_LABELS, expect=DEEPFACE).half_width
    assert expected == pytest.approx(np.mean(widths) / 2, rel=0.12)


def test_power_is_that_of_simulated_audits():
    found = []
    for audit, rng in simulate(Setting(20, 30, share=0.3), audits=120):
        shares = estimate_shares(audit.readings, audit.matrix, draws=300, rng=rng)
        found.append(not shares.low[0] <= 0.5 <= shares.high[0])
    known = Expectation(0.3, 0.45, (0.67, 0.99), matrix_labels=250)
    assert plan(20, 30, expect=known, effect=0.2).power == pytest.approx(np.mean(found), abs=0.12)


def test_without_clustering_and_with_a_perfect_reader_it_is_the_binomial():
    alike = Expectation(0.5, 0.0, (1.0, 1.0), matrix_labels=100)
    assert plan(1000, 10, expect=alike).half_width == pytest.approx(1.96 * np.sqrt(0.25 / 10_000), rel=0.01)


def test_prompts_help_more_than_images_when_images_hang_together():
    more_prompts = plan(80, 10, labels=200, expect=DEEPFACE).half_width
    more_images = plan(20, 40, labels=200, expect=DEEPFACE).half_width
    assert more_prompts < 0.7 * more_images


def test_best_images_is_the_textbook_optimum():
    assert best_images(Expectation(icc=0.5), Costs(prompt=16, image=1)) == pytest.approx(4.0)
    assert best_images(Expectation(icc=0.0), Costs()) == np.inf


def test_cheapest_plan_reaches_what_was_asked_and_nothing_cheaper_does():
    goal = cheapest_plan(half_width=0.08, power=0.8, effect=0.15, expect=DEEPFACE)
    assert goal.half_width <= 0.08
    assert goal.power >= 0.8
    assert cheapest_plan(half_width=0.12, effect=0.15, expect=DEEPFACE).cost < goal.cost


@pytest.mark.parametrize(("options", "words"), [
    ({}, "half_width, a power"),
    ({"half_width": 1e-4}, "come nearest"),
])  # fmt: skip
def test_goals_that_cannot_be_reached_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        cheapest_plan(expect=DEEPFACE, **options)


@pytest.mark.parametrize(("arguments", "words"), [
    ((4, 8, 10), "at least 5"), ((20, 8, 161), "labels between"), ((20, 8, 0), "error matrix is needed"),
])  # fmt: skip
def test_impossible_sizes_are_refused(arguments, words):
    prompts, images, labels = arguments
    with pytest.raises(InputError, match=words):
        plan(prompts, images, labels=labels, expect=DEEPFACE)


@pytest.mark.parametrize("options", [{"share": 0.0}, {"icc": 1.0}, {"recalls": (0.5, 0.5)}, {"level": 1.0}])
def test_impossible_expectations_are_refused(options):
    with pytest.raises(InputError):
        Expectation(**options)
