"""The mark in the sampling noise: exact under the null, found when it is there, and the seed is named."""

import numpy as np
import pytest
from scipy import stats

from generator.errors import InputError
from generator.noise import PUBLIC_KEY, choose_units, gumbels, uniforms
from generator.sampling_mark import (
    compute_log_lower_tail,
    detect_choices,
    detect_signs,
    weigh_choices,
)
from generator.tokenizer import LEVELS, TOKENS

ALIKE = np.ones((TOKENS, len(LEVELS)))
KEY, OTHER = bytes(range(16)), bytes(range(1, 17))


def drawn(seed, *, key=KEY, sharpness=1.0):
    """Levels (64, 4) chosen by the noise of a seed from random distributions."""
    logits = np.random.default_rng(17).normal(0, sharpness, (TOKENS, int(np.prod(LEVELS))))
    return choose_units(logits, gumbels(uniforms(seed, key=key, shape=(TOKENS, sum(LEVELS)))), levels=LEVELS)


def changed(units, share, *, rng):
    """The same with a share of the levels replaced, as a damaged picture shows them."""
    random = np.stack([rng.integers(0, levels, TOKENS) for levels in LEVELS], axis=1)
    return np.where(rng.random(units.shape) < share, random, units)


def start(seed, *, key=KEY):
    """Starting noise (64, 4) of the diffusion family."""
    pairs = uniforms(seed, key=key, shape=(TOKENS, len(LEVELS), 2))
    return np.where(pairs[..., 0] < 0.5, -1, 1) * stats.norm.ppf((1 + pairs[..., 1]) / 2)


def likelihoods(sharpness=1.0):
    """Probabilities (64, 4) of the levels of `drawn(5)` when they were chosen."""
    logits = np.random.default_rng(17).normal(0, sharpness, (TOKENS, int(np.prod(LEVELS))))
    shown, joint = drawn(5, sharpness=sharpness), np.exp(logits - logits.max(1, keepdims=True))
    found = np.empty(shown.shape)
    for dimension, count in enumerate(LEVELS):
        joint = joint.reshape(TOKENS, count, -1)
        marginal = joint.sum(2)
        found[:, dimension] = marginal[np.arange(TOKENS), shown[:, dimension]] / marginal.sum(1)
        joint = joint[np.arange(TOKENS), shown[:, dimension]]
    return found


@pytest.mark.parametrize("scale", [0.2, 0.6, 1.0, 1.4])
def test_tail_of_equal_weights_is_that_of_a_gamma_variable(scale):
    for count in (8, 40, 256):
        found = compute_log_lower_tail(count * scale * 2, np.full(count, 2.0))
        assert found == pytest.approx(stats.gamma.logcdf(count * scale, count), rel=1e-7, abs=1e-9)


def test_tail_of_unequal_weights_is_what_simulation_finds():
    rng = np.random.default_rng(8)
    weights = rng.uniform(0.05, 3, 30)
    sums = rng.exponential(1, (200_000, 30)) @ weights
    for share in (0.5, 0.05, 0.002):
        p = np.exp(compute_log_lower_tail(float(np.quantile(sums, share)), weights))
        assert p == pytest.approx(share, abs=4 * np.sqrt(share / len(sums)))


def test_p_values_of_unmarked_pictures_are_uniform():
    """The picture and its weights are fixed, the seeds it is tested for are not its own: each test is exact."""
    weights = weigh_choices(likelihoods(), np.random.default_rng(2).random(ALIKE.shape))
    seeds = range(6, 1506)
    found = [detect_choices(drawn(5), [seed], weights=weights, keys=[KEY]).log10_p for seed in seeds]
    assert stats.kstest(10 ** np.array(found), "uniform").pvalue > 0.01


def test_p_values_of_unmarked_starts_are_at_most_uniform():
    p = np.array([10 ** detect_signs(start(1), [seed], keys=[KEY]).log10_p for seed in range(2, 1502)])
    for level in (0.5, 0.1, 0.02):  # a sum of signs is discrete
        assert stats.binomtest(int((p <= level).sum()), len(p), level, alternative="greater").pvalue > 0.001
        assert (p <= level).mean() > level * 0.4


def test_weights_that_know_the_choices_find_more():
    """Sharp distributions leave few real choices; without weights the others drown them."""
    shown, seeds = drawn(5, sharpness=6.0), [5]
    knowing = weigh_choices(likelihoods(6.0), ALIKE)
    told = detect_choices(shown, seeds, weights=knowing, keys=[KEY]).log10_p
    assert told < detect_choices(shown, seeds, weights=ALIKE, keys=[KEY]).log10_p - 1


def test_own_seed_is_found_and_named_among_others():
    reading = detect_choices(drawn(777), range(700, 900), weights=ALIKE, keys=[OTHER, KEY])
    assert (reading.seed, reading.key, reading.tried) == (777, 1, 400)
    assert reading.log10_p < -12


def test_own_start_is_found_and_named_among_others():
    reading = detect_signs(start(777), range(700, 900), keys=[OTHER, KEY])
    assert (reading.seed, reading.key, reading.tried) == (777, 1, 400)
    assert reading.statistic == 128
    assert reading.log10_p == pytest.approx(np.log10(400) - 128 * np.log10(2))


def test_damage_weakens_the_mark_and_does_not_turn_it_over():
    rng = np.random.default_rng(3)
    log_p = [
        detect_choices(changed(drawn(5), share, rng=rng), [5], weights=ALIKE, keys=[KEY]).log10_p
        for share in (0, 0.3, 0.6, 1)
    ]
    assert log_p == sorted(log_p)
    assert log_p[1] < -8 < -4 < log_p[3]


def test_correction_is_for_every_seed_and_key_tried():
    alone = detect_choices(drawn(5), [5], weights=ALIKE, keys=[KEY])
    among = detect_choices(drawn(5), range(1000), weights=ALIKE, keys=[KEY])
    assert among.log10_p == pytest.approx(alone.log10_p + 3)
    assert detect_choices(drawn(5), range(100, 900), weights=ALIKE, keys=[KEY]).log10_p > -3


def test_another_key_is_an_unmarked_picture():
    assert detect_choices(drawn(5, key=OTHER), [5], weights=ALIKE, keys=[KEY]).log10_p > -4
    assert detect_signs(start(5, key=OTHER), [5], keys=[KEY]).log10_p > -4


def test_a_certain_model_leaves_no_mark():
    """Where the prompt leaves no choice there is nothing to mark: p must not be small."""
    assert detect_choices(drawn(5, sharpness=1e4), [5], weights=ALIKE, keys=[KEY]).log10_p > -4


@pytest.mark.parametrize("seeds", [[], [-1], [2**64]])
def test_bad_seeds_are_refused(seeds):
    with pytest.raises(InputError, match="seed"):
        detect_choices(drawn(5), seeds, weights=ALIKE)


def test_bad_levels_are_refused():
    with pytest.raises(InputError, match=r"\(64, 3\)"):
        detect_choices(drawn(5)[:, :3], [5], weights=ALIKE)
    with pytest.raises(InputError, match="within"):
        detect_choices(drawn(5) + 8, [5], weights=ALIKE, keys=[PUBLIC_KEY])
