"""The masked family: a bidirectional transformer fills in many tokens of a picture at once, in a few steps.

    loss: cross-entropy of the hidden tokens, given those still visible and the prompt
    sampling: all hidden; in each step every position is predicted, and some are drawn and stay

How many stay follows a cosine: few at first, many at the end. Which ones is a random order that seed and key decide,
by numbers of their own. That matters for the mark. A token, when it is drawn, is the keyed choice of its position,
with the very numbers of the autoregressive family. The order does not look at those numbers, so each choice is an
exact draw from the predicted distribution, and the statistic of a later detection is the same with the same null.
(MaskGIT keeps the tokens that came out most confident. That prefers some values of the noise to others, so it draws
from another distribution.) What no order makes exact: tokens drawn in one step do not see each other.

Sources: MaskGIT, arXiv:2202.04200; MAGE, arXiv:2211.09117.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from generator.families.guidance import encode_prompts, guide
from generator.families.interface import Control
from generator.families.token_model import CAPTION_DROPOUT, TokenModel, unit_noise
from generator.noise import PUBLIC_KEY, choose_units, uniforms
from generator.text import PromptReader, drop_captions
from generator.tokenizer import LEVELS, TOKENS

STEPS = 8
HIDDEN = -1  # in place of a token
_ORDER = TOKENS * sum(LEVELS)  # numbers of a seed before those of the order: the noise of the tokens


class Masked(TokenModel):
    """Predicts hidden tokens from visible ones; its arguments are those of `TokenModel`."""

    def __init__(
        self, reader: PromptReader, *, width: int = 192, depth: int = 6, heads: int = 4, text_depth: int = 1
    ) -> None:
        super().__init__(reader, causal=False, width=width, depth=depth, heads=heads, text_depth=text_depth)
        self.hidden = nn.Parameter(torch.randn(1, width) * 0.02)

    def forward(self, tokens: Tensor, text: Tensor) -> Tensor:
        """Tokens int64 (B, 64), some `HIDDEN`, and encoded prompts (B, S, C) -> logits (B, 64, 1000)."""
        table = self.table()
        x = torch.cat([table, self.hidden])[tokens] + self.positions()  # index -1 is the last row
        return self.read(self.transformer(x, other=text), table)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy of the hidden tokens in nats; how many are hidden is random, as on the way of sampling.

        Args:
            batch: tokens int64 (B, 64), prompt ids int64 (B, context). In training mode, whole prompts are
                dropped at random.
        """
        tokens, ids = batch
        if self.training:
            ids = drop_captions(ids, self.reader, share=CAPTION_DROPOUT)
        share = torch.cos(torch.rand(len(tokens), 1, device=tokens.device) * torch.pi / 2)
        rank = torch.rand(tokens.shape, device=tokens.device).argsort(1)
        hidden = rank < share * TOKENS  # at least rank 0
        logits = self(tokens.masked_fill(hidden, HIDDEN), self.text(ids))
        return functional.cross_entropy(logits[hidden].float(), tokens[hidden])

    @torch.no_grad()
    def sample(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        *,
        key: bytes = PUBLIC_KEY,
        control: Control = Control(),  # noqa: B008 - frozen
        steps: int = STEPS,
    ) -> Tensor:
        """Draw one picture per prompt and seed.

        Args:
            texts: prompts.
            seeds: one per prompt.
            key: of the sampling noise and of the order.
            control: guidance, negative prompts, tokens that are given.
            steps: passes through the model; twice that with guidance.

        Returns:
            Tokens int64 (B, 64).
        """
        text = self.text(encode_prompts(self.reader, texts, control=control))
        noise = unit_noise(seeds, key=key)
        drawn = torch.full((len(texts), TOKENS), HIDDEN) if control.keep is None else control.keep.clone()
        turn = torch.from_numpy(reveal_steps(seeds, drawn.numpy() == HIDDEN, key=key, steps=steps))
        for step in np.unique(turn[turn >= 0]):  # fewer than `steps` if little is to be drawn
            logits = guide(self(drawn.repeat(len(text) // len(drawn), 1), text), control=control)
            now = turn == step
            units = choose_units(logits[now].numpy(), noise[now.numpy()], levels=LEVELS)
            drawn[now] = self.quantiser.to_tokens(torch.from_numpy(units))
        return drawn


def reveal_steps(
    seeds: Sequence[int], hidden: NDArray[np.bool_], *, key: bytes, steps: int
) -> NDArray[np.int64]:
    """The step in which each position is drawn: a random order, cut along a cosine.

    Args:
        seeds: one per row.
        hidden: bool (B, 64), positions to be drawn.
        key: of the order; the numbers are those of the seed after the noise of the tokens.
        steps: in all; after step s of n, a share of cos(pi / 2 * s / n) is still hidden.

    Returns:
        (B, 64), from 0 to steps - 1, and -1 where nothing is drawn.
    """
    order = np.stack([uniforms(seed, key=key, shape=(_ORDER + TOKENS,))[_ORDER:] for seed in seeds])
    rank = np.where(hidden, order, 2.0).argsort(1).argsort(1)  # (B, 64): hidden ones first
    left = np.cos(np.pi / 2 * np.arange(1, steps) / steps)  # after each step but the last
    ends = hidden.sum(1, keepdims=True) * (1 - left)  # (B, steps - 1): drawn by then
    turn = (rank[:, :, None] >= ends[:, None]).sum(2)  # (B, 64, steps - 1) -> (B, 64)
    return np.where(hidden, turn, -1)
