"""A world of two prompts for tests of learning: each has its own pattern of tokens, part of which is noise."""

from functools import cache

import numpy as np
import torch

from generator.text import PromptReader
from generator.tokenizer import CODES, TOKENS
from generator.training import Recipe, seeded, train

TEXTS = ["a nurse", "an old man with glasses"]  # the more they differ, the sooner a small model reads them
PATTERNS = np.random.default_rng(1).integers(CODES, size=(2, TOKENS))


@cache
def reader():
    """The embedded text tower, loaded once."""
    return PromptReader.load()


def perturbed(family, **shape):
    """An untrained model, but with weights large enough for prompt and tokens to matter."""
    with seeded(0):
        model = family(reader(), **{"width": 32, "depth": 2, "heads": 2, **shape}).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.15)
            if hasattr(model, "head"):  # a timid head would draw the same levels whatever it was told
                model.head.weight.mul_(8)
    return model


def batch(step, *, noise=0.1):
    """Tokens (16, 64) and prompt ids (16, 40): a share of the positions holds any token instead of the pattern's."""
    rng = np.random.default_rng([2, step])
    which = rng.integers(2, size=16)
    anything = rng.integers(CODES, size=(16, TOKENS))
    tokens = np.where(rng.random((16, TOKENS)) < noise, anything, PATTERNS[which])
    return torch.from_numpy(tokens), reader().encode(TEXTS)[which]


def fit(model, folder, *, steps, rate=6e-3, noise=0.1, **settings):
    """Train on the patterns."""
    recipe = Recipe(
        name="patterns",
        steps=steps,
        learning_rate=rate,
        warmup=10,
        ema=0.9,
        checkpoint_every=0,
        amp=False,
        **settings,
    )
    train(model, lambda step: batch(step, noise=noise), recipe, folder=folder)


@torch.no_grad()
def held_out_loss(model, *, noise=0.1):
    """The model's own loss on batches that training never saw."""
    with seeded(3):
        return float(np.mean([model.loss(batch(10_000 + i, noise=noise)).item() for i in range(8)]))


def shares_of_patterns(tokens):
    """How much of each picture (n, 64) is each pattern, (n, 2)."""
    return np.array([[(row == pattern).mean() for pattern in PATTERNS] for row in tokens.numpy()])
