"""The autoregressive family: samples are draws from its own distribution, prompts and seeds decide them."""

import numpy as np
import pytest
import torch
from token_patterns import TEXTS as PATTERN_TEXTS
from token_patterns import fit, held_out_loss, reader, shares_of_patterns

from generator.families.autoregressive import Autoregressive, unit_noise
from generator.families.interface import Control, trace
from generator.noise import PUBLIC_KEY, choose_units
from generator.tokenizer import CODES, LEVELS, TOKENS, Tokenizer
from generator.training import seeded

TEXTS = ["a portrait of a nurse", "a chef with glasses", "", "an old pilot"]
SEEDS = [5, 6, 7, 2**64 - 1]


def make_model():
    """Untrained, but with weights large enough for prompt and past to matter."""
    with seeded(0):
        model = Autoregressive(reader(), width=32, depth=2, heads=2).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def drawn(model):
    return model.sample(TEXTS, SEEDS)


def logits_of(model, tokens, texts):
    with torch.no_grad():
        return model(tokens, model.reader.encode(texts))


def chosen_from(logits, seeds, key=PUBLIC_KEY):
    noise = unit_noise(seeds, key=key)
    units = [choose_units(logits[:, t].numpy(), noise[:, t], levels=LEVELS) for t in range(TOKENS)]
    return np.ravel_multi_index(tuple(np.stack(units, 1).transpose(2, 0, 1)), LEVELS)


def test_samples_are_the_keyed_choices_of_the_full_model(model, drawn):
    """The cached sampler must draw from exactly the distribution that the training loss is about."""
    assert chosen_from(logits_of(model, drawn, TEXTS), SEEDS).tolist() == drawn.tolist()


def test_guided_samples_are_the_keyed_choices_of_the_guided_logits(model):
    guided = model.sample(TEXTS, SEEDS, control=Control(guidance=1.7))
    told, untold = logits_of(model, guided, TEXTS), logits_of(model, guided, [""] * len(TEXTS))
    assert chosen_from(untold + 1.7 * (told - untold), SEEDS).tolist() == guided.tolist()
    assert not torch.equal(guided, model.sample(TEXTS, SEEDS))


def test_samples_are_tokens(drawn):
    assert drawn.shape == (len(TEXTS), TOKENS)
    assert drawn.dtype == torch.int64
    assert 0 <= drawn.min() <= drawn.max() < CODES


def test_same_request_same_tokens(model, drawn):
    assert torch.equal(model.sample(TEXTS, SEEDS), drawn)


def test_order_and_company_do_not_matter(model, drawn):
    assert torch.equal(model.sample(TEXTS[::-1], SEEDS[::-1]).flip(0), drawn)
    assert torch.equal(model.sample(TEXTS[2:3], SEEDS[2:3]), drawn[2:3])


def test_seed_prompt_and_key_each_matter(model):
    first = model.sample(["a nurse"], [1])
    assert not torch.equal(model.sample(["a nurse"], [2]), first)
    assert not torch.equal(model.sample(["a chef"], [1]), first)
    assert not torch.equal(model.sample(["a nurse"], [1], key=b"another sampling key"), first)


def test_logits_depend_on_the_past_only(model, drawn):
    other = drawn.clone()
    other[:, 20] = (other[:, 20] + 1) % CODES
    before, after = logits_of(model, drawn, TEXTS), logits_of(model, other, TEXTS)
    assert torch.equal(before[:, :21], after[:, :21])
    assert ((before - after).abs().amax(dim=(0, 2))[21:] > 0).all()


def test_the_last_token_enters_no_logit(model, drawn):
    other = drawn.clone()
    other[:, -1] = 0
    assert torch.equal(logits_of(model, drawn, TEXTS), logits_of(model, other, TEXTS))


def test_table_joins_a_codes_own_vector_and_its_levels():
    model = make_model()
    with torch.no_grad():
        model.codes.zero_()
        model.levels.copy_(torch.arange(23.0)[:, None].expand(23, 32))
    units = np.stack(np.unravel_index(np.arange(CODES), LEVELS), 1)
    wanted = (units + np.array([0, 8, 13, 18])).sum(1)
    assert model.table()[:, 0].tolist() == wanted.tolist()


def test_untrained_loss_is_that_of_guessing():
    with seeded(0):
        fresh = Autoregressive(reader(), width=32, depth=1, heads=2).eval()
        tokens = torch.randint(CODES, (8, TOKENS))
    with torch.no_grad():
        loss = fresh.loss((tokens, fresh.reader.encode([""] * 8))).item()
    assert loss == pytest.approx(np.log(CODES), abs=0.1)


def test_captions_are_dropped_in_training_only(model, drawn):
    batch = (drawn, model.reader.encode(TEXTS))
    with torch.no_grad():
        assert model.loss(batch).item() == model.loss(batch).item()
        model.train()
        with seeded(1):
            losses = {model.loss(batch).item() for _ in range(20)}
        model.eval()
    assert len(losses) > 1


def test_it_learns_and_follows_the_prompt(tmp_path):
    """Two prompts, two noisy patterns of tokens; an unseen seed must draw the pattern that was asked for."""
    with seeded(1):
        model = Autoregressive(reader(), width=48, depth=2, heads=2, text_depth=1)
    fit(model, tmp_path, steps=240, rate=1e-2)
    assert held_out_loss(model) < 2.5  # 6.9 untrained; the noise alone costs about 1.0
    shares = shares_of_patterns(model.sample([PATTERN_TEXTS[i % 2] for i in range(16)], range(16)))
    assert (shares.argmax(1) == np.arange(16) % 2).mean() > 0.8
    assert shares.max(1).mean() > 0.6


def test_an_empty_prompt_is_drawn(model):
    assert model.sample([""], [3]).shape == (1, TOKENS)


def test_trace_reads_the_units_of_a_picture():
    with seeded(2):
        tokenizer = Tokenizer(width=16, depth=1).eval()
        images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    units = trace(images, tokenizer)
    assert units.shape == (2, TOKENS, 4)
    assert torch.equal(tokenizer.quantiser.to_tokens(units), tokenizer.encode(images.float() / 255))
