"""The adversarial family: a transformer draws in one pass, a vision transformer learns to tell drawn from real.

    painter:  noise, prompt -> 64 x 4 levels          critic:  levels, prompt -> one number, higher for real
    critic:   softplus(critic(drawn) - critic(real)) + softplus(critic(another's) - critic(real)) + flatness
    painter:  softplus(critic(real) - critic(drawn))

Both losses compare pictures of the same prompt, a pair at a time, which keeps the painter from serving a few modes
only; flatness asks the critic to say the same a small step away from real and drawn pictures. The real picture of
another prompt counts as wrong, so the critic must read. The patches of both are the 64 positions of the tokenizer's
grid. Before it is judged the painter learns that one of several pictures it draws of a prompt should be close to the
real one: near any of them, not near their average, so that the noise has to say which. A part of that loss stays, so
that it does not forget what words mean.

Sources: transformers as rivals, TransGAN arXiv:2102.07074, ViTGAN arXiv:2107.04589; paired loss with both penalties,
R3GAN, arXiv:2501.05441; penalty by a finite step arXiv:2501.08316; wrong prompts arXiv:1605.05396; the nearest of
several draws, IMLE, arXiv:1809.09087.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from generator.families.guidance import encode_prompts, guide
from generator.families.interface import Control
from generator.families.token_model import CAPTION_DROPOUT
from generator.noise import PUBLIC_KEY, uniforms
from generator.text import PromptReader, TextEncoder, drop_captions
from generator.tokenizer import GRID, LEVELS, TOKENS, Quantiser
from generator.transformer import GridPositions, Transformer
from generator.vit import PatchEmbedding, ViT

NOISE = 8  # numbers per position, and for the whole picture
STEP = 0.1  # of the flatness penalty, in units of the scaled levels, which are 0.29 and 0.5 apart
FLATNESS = 10.0  # weight of that penalty
DRAWS = 6  # pictures of a prompt, of which the nearest to the real one counts
CLOSENESS = 2.0  # weight of its distance, while the painter is judged


class Adversarial(nn.Module):
    """The painter.

    Args:
        reader: of the prompts.
        width: C.
        depth: blocks.
        heads: of every attention.
        text_depth: blocks of the text encoder.
    """

    def __init__(
        self, reader: PromptReader, *, width: int = 192, depth: int = 4, heads: int = 4, text_depth: int = 1
    ) -> None:
        super().__init__()
        self.reader = reader
        self.config = {"width": width, "depth": depth, "heads": heads, "text_depth": text_depth}
        self.quantiser = Quantiser()
        self.text = TextEncoder(reader, width, heads=heads, depth=text_depth)
        self.enter = nn.Linear(NOISE, width)
        self.style = nn.Sequential(nn.Linear(NOISE, width), nn.SiLU(), nn.Linear(width, width))
        self.summary = nn.Linear(width, width)
        self.positions = GridPositions(GRID, width)
        self.transformer = Transformer(width, depth, heads=heads, cross=True, adaptive=True)
        self.head = nn.Linear(width, len(LEVELS))
        nn.init.normal_(self.enter.weight, std=0.05)  # noise no louder than positions and prompt

    def forward(self, noise: Tensor, text: Tensor) -> Tensor:
        """Noise (B, 65, 8), the last row for the whole picture, and prompts (B, S, C) -> latents (B, 64, 4)."""
        x = self.enter(noise[:, :TOKENS]) + self.positions()
        condition = self.style(noise[:, TOKENS]) + self.summary(text.mean(1))
        return self.head(self.transformer(x, other=text, condition=condition)).float()  # type: ignore[no-any-return]

    def paint(self, text: Tensor) -> Tensor:
        """Draw one picture per encoded prompt (B, S, C): scaled levels (B, 64, 4).

        Their gradient passes straight through the rounding.
        """
        soft = self.quantiser.bound(self(_random_noise(text), text))
        return self.quantiser.scale(soft + (soft.round() - soft).detach())

    def distance(self, real: Tensor, text: Tensor) -> Tensor:
        """Mean squared distance of real pictures (B, 64, 4) from the nearest of `DRAWS` drawn ones each."""
        with torch.no_grad():
            noises = torch.stack([_random_noise(text) for _ in range(DRAWS)])
            soft = self._soft(noises.flatten(0, 1), text.repeat(DRAWS, 1, 1))
            chosen = (soft - real.repeat(DRAWS, 1, 1)).square().mean((1, 2)).reshape(DRAWS, -1).argmin(0)
            nearest = noises[chosen, torch.arange(len(text), device=text.device)]
        return (self._soft(nearest, text) - real).square().mean()

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """`distance` of the real pictures: what the painter learns before it is judged.

        Args:
            batch: tokens int64 (B, 64), prompt ids int64 (B, context). In training mode, whole prompts are
                dropped at random.
        """
        tokens, ids = batch
        if self.training:
            ids = drop_captions(ids, self.reader, share=CAPTION_DROPOUT)
        return self.distance(self.quantiser.scale(self.quantiser.to_units(tokens)), self.text(ids))

    @torch.no_grad()
    def sample(
        self,
        texts: Sequence[str],
        seeds: Sequence[int],
        *,
        key: bytes = PUBLIC_KEY,
        control: Control = Control(),  # noqa: B008 - frozen
    ) -> Tensor:
        """Draw one picture per prompt and seed, all tokens at once.

        Args:
            texts: prompts.
            seeds: one per prompt.
            key: of the noise.
            control: guidance and negative prompts move the latents; tokens that are given are put in afterwards.

        Returns:
            Tokens int64 (B, 64).
        """
        ids = encode_prompts(self.reader, texts, control=control)
        noise = start_noise(seeds, key=key)
        latents = guide(self(noise.repeat(len(ids) // len(noise), 1, 1), self.text(ids)), control=control)
        tokens = self.quantiser.to_tokens(self.quantiser.bound(latents).round().long())
        return tokens if control.keep is None else torch.where(control.keep >= 0, control.keep, tokens)

    def _soft(self, noise: Tensor, text: Tensor) -> Tensor:
        return self.quantiser.scale(self.quantiser.bound(self(noise, text)))


class Critic(nn.Module):
    """A vision transformer over the grid of levels, which reads the prompt by cross-attention."""

    def __init__(self, reader: PromptReader, *, width: int, depth: int, heads: int, text_depth: int) -> None:
        super().__init__()
        self.text = TextEncoder(reader, width, heads=heads, depth=text_depth)
        stem = PatchEmbedding(len(LEVELS), 1, width)
        self.vit = ViT(stem, side=GRID, width=width, depth=depth, heads=heads, cross=True)
        self.head = nn.Linear(width, 1)

    def forward(self, pictures: Tensor, ids: Tensor) -> Tensor:
        """Scaled levels (n * B, 64, 4), some pictures per prompt, and ids (B, context) -> scores (n * B,)."""
        text = self.text(ids).repeat(len(pictures) // len(ids), 1, 1)
        grid = pictures.transpose(1, 2).reshape(len(pictures), -1, GRID, GRID)  # -> (n * B, 4, 8, 8)
        return self.head(self.vit.look(grid, other=text)).squeeze(1).float()  # type: ignore[no-any-return]


class Rivals(nn.Module):
    """Painter and critic in one module, so that the one trainer trains both at once.

    The two losses are added, and neither sends a gradient to the other's weights: the critic sees drawn pictures as
    constants, and the painter is judged by a critic whose weights are constants.
    """

    def __init__(self, painter: Adversarial, *, depth: int = 2) -> None:
        super().__init__()
        self.painter = painter
        shape = painter.config
        self.critic = Critic(
            painter.reader,
            width=shape["width"],
            depth=depth,
            heads=shape["heads"],
            text_depth=shape["text_depth"],
        )

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Sum of the losses of critic and painter.

        Args:
            batch: as of `Adversarial.loss`.
        """
        tokens, ids = batch
        if self.training:
            ids = drop_captions(ids, self.painter.reader, share=CAPTION_DROPOUT)
        real = self.painter.quantiser.scale(self.painter.quantiser.to_units(tokens))
        text = self.painter.text(ids)
        drawn = self.painter.paint(text)
        critic, goal = self._critic_loss(real, drawn.detach(), ids)
        frozen = {name: value.detach() for name, value in self.critic.named_parameters()}
        painter = functional.softplus(goal - functional_call(self.critic, frozen, (drawn, ids))).mean()
        return critic + painter + CLOSENESS * self.painter.distance(real, text)

    def _critic_loss(self, real: Tensor, drawn: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's loss, and its scores of the real pictures (B,) as constants."""
        half = len(real) // 2
        near = torch.cat([real[:half], drawn[half:]])
        near = near + STEP * torch.randn_like(near)
        right, painted, wrong, moved = self.critic(
            torch.cat([real, drawn, real.roll(1, 0), near]), ids
        ).chunk(4)
        told = functional.softplus(painted - right) + functional.softplus(wrong - right)
        flat = (torch.cat([right[:half], painted[half:]]) - moved).square()
        return (told + FLATNESS * flat).mean(), right.detach()


def _random_noise(text: Tensor) -> Tensor:
    return torch.randn(len(text), TOKENS + 1, NOISE, device=text.device)


def start_noise(seeds: Sequence[int], *, key: bytes) -> Tensor:
    """Standard normal float32 (B, 65, 8): quantiles of the keyed uniforms of each seed."""
    draws = np.stack([uniforms(seed, key=key, shape=(TOKENS + 1, NOISE)) for seed in seeds])
    return torch.from_numpy(special.ndtri(draws)).float()
