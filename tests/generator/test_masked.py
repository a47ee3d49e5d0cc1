"""The masked family: every token is the keyed choice of its position, in an order of its own key."""

import numpy as np
import pytest
import torch
from token_patterns import TEXTS, fit, held_out_loss, perturbed, reader, shares_of_patterns

from generator.families.guidance import encode_prompts, guide
from generator.families.interface import Control
from generator.families.masked import HIDDEN, STEPS, Masked, reveal_steps
from generator.families.token_model import unit_noise
from generator.noise import PUBLIC_KEY, choose_units
from generator.sampling_mark import detect_choices
from generator.tokenizer import CODES, LEVELS, TOKENS
from generator.training import seeded

PROMPTS = ["a portrait of a nurse", "a chef", ""]
SEEDS = [3, 4, 5]
ALL = np.ones((3, TOKENS), dtype=bool)


@pytest.fixture(scope="module")
def model():
    return perturbed(Masked)


@pytest.mark.parametrize("control", [Control(), Control(guidance=1.7)], ids=["plain", "guided"])
def test_samples_are_the_keyed_choices_of_what_was_visible(model, control):
    """Replays a picture: hide what came later, predict, choose with the noise of the position."""
    drawn = model.sample(PROMPTS, SEEDS, control=control)
    turn = torch.from_numpy(reveal_steps(SEEDS, ALL, key=PUBLIC_KEY, steps=STEPS))
    noise = unit_noise(SEEDS, key=PUBLIC_KEY)
    with torch.no_grad():
        text = model.text(encode_prompts(model.reader, PROMPTS, control=control))
        for step in range(STEPS):
            visible = torch.where(turn < step, drawn, HIDDEN)
            logits = guide(model(visible.repeat(len(text) // 3, 1), text), control=control)
            now = turn == step
            units = choose_units(logits[now].numpy(), noise[now.numpy()], levels=LEVELS)
            assert np.ravel_multi_index(tuple(units.T), LEVELS).tolist() == drawn[now].tolist()


ALIKE = np.ones((64, 4))


def test_the_mark_is_that_of_the_autoregressive_family(model):
    drawn = model.sample(PROMPTS, SEEDS)
    shown = model.quantiser.to_units(drawn).numpy()
    for row, seed in zip(shown, SEEDS, strict=True):
        found = detect_choices(row, range(100), weights=ALIKE)
        assert found.seed == seed
        assert found.log10_p < -9
        assert detect_choices(row, [seed], weights=ALIKE, keys=[b"some other sampling key"]).log10_p > -4


def test_steps_follow_a_cosine():
    counts = [
        np.bincount(row, minlength=STEPS) for row in reveal_steps(SEEDS, ALL, key=PUBLIC_KEY, steps=STEPS)
    ]
    left = TOKENS - np.cumsum(counts, axis=1)
    wanted = TOKENS * np.cos(np.pi / 2 * np.arange(1, STEPS + 1) / STEPS)
    assert np.abs(left - wanted).max() < 1
    assert min(map(min, counts)) > 0, "no pass is wasted"


def test_the_order_is_keyed_and_every_position_may_be_first():
    orders = reveal_steps(range(200), np.ones((200, TOKENS), dtype=bool), key=PUBLIC_KEY, steps=STEPS)
    assert len({row.tobytes() for row in orders}) == 200
    assert set(np.unique((orders == 0).any(0))) == {True}
    other = reveal_steps(
        range(200), np.ones((200, TOKENS), dtype=bool), key=b"another sampling key", steps=STEPS
    )
    assert (other != orders).mean() > 0.5


def test_the_order_does_not_look_at_the_noise_of_the_tokens():
    """Otherwise a token would not be an exact draw: a position drawn early would have noise of a special kind."""
    seeds = range(300)
    orders = reveal_steps(seeds, np.ones((300, TOKENS), dtype=bool), key=PUBLIC_KEY, steps=STEPS)
    noise = unit_noise(seeds, key=PUBLIC_KEY)  # (300, 64, 23)
    related = [np.corrcoef(orders.ravel(), noise[:, :, unit].ravel())[0, 1] for unit in range(sum(LEVELS))]
    assert np.abs(related).max() < 5 / np.sqrt(orders.size)


def test_given_positions_take_no_step():
    hidden = ALL.copy()
    hidden[0, 5:] = False
    turn = reveal_steps(SEEDS, hidden, key=PUBLIC_KEY, steps=STEPS)
    assert (turn[0, 5:] == -1).all()
    assert (turn[0, :5] >= 0).all()
    assert (turn[0] < STEPS).all()


def test_only_hidden_tokens_are_scored(model):
    """The loss must not reward reading off what is visible: with every logit equal it is that of guessing."""
    with seeded(0):
        fresh = Masked(reader(), width=32, depth=1, heads=2).eval()
    with torch.no_grad(), seeded(1):
        tokens = torch.randint(CODES, (8, TOKENS))
        loss = fresh.loss((tokens, fresh.reader.encode([""] * 8))).item()
    assert loss == pytest.approx(np.log(CODES), abs=0.1)


def test_it_learns_and_follows_the_prompt(tmp_path):
    with seeded(1):
        model = Masked(reader(), width=48, depth=2, heads=2, text_depth=1)
    fit(model, tmp_path, steps=200)
    assert held_out_loss(model) < 3.0  # 6.9 untrained; the noise alone costs about 1.0
    shares = shares_of_patterns(model.sample([TEXTS[i % 2] for i in range(8)], range(8)))
    assert (shares.argmax(1) == np.arange(8) % 2).all()
    assert shares.max(1).mean() > 0.5
