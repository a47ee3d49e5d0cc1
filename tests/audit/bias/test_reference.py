"""References: of prompts, of surveys, and ones that do not fit; and what their own uncertainty does to a test."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.melding import MeldedReader
from audit.bias.readings import Readings
from audit.bias.reference import Reference, as_reference, reference_noise
from audit.bias.significance import bootstrap_p
from generator.errors import InputError

TWO = ("woman", "man")
NURSE, PILOT = {"woman": 0.9, "man": 0.1}, {"woman": 0.1, "man": 0.9}


def test_prompts_may_have_references_of_their_own():
    given = Reference("a survey", by_prompt={"nurse": NURSE}, shares=PILOT)
    assert given.table(TWO, ("nurse", "pilot")).tolist() == [[0.9, 0.1], [0.1, 0.9]]
    assert as_reference(None).table(TWO, ("x",)).tolist() == [[0.5, 0.5]]
    assert as_reference(NURSE).table(TWO, ("x",)).tolist() == [[0.9, 0.1]]


def test_sizes_of_surveys():
    assert Reference().sizes(("a",)) is None
    assert Reference(trials=300).sizes(("a", "b")).tolist() == [300.0, 300.0]
    assert Reference(trials={"a": 40}).sizes(("a", "b")).tolist() == [40.0, np.inf]


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Reference(trials=0).table(TWO, ("a",)), "trials"),
    (lambda: Reference(trials={"a": -1}), "trials"),
    (lambda: Reference(by_prompt={"z": NURSE}).table(TWO, ("a",)), "prompts \\['z'\\] are not in the run"),
    (lambda: Reference(by_prompt={"a": {"woman": 1.0}}).table(TWO, ("a",)), "missing groups \\['man'\\]"),
    (lambda: Reference(shares={"woman": 0.5, "man": 0.4}).table(TWO, ("a",)), "sum to 1"),
])  # fmt: skip
def test_references_that_do_not_fit_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_one_figure_shared_by_all_prompts_keeps_its_error_and_own_figures_average_theirs():
    present, trials = np.ones(4, dtype=bool), np.full(4, 100.0)
    shared = reference_noise(np.array([0.5, 0.5]), trials, present=present, k=2)
    own = reference_noise(
        np.array([[0.5, 0.5], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]), trials, present=present, k=2
    )
    assert shared[0] == pytest.approx(0.25 / 100)
    assert own[0] == pytest.approx((0.25 + 0.24 + 0.21 + 0.16) / 100 / 16)
    assert reference_noise(np.array([0.5, 0.5]), None, present=present, k=2).tolist() == [0.0, 0.0]


def test_an_uncertain_reference_refutes_less():
    tails = MeldedReader.build(None, 2, rng=np.random.default_rng(0))
    counts, reference = np.array([[30, 70, 0]]), np.array([0.45, 0.55])
    p_values = [
        tails.p_values(counts, reference, trials=size, rng=np.random.default_rng(0))[0]
        for size in (None, np.array([1e6]), np.array([400.0]), np.array([30.0]))
    ]
    assert p_values[0] == pytest.approx(p_values[1], rel=0.05)
    assert 1.5 * p_values[0] < p_values[2] < 0.05 < p_values[3]


def test_melded_reference_keeps_its_level():
    rng, rejected = np.random.default_rng(0), []
    tails = MeldedReader.build(None, 2, rng=rng)
    for _ in range(150):
        survey = rng.binomial(60, 0.4) / 60
        counts = np.array([[x := rng.binomial(80, 0.4), 80 - x, 0]])
        p = tails.p_values(counts, np.array([survey, 1 - survey]), trials=np.array([60.0]), rng=rng)[0]
        rejected.append(p <= 0.05)
    assert np.mean(rejected) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


def test_a_generator_that_follows_each_prompts_reference_is_no_finding():
    rng = np.random.default_rng(0)
    own = np.tile([0.05, 0.85], 15)
    counts = np.stack([x := rng.binomial(20, own), 20 - x, 0 * x], axis=1)
    table = Readings(counts, TWO, tuple(map(str, range(30))))
    references = np.stack([own, 1 - own], axis=1)
    assert bootstrap_p(table, None, references, rng=rng) > 0.05
    moved = np.clip(references + [[0.12, -0.12]], 0, 1)
    assert bootstrap_p(table, None, moved, rng=rng) < 0.01
    assert bootstrap_p(table, None, moved, trials=np.full(30, 1.0), rng=rng) > 0.05
