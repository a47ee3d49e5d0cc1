"""The adversarial family: each rival learns from its own loss only, and the painter follows the prompt."""

import numpy as np
import pytest
import torch
from scipy import stats
from token_patterns import TEXTS, batch, fit, held_out_loss, perturbed, reader, shares_of_patterns
from torch.nn import functional

from generator.families.adversarial import DRAWS, NOISE, Adversarial, Rivals, _random_noise, start_noise
from generator.noise import PUBLIC_KEY
from generator.tokenizer import TOKENS
from generator.training import Recipe, seeded, train

RECIPE = Recipe(name="two", steps=300, learning_rate=6e-3, warmup=10, ema=0.9, checkpoint_every=0, amp=False)


def make_rivals():
    with seeded(1):
        return Rivals(Adversarial(reader(), width=48, depth=2, heads=2, text_depth=1), depth=2)


def levels(rivals, tokens):
    return rivals.painter.quantiser.scale(rivals.painter.quantiser.to_units(tokens))


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def test_the_noise_is_standard_normal_and_keyed():
    noise = start_noise(range(40), key=PUBLIC_KEY)
    assert noise.shape == (40, TOKENS + 1, NOISE)
    assert stats.kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    assert torch.equal(noise[3], start_noise([3], key=PUBLIC_KEY)[0])
    assert not torch.equal(noise, start_noise(range(40), key=b"another sampling key"))


def test_drawn_levels_are_rounded_and_still_pass_the_gradient():
    painter = perturbed(Adversarial)
    _, ids = batch(0)
    with seeded(2):
        drawn = painter.paint(painter.text(ids))
    units = (drawn + 1) / 2 * painter.quantiser.tops
    torch.testing.assert_close(units, units.round())
    drawn.sum().backward()
    assert painter.head.weight.grad.abs().sum() > 0


def test_the_critic_gets_the_critics_loss_only():
    rivals = make_rivals().eval()
    with seeded(3):
        rivals.loss(batch(0)).backward()
    both = gradients(rivals.critic)
    rivals.zero_grad()
    with seeded(3):
        tokens, ids = batch(0)
        rivals._critic_loss(
            levels(rivals, tokens), rivals.painter.paint(rivals.painter.text(ids)).detach(), ids
        )[0].backward()
    alone = gradients(rivals.critic)
    assert both.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(both[name], value)
    assert gradients(rivals.painter) == {}, "and the painter nothing of it"


def test_the_painter_is_told_to_please_the_critic():
    """One small step along its gradient raises the critic's score of what is drawn."""
    rivals = make_rivals().eval()
    tokens, ids = batch(0)

    def score():
        with seeded(3), torch.no_grad():
            return (
                rivals.critic(rivals.painter._soft(_random_noise(ids), rivals.painter.text(ids)), ids)
                .mean()
                .item()
            )

    before = score()
    with seeded(3):
        drawn = rivals.painter.paint(rivals.painter.text(ids))
        goal = rivals.critic(levels(rivals, tokens), ids).detach()
        functional.softplus(goal - rivals.critic(drawn, ids)).mean().backward()
    with torch.no_grad():
        for parameter in rivals.painter.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.05 * parameter.grad)
    assert score() > before


def test_the_critic_reads_picture_and_prompt():
    rivals = make_rivals().eval()
    with torch.no_grad():
        for parameter in rivals.critic.parameters():
            parameter.add_(torch.ones_like(parameter) * 0.01 * torch.linspace(-1, 1, parameter.shape[-1]))
        tokens, ids = batch(0)
        picture = levels(rivals, tokens)
        scores = rivals.critic(picture, ids)
        assert not torch.allclose(rivals.critic(picture.roll(1, 0), ids), scores, atol=1e-5)
        assert not torch.allclose(rivals.critic(picture, ids[:1].expand_as(ids) * 0), scores, atol=1e-5)


def test_the_distance_is_that_of_the_nearest_draw(monkeypatch):
    painter = perturbed(Adversarial)
    tokens, ids = batch(0)
    real = painter.quantiser.scale(painter.quantiser.to_units(tokens))
    with seeded(4), torch.no_grad():
        text = painter.text(ids)
        each = [(painter._soft(_random_noise(ids), text) - real).square().mean((1, 2)) for _ in range(DRAWS)]
    with seeded(4):
        distance = painter.distance(real, painter.text(ids))
    torch.testing.assert_close(distance, torch.stack(each).amin(0).mean())
    distance.backward()
    assert painter.head.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_one_prompt_can_mean_two_pictures(tmp_path):
    """The noise decides between them; the average of both would be neither."""
    with seeded(1):
        painter = Adversarial(reader(), width=48, depth=2, heads=2, text_depth=1)

    def either(step):
        tokens, ids = batch(step)
        return tokens, ids[:1].expand_as(ids)

    train(painter, either, RECIPE, folder=tmp_path)
    shares = shares_of_patterns(painter.sample(TEXTS[:1] * 32, range(32)))
    assert set(shares.argmax(1)) == {0, 1}
    assert shares.max(1).mean() > 0.3


@pytest.mark.slow
def test_rivals_learn(tmp_path):
    """The painter still follows the prompt after it was judged."""
    rivals = make_rivals()
    fit(rivals.painter, tmp_path / "first", steps=240)
    assert held_out_loss(rivals.painter) < 0.15  # 0.43 is the average picture of both prompts
    fit(rivals, tmp_path / "second", steps=150, rate=1e-3, betas=(0.5, 0.99))
    drawn = rivals.painter.sample([TEXTS[i % 2] for i in range(16)], range(16))
    shares = shares_of_patterns(drawn)
    assert (shares.argmax(1) == np.arange(16) % 2).mean() > 0.9
    assert shares.max(1).mean() > 0.4


def test_the_painter_alone_learns_the_average_picture_of_a_prompt(tmp_path):
    with seeded(1):
        painter = Adversarial(reader(), width=32, depth=1, heads=2, text_depth=1)
    fit(painter, tmp_path, steps=240)
    assert held_out_loss(painter) < 0.2  # 0.43 is the average picture of both prompts
    shares = shares_of_patterns(painter.sample([TEXTS[i % 2] for i in range(8)], range(8)))
    assert (shares.argmax(1) == np.arange(8) % 2).all()
