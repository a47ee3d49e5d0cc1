"""The trainings of the other families: `masked`, `diffusion` and `adversarial` on tokens, and `mae` on drawings.

Those on tokens see the drawings of the autoregressive training, as tokens of `tokenizer.*` in the same folder, for
20 to 30 minutes of one core. They start from the first stage of that training, where what words mean is learned
already: from random weights they need longer to read than to draw. `mae` takes a few minutes.

Source: from causal weights to a model that fills in, arXiv:2410.17891.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generator.embedded import compute_encoder_digest, load_tokenizer
from generator.families.adversarial import Adversarial, Rivals
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
from generator.recipes import PRIOR, describe_data, describe_run
from generator.text import Vocabulary
from generator.tokenizer import reduce_by_two
from generator.training import Recipe, TrainResult, load_average, seeded, train
from generator.weights import Card, Weights, load_weights, save_weights

BATCH = 32
CORPORA = ((2001, 24_000), (2002, 30_000))  # seeds and sizes: the drawings of the autoregressive training

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
    name="adversarial-first", steps=600, learning_rate=1e-3, warmup=50, weight_decay=0.01, eval_every=200
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


def train_masked(
    folder: Path, *, device: str = "cpu", log: Log = lambda _: None, recipe: Recipe = MASKED
) -> Weights:
    """Train the masked family on the tokens of `tokenizer.*` in `folder`; writes `masked.*`."""
    with seeded(recipe.seed):
        model = Masked(Vocabulary())
    start_from_prior(model, folder)
    return _train_on_tokens(model, [(model, recipe)], folder=folder, device=device, log=log)


def train_diffusion(
    folder: Path, *, device: str = "cpu", log: Log = lambda _: None, recipe: Recipe = DIFFUSION
) -> Weights:
    """Train the diffusion family on the tokens of `tokenizer.*` in `folder`; writes `diffusion.*`."""
    with seeded(recipe.seed):
        model = Diffusion(Vocabulary())
    start_from_prior(model, folder)
    return _train_on_tokens(model, [(model, recipe)], folder=folder, device=device, log=log)


def train_adversarial(
    folder: Path,
    *,
    device: str = "cpu",
    log: Log = lambda _: None,
    recipes: tuple[Recipe, Recipe] = (PAINTER, RIVALS),
) -> Weights:
    """Train a painter alone, then painter and critic, on the tokens of `tokenizer.*` in `folder`.

    Writes the painter to `adversarial.*`; the critic is only needed to train it.
    """
    with seeded(recipes[0].seed):
        painter = Adversarial(Vocabulary())
        rivals = Rivals(painter)
    start_from_prior(painter, folder)
    start_from_prior(rivals.critic, folder)
    stages = zip((painter, rivals), recipes, strict=True)
    return _train_on_tokens(painter, list(stages), folder=folder, device=device, log=log)


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


def _train_on_tokens(
    model: Masked | Diffusion | Adversarial,
    stages: Sequence[tuple[nn.Module, Recipe]],
    *,
    folder: Path,
    device: str,
    log: Log,
) -> Weights:
    """Train in stages, each a module that contains `model` and how it is trained; write `model` with its card.

    The last recipe's name is that of the family.
    """
    tokenizer_weights = load_weights("tokenizer", family="tokenizer", folder=folder)
    corpora = [Corpus(seed, Rates.default(), size) for seed, size in CORPORA]
    pools = [tokenise_pool(corpus, tokenizer_weights, folder / "pools", log=log) for corpus in corpora]
    results = []
    for trained, recipe in stages:
        results.append(train_on_pools(trained, recipe, pools, folder=folder, device=device))
        log(f"{recipe.name}: held-out loss {results[-1].figures['held_out_loss']:.3f}")
    log("measuring what the samples show")
    recipes = [recipe for _, recipe in stages]
    family = recipes[-1].name
    card = Card(
        family=family,
        data=describe_data(corpora) + "; rates with planted bias of presentation, age and tone by occupation",
        recipe=describe_run(results, recipes, batch=BATCH),
        seed=recipes[0].seed,
        figures=results[-1].figures | measure_prompted(model.to("cpu"), load_tokenizer(tokenizer_weights)),
        limits=_LIMITS,
        config={
            **model.config,
            "words": list(model.vocabulary.words),
            "encoder": compute_encoder_digest(tokenizer_weights),
        },
    )
    return save_weights(family, model.state_dict(), card, folder)


def train_on_pools(
    model: nn.Module, recipe: Recipe, pools: Sequence[TokenPool], *, folder: Path, device: str
) -> TrainResult:
    """Train on all pools together; `held_out_loss` is the model's own loss on what no batch contains."""
    tokens = torch.cat([pool.tokens[:-HELD_OUT] for pool in pools])
    ids = torch.cat([pool.ids[:-HELD_OUT] for pool in pools])
    unseen = (pools[0].tokens[-HELD_OUT:], pools[0].ids[-HELD_OUT:, 0])
    loss: Callable[[tuple[Tensor, Tensor]], Tensor] = model.loss  # type: ignore[assignment]

    def batches(step: int) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(pick(step, len(tokens), size=BATCH, seed=recipe.seed))
        which = np.random.default_rng([recipe.seed, step, 1]).integers(CAPTIONS, size=BATCH)
        return tokens[rows], ids[rows, torch.from_numpy(which)]

    def evaluate() -> dict[str, float]:
        with seeded(recipe.seed):  # the same times, hidden tokens or noise at every evaluation
            parts = zip(*(torch.split(part, CHUNK) for part in unseen), strict=True)
            losses = [loss((some.to(device), text.to(device))).item() for some, text in parts]
        return {"held_out_loss": float(np.mean(losses))}

    place = folder / recipe.name
    return train(model, batches, recipe, folder=place, loss=loss, evaluate=evaluate, device=device)


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
    "masked": train_masked,
    "diffusion": train_diffusion,
    "adversarial": train_adversarial,
    "mae": train_mae,
}
"""Name -> training, each called as `train(folder, device=..., log=...)`."""
