"""The recipes of the other families: they start from the autoregressive stage and end in weights that load."""

from dataclasses import replace

import pytest
import torch
from token_patterns import reader

from generator import recipes_families as families
from generator.embedded import EmbeddedGenerator
from generator.errors import InputError
from generator.families.adversarial import Adversarial, Rivals
from generator.families.autoregressive import Autoregressive
from generator.families.diffusion import Diffusion
from generator.families.mae import MAE
from generator.families.masked import Masked
from generator.interface import Prompt, Request
from generator.pools import HELD_OUT
from generator.portraits import Corpus, Rates
from generator.tokenizer import Tokenizer
from generator.training import load_average, seeded, train
from generator.weights import Card, load_weights, save_weights

SHAPE = {"width": 32, "depth": 2, "heads": 2}


def write_prior(folder, model):
    """The checkpoint that the first stage of the autoregressive training leaves."""
    tokens = torch.zeros(2, 64, dtype=torch.int64)
    batch = (tokens, reader().encode(["a nurse"] * 2))
    train(
        model,
        lambda _: batch,
        replace(families.PRIOR, steps=1, eval_every=0),
        folder=folder / families.PRIOR.name,
    )


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    with seeded(0):
        write_prior(folder, Autoregressive(reader(), **SHAPE))
    return folder


@pytest.mark.parametrize("family", [Masked, Diffusion, Adversarial])
def test_a_family_starts_with_what_the_prior_has_learned(prior, family):
    model = family(reader(), **SHAPE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    families.start_from_prior(model, prior)
    learned, after = load_average(prior / families.PRIOR.name), model.state_dict()
    shared = after.keys() & learned.keys()
    assert {"text.enter.weight", "positions.rows", "transformer.blocks.1.attend_cross.query.weight"} <= shared
    assert all(torch.equal(after[name], learned[name]) for name in shared)
    assert all(torch.equal(after[name], before[name]) for name in after.keys() - shared)


def test_the_critic_starts_with_it_too(prior):
    critic = Rivals(Adversarial(reader(), **SHAPE)).critic
    families.start_from_prior(critic, prior)
    learned, after = load_average(prior / families.PRIOR.name), critic.state_dict()
    assert torch.equal(after["text.enter.weight"], learned["text.enter.weight"])
    assert torch.equal(after["vit.positions.rows"], learned["positions.rows"])
    name = "blocks.1.attend_cross.query.weight"
    assert torch.equal(after[f"vit.encoder.{name}"], learned[f"transformer.{name}"])


def test_without_the_prior_it_is_named(tmp_path):
    with pytest.raises(InputError, match="start the training first"):
        families.start_from_prior(Masked(reader(), **SHAPE), tmp_path)


@pytest.mark.slow
def test_from_nothing_to_generators(tmp_path, monkeypatch):
    with seeded(0):
        tokenizer = Tokenizer(width=16, depth=1)
        write_prior(tmp_path, Autoregressive(reader()))
    card = Card("tokenizer", "", {}, 0, {}, (), tokenizer.config)
    save_weights("tokenizer", tokenizer.state_dict(), card, tmp_path)
    corpora = [Corpus(seed, Rates.default(), HELD_OUT + 40) for seed in (1, 2)]
    monkeypatch.setattr(families, "CORPORA", corpora)
    monkeypatch.setattr(families, "AUTOENCODER_CORPUS", (1, HELD_OUT + 70))
    monkeypatch.setattr(
        families, "measure_prompted", lambda *_: {"probe_occupation": 0.0}
    )  # takes a minute each
    for name in ("masked", "diffusion"):
        recipe = replace({"masked": families.MASKED, "diffusion": families.DIFFUSION}[name], steps=2)
        families.FAMILY_RECIPES[name](tmp_path, recipe=recipe)
    recipes = (replace(families.PAINTER, steps=2), replace(families.RIVALS, steps=2))
    families.train_adversarial(tmp_path, recipes=recipes)
    for name in ("masked", "diffusion", "adversarial"):
        generator = EmbeddedGenerator.load(tmp_path, family=name)
        (image,) = generator.generate([Request(Prompt("p", "a nurse"), 0, 1)])
        assert image.generator == f"assay-{name}"
        figures = load_weights(name, family=name, folder=tmp_path).card.figures
        assert {"held_out_loss", "probe_occupation"} <= figures.keys()
    families.train_mae(tmp_path, recipe=replace(families.AUTOENCODER, steps=2))
    weights = load_weights("mae", family="mae", folder=tmp_path)
    MAE(**weights.card.config).load_state_dict(weights.tensors)
