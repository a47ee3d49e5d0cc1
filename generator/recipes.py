"""The named trainings of the embedded generator: what `assay train` runs, from nothing to weights with a card.

`tokenizer` first, then `autoregressive` on the tokens of the tokenizer in the same folder. A training that was killed
goes on from its last checkpoint. Steps are set so that both fit into 90 minutes of a free two-core machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from generator.embedded import load_tokenizer
from generator.families.autoregressive import Autoregressive
from generator.figures import CHUNK, measure_prompted, measure_tokenizer
from generator.pools import (
    CAPTIONS,
    HELD_OUT,
    Log,
    Pool,
    TokenPool,
    channels_first,
    draw_pool,
    pick,
    tokenise_pool,
)
from generator.portraits import Corpus, Rates
from generator.text import Vocabulary
from generator.tokenizer import Tokenizer
from generator.training import Recipe, TrainResult, seeded, train
from generator.weights import Card, Weights, load_weights, save_weights

TOKENIZER_RECIPE = Recipe(
    name="tokenizer",
    steps=4800,
    learning_rate=1.2e-3,
    warmup=100,
    ema=0.99,
    eval_every=600,
    checkpoint_every=200,
)
CYCLE_START, CYCLE_FULL, CYCLE_WEIGHT = 3300, 3600, 0.04  # reverse cycle: first step, full from, weight
BATCH = 16


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a training: a recipe and the fresh drawings it sees.

    Attributes:
        recipe: its name is the folder of the stage.
        corpus_seed: of the biased world.
        drawings: how many.
    """

    recipe: Recipe
    corpus_seed: int
    drawings: int


PRIOR = Recipe(
    name="autoregressive",
    steps=2600,
    learning_rate=1.5e-3,
    warmup=150,
    weight_decay=0.05,
    ema=0.99,
    eval_every=200,
)
PRIOR_STAGES = (
    Stage(PRIOR, corpus_seed=2001, drawings=24_000),
    # Other drawings and a lower rate: after the first stage the loss on drawings seen before has run ahead.
    Stage(
        replace(PRIOR, name="autoregressive-second", steps=2400, learning_rate=1e-3, warmup=50),
        corpus_seed=2002,
        drawings=30_000,
    ),
)
PRIOR_BATCH = 32


def tokenizer_corpora() -> list[Corpus]:
    """Half the biased world and half the balanced one, so that rare people are drawn well too."""
    return [Corpus(1001, Rates.default(), 12_000), Corpus(1002, Rates.balanced(), 12_000)]


def draw_batch(pools: Sequence[Pool], step: int, *, seed: int) -> Tensor:
    """Drawings of a step, half from each pool, uint8 (16, 3, 128, 128)."""
    indices = pick(step, pools[0].training, size=BATCH, seed=seed)
    halves = zip(pools, np.split(indices, 2), strict=True)
    return channels_first(np.concatenate([pool.drawings[np.sort(half)] for pool, half in halves]))


def train_tokenizer(
    folder: Path, *, device: str = "cpu", log: Log = lambda _: None, recipe: Recipe = TOKENIZER_RECIPE
) -> Weights:
    """Train the tokenizer; writes `tokenizer.*` to `folder`."""
    corpora = tokenizer_corpora()
    pools = [draw_pool(corpus, folder / "pools", log=log) for corpus in corpora]
    with seeded(recipe.seed):
        model = Tokenizer()

    def batches(step: int) -> tuple[Tensor, float]:
        ramp = (step - CYCLE_START) / (CYCLE_FULL - CYCLE_START)
        return draw_batch(pools, step, seed=recipe.seed), CYCLE_WEIGHT * min(max(ramp, 0.0), 1.0)

    held_out = pools[0].drawings[-HELD_OUT:]
    result = train(
        model,
        batches,
        recipe,
        folder=folder / recipe.name,
        evaluate=lambda: measure_tokenizer(model, held_out),
        device=device,
    )
    card = Card(
        family="tokenizer",
        data=_describe_data(corpora),
        recipe=_describe_run([result], [recipe], batch=BATCH),
        seed=recipe.seed,
        figures=result.figures,
        limits=(
            "Knows drawings of the embedded world only; photographs come back as smears.",
            "Detail below 2 pixels of 128 is lost, wrinkles first.",
        ),
        config=model.config,
    )
    return save_weights("tokenizer", model.state_dict(), card, folder)


def train_autoregressive(
    folder: Path, *, device: str = "cpu", log: Log = lambda _: None, stages: Sequence[Stage] = PRIOR_STAGES
) -> Weights:
    """Train the prior on the biased world, as tokens of `tokenizer.*` in `folder`; writes `autoregressive.*`."""
    tokenizer_weights = load_weights("tokenizer", family="tokenizer", folder=folder)
    corpora = [Corpus(stage.corpus_seed, Rates.default(), stage.drawings) for stage in stages]
    with seeded(stages[0].recipe.seed):
        model = Autoregressive(Vocabulary())
    results = []
    for stage, corpus in zip(stages, corpora, strict=True):
        pool = tokenise_pool(corpus, tokenizer_weights, folder / "pools", log=log)
        results.append(train_stage(model, stage, pool, folder=folder, device=device))
        loss = results[-1].figures["held_out_loss"]
        log(f"{stage.recipe.name}: held-out loss {loss:.3f} nats per token")
    log("measuring what the samples show")
    card = Card(
        family="autoregressive",
        data=_describe_data(corpora)
        + "; rates with planted bias of presentation, age and tone by occupation",
        recipe=_describe_run(results, [stage.recipe for stage in stages], batch=PRIOR_BATCH),
        seed=stages[0].recipe.seed,
        figures=results[-1].figures | measure_prompted(model.to("cpu"), load_tokenizer(tokenizer_weights)),
        limits=(
            "Draws people of the embedded world only, from the words of its vocabulary; other words say nothing.",
            "Shows the planted bias of its training data on purpose: it is a measuring standard.",
        ),
        config={
            **model.config,
            "words": list(model.vocabulary.words),
            "tokenizer": tokenizer_weights.digest,
        },
    )
    return save_weights("autoregressive", model.state_dict(), card, folder)


def train_stage(
    model: Autoregressive, stage: Stage, pool: TokenPool, *, folder: Path, device: str
) -> TrainResult:
    """Train the prior through one stage, from the weights it holds; `held_out_loss` is in nats per token."""
    seed = stage.recipe.seed

    def batches(step: int) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(pick(step, len(pool.tokens) - HELD_OUT, size=PRIOR_BATCH, seed=seed))
        which = np.random.default_rng([seed, step, 1]).integers(CAPTIONS, size=PRIOR_BATCH)
        return pool.tokens[rows], pool.ids[rows, torch.from_numpy(which)]

    def evaluate() -> dict[str, float]:
        tokens, ids = pool.tokens[-HELD_OUT:], pool.ids[-HELD_OUT:, 0]
        parts = zip(torch.split(tokens, CHUNK), torch.split(ids, CHUNK), strict=True)
        losses = [model.loss((some.to(device), text.to(device))).item() for some, text in parts]
        return {"held_out_loss": float(np.mean(losses))}

    place = folder / stage.recipe.name
    return train(model, batches, stage.recipe, folder=place, evaluate=evaluate, device=device)


def _describe_data(corpora: Sequence[Corpus]) -> str:
    parts = [f"{len(c)} drawings of the corpus with seed {c.seed} ({c.digest})" for c in corpora]
    return "Procedural portraits, no real person: " + "; ".join(parts)


def _describe_run(
    results: Sequence[TrainResult], recipes: Sequence[Recipe], *, batch: int
) -> dict[str, object]:
    return {
        "stages": [{**asdict(recipe), "betas": list(recipe.betas)} for recipe in recipes],
        "batch": batch,
        "cpu_seconds": round(sum(result.cpu_seconds for result in results)),
    }


RECIPES: dict[str, Callable[..., Weights]] = {
    "tokenizer": train_tokenizer,
    "autoregressive": train_autoregressive,
}
"""Name -> training, each called as `train(folder, device=..., log=...)`, in the order they are run."""
