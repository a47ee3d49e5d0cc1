"""The recipes run from nothing to weights that the embedded generator loads; pools are only caches."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from generator import recipes
from generator.embedded import EmbeddedGenerator, load_tokenizer
from generator.interface import Prompt, Request
from generator.pools import HELD_OUT, draw_pool, pick, tokenise_pool
from generator.portraits import Corpus, Rates
from generator.recipes_families import PRIOR, PRIOR_SECOND, train_autoregressive
from generator.tokenizer import Tokenizer, reduce_by_two
from generator.training import seeded
from generator.weights import Card, load_weights, save_weights


def quiet(_):
    """No log."""


def test_a_pool_is_a_cache_of_its_corpus(tmp_path):
    corpus = Corpus(3, Rates.default(), HELD_OUT + 20)
    pool = draw_pool(corpus, tmp_path, log=quiet)
    assert pool.training == 20
    np.testing.assert_array_equal(pool.drawings[7], corpus.drawing(7, 128))
    said = []
    again = draw_pool(corpus, tmp_path, log=said.append)
    assert said == [], "drawn once only"
    assert again.captions == pool.captions == tuple(corpus.caption(i) for i in range(len(corpus)))
    draw_pool(Corpus(4, Rates.default(), HELD_OUT + 20), tmp_path, log=said.append)
    assert len(said) == 1, "another corpus is another pool"


def test_tokens_of_a_pool_are_those_of_the_drawings(tmp_path):
    with seeded(0):
        model = Tokenizer(width=16, depth=1)
    card = Card("tokenizer", "", {}, 0, {}, (), model.config)
    weights = save_weights("tokenizer", model.state_dict(), card, tmp_path)
    corpus = Corpus(3, Rates.default(), 40)
    pool = tokenise_pool(corpus, weights, tmp_path, log=quiet)
    drawing = torch.from_numpy(corpus.drawing(35, 128).copy()).permute(2, 0, 1)[None].float() / 255
    assert torch.equal(pool.tokens[35], load_tokenizer(weights).encode(reduce_by_two(drawing))[0])
    assert [len(captions) for captions in pool.captions] == [4] * 40
    assert len(set(pool.captions[0])) > 1, "several captions per drawing"
    stored = tokenise_pool(corpus, weights, tmp_path, log=lambda text: pytest.fail(text))
    assert torch.equal(stored.tokens, pool.tokens)
    assert stored.captions == pool.captions


def test_batches_are_a_function_of_the_step_and_never_repeat_within():
    first = pick(5, 100, size=16, seed=1)
    assert first.tolist() == pick(5, 100, size=16, seed=1).tolist()
    assert first.tolist() != pick(6, 100, size=16, seed=1).tolist()
    assert len(set(first.tolist())) == 16
    assert max(first) < 100


@pytest.mark.slow
def test_from_nothing_to_a_generator(tmp_path):
    first = [
        replace(stage, recipe=replace(stage.recipe, steps=2), drawings=2 * (HELD_OUT + 32))
        for stage in recipes.TOKENIZER_STAGES
    ]
    recipes.RECIPES["tokenizer"](tmp_path, stages=first)
    train_autoregressive(
        tmp_path,
        recipes=(replace(PRIOR, steps=2), replace(PRIOR_SECOND, steps=2)),
        corpora=[Corpus(seed, Rates.default(), HELD_OUT + 32) for seed in (1, 2)],
    )
    generator = EmbeddedGenerator.load(tmp_path)
    (image,) = generator.generate([Request(Prompt("p", "a nurse"), 0, 1)])
    assert image.weights_digest == generator.weights_digest
    card = load_weights("autoregressive", family="autoregressive", folder=tmp_path).card
    assert [stage["steps"] for stage in card.recipe["stages"]] == [2, 2]
    assert card.figures["probe_occupation_drawings"] > 0.9, "the yardstick itself works"
    assert card.figures["probe_occupation"] < 0.3, "and does not call noise a nurse"
    assert json.dumps(dict(card.figures), allow_nan=False)
