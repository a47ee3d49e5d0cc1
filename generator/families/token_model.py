"""What the autoregressive and the masked family share: prompt, token table, positions and tied head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from generator.noise import gumbels, uniforms
from generator.text import PromptReader, TextEncoder
from generator.tokenizer import CODES, GRID, LEVELS, TOKENS, Quantiser
from generator.transformer import GridPositions, Transformer

CAPTION_DROPOUT = 0.08


class TokenModel(nn.Module):
    """Text encoder, transformer over tokens, and a head tied to the token table.

    Args:
        reader: of the prompts.
        causal: a position sees only those before it.
        width: C.
        depth: blocks.
        heads: of every attention.
        text_depth: blocks of the text encoder.
    """

    def __init__(
        self, reader: PromptReader, *, causal: bool, width: int, depth: int, heads: int, text_depth: int
    ) -> None:
        super().__init__()
        self.reader = reader
        self.config: dict[str, Any] = {
            "width": width,
            "depth": depth,
            "heads": heads,
            "text_depth": text_depth,
        }
        self.quantiser = Quantiser()
        self.text = TextEncoder(reader, width, heads=heads, depth=text_depth)
        self.codes = nn.Parameter(torch.randn(CODES, width) * 0.02)
        self.levels = nn.Parameter(torch.randn(sum(LEVELS), width) * 0.02)
        self.positions = GridPositions(GRID, width)
        self.transformer = Transformer(width, depth, heads=heads, causal=causal, cross=True)
        self.bias = nn.Parameter(torch.zeros(CODES))

    def table(self) -> Tensor:
        """One vector per code, (1000, C): its own plus those of its four levels, so that neighbours are alike."""
        units = self.quantiser.to_units(torch.arange(CODES, device=self.codes.device))  # (1000, 4)
        first = torch.tensor([sum(LEVELS[:i]) for i in range(len(LEVELS))], device=units.device)
        return self.codes + self.levels[units + first].sum(1)

    def read(self, hidden: Tensor, table: Tensor) -> Tensor:
        """What the transformer left at some positions (..., C) -> logits of the codes (..., 1000)."""
        return hidden @ table.T + self.bias


def unit_noise(seeds: Sequence[int], *, key: bytes) -> NDArray[np.float64]:
    """Gumbel noise of each choice, (B, 64, 23): token, then the levels of its four dimensions one after another."""
    shape = (TOKENS, sum(LEVELS))
    return gumbels(np.stack([uniforms(seed, key=key, shape=shape) for seed in seeds]))
