"""The diffusion family: keyed Gaussian starts, a flow that can be run backwards, signs that are found again."""

import numpy as np
import pytest
import torch
from scipy import stats
from token_patterns import TEXTS, fit, held_out_loss, perturbed, reader, shares_of_patterns

from generator.families.diffusion import (
    Diffusion,
    mix,
    quantiles_of_time,
    start_signs,
    start_values,
    time_grid,
)
from generator.families.interface import Control
from generator.noise import PUBLIC_KEY, uniforms
from generator.sampling_mark import detect_signs
from generator.tokenizer import CODES, LEVELS, TOKENS
from generator.training import seeded

KEY = b"a key of this test"
NOISE = 0.5  # share of positions that hold any token: what the start values decide


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with seeded(1):
        model = Diffusion(reader(), width=48, depth=2, heads=2, text_depth=1)
    fit(model, tmp_path_factory.mktemp("diffusion"), steps=300, rate=4e-3, noise=NOISE)
    return model


@pytest.fixture(scope="module")
def drawn(trained):
    return trained.sample([TEXTS[i % 2] for i in range(16)], range(16), key=KEY)


def test_start_values_are_standard_normal_and_unrelated():
    values = start_values(range(60), key=KEY)
    assert values.shape == (60, TOKENS, len(LEVELS))
    assert stats.kstest(values.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]) < 4 / np.sqrt(values[1:].size)


def test_signs_are_the_keyed_bits():
    signs = start_signs([7, 8], key=KEY)
    for row, seed in zip(signs, (7, 8), strict=True):
        bits = uniforms(seed, key=KEY, shape=(TOKENS, len(LEVELS), 2))[..., 0] >= 0.5
        assert np.array_equal(row, bits)
    assert np.array_equal(signs, start_values([7, 8], key=KEY) > 0)


def test_size_and_sign_are_independent():
    values = start_values(range(60), key=KEY).ravel()
    assert abs(np.corrcoef(values > 0, np.abs(values))[0, 1]) < 4 / np.sqrt(values.size)


@pytest.mark.parametrize("steps", [1, 12])
def test_the_times_go_from_noise_to_picture(steps):
    times = time_grid(steps)
    assert len(times) == steps + 1
    assert times[0] == 0
    assert times[-1] == 1
    assert times == sorted(set(times))


def test_the_way_is_straight():
    picture, noise = torch.ones(1, 2, 4), -torch.ones(1, 2, 4)
    assert mix(picture, noise, 0.75).unique().tolist() == [0.5]


def test_times_of_training_are_those_of_the_steps():
    assert quantiles_of_time(torch.tensor([0.25, 0.5, 0.75])).tolist() == pytest.approx(time_grid(4)[1:-1])


def test_untrained_loss_is_that_of_guessing():
    with seeded(0):
        fresh = Diffusion(reader(), width=32, depth=1, heads=2).eval()
        tokens = torch.randint(CODES, (8, TOKENS))
        loss = fresh.loss((tokens, fresh.reader.encode([""] * 8))).item()
    assert loss == pytest.approx(np.log(CODES), abs=0.2)


def test_more_steps_are_another_way_to_nearly_the_same_picture(trained, drawn):
    """A flow has one solution; the number of steps only says how well it is followed."""
    finer = trained.sample([TEXTS[i % 2] for i in range(16)], range(16), key=KEY, steps=40)
    units, fine = trained.quantiser.to_units(drawn), trained.quantiser.to_units(finer)
    near = (units - fine).abs() <= 1
    assert near.float().mean() > 0.85


def test_it_learns_and_follows_the_prompt(tmp_path):
    with seeded(1):
        model = Diffusion(reader(), width=48, depth=2, heads=2, text_depth=1)
    fit(model, tmp_path, steps=300, rate=3e-3)
    assert held_out_loss(model) < 2.5  # 6.9 untrained; the noise alone costs about 1.0
    shares = shares_of_patterns(model.sample([TEXTS[i % 2] for i in range(16)], range(16)))
    assert (shares.argmax(1) == np.arange(16) % 2).mean() > 0.9
    assert shares.max(1).mean() > 0.6


def test_the_start_is_found_again_from_the_tokens_alone(trained, drawn):
    """No prompt is given to the inversion, as a reader of pictures has none."""
    start = trained.invert(drawn).numpy()
    found = (start > 0) == start_signs(range(16), key=KEY)
    assert found.mean() > 0.65
    readings = [detect_signs(row, [seed], keys=[KEY]).log10_p for seed, row in enumerate(start)]
    assert np.median(readings) < -9


def test_the_prompt_helps_or_at_least_does_not_hurt_the_inversion(trained, drawn):
    texts = [TEXTS[i % 2] for i in range(16)]
    signs = start_signs(range(16), key=KEY)
    blind = ((trained.invert(drawn).numpy() > 0) == signs).mean()
    told = ((trained.invert(drawn, texts=texts).numpy() > 0) == signs).mean()
    assert told > blind - 0.02


def test_without_the_key_signs_agree_by_chance(trained, drawn):
    """Wrong key, wrong seed, or a picture of another origin: 128 fair coins."""
    start = trained.invert(drawn).numpy()
    surest = np.argsort(-np.abs(start).reshape(16, -1), 1)[:, :128]
    for other in (start_signs(range(16), key=PUBLIC_KEY), start_signs(range(50, 66), key=KEY)):
        agree = np.take_along_axis(((start > 0) == other).reshape(16, -1), surest, 1)
        assert stats.binomtest(int(agree.sum()), agree.size).pvalue > 1e-3


def test_inversion_undoes_the_steps_where_nothing_is_rounded():
    """With many steps the way back from the unrounded end leads to the start."""
    model = perturbed(Diffusion)
    with torch.no_grad():
        model.head.weight.mul_(0.125)
        text = model.text(model.reader.encode(["a nurse"]))
        start = torch.from_numpy(start_values([1], key=KEY)).float()
        x, times = start, torch.linspace(0, 0.8, 401).tolist()
        for now, then in zip(times[:-1], times[1:], strict=True):
            x = model._step(x, now, then, text=text, control=Control())
        assert (x - start).abs().mean() > 0.2, "it went somewhere"
        for now, then in zip(times[:0:-1], times[-2::-1], strict=True):
            x = model._step(x, now, then, text=text, control=Control())
    torch.testing.assert_close(x, start, atol=0.05, rtol=0.05)
