"""Pictures <-> 64 discrete tokens: a convolutional autoencoder with finite scalar quantisation (FSQ).

A 64 x 64 picture becomes an 8 x 8 grid of four bounded numbers, each rounded to one of (8, 5, 5, 5) levels: 1000
codes and no codebook to learn. The decoder draws 128 x 128, twice what the encoder saw.

    FSQ:  q = round((L - 1) * sigmoid(z)),  the gradient passes straight through the rounding

The mark that later lives in the tokens is read by encoding the published picture again, so decoding and encoding
must agree. The loss therefore has a reverse cycle: codes q, real and disturbed, are decoded, stored as 8-bit
pixels, disturbed, and encoded again to something close to q.

Sources: FSQ arXiv:2309.15505; the failing cycle of tokenizers and its repair arXiv:2506.16349.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

LEVELS = (8, 5, 5, 5)
"""Levels of the four FSQ dimensions; their product is the number of codes."""

CODES = math.prod(LEVELS)
GRID = 8  # tokens along one side
TOKENS = GRID * GRID
INPUT_SIZE = 64  # side of the picture the encoder reads
OUTPUT_SIZE = 128  # side of the picture the decoder draws
PUBLISHED_SIZE = 256  # side of the picture that is published


class Quantiser(nn.Module):
    """Finite scalar quantisation; a code is a mixed-radix number, its first dimension the most significant."""

    tops: Tensor  # float32 (4,): highest level of each dimension
    radices: Tensor  # int64 (4,): number of levels
    basis: Tensor  # int64 (4,): what one level of each dimension adds to the code

    def __init__(self, levels: tuple[int, ...] = LEVELS) -> None:
        super().__init__()
        self.levels = levels
        basis = [math.prod(levels[i + 1 :]) for i in range(len(levels))]
        self.register_buffer("tops", torch.tensor(levels, dtype=torch.float32) - 1, persistent=False)
        self.register_buffer("radices", torch.tensor(levels), persistent=False)
        self.register_buffer("basis", torch.tensor(basis), persistent=False)

    def bound(self, latents: Tensor) -> Tensor:
        """Latents (..., 4) of any size -> (..., 4) between 0 and levels - 1, not yet rounded."""
        return torch.sigmoid(latents.float()) * self.tops

    def to_tokens(self, units: Tensor) -> Tensor:
        """Levels int64 (..., 4) -> codes int64 (...)."""
        return (units * self.basis).sum(-1)

    def to_units(self, tokens: Tensor) -> Tensor:
        """Codes int64 (...) -> levels int64 (..., 4)."""
        return tokens[..., None] // self.basis % self.radices

    def scale(self, units: Tensor) -> Tensor:
        """Levels (..., 4), rounded or not -> (..., 4) in -1..1, what the decoder reads."""
        return units / self.tops * 2 - 1


class PointNorm(nn.Module):
    """Scale the channels of every point to mean square 1. A norm over the picture would tie all tokens together."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6) * self.gain


class Residual(nn.Module):
    """x + conv(gelu(conv(norm(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = PointNorm(width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.second(functional.gelu(self.first(self.norm(x))))  # type: ignore[no-any-return]


class Tokenizer(nn.Module):
    """Encoder, quantiser and decoder.

    Args:
        width: channels on the 8 x 8 grid; finer grids have fewer.
        depth: residual blocks on the 8 x 8 grid, in the encoder and in the decoder.
    """

    def __init__(self, *, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        seen, middle, fine = width // 2, width * 3 // 4, width // 4
        self.config = {"width": width, "depth": depth}
        self.quantiser = Quantiser()
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),  # (B, 3, 64, 64) -> (B, 48, 16, 16)
            nn.Conv2d(48, seen, 3, padding=1),
            Residual(seen),
            Residual(seen),
            nn.PixelUnshuffle(2),  # -> (B, 4 * seen, 8, 8)
            nn.Conv2d(4 * seen, width, 1),
            *(Residual(width) for _ in range(depth)),
            nn.GELU(),
            nn.Conv2d(width, len(LEVELS), 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(len(LEVELS), width, 3, padding=1),
            *(Residual(width) for _ in range(depth)),
            nn.Conv2d(width, 4 * middle, 1),
            nn.PixelShuffle(2),  # -> (B, middle, 16, 16)
            Residual(middle),
            Residual(middle),
            nn.Conv2d(middle, 4 * fine, 1),
            nn.PixelShuffle(2),  # -> (B, fine, 32, 32)
            Residual(fine),
            nn.GELU(),
            nn.Conv2d(fine, 48, 3, padding=1),
            nn.PixelShuffle(4),  # -> (B, 3, 128, 128)
        )

    def measure(self, images: Tensor) -> Tensor:
        """Pictures float (B, 3, 64, 64) in 0..1 -> levels before rounding, float32 (B, 64, 4)."""
        latents = self.encoder(images * 2 - 1)  # (B, 4, 8, 8)
        return self.quantiser.bound(latents.flatten(2).transpose(1, 2))

    def draw(self, units: Tensor) -> Tensor:
        """Levels (B, 64, 4), rounded or not -> pictures float32 (B, 3, 128, 128), about 0..1, not clipped."""
        grid = self.quantiser.scale(units.float()).transpose(1, 2).reshape(len(units), -1, GRID, GRID)
        picture: Tensor = self.decoder(grid)
        return picture.float() * 0.5 + 0.5

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Pictures float (B, 3, 64, 64) in 0..1 -> tokens int64 (B, 64), row by row, in 0..999."""
        return self.quantiser.to_tokens(self.measure(images).round().long())

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens int64 (B, 64) -> pictures uint8 (B, 3, 128, 128)."""
        return to_bytes(self.draw(self.quantiser.to_units(tokens)))

    def loss(self, batch: tuple[Tensor, float]) -> Tensor:
        """Error of the reconstruction, plus the reverse cycle.

        Args:
            batch: drawings uint8 (B, 3, 128, 128), and the weight of the reverse cycle (0 leaves it out).
        """
        drawings, weight = batch
        target = drawings.float() / 255
        soft = self.measure(reduce_by_two(target))
        units = soft + (soft.round() - soft).detach()  # straight through
        picture = self.draw(units)
        loss = picture_error(picture, target)
        if weight == 0:
            return loss
        part = len(drawings) // 4  # half of the batch takes part, half of that with disturbed codes
        real = soft.detach().round()
        changed = disturb_units(real[:part], self.quantiser.tops)
        seen = torch.cat([self.draw(changed), picture[part : 2 * part]])
        return loss + weight * self._reading_error(seen, torch.cat([changed, real[part : 2 * part]]))

    def decoder_loss(self, drawings: Tensor, drawn: Tensor, *, weight: float) -> Tensor:
        """Error of the reconstruction, plus the reverse cycle of levels that a model over tokens drew.

        Args:
            drawings: uint8 (B, 3, 128, 128).
            drawn: levels int64 (B, 64, 4).
            weight: of the reverse cycle.
        """
        target = drawings.float() / 255
        with torch.no_grad():
            units = self.measure(reduce_by_two(target)).round()
        error = picture_error(self.draw(units), target)
        return error + weight * self._reading_error(self.draw(drawn), drawn)

    def _reading_error(self, picture: Tensor, units: Tensor) -> Tensor:
        """How far the levels read from a stored and disturbed picture are from those that drew it."""
        stored = picture.clamp(0, 1)
        stored = stored + ((stored * 255).round() / 255 - stored).detach()
        distance = (self.measure(disturb_pixels(reduce_by_two(stored))) - units).abs()
        # Beyond a quarter of a level the reading is close to flipping: that part costs more.
        return distance.square().mean() + functional.relu(distance - 0.25).mean()


def picture_error(picture: Tensor, target: Tensor) -> Tensor:
    """L1 + 2 MSE + half the L1 of first differences, for outlines + 8 MSE at the size of the encoder, for shapes."""
    error = picture - target
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    shapes = reduce_by_two(error).square().mean()
    return error.abs().mean() + 2 * error.square().mean() + 0.5 * edges + 8 * shapes


def reduce_by_two(images: Tensor) -> Tensor:
    """Box reduction, (B, 3, H, W) -> (B, 3, H / 2, W / 2)."""
    return functional.avg_pool2d(images, 2)


def to_bytes(images: Tensor) -> Tensor:
    """Float pictures around 0..1 -> uint8, rounded and clipped."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)


def enlarge(picture: Tensor) -> NDArray[np.uint8]:
    """A decoded picture uint8 (3, 128, 128) -> the published one, uint8 (256, 256, 3): Lanczos, in integers."""
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    return np.asarray(image.resize((PUBLISHED_SIZE, PUBLISHED_SIZE), Image.Resampling.LANCZOS))


def shrink(pixels: NDArray[np.uint8]) -> Tensor:
    """Any picture uint8 (H, W, 3) -> what the encoder reads, float (3, 64, 64) in 0..1: area average."""
    image = Image.fromarray(pixels).resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)


def disturb_units(units: Tensor, tops: Tensor) -> Tensor:
    """Codes as a sampler might draw them: some one level off, some taken from another picture of the batch."""
    steps = torch.randint(-1, 2, units.shape, device=units.device) * (torch.rand_like(units) < 0.08)
    units = torch.minimum((units + steps).clamp(min=0), tops)
    taken = torch.rand(units.shape[:2], device=units.device)[..., None] < 0.04
    return torch.where(taken, units.roll(1, 0), units)


def disturb_pixels(images: Tensor) -> Tensor:
    """What storing and sharing does to pixels: noise, coarse noise as of JPEG blocks, brightness."""
    batch, channels, height, width = images.shape
    scale = torch.rand(batch, 1, 1, 1, device=images.device) * 0.025
    fine = torch.randn_like(images)
    coarse = torch.randn(batch, channels, height // 4, width // 4, device=images.device)
    noise = fine + 0.5 * functional.interpolate(coarse, scale_factor=4, mode="bilinear")
    strong = (torch.rand(batch, 1, 1, 1, device=images.device) < 0.6).float()
    gain = 1 + strong * (torch.rand(batch, 1, 1, 1, device=images.device) - 0.5) * 0.26
    return (images * gain + noise * scale).clamp(0, 1)
