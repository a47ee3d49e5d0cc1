"""The diffusion family: a rectified flow carries Gaussian noise to the FSQ levels of a picture.

    x_t = t * x_1 + (1 - t) * x_0     x_0 Gaussian, x_1 the 64 x 4 levels of a picture, scaled to -1..1
    dx/dt = E[x_1 - x_0 | x_t] = (E[x_1 | x_t] - x_t) / (1 - t)

The levels are few, so the network predicts their probabilities and E[x_1 | x_t] is their mean: the flow is the one of
a regression, trained by cross-entropy. Time and the
prompt as a whole enter by adaptive norms, its words by cross-attention.

The start values are the mark. They are the Gaussian quantiles of keyed uniforms, so exactly independent N(0, 1)
variables to whoever lacks the key; their signs are keyed bits. Running the flow backwards from the tokens gives an
estimate of the start values. Without the key its signs agree with the bits as fair coins do: whichever positions the
estimate picks, the count of agreements is Binomial(n, 1/2) exactly.

Sources: rectified flow arXiv:2209.03003; in a latent space with text LDM, arXiv:2112.10752; transformer DiT,
arXiv:2212.09748; discrete data by cross-entropy arXiv:2211.15089; signs as a mark, Gaussian Shading,
arXiv:2404.04956.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor, nn
from torch.nn import functional

from generator.families.guidance import encode_prompts, guide
from generator.families.interface import Control
from generator.families.token_model import CAPTION_DROPOUT
from generator.noise import PUBLIC_KEY, uniforms
from generator.text import PromptReader, TextEncoder, drop_captions
from generator.tokenizer import GRID, LEVELS, TOKENS, Quantiser
from generator.transformer import GridPositions, Transformer

STEPS = 12
INVERSION_STEPS = 15
TIME_CENTRE, TIME_SPREAD = 0.3, 1.3
"""Of logit(t), in training and for the steps: what is drawn is decided early, levels 0.3 to 0.5 apart late."""

FREQUENCIES = 32


class Diffusion(nn.Module):
    """Text encoder and a transformer over the 64 positions of a noisy picture.

    Args:
        reader: of the prompts.
        width: C.
        depth: blocks.
        heads: of every attention.
        text_depth: blocks of the text encoder.
    """

    def __init__(
        self, reader: PromptReader, *, width: int = 192, depth: int = 6, heads: int = 4, text_depth: int = 1
    ) -> None:
        super().__init__()
        self.reader = reader
        self.config = {"width": width, "depth": depth, "heads": heads, "text_depth": text_depth}
        self.quantiser = Quantiser()
        self.text = TextEncoder(reader, width, heads=heads, depth=text_depth)
        self.enter = nn.Linear(len(LEVELS), width)
        self.time = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.summary = nn.Linear(width, width)
        self.positions = GridPositions(GRID, width)
        self.transformer = Transformer(width, depth, heads=heads, cross=True, adaptive=True)
        self.head = nn.Linear(width, sum(LEVELS))
        nn.init.normal_(self.enter.weight, std=0.05)  # no louder than the positions and what the blocks add
        nn.init.zeros_(self.head.weight)  # starts with all levels alike

    def forward(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Noisy levels (B, 64, 4), times (B,) and encoded prompts (B, S, C) -> logits of the levels (B, 64, 23)."""
        condition = self.time(waves(t)) + self.summary(text.mean(1))
        hidden = self.transformer(self.enter(x) + self.positions(), other=text, condition=condition)
        return self.head(hidden).float()  # type: ignore[no-any-return]

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean cross-entropy of the true levels in nats per token, at random times.

        Args:
            batch: tokens int64 (B, 64), prompt ids int64 (B, context). In training mode, whole prompts are
                dropped at random.
        """
        tokens, ids = batch
        if self.training:
            ids = drop_captions(ids, self.reader, share=CAPTION_DROPOUT)
        units = self.quantiser.to_units(tokens)
        picture = self.quantiser.scale(units)
        # one time from each of B equally likely intervals: the loss varies much with the time
        place = (torch.arange(len(tokens)) + torch.rand(len(tokens))) / len(tokens)
        t = quantiles_of_time(place.clamp(1e-4, 1 - 1e-4)).to(picture)
        x = mix(picture, torch.randn_like(picture), t[:, None, None])
        logits = torch.split(self(x, t, self.text(ids)), list(LEVELS), dim=2)
        parts = zip(logits, units.unbind(2), strict=True)
        return torch.stack(
            [functional.cross_entropy(some.flatten(0, 1), levels.flatten()) for some, levels in parts]
        ).sum()

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
            key: of the start values.
            control: guidance, negative prompts, tokens that are given.
            steps: passes through the model; twice that with guidance.

        Returns:
            Tokens int64 (B, 64).
        """
        text = self.text(encode_prompts(self.reader, texts, control=control))
        start = torch.from_numpy(start_values(seeds, key=key)).float()
        x, times = start, time_grid(steps)
        for now, then in pairwise(times):
            if control.keep is not None:  # what is given is on its own straight way from the start
                given = mix(self._picture(control.keep.clamp(min=0)), start, now)
                x = torch.where(control.keep[:, :, None] >= 0, given, x)
            x = self._step(x, now, then, text=text, control=control)
        tokens = self._nearest(x)
        return tokens if control.keep is None else torch.where(control.keep >= 0, control.keep, tokens)

    @torch.no_grad()
    def invert(
        self, tokens: Tensor, *, texts: Sequence[str] | None = None, steps: int = INVERSION_STEPS
    ) -> Tensor:
        """Estimate the start values of pictures by running the flow backwards, without guidance.

        Args:
            tokens: int64 (B, 64), drawn or read from pictures.
            texts: prompts, if they are known; default: none.
            steps: passes through the model.

        Returns:
            float32 (B, 64, 4). The larger a value, the surer its sign.
        """
        text = self.text(self.reader.encode(texts if texts is not None else [""] * len(tokens)))
        times = time_grid(steps + 1)[-2::-1]  # at 1 itself the flow has no direction
        x = times[0] * self._picture(tokens)
        for now, then in pairwise(times):
            x = self._step(x, now, then, text=text, control=Control())
        return x

    def _step(self, x: Tensor, now: float, then: float, *, text: Tensor, control: Control) -> Tensor:
        """Follow the flow from one time to another, either way, x (B, 64, 4)."""
        rows = x.repeat(len(text) // len(x), 1, 1)  # with guidance every row is there twice
        end = guide(self._mean(self(rows, x.new_full((len(rows),), now), text)), control=control)
        return x + (then - now) / (1 - now) * (end - x)

    def _mean(self, logits: Tensor) -> Tensor:
        """Logits of the levels (B, 64, 23) -> mean of the scaled levels (B, 64, 4)."""
        shares = (part.softmax(2) for part in torch.split(logits, list(LEVELS), dim=2))
        return torch.stack([part @ torch.linspace(-1, 1, part.shape[2]).to(part) for part in shares], dim=2)

    def _picture(self, tokens: Tensor) -> Tensor:
        return self.quantiser.scale(self.quantiser.to_units(tokens))  # (B, 64) -> (B, 64, 4)

    def _nearest(self, x: Tensor) -> Tensor:
        units = ((x + 1) / 2 * self.quantiser.tops).round().clamp(min=0)
        return self.quantiser.to_tokens(torch.minimum(units, self.quantiser.tops).long())


def mix(picture: Tensor, noise: Tensor, t: Tensor | float) -> Tensor:
    """The point at time t of the straight way from noise to picture."""
    return t * picture + (1 - t) * noise


def time_grid(steps: int) -> list[float]:
    """Times from 0 to 1, (steps + 1): quantiles of the times of training."""
    return [0.0, *quantiles_of_time(torch.arange(1, steps) / steps).tolist(), 1.0]


def quantiles_of_time(shares: Tensor) -> Tensor:
    """Quantiles of the times of training, whose logit is normal: shares strictly between 0 and 1, any shape."""
    return torch.sigmoid(TIME_CENTRE + TIME_SPREAD * torch.special.ndtri(shares))


def start_values(seeds: Sequence[int], *, key: bytes) -> NDArray[np.float64]:
    """Start values of the flow, (B, 64, 4): standard normal, from the keyed uniforms of each seed."""
    draws = np.stack([uniforms(seed, key=key, shape=(TOKENS, len(LEVELS), 2)) for seed in seeds])
    sizes = special.ndtri((1 + draws[..., 1]) / 2)
    return np.asarray(np.where(draws[..., 0] < 0.5, -sizes, sizes))


def start_signs(seeds: Sequence[int], *, key: bytes) -> NDArray[np.bool_]:
    """Whether each start value is positive, bool (B, 64, 4): one keyed bit each."""
    return start_values(seeds, key=key) > 0


def waves(t: Tensor) -> Tensor:
    """Times (B,) in 0..1 -> sines and cosines (B, 64) of `FREQUENCIES` frequencies."""
    rates = torch.exp(torch.linspace(0, math.log(1000), FREQUENCIES, device=t.device))
    angles = t.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
