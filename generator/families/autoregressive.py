"""The default family: a small GPT over the 64 tokens of a picture, which reads the prompt by cross-attention.

    p(picture | prompt) = product over t of p(token t | tokens before t, prompt)

With a key/value cache a picture costs one pass through the model. Every token is four keyed choices, one per FSQ
dimension (see `generator.noise.choose_units`), so the same (weights, prompt, seed) is the same picture.

Sources: a plain GPT over image tokens, LlamaGen, arXiv:2406.06525; guidance arXiv:2207.12598.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from generator.noise import PUBLIC_KEY, choose_units, gumbels, uniforms
from generator.text import PAD, TextEncoder, Vocabulary, drop_words
from generator.tokenizer import CODES, GRID, LEVELS, TOKENS, Quantiser, Tokenizer
from generator.transformer import Cache, GridPositions, Transformer

WORD_DROPOUT = 0.03
CAPTION_DROPOUT = 0.08


class Autoregressive(nn.Module):
    """Text encoder, causal transformer over tokens, and a head tied to the token table.

    Args:
        vocabulary: words of the prompts.
        width: C.
        depth: blocks.
        heads: of every attention.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, width: int = 192, depth: int = 6, heads: int = 4, text_depth: int = 2
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.config = {"width": width, "depth": depth, "heads": heads, "text_depth": text_depth}
        self.quantiser = Quantiser()
        self.text = TextEncoder(len(vocabulary), width, heads=heads, depth=text_depth)
        self.codes = nn.Parameter(torch.randn(CODES, width) * 0.02)
        self.levels = nn.Parameter(torch.randn(sum(LEVELS), width) * 0.02)
        self.start = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = GridPositions(GRID, width)
        self.transformer = Transformer(width, depth, heads=heads, causal=True, cross=True)
        self.bias = nn.Parameter(torch.zeros(CODES))

    def table(self) -> Tensor:
        """One vector per code, (1000, C): its own plus those of its four levels, so that neighbours are alike."""
        units = self.quantiser.to_units(torch.arange(CODES, device=self.codes.device))  # (1000, 4)
        first = torch.tensor([sum(LEVELS[:i]) for i in range(len(LEVELS))], device=units.device)
        return self.codes + self.levels[units + first].sum(1)

    def forward(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """Tokens int64 (B, T <= 64) and prompt ids (B, 24) -> logits (B, T, 1000) of each given those before."""
        table = self.table()
        shifted = torch.cat([self.start.expand(len(tokens), 1, -1), table[tokens[:, :-1]]], dim=1)
        x = shifted + self.positions()[: tokens.shape[1]]
        hidden = self.transformer(x, other=self.text(ids))
        return hidden @ table.T + self.bias  # type: ignore[no-any-return]

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy in nats per token.

        Args:
            batch: tokens int64 (B, 64), prompt ids int64 (B, 24). In training mode, words and whole prompts are
                dropped at random.
        """
        tokens, ids = batch
        if self.training:
            ids = drop_words(ids, words=WORD_DROPOUT, captions=CAPTION_DROPOUT)
        return functional.cross_entropy(self(tokens, ids).flatten(0, 1).float(), tokens.flatten())

    @torch.no_grad()
    def sample(
        self, texts: Sequence[str], seeds: Sequence[int], *, guidance: float = 1.0, key: bytes = PUBLIC_KEY
    ) -> Tensor:
        """Draw one picture per prompt and seed.

        Args:
            texts: prompts.
            seeds: one per prompt.
            guidance: 1 samples the model's own distribution; more follows the prompt harder, at twice the cost.
            key: of the sampling noise.

        Returns:
            Tokens int64 (B, 64).
        """
        ids = self.vocabulary.encode(texts)
        noise = unit_noise(seeds, key=key)
        if guidance != 1:
            ids = torch.cat([ids, torch.full_like(ids, PAD)])
        text, table, positions = self.text(ids), self.table(), self.positions()
        cache = self.transformer.start_cache(len(ids), TOKENS)
        token = self.start.expand(len(ids), -1)
        drawn = torch.empty(len(texts), TOKENS, dtype=torch.int64)
        for t in range(TOKENS):
            logits = self._next_logits(token + positions[t], text, table, cache)
            if guidance != 1:
                told, untold = logits.chunk(2)
                logits = untold + guidance * (told - untold)
            units = choose_units(logits.numpy(), noise[:, t], levels=LEVELS)
            drawn[:, t] = self.quantiser.to_tokens(torch.from_numpy(units))
            token = table[drawn[:, t]].repeat(len(ids) // len(texts), 1)
        return drawn

    def _next_logits(self, x: Tensor, text: Tensor, table: Tensor, cache: Cache) -> Tensor:
        hidden = self.transformer(x[:, None], other=text, cache=cache)  # (B, 1, C)
        return hidden[:, 0] @ table.T + self.bias  # type: ignore[no-any-return]


def unit_noise(seeds: Sequence[int], *, key: bytes) -> NDArray[np.float64]:
    """Gumbel noise of each choice, (B, 64, 23): token, then the levels of its four dimensions one after another."""
    shape = (TOKENS, sum(LEVELS))
    return gumbels(np.stack([uniforms(seed, key=key, shape=shape) for seed in seeds]))


def trace(images: Tensor, tokenizer: Tokenizer) -> Tensor:
    """The sampled units that a picture shows: uint8 (B, 3, 64, 64) -> levels int64 (B, 64, 4)."""
    return tokenizer.quantiser.to_units(tokenizer.encode(images.float() / 255))
