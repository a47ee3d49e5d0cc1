"""The trainings of the families: four on tokens, and `mae` on drawings.

Those on tokens take the tokens of `tokenizer.*` in the same folder and the captions through a frozen text tower, for
20 to 35 minutes of one core each. All but the first start from the first stage of the autoregressive training, where
what words mean is learned already: from random weights they need longer to read than to draw. `mae` takes a few
minutes.

Source: from causal weights to a model that fills in, arXiv:2410.17891.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.clip import EMBEDDED
from generator.embedded import compute_encoder_digest, load_tokenizer
from generator.families.adversarial import Adversarial, Rivals
from generator.families.autoregressive import Autoregressive
from generator.families.diffusion import Diffusion
from generator.families.mae import MAE
from generator.families.masked import Masked
from generator.figures import CHUNK, measure_prompted
from generator.pools import (
    CAPTIONS,
    HELD_OUT,
    Log,
    TokenPool,
    channels_first,
    draw_pool,
    pick,
    tokenise_pool,
)
from generator.portraits import Corpus, Rates
from generator.recipes import describe_data, describe_run
from generator.text import PromptReader
from generator.tokenizer import reduce_by_two
from generator.training import Recipe, TrainResult, load_average, seeded, train
from generator.weights import Card, Weights, load_weights, save_weights

BATCH = 32
CORPORA = (Corpus(2001, Rates.default(), 24_000), Corpus(2002, Rates.default(), 30_000))

PRIOR = Recipe(
    name="autoregressive-first",
    steps=2600,
    learning_rate=1.5e-3,
    warmup=150,
    weight_decay=0.05,
    ema=0.99,
    eval_every=200,
)
# Other drawings and a lower rate: after the first stage the loss on drawings seen before has run ahead.
PRIOR_SECOND = replace(PRIOR, name="autoregressive", steps=2400, learning_rate=1e-3, warmup=50)
MASKED = Recipe(
    name="masked",
    steps=2800,
    learning_rate=1e-3,
    warmup=100,
    weight_decay=0.05,
    ema=0.995,
    eval_every=300,
)
DIFFUSION = Recipe(
    name="diffusion",
    steps=3000,
    learning_rate=1e-3,
    warmup=100,
    weight_decay=0.05,
    ema=0.998,
    eval_every=300,
)
PAINTER = Recipe(
    name="adversarial-first", steps=900, learning_rate=1e-3, warmup=50, weight_decay=0.01, eval_every=200
)
# Two rivals: little momentum, or they run around each other.
RIVALS = Recipe(
    name="adversarial",
    steps=700,
    learning_rate=3e-4,
    warmup=50,
    weight_decay=0.0,
    betas=(0.5, 0.99),
    ema=0.995,
    eval_every=200,
)
AUTOENCODER = Recipe(
    name="mae", steps=1500, learning_rate=1e-3, warmup=100, weight_decay=0.05, ema=0.99, eval_every=300
)
AUTOENCODER_CORPUS = (1001, 12_000)  # the first drawings of the tokenizer's training

_LIMITS = (
    "Draws people of the embedded world only, from the words of its vocabulary; other words say nothing.",
    "Shows the planted bias of its training data on purpose: it is a measuring standard.",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the training of a family.

    Attributes:
        module: that is trained; it is the family's model or contains it.
        recipe: the last stage's is named after the family.
        corpora: whose drawings it sees, as tokens.
    """

    module: nn.Module
    recipe: Recipe
    corpora: Sequence[Corpus] = CORPORA


def train_autoregressive(
    folder: Path,
    *,
    device: str = "cpu",
    log: Log = lambda _: None,
    text: str = EMBEDDED,
    online: bool = False,
    recipes: tuple[Recipe, Recipe] = (PRIOR, PRIOR_SECOND),
    corpora: tuple[Corpus, Corpus] = CORPORA,
) -> Weights:
    """Train the default family, which reads by the text tower `text`; writes `autoregressive.*` to `folder`."""
    reader = PromptReader.load(text, online=online, folder=folder)
    with seeded(recipes[0].seed):
        model = Autoregressive(reader)
    stages = [Stage(model, recipe, [corpus]) for recipe, corpus in zip(recipes, corpora, strict=True)]
    return train_family(model, stages, folder=folder, device=device, log=log)


def train_masked(
    folder: Path,
    *,
    device: str = "cpu",
    log: Log = lambda _: None,
    text: str = EMBEDDED,
    online: bool = False,
    recipe: Recipe = MASKED,
) -> Weights:
    """Train the masked family, which reads by the text tower `text`; writes `masked.*` to `folder`."""
    reader = PromptReader.load(text, online=online, folder=folder)
    with seeded(recipe.seed):
        model = Masked(reader)
    start_from_prior(model, folder)
    return train_family(model, [Stage(model, recipe)], folder=folder, device=device, log=log)


def train_diffusion(
    folder: Path,
    *,
    device: str = "cpu",
    log: Log = lambda _: None,
    text: str = EMBEDDED,
    online: bool = False,
    recipe: Recipe = DIFFUSION,
) -> Weights:
    """Train the diffusion family, which reads by the text tower `text`; writes `diffusion.*` to `folder`."""
    reader = PromptReader.load(text, online=online, folder=folder)
    with seeded(recipe.seed):
        model = Diffusion(reader)
    start_from_prior(model, folder)
    return train_family(model, [Stage(model, recipe)], folder=folder, device=device, log=log)


def train_adversarial(
    folder: Path,
    *,
    device: str = "cpu",
    log: Log = lambda _: None,
    text: str = EMBEDDED,
    online: bool = False,
    recipes: tuple[Recipe, Recipe] = (PAINTER, RIVALS),
) -> Weights:
    """Train a painter alone, then painter and critic, which read by the text tower `text`.

    Writes the painter to `adversarial.*` in `folder`; the critic is only needed to train it.
    """
    reader = PromptReader.load(text, online=online, folder=folder)
    with seeded(recipes[0].seed):
        painter = Adversarial(reader)
        rivals = Rivals(painter)
    start_from_prior(painter, folder)
    start_from_prior(rivals.critic, folder)
    stages = [Stage(module, recipe) for module, recipe in zip((painter, rivals), recipes, strict=True)]
    return train_family(painter, stages, folder=folder, device=device, log=log)


def start_from_prior(model: nn.Module, folder: Path) -> None:
    """Load what a model has in common with the autoregressive one: its first stage in `folder`, averaged weights.

    Raises:
        InputError: that stage was not trained in `folder`.
    """
    own = model.state_dict()
    for name, value in load_average(folder / PRIOR.name).items():
        # a vision transformer calls the same parts by other names
        for found in (name, f"vit.{name}", f"vit.{name.replace('transformer', 'encoder', 1)}"):
            if found in own:
                own[found] = value
    model.load_state_dict(own)


def train_family(
    model: Autoregressive | Masked | Diffusion | Adversarial,
    stages: Sequence[Stage],
    *,
    folder: Path,
    device: str,
    log: Log,
) -> Weights:
    """Train in stages on the tokens of `tokenizer.*` in `folder`; write `model` with its card."""
    tokenizer_weights = load_weights("tokenizer", family="tokenizer", folder=folder)
    results = []
    for stage in stages:
        pools = [
            tokenise_pool(corpus, tokenizer_weights, folder / "pools", log=log) for corpus in stage.corpora
        ]
        results.append(train_stage(stage, pools, model.reader, folder=folder, device=device))
        log(f"{stage.recipe.name}: held-out loss {results[-1].figures['held_out_loss']:.3f}")
    log("measuring what the samples show")
    recipes = [stage.recipe for stage in stages]
    family = recipes[-1].name
    corpora = {corpus.digest: corpus for stage in stages for corpus in stage.corpora}
    card = Card(
        family=family,
        data=describe_data(list(corpora.values()))
        + "; rates with planted bias of presentation, age and tone by occupation",
        recipe=describe_run(results, recipes, batch=BATCH),
        seed=recipes[0].seed,
        figures=results[-1].figures | measure_prompted(model.to("cpu"), load_tokenizer(tokenizer_weights)),
        limits=_LIMITS,
        config={
            **model.config,
            "text": model.reader.config,
            "encoder": compute_encoder_digest(tokenizer_weights),
        },
    )
    return save_weights(family, model.state_dict(), card, folder)


def train_stage(
    stage: Stage, pools: Sequence[TokenPool], reader: PromptReader, *, folder: Path, device: str
) -> TrainResult:
    """Train on all pools together; `held_out_loss` is the module's own loss on what no batch contains."""
    module, recipe = stage.module, stage.recipe
    tokens = torch.cat([pool.tokens[:-HELD_OUT] for pool in pools])
    captions = [some for pool in pools for some in pool.captions[:-HELD_OUT]]
    unseen = (pools[0].tokens[-HELD_OUT:], reader.encode([some[0] for some in pools[0].captions[-HELD_OUT:]]))
    loss: Callable[[tuple[Tensor, Tensor]], Tensor] = module.loss  # type: ignore[assignment]

    def batches(step: int) -> tuple[Tensor, Tensor]:
        rows = pick(step, len(tokens), size=BATCH, seed=recipe.seed)
        which = np.random.default_rng([recipe.seed, step, 1]).integers(CAPTIONS, size=BATCH)
        ids = reader.encode([captions[row][column] for row, column in zip(rows, which, strict=True)])
        return tokens[torch.from_numpy(rows)], ids

    def evaluate() -> dict[str, float]:
        with seeded(recipe.seed):  # the same times, hidden tokens or noise at every evaluation
            parts = zip(*(torch.split(part, CHUNK) for part in unseen), strict=True)
            losses = [loss((some.to(device), text.to(device))).item() for some, text in parts]
        return {"held_out_loss": float(np.mean(losses))}

    place = folder / recipe.name
    return train(module, batches, recipe, folder=place, loss=loss, evaluate=evaluate, device=device)


def train_mae(
    folder: Path, *, device: str = "cpu", log: Log = lambda _: None, recipe: Recipe = AUTOENCODER
) -> Weights:
    """Train the masked autoencoder on drawings at the encoder's size; writes `mae.*` to `folder`."""
    corpus = Corpus(AUTOENCODER_CORPUS[0], Rates.default(), AUTOENCODER_CORPUS[1])
    pool = draw_pool(corpus, folder / "pools", log=log)
    with seeded(recipe.seed):
        model = MAE()

    def images(rows: Any) -> Tensor:  # noqa: ANN401 - what NumPy takes as an index
        drawings = channels_first(pool.drawings[rows]).float()
        return reduce_by_two(drawings).round().to(torch.uint8)

    unseen = images(slice(-HELD_OUT, None))

    def batches(step: int) -> Tensor:
        return images(np.sort(pick(step, pool.training, size=2 * BATCH, seed=recipe.seed)))

    def evaluate() -> dict[str, float]:
        with seeded(recipe.seed):
            losses = [model.loss(part.to(device)).item() for part in torch.split(unseen, CHUNK)]
        return {"held_out_loss": float(np.mean(losses))}

    result = train(model, batches, recipe, folder=folder / recipe.name, evaluate=evaluate, device=device)
    card = Card(
        family="mae",
        data=describe_data([corpus]),
        recipe=describe_run([result], [recipe], batch=BATCH),
        seed=recipe.seed,
        figures=result.figures,
        limits=("Knows drawings of the embedded world only; it fills a photograph with smears.",),
        config=model.config,
    )
    return save_weights("mae", model.state_dict(), card, folder)


FAMILY_RECIPES: dict[str, Callable[..., Weights]] = {
    "autoregressive": train_autoregressive,
    "masked": train_masked,
    "diffusion": train_diffusion,
    "adversarial": train_adversarial,
    "mae": train_mae,
}
"""Name -> training, each called as `train(folder, device=..., log=...)`; all but `mae` take `text` and `online`."""
