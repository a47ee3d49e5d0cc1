"""The default family: a small GPT over the 64 tokens of a picture, which reads the prompt by cross-attention.

    p(picture | prompt) = product over t of p(token t | tokens before t, prompt)

With a key/value cache a picture costs one pass through the model. Every token is four keyed choices, one per FSQ
dimension (see `generator.noise.choose_units`), so the same (weights, prompt, seed) is the same picture.

Source: a plain GPT over image tokens, LlamaGen, arXiv:2406.06525.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.families.guidance import encode_prompts, guide
from generator.families.interface import Control
from generator.families.token_model import CAPTION_DROPOUT, TokenModel, unit_noise
from generator.noise import PUBLIC_KEY, choose_units
from generator.text import PromptReader, drop_captions
from generator.tokenizer import LEVELS, TOKENS
from generator.transformer import Cache


class Autoregressive(TokenModel):
    """Predicts each token from those before it; its arguments are those of `TokenModel`."""

    def __init__(
        self, reader: PromptReader, *, width: int = 192, depth: int = 6, heads: int = 4, text_depth: int = 1
    ) -> None:
        super().__init__(reader, causal=True, width=width, depth=depth, heads=heads, text_depth=text_depth)
        self.start = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, tokens: Tensor, ids: Tensor) -> Tensor:
        """Tokens int64 (B, T <= 64) and prompt ids (B, context) -> logits (B, T, 1000) of each given those before."""
        table = self.table()
        shifted = torch.cat([self.start.expand(len(tokens), 1, -1), table[tokens[:, :-1]]], dim=1)
        x = shifted + self.positions()[: tokens.shape[1]]
        hidden = self.transformer(x, other=self.text(ids))
        return self.read(hidden, table)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy in nats per token.

        Args:
            batch: tokens int64 (B, 64), prompt ids int64 (B, context). In training mode, whole prompts are
                dropped at random.
        """
        tokens, ids = batch
        if self.training:
            ids = drop_captions(ids, self.reader, share=CAPTION_DROPOUT)
        return functional.cross_entropy(self(tokens, ids).flatten(0, 1).float(), tokens.flatten())

    @torch.no_grad()
    def sample(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        *,
        key: bytes = PUBLIC_KEY,
        control: Control = Control(),  # noqa: B008 - frozen
    ) -> Tensor:
        """Draw one picture per prompt and seed.

        Args:
            texts: prompts.
            seeds: one per prompt.
            key: of the sampling noise.
            control: guidance, negative prompts, tokens that are given.

        Returns:
            Tokens int64 (B, 64).
        """
        ids = encode_prompts(self.reader, texts, control=control)
        noise = unit_noise(seeds, key=key)
        text, table, positions = self.text(ids), self.table(), self.positions()
        cache = self.transformer.start_cache(len(ids), TOKENS)
        token = self.start.expand(len(ids), -1)
        drawn = torch.empty(len(texts), TOKENS, dtype=torch.int64)
        for t in range(TOKENS):
            logits = guide(self._next_logits(token + positions[t], text, table, cache), control=control)
            units = choose_units(logits.numpy(), noise[:, t], levels=LEVELS)
            drawn[:, t] = self.quantiser.to_tokens(torch.from_numpy(units))
            if control.keep is not None:
                drawn[:, t] = torch.where(control.keep[:, t] >= 0, control.keep[:, t], drawn[:, t])
            token = table[drawn[:, t]].repeat(len(ids) // len(texts), 1)
        return drawn

    @torch.no_grad()
    def choice_probabilities(self, tokens: Tensor, texts: Sequence[str] | None = None) -> Tensor:
        """How probable each level of pictures was when it was chosen, given those before it.

        Args:
            tokens: int64 (B, 64).
            texts: prompts, if they are known; default: none.

        Returns:
            float32 (B, 64, 4), a token's dimensions one after another as `choose_units` takes them.
        """
        ids = self.reader.encode(texts if texts is not None else [""] * len(tokens))
        joint = self(tokens, ids).float().softmax(2)  # (B, 64, 1000)
        units = self.quantiser.to_units(tokens)
        found = []
        for dimension, count in enumerate(LEVELS):
            joint = joint.unflatten(2, (count, -1)) if dimension < len(LEVELS) - 1 else joint[..., None]
            marginal = joint.sum(3)  # (B, 64, this dimension)
            level = units[:, :, dimension, None]
            found.append((marginal.gather(2, level) / marginal.sum(2, keepdim=True))[..., 0])
            joint = joint.gather(2, level[..., None].expand(-1, -1, 1, joint.shape[3]))[:, :, 0]
        return torch.stack(found, dim=2)

    def _next_logits(self, x: Tensor, text: Tensor, table: Tensor, cache: Cache) -> Tensor:
        hidden = self.transformer(x[:, None], other=text, cache=cache)  # (B, 1, C)
        return self.read(hidden[:, 0], table)
