"""PPI++ with labels of audited images: coverage whatever the reader, power, edges, and labels that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from audit.bias.intervals import NEW_PROMPTS, THESE_PROMPTS
from audit.bias.labelled import LabelledReadings, count_labels
from audit.bias.ppi import estimate_with_labels
from audit.bias.readings import Readings
from benchmarks.bias_audits import Setting
from benchmarks.bias_coverage import cover_with_labels, rejects_with_labels
from generator.errors import InputError

TWO = ("woman", "man")
PARITY = np.array([0.5, 0.5])


def tables(joint):
    """Readings and labels from (P, reading, label) counts where every image is labelled."""
    counts = np.asarray(joint)
    names = tuple(f"p{index}" for index in range(len(counts)))
    return Readings(counts.sum(axis=2), TWO, names), LabelledReadings(counts.astype(float), TWO)


def world(*, read, prompts=24, images=20, labels=100, seed=0):
    """Half women in every prompt; `read`: (truth (n,), rng) -> readings 0, 1 or 2."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (prompts, images))
    found = read(truth, rng)
    counts = np.stack([(found == column).sum(axis=1) for column in range(3)], axis=1)
    chosen = rng.choice(truth.size, labels, replace=False)
    joint = np.zeros((prompts, 3, 3))
    np.add.at(joint, (chosen // images, found.ravel()[chosen], truth.ravel()[chosen]), 1)
    return Readings(counts, TWO, tuple(map(str, range(prompts)))), LabelledReadings(joint, TWO)


@pytest.mark.parametrize("claim", [NEW_PROMPTS, THESE_PROMPTS])
@pytest.mark.parametrize("setting", [Setting(20, 8), Setting(150, 250, shifted=True)])
def test_intervals_cover_in_the_settings_they_claim(claim, setting):
    cover = np.mean(cover_with_labels(setting, claim=claim, audits=300).held)
    assert 0.91 <= cover <= 0.99  # 0.95 within three standard errors of 300 audits; benchmarks.bias does 2000


@pytest.mark.slow
@pytest.mark.parametrize("setting", [Setting(p, n) for p in (20, 150) for n in (8, 30, 250)])
def test_new_prompts_are_covered_93_to_97_percent(setting):
    assert 0.93 <= np.mean(cover_with_labels(setting, claim=NEW_PROMPTS, audits=1500, seed=99).held) <= 0.975


def test_the_test_keeps_its_level():
    assert np.mean(rejects_with_labels(Setting(20, 30), audits=300)) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_a_perfect_reader_is_used_in_full_and_a_coin_not_at_all():
    perfect = estimate_with_labels(*world(read=lambda truth, _: truth))
    coin = estimate_with_labels(*world(read=lambda truth, rng: rng.integers(0, 2, truth.shape)))
    assert perfect.power == pytest.approx(1.0)
    assert coin.power < 0.3
    assert perfect.effective_n[0] > 2 * coin.effective_n[0]


@pytest.mark.parametrize("reader", [
    lambda truth, _: np.ones_like(truth),
    lambda truth, _: 1 - truth,
    lambda truth, rng: np.where(rng.random(truth.shape) < 0.7, 1, truth),
    lambda truth, rng: np.where((truth == 0) & (rng.random(truth.shape) < 0.6), 2, truth),
])  # fmt: skip
def test_any_reader_however_bad_leaves_the_estimate_right(reader):
    held = []
    for seed in range(60):
        found = estimate_with_labels(*world(read=reader, seed=seed)).shares
        held.append(found.low[0] <= 0.5 <= found.high[0])
    assert np.mean(held) >= 0.85


def test_all_images_labelled_leaves_the_labels_themselves():
    joint = np.zeros((10, 3, 3))
    joint[:, 0, 0], joint[:, 1, 0], joint[:, 1, 1] = 4, 2, 6
    found = estimate_with_labels(*tables(joint), claim=THESE_PROMPTS).shares
    assert found.estimates == pytest.approx([0.5, 0.5])


def test_labels_that_say_undetermined_leave_the_shares_of_the_others():
    joint = np.zeros((12, 3, 3))
    joint[:, 0, 0], joint[:, 1, 1], joint[:, 2, 2] = 3, 1, 4
    assert estimate_with_labels(*tables(joint)).shares.estimates == pytest.approx([0.75, 0.25])


def test_a_group_never_labelled_may_still_exist():
    joint = np.zeros((12, 3, 3))
    joint[:, 1, 1] = 5
    found = estimate_with_labels(*tables(joint), reference=np.array([0.05, 0.95]))
    assert found.shares.estimates.tolist() == [0.0, 1.0]
    assert found.shares.high[0] > 0.2  # 0 of 12 prompts: Clopper-Pearson .26
    assert found.p_value == 1.0
    assert estimate_with_labels(*tables(joint), reference=PARITY).p_value < 0.01


def test_interval_and_test_agree():
    for seed in range(30):
        readings, labelled = world(read=lambda truth, _: truth, prompts=30, images=8, labels=60, seed=seed)
        found = estimate_with_labels(readings, labelled, reference=np.array([0.42, 0.58]))
        assert (found.p_value <= 0.05) == (not found.shares.low[0] <= 0.42 <= found.shares.high[0])


def test_prompts_with_references_of_their_own_are_compared_with_them():
    rng = np.random.default_rng(1)
    own = rng.beta(0.8, 0.8, size=40)
    truth = (rng.random((40, 30)) >= own[:, None]).astype(int)
    joint = np.zeros((40, 3, 3))
    joint[:, 0, 0], joint[:, 1, 1] = (truth == 0).sum(axis=1), (truth == 1).sum(axis=1)
    references = np.stack([own, 1 - own], axis=1)
    close = np.clip(references + [[0.12, -0.12]], 0.01, 0.99)
    readings, labelled = tables(joint)
    assert estimate_with_labels(readings, labelled, reference=references).p_value > 0.05
    assert estimate_with_labels(readings, labelled, reference=close).p_value < 0.001
    unsure = np.full(40, 1.0)  # figures that rest on one answer each
    certain = estimate_with_labels(readings, labelled, reference=close).p_value
    assert (
        estimate_with_labels(readings, labelled, reference=close, reference_trials=unsure).p_value > certain
    )


@pytest.mark.parametrize(("change", "words"), [
    (lambda read, said: (read, LabelledReadings(said.counts[:5], TWO)), "over 5 prompts"),
    (lambda read, said: (read, LabelledReadings(said.counts, ("man", "woman"))), "groups"),
    (lambda read, said: (read, LabelledReadings(said.counts * 0, TWO)), "at least 20"),
    (lambda read, said: (read, LabelledReadings(said.counts * 50, TWO)), "more labelled images"),
    (lambda read, said: (read, LabelledReadings(np.concatenate([said.counts[:4] * 0 + np.eye(3) * [[[3.0, 3.0, 0.0]]],
                                                       said.counts[4:] * 0]), TWO)), "of 4 prompts"),
])  # fmt: skip
def test_labels_that_do_not_fit_are_refused(change, words):
    readings, labelled = world(read=lambda truth, _: truth)
    with pytest.raises(InputError, match=words):
        estimate_with_labels(*change(readings, labelled))


def test_annotators_share_an_image():
    readings = Readings(np.array([[2, 1, 0]]), TWO, ("p",))
    found = count_labels(
        ["a", "a", "b"], ["woman", "man", "man"], reading_of={"a": "woman", "b": "man"},
        prompt_of={"a": "p", "b": "p"}, readings=readings,
    )  # fmt: skip
    assert found.counts[0, 0].tolist() == [0.5, 0.5, 0.0]
    assert found.counts[0, 1].tolist() == [0.0, 1.0, 0.0]
    assert found.n_labels == 2


@pytest.mark.parametrize(("images", "labels", "words"), [
    (["z"], ["man"], "not in the run, first 'z'"),
    (["a"], ["child"], "unknown values \\['child'\\]"),
    (["a"], ["man", "man"], "2 labels of 1 images"),
])  # fmt: skip
def test_labels_of_strangers_and_unknown_labels_are_named(images, labels, words):
    readings = Readings(np.array([[2, 1, 0]]), TWO, ("p",))
    with pytest.raises(InputError, match=words):
        count_labels(images, labels, reading_of={"a": "man"}, prompt_of={"a": "p"}, readings=readings)
