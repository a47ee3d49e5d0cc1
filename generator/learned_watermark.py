"""A watermark whose embedding and reading are learned: the second track, beside `marking.watermark.tile_fourier`.

The picture is looked at on a grid of fixed size, whatever its own, so that resizing and stretching cost nothing. The
encoder turns bits into a pattern on that grid and a small convolutional network fits it to the picture; the pattern
is enlarged and added at exactly the PSNR asked for. The decoder is a small convolutional network that takes the
picture away and leaves the pattern, and one matched filter per bit. Both are trained together through an attack
layer (`learned_watermark_attacks`). At embedding a few gradient steps through the decoder turn the picture's own
interference into help (measured at 44 dB: from 0.89 to 0.99 of the bits right); they are why embedding takes longer
than reading.

No weights ship: see `recipes_watermark` for what a training reaches. There is no search for geometry beyond the eight
turns and flips of the square: a picture that was cropped or turned by some degrees is not read.

Source: hiding bits by networks trained end to end through an attack layer, arXiv:1807.09937; at a fixed size with
the change enlarged, arXiv:2311.18297.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor, nn

from generator.marking.watermark.adapters.bch import Bits
from generator.marking.watermark.adapters.bit_scheme import BitScheme
from generator.marking.watermark.interface import Pixels, Search
from generator.weights import Weights, load_weights

NAME = "io.github.assay-audit.learned.1"
FAMILY = "watermark"
BITS = 128
GRID = 128  # px; side of the grid on which patterns live
WIDTH = 16  # channels of the networks
MIN_SIDE = 128  # px
DEFAULT_PSNR = 42.0  # dB
_STEPS, _STEP = (
    10,
    0.1,
)  # of fitting a pattern to its picture; a step is a share of the pattern's root mean square
_TURNS = 8  # quarter turns, each with and without flip


class Learned(nn.Module):
    """Encoder and decoder.

    Args:
        bits: that one picture carries.
        grid: px.
        width: channels.
    """

    def __init__(self, *, bits: int = BITS, grid: int = GRID, width: int = WIDTH) -> None:
        super().__init__()
        self.config = {"bits": bits, "grid": grid, "width": width}
        self.bits, self.grid = bits, grid
        self.patterns = nn.Parameter(torch.randn(bits, grid, grid))
        self.filters = nn.Parameter(torch.randn(bits, grid, grid) / grid)
        self.fit = _convolutions(2, width, 2)
        self.clean = _convolutions(1, width, 1)
        self.gain = nn.Parameter(torch.tensor(1.0))

    def pattern(self, luma: Tensor, message: Tensor) -> Tensor:
        """What to add to a picture, up to its strength.

        Args:
            luma: (B, 1, grid, grid), grey levels.
            message: (B, bits) of 0 and 1.

        Returns:
            (B, 1, grid, grid), root mean square 1 over each picture.
        """
        raw = torch.einsum("bn,nhw->bhw", 2 * message - 1, self.patterns / math.sqrt(self.bits)).float()[
            :, None
        ]
        mask, correction = self.fit(torch.cat([_normalise(luma), raw], dim=1)).float().split(1, dim=1)
        fitted = raw * F.softplus(mask + 1) + correction
        fitted = fitted - fitted.mean(dim=(2, 3), keepdim=True)
        return _unit(fitted)

    def forward(self, luma: Tensor, message: Tensor, psnr: Tensor) -> Tensor:
        """Marked pictures, in grey levels and not rounded.

        Args:
            luma: (B, 1, H, W), grey levels.
            message: (B, bits) of 0 and 1.
            psnr: (B,), dB.
        """
        pattern = enlarge(self.pattern(resize(luma, self.grid), message), luma.shape[2:])
        strength = 255.0 * 10.0 ** (-psnr / 20)
        return (luma + _unit(pattern) * strength[:, None, None, None]).clamp(0, 255)

    def fit_to_reader(self, pattern: Tensor, luma: Tensor, message: Tensor, *, psnr: float) -> Tensor:
        """The pattern after gradient steps that make the decoder surer of the message in these very pictures.

        Args:
            pattern: as `pattern` returns it.
            luma: (B, 1, grid, grid), grey levels.
            message: (B, bits) of 0 and 1.
            psnr: at which the pattern will be added, dB.
        """
        strength = 255.0 * 10.0 ** (-psnr / 20)
        for _ in range(_STEPS):
            with torch.enable_grad():
                free = pattern.detach().requires_grad_()
                scores = self.read(luma + strength * _unit(free))
                loss = F.softplus((1 - 2 * message) * scores).sum()
                (slope,) = torch.autograd.grad(loss, free)
            pattern = _unit(pattern - _STEP * _unit(slope))
        return pattern

    def read(self, luma: Tensor) -> Tensor:
        """Logits (B, bits), positive for 1, from pictures (B, 1, H, W) of any size."""
        small = _normalise(resize(luma, self.grid))
        estimate = small - F.avg_pool2d(small, 5, 1, 2, count_include_pad=False) + self.clean(small).float()
        # (B, 1, grid, grid): what stands out, as loud in quiet places as in busy ones
        power = F.avg_pool2d(estimate.square(), 9, 1, 4, count_include_pad=False)
        estimate = estimate * torch.rsqrt(power + 1e-4)
        return self.gain * torch.einsum("bhw,nhw->bn", estimate[:, 0], self.filters).float()


def _convolutions(channels: int, width: int, outputs: int) -> nn.Sequential:
    """Three layers, 9 px of sight; they start as no change at all."""
    last = nn.Conv2d(width, outputs, 3, padding=1)
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    first = nn.Conv2d(channels, width, 5, padding=2)
    return nn.Sequential(first, nn.GELU(), nn.Conv2d(width, width, 3, padding=1), nn.GELU(), last)


def _unit(pattern: Tensor) -> Tensor:
    """Root mean square 1 over each picture."""
    scale: Tensor = torch.rsqrt(pattern.square().mean(dim=(2, 3), keepdim=True) + 1e-12)
    return pattern * scale


def _normalise(luma: Tensor) -> Tensor:
    return (luma - 128) / 64


def resize(luma: Tensor, side: int) -> Tensor:
    """Pictures (B, 1, H, W) at (B, 1, side, side), without aliases."""
    if luma.shape[2:] == (side, side):
        return luma
    return F.interpolate(luma, (side, side), mode="bilinear", antialias=True, align_corners=False)


def enlarge(pattern: Tensor, shape: Any) -> Tensor:  # noqa: ANN401 - torch.Size or a pair
    """A pattern (B, 1, S, S) at another size (H, W)."""
    return F.interpolate(pattern, tuple(shape), mode="bicubic", align_corners=False)


class LearnedTechnique:
    """The trained model as a `Technique`.

    Args:
        weights: as `assay train watermark` writes them.
    """

    name = NAME
    readings = _TURNS
    min_side = MIN_SIDE
    default_psnr = DEFAULT_PSNR

    def __init__(self, weights: Weights) -> None:
        self._model = Learned(**weights.card.config)
        self._model.load_state_dict(weights.tensors)
        self._model.eval().requires_grad_(False)
        self.bits = self._model.bits

    def change(self, pixels: Pixels, bits: Bits) -> NDArray[np.float32]:
        """See `Technique`: float32 (H, W, 1), the same for red, green and blue."""
        message = torch.from_numpy(bits).float()[None]
        luma = resize(_luma(pixels), self._model.grid)
        with torch.no_grad():
            pattern = self._model.pattern(luma, message)
            pattern = self._model.fit_to_reader(pattern, luma, message, psnr=DEFAULT_PSNR)
            return enlarge(pattern, pixels.shape[:2])[0, 0, :, :, None].numpy()

    def read(self, pixels: Pixels, *, search: Search) -> list[Bits]:
        """See `Technique`; "full" also tries quarter turns and flips."""
        luma = resize(_luma(pixels), self._model.grid)
        views = [luma]
        if search == "full":
            views = [view.rot90(turn, (2, 3)) for view in (luma, luma.flip(3)) for turn in range(4)]
        with torch.no_grad():
            logits = self._model.read(torch.cat(views)).numpy()
        return [(row > 0).astype(np.uint8) for row in logits]


def load_learned(folder: Path) -> BitScheme:
    """The scheme of the weights that `assay train watermark` writes to `folder`; raises WeightsError."""
    return BitScheme(LearnedTechnique(load_weights(FAMILY, family=FAMILY, folder=folder)))


def _luma(pixels: Pixels) -> Tensor:
    """Grey levels (1, 1, H, W)."""
    weights = torch.tensor([0.299, 0.587, 0.114])
    return (torch.from_numpy(np.ascontiguousarray(pixels, np.float32)) @ weights)[None, None]
