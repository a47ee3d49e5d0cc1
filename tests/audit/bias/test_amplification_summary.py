"""Amplification over prompts for any number of groups: what is called, what is not, and what cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from audit.bias.amplification import Amplification
from audit.bias.amplification_summary import summarise_amplification
from audit.bias.policy import Policy
from audit.bias.readings import ErrorMatrix, Readings
from audit.bias.summary import Summarise
from audit.evidence import Status
from generator.errors import InputError

AGES = ("young", "middle", "old")
TRAINING = np.array([0.5, 0.3, 0.2])
FAIR, AGED = (0.4, 0.35, 0.25), (0.55, 0.35, 0.1)  # the young amplified, and with them the lack of the old


def summarise(shares, *, prompts=20, images=30, training=TRAINING, matrix=None, rates=None, seed=0):
    """Shares (k,) or (P, k) of the generator and of its training data."""
    rng = np.random.default_rng(seed)
    k = np.shape(shares)[-1]
    seen = np.broadcast_to(shares, (prompts, k)) @ (np.eye(k, k + 1) if rates is None else rates)
    known = rng.multinomial(800, np.broadcast_to(training, (prompts, k)))
    readings = Readings(rng.multinomial(images, seen), AGES[:k], tuple(map(str, range(prompts))))
    return summarise_amplification(readings, known, matrix, draws=400, rng=rng)


def test_the_amplified_one_of_three_groups_is_found():
    found = summarise([0.6, 0.3, 0.1], images=60)
    assert found.verdicts == (Amplification.AMPLIFIED, None, Amplification.AMPLIFIED)
    assert found.bounds.low[0] <= 0.1 <= found.bounds.high[0]
    assert found.amplified.p_value < 0.01
    assert found.amplified.observed > found.amplified.null_high
    assert found.mitigated.p_value > 0.05


def test_a_generator_at_its_training_data_is_called_nothing():
    """Few images a prompt: taken at face value, the young would seem amplified by chance alone."""
    found = [
        summarise(shares, images=8, training=shares, seed=seed)
        for shares in (TRAINING, np.full(3, 1 / 3))
        for seed in range(15)
    ]
    named = [any(verdict is not None for verdict in one.verdicts) for one in found]
    assert np.mean(named) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(named))
    assert np.mean([one.bounds.low.max() <= 0 <= one.bounds.high.min() for one in found]) >= 0.8


def test_the_amount_keeps_its_level_and_is_above_zero_by_chance():
    found = [summarise(TRAINING, images=8, seed=seed).amplified for seed in range(30)]
    assert np.mean([one.p_value <= 0.05 for one in found]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 30)
    assert all(one.null_low > 0.01 for one in found)


def test_prompts_that_move_apart_do_not_cancel():
    shares = np.array([[0.65, 0.3, 0.05], [1 / 3, 1 / 3, 1 / 3]] * 10)
    found = summarise(shares, images=60)
    assert found.amplified.observed > found.amplified.null_high
    assert found.mitigated.observed > found.mitigated.null_high
    assert found.verdicts[0] is None  # on average the young are where they were


def test_a_readers_errors_are_not_taken_for_mitigation():
    rates = np.array([[0.7, 0.2, 0.05, 0.05], [0.1, 0.8, 0.1, 0.0], [0.05, 0.15, 0.7, 0.1]])
    matrix = ErrorMatrix(np.round(rates * 400).astype(np.int64), AGES)
    shares = np.array([0.8, 0.15, 0.05])
    taken = summarise(shares, training=shares, rates=rates, images=60)
    assert taken.verdicts[0] is Amplification.MITIGATED
    assert summarise(shares, training=shares, rates=rates, images=60, matrix=matrix).verdicts == (None,) * 3


def test_what_a_poor_reader_hides_is_restored():
    rates = np.array([[0.6, 0.2, 0.2, 0.0], [0.2, 0.6, 0.2, 0.0], [0.2, 0.2, 0.6, 0.0]])
    matrix = ErrorMatrix(np.round(rates * 4000).astype(np.int64), AGES)
    found = summarise([0.7, 0.2, 0.1], rates=rates, images=400, matrix=matrix)
    assert found.changes[0] == pytest.approx(
        0.2, abs=0.04
    )  # as read: 0.4 * 0.7 + 0.2, less than the training data
    assert found.amplified.observed == pytest.approx(0.2, abs=0.04)


def test_two_groups_are_one_share():
    found = summarise([0.9, 0.1], training=[0.7, 0.3])
    assert found.verdicts == (Amplification.AMPLIFIED,) * 2
    assert found.changes[0] == pytest.approx(found.changes[1])
    assert found.p_adjusted[0] == found.p_adjusted[1]


@pytest.mark.parametrize("prompts", [1, 4])
def test_too_few_prompts_get_no_verdict(prompts):
    found = summarise([1.0, 0.0, 0.0], prompts=prompts)
    assert found.verdicts == (None,) * 3
    assert (found.bounds.low[0], found.bounds.high[0], found.p_adjusted[0]) == (-1, 1, 1)


def test_a_prompt_without_images_is_refused():
    readings = Readings(np.array([[3, 1, 1, 0], [0, 0, 0, 4]]), AGES, ("a", "b"))
    with pytest.raises(InputError, match="both sides"):
        summarise_amplification(readings, np.full((2, 3), 9), None, rng=np.random.default_rng(0))


def audited(shares, *, prompts=12, images=40):
    """The check of a whole audit of ages, and its details."""
    rng = np.random.default_rng(3)
    ids = [f"i{index}" for index in range(prompts * images)]
    prompt_of = [f"job{index % prompts}" for index in range(len(ids))]
    pictures = pd.DataFrame({"image_id": ids, "prompt_id": prompt_of, "prompt": prompt_of})
    rows = pd.DataFrame({"image_id": ids, "prompt_id": prompt_of, "attribute": "age", "status": "pass",
                         "value": rng.choice([*AGES, "undetermined"], len(ids), p=shares)})  # fmt: skip
    training = {prompt: {"young": 400, "middle": 350, "old": 250} for prompt in sorted(set(prompt_of))}
    summary = Summarise({"age": AGES}, {"age": None}, Policy(draws=400), training={"age": training})
    return summary(rows, pictures).find("bias.age.amplification")


def test_an_audit_names_the_amplified_groups_and_no_others():
    check = audited([*AGED, 0])
    assert check.status is Status.SKIPPED
    assert check.details["group_verdicts"] == ["amplified", None, "amplified"]
    assert "farther from an equal share: young, old; nearer: no group" in check.reason
    assert check.value > check.threshold
    assert len(check.details["verdicts"]) == 36  # every group of every prompt
    assert np.mean(check.details["changes"][::3]) == pytest.approx(
        0.15, abs=0.05
    )  # from one third, not one half
    fair = audited([*FAIR, 0])
    assert fair.details["group_verdicts"] == [None] * 3
    assert "share: no group; nearer: no group" in fair.reason
    assert fair.value < fair.threshold


def test_one_prompt_or_nothing_read_is_inconclusive():
    one = audited([*AGED, 0], prompts=1)
    assert one.status is Status.INCONCLUSIVE
    assert one.value is None
    assert "Fewer than 5 prompts" in one.reason
    nothing = audited([0, 0, 0, 1])
    assert nothing.status is Status.INCONCLUSIVE
    assert nothing.value is None
