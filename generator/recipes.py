"""The trainings of the tokenizer, from nothing to weights with a card: what `assay train` runs.

`tokenizer` first, then the families on its tokens in the same folder (`recipes_families`), then `decoder` on what
the autoregressive one draws. A training that was killed goes on from its last checkpoint. Steps are set so that each
fits into 90 minutes of a free two-core machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generator.embedded import load_family, load_tokenizer
from generator.figures import measure_agreement, measure_tokenizer, sample_all
from generator.pools import HELD_OUT, Log, Pool, channels_first, draw_pool, pick
from generator.portraits import Corpus, Rates
from generator.tokenizer import Tokenizer
from generator.training import Recipe, TrainResult, seeded, train
from generator.weights import Card, Weights, load_weights, save_weights

TOKENIZER = Recipe(
    name="tokenizer",
    steps=4800,
    learning_rate=1.2e-3,
    warmup=100,
    ema=0.99,
    eval_every=600,
    checkpoint_every=200,
)
CYCLE_WEIGHT = 0.04  # of the reverse cycle, once it is on
BATCH = 16


@dataclass(frozen=True, slots=True)
class TokenizerStage:
    """One part of the tokenizer's training: a recipe and the fresh drawings it sees.

    Half of them are of the biased world and half of the balanced one, so that rare people are drawn well too.

    Attributes:
        recipe: its name is the folder of the stage.
        corpus_seed: of the biased world; the balanced one has the next.
        drawings: in all.
        cycle: first step with the reverse cycle, and the step from which it has its full weight.
    """

    recipe: Recipe
    corpus_seed: int
    drawings: int
    cycle: tuple[int, int]

    def corpora(self) -> list[Corpus]:
        """The biased and the balanced corpus."""
        size = self.drawings // 2
        return [
            Corpus(self.corpus_seed, Rates.default(), size),
            Corpus(self.corpus_seed + 1, Rates.balanced(), size),
        ]

    def cycle_weight(self, step: int) -> float:
        """Weight of the reverse cycle at a step."""
        first, full = self.cycle
        return CYCLE_WEIGHT * min(max((step - first) / (full - first), 0.0), 1.0)


TOKENIZER_STAGES = (
    TokenizerStage(TOKENIZER, corpus_seed=1001, drawings=24_000, cycle=(3300, 3600)),
    # The reverse cycle from the first step: now the codes themselves learn to survive a change of brightness.
    TokenizerStage(
        replace(TOKENIZER, name="tokenizer-second", steps=12_000, learning_rate=8e-4, eval_every=1000),
        corpus_seed=1003,
        drawings=48_000,
        cycle=(0, 300),
    ),
)


# What a prior draws is no drawing's code: those pictures have to be read back, too.
DECODER = Recipe(
    name="decoder", steps=1500, learning_rate=5e-4, warmup=50, ema=0.99, eval_every=300, checkpoint_every=300
)
DECODER_CYCLE_WEIGHT = 0.15
DECODER_CORPUS = Corpus(1005, Rates.default(), 4000 + HELD_OUT)  # its captions are what the prior draws


def draw_batch(pools: Sequence[Pool], step: int, *, seed: int) -> Tensor:
    """Drawings of a step, half from each pool, uint8 (16, 3, 128, 128)."""
    indices = pick(step, pools[0].training, size=BATCH, seed=seed)
    halves = zip(pools, np.split(indices, 2), strict=True)
    return channels_first(np.concatenate([pool.drawings[np.sort(half)] for pool, half in halves]))


def train_tokenizer(
    folder: Path,
    *,
    device: str = "cpu",
    log: Log = lambda _: None,
    stages: Sequence[TokenizerStage] = TOKENIZER_STAGES,
) -> Weights:
    """Train the tokenizer; writes `tokenizer.*` to `folder`."""
    with seeded(stages[0].recipe.seed):
        model = Tokenizer()
    results = []
    for stage in stages:
        results.append(train_tokenizer_stage(model, stage, folder=folder, device=device, log=log))
        log(f"{stage.recipe.name}: {results[-1].figures['psnr_64']:.2f} dB at the encoder's size")
    card = Card(
        family="tokenizer",
        data=describe_data([corpus for stage in stages for corpus in stage.corpora()]),
        recipe=describe_run(results, [stage.recipe for stage in stages], batch=BATCH),
        seed=stages[0].recipe.seed,
        figures=results[-1].figures,
        limits=(
            "Knows drawings of the embedded world only; photographs come back as smears.",
            "Detail below 2 pixels of 128 is lost, wrinkles first.",
        ),
        config=model.config,
    )
    return save_weights("tokenizer", model.state_dict(), card, folder)


def train_tokenizer_stage(
    model: Tokenizer, stage: TokenizerStage, *, folder: Path, device: str, log: Log
) -> TrainResult:
    """Train the tokenizer through one stage, from the weights it holds."""
    seed = stage.recipe.seed
    pools = [draw_pool(corpus, folder / "pools", log=log) for corpus in stage.corpora()]
    held_out = pools[0].drawings[-HELD_OUT:]

    def batches(step: int) -> tuple[Tensor, float]:
        return draw_batch(pools, step, seed=seed), stage.cycle_weight(step)

    return train(
        model,
        batches,
        stage.recipe,
        folder=folder / stage.recipe.name,
        evaluate=lambda: measure_tokenizer(model, held_out),
        device=device,
    )


def train_decoder(
    folder: Path, *, device: str = "cpu", log: Log = lambda _: None, recipe: Recipe = DECODER
) -> Weights:
    """Teach the decoder that pictures of drawn tokens are read back, the encoder left as it is.

    Reads `tokenizer.*` and `autoregressive.*` in `folder` and replaces the first; models over tokens stay valid.
    """
    before = load_weights("tokenizer", family="tokenizer", folder=folder)
    model = load_tokenizer(before)
    prior = load_family(load_weights("autoregressive", family="autoregressive", folder=folder), folder=folder)
    pools = [draw_pool(corpus, folder / "pools", log=log) for corpus in TOKENIZER_STAGES[-1].corpora()]
    log(f"drawing {len(DECODER_CORPUS)} pictures' tokens")
    captions = [DECODER_CORPUS.caption(i) for i in range(len(DECODER_CORPUS))]
    units = model.quantiser.to_units(sample_all(prior, captions, seed=DECODER_CORPUS.seed))
    model.encoder.requires_grad_(requires_grad=False)  # the gradient passes through it and leaves it alone
    model.to(device)

    def batches(step: int) -> tuple[Tensor, Tensor]:
        rows = pick(step, len(units) - HELD_OUT, size=BATCH, seed=recipe.seed + 1)
        return draw_batch(pools, step, seed=recipe.seed + 1), units[torch.from_numpy(rows)]

    def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
        return model.decoder_loss(*batch, weight=DECODER_CYCLE_WEIGHT)

    def evaluate() -> dict[str, float]:
        sampled = measure_agreement(model, model.quantiser.to_tokens(units[-HELD_OUT:]))
        figures = measure_tokenizer(model, pools[0].drawings[-HELD_OUT:])
        return figures | {f"sampled_{name}": value for name, value in sampled.items()}

    place = folder / recipe.name
    result = train(model.decoder, batches, recipe, folder=place, loss=loss, evaluate=evaluate, device=device)
    run = describe_run([result], [recipe], batch=BATCH)
    card = replace(
        before.card,
        data=f"{before.card.data}; tokens drawn for the captions of the corpus with seed {DECODER_CORPUS.seed}",
        recipe={
            **before.card.recipe,
            "stages": [*before.card.recipe["stages"], *run["stages"]],
            "cpu_seconds": before.card.recipe["cpu_seconds"] + run["cpu_seconds"],
        },
        figures=result.figures,
    )
    return save_weights("tokenizer", model.state_dict(), card, folder)


def describe_data(corpora: Sequence[Corpus]) -> str:
    """What a card says of the drawings that trained something."""
    parts = [f"{len(c)} drawings of the corpus with seed {c.seed} ({c.digest})" for c in corpora]
    return "Procedural portraits, no real person: " + "; ".join(parts)


def describe_run(results: Sequence[TrainResult], recipes: Sequence[Recipe], *, batch: int) -> dict[str, Any]:
    """What a card says of the stages that really ran."""
    return {
        "stages": [{**asdict(recipe), "betas": list(recipe.betas)} for recipe in recipes],
        "batch": batch,
        "cpu_seconds": round(sum(result.cpu_seconds for result in results)),
    }


RECIPES: dict[str, Callable[..., Weights]] = {
    "tokenizer": train_tokenizer,
    "decoder": train_decoder,
}
"""Name -> training, each called as `train(folder, device=..., log=...)`."""
