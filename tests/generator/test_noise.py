"""The noise of sampling: fixed by integers, uniform, and Gumbel-max by the chain rule draws from the joint."""

import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from scipy import stats

from generator.errors import InputError
from generator.noise import PUBLIC_KEY, SEED_LIMIT, choose_units, gumbels, uniforms, uniforms_at

KEY = bytes(range(16))
SMALL = (3, 2, 2)


def small_joint():
    """A joint distribution over 12 codes whose dimensions depend on each other."""
    logits = np.random.default_rng(5).normal(0, 1.5, 12)
    return logits, np.exp(logits) / np.exp(logits).sum()


def draw(logits, count, *, levels, seed):
    noise = gumbels(np.random.default_rng(seed).random((count, sum(levels))))
    units = choose_units(np.tile(logits, (count, 1)), noise, levels=levels)
    return np.ravel_multi_index(tuple(units.T), levels)


def test_same_seed_and_key_same_numbers():
    np.testing.assert_array_equal(uniforms(7, shape=(64, 23)), uniforms(7, shape=(64, 23)))


def test_seed_and_key_both_matter():
    first = uniforms(7, key=KEY, shape=(100,))
    assert not np.isin(first, uniforms(8, key=KEY, shape=(100,))).any()
    assert not np.isin(first, uniforms(7, key=KEY[::-1], shape=(100,))).any()
    assert not np.isin(first, uniforms(7, shape=(100,))).any()


def test_numbers_are_those_of_the_published_construction():
    """AES of (seed, number), spelled out here once more: every machine and every release must agree."""
    secret = hashlib.blake2b(key=PUBLIC_KEY, person=b"assay/noise", digest_size=32).digest()
    wanted = []
    for number in range(6):
        block = (2**40 + 3).to_bytes(8, "little") + number.to_bytes(8, "little")
        encrypted = Cipher(algorithms.AES(secret), modes.ECB()).encryptor().update(block)
        wanted.append(((int.from_bytes(encrypted[:8], "little") >> 11) + 0.5) / 2**53)
    assert uniforms(2**40 + 3, shape=(2, 3)).ravel().tolist() == wanted
    chosen = uniforms_at(np.array([9, 2**40 + 3], dtype=np.uint64), np.array([4, 1]))
    assert chosen[1].tolist() == [wanted[4], wanted[1]]


def test_first_numbers_do_not_depend_on_how_many_follow():
    np.testing.assert_array_equal(uniforms(3, shape=(1000,))[:10], uniforms(3, shape=(10,)))


def test_no_numbers():
    assert uniforms(3, shape=(0, 4)).shape == (0, 4)


@pytest.mark.parametrize("seed", [0, 1, SEED_LIMIT - 1])
def test_seeds_at_the_limits(seed):
    numbers = uniforms(seed, shape=(10_000,))
    assert 0 < numbers.min() < numbers.max() < 1
    assert np.isfinite(gumbels(numbers)).all()


@pytest.mark.parametrize("seed", [-1, SEED_LIMIT])
def test_seed_out_of_range_is_named(seed):
    with pytest.raises(InputError, match=f"seed is {seed}"):
        uniforms(seed, shape=(1,))


@pytest.mark.parametrize("length", [0, 15, 65])
def test_key_of_wrong_length_is_refused(length):
    with pytest.raises(InputError, match=f"{length} bytes"):
        uniforms(1, key=b"k" * length, shape=(1,))


def test_uniform_within_one_seed():
    assert stats.kstest(uniforms(11, shape=(20_000,)), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("position", [0, 1471])
def test_uniform_across_consecutive_seeds(position):
    """The null of every later test on marks: a position over many images is uniform, neighbours unrelated."""
    numbers = np.array([uniforms(seed, shape=(1472,))[position] for seed in range(3000)])
    assert stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 4 / np.sqrt(3000)


def test_scores_of_unmarked_choices_follow_their_exact_law():
    """Choices made without the key score Gamma(64, 1) under it, so that p-values are exact."""
    choices = np.random.default_rng(2).integers(0, 23, (1500, 64))
    scores = [
        -np.log1p(-uniforms(seed, key=KEY, shape=(64, 23))[np.arange(64), row]).sum()
        for seed, row in enumerate(choices)
    ]
    assert stats.kstest(scores, stats.gamma(64).cdf).pvalue > 1e-3


def test_gumbels_follow_the_gumbel_distribution():
    assert stats.kstest(gumbels(uniforms(1, shape=(20_000,))), stats.gumbel_r.cdf).pvalue > 1e-3


def test_choices_follow_the_joint_distribution():
    logits, wanted = small_joint()
    codes = draw(logits, 40_000, levels=SMALL, seed=1)
    counts = np.bincount(codes, minlength=12)
    assert stats.chisquare(counts, wanted * 40_000).pvalue > 1e-3


def test_the_joint_test_would_notice_independent_dimensions():
    """Without the chain rule the same test fails: the distribution above is far from a product."""
    _, wanted = small_joint()
    cube = wanted.reshape(SMALL)
    product = np.einsum("a,b,c->abc", cube.sum((1, 2)), cube.sum((0, 2)), cube.sum((0, 1))).ravel()
    counts = np.random.default_rng(1).multinomial(40_000, product)
    assert stats.chisquare(counts, wanted * 40_000).pvalue < 1e-10


def test_choices_from_the_keyed_noise_follow_the_joint_distribution():
    logits, wanted = small_joint()
    noise = gumbels(np.stack([uniforms(seed, shape=(7,)) for seed in range(8000)]))
    units = choose_units(np.tile(logits, (8000, 1)), noise, levels=SMALL)
    counts = np.bincount(np.ravel_multi_index(tuple(units.T), SMALL), minlength=12)
    assert stats.chisquare(counts, wanted * 8000).pvalue > 1e-3


def test_a_certain_code_is_always_chosen():
    logits = np.zeros(1000)
    logits[737] = 100.0
    assert (draw(logits, 200, levels=(8, 5, 5, 5), seed=3) == 737).all()


def test_logits_need_not_be_normalised_and_may_be_large():
    logits, _ = small_joint()
    plain = draw(logits, 500, levels=SMALL, seed=4)
    np.testing.assert_array_equal(plain, draw(logits + 1e4, 500, levels=SMALL, seed=4))
    np.testing.assert_array_equal(plain, draw(logits - 1e4, 500, levels=SMALL, seed=4))
