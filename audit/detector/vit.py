"""The detector's network: fixed high-pass filters, a small convolutional stem and a transformer.

A plain linear patch embedding does not leave the plateau at this data size, while a high-pass stem does (measured,
see the project's field notes), so the stem comes first. The network sees crops at native resolution and never a
shrunken picture: shrinking removes the traces it looks for.

References: An Image is Worth 16x16 Words (arXiv:2010.11929) for the class token and encoder; Early Convolutions Help
Transformers See Better (arXiv:2106.14881) for the stem; Rich Models for Steganalysis (Fridrich and Kodovsky 2012) for
the residual filters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.vit import ViT

_KERNEL_3 = ((-1.0, 2.0, -1.0), (2.0, -4.0, 2.0), (-1.0, 2.0, -1.0))
_KERNEL_5 = (
    (-1.0, 2.0, -2.0, 2.0, -1.0),
    (2.0, -6.0, 8.0, -6.0, 2.0),
    (-2.0, 8.0, -12.0, 8.0, -2.0),
    (2.0, -6.0, 8.0, -6.0, 2.0),
    (-1.0, 2.0, -2.0, 2.0, -1.0),
)
_RESIDUAL_CLIP = 12.0  # grey levels; larger residuals are edges, not traces


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """Shape of the network.

    Attributes:
        crop: side of a crop in pixels, a multiple of 16.
        width: channels of a token.
        layers: encoder blocks.
        heads: attention heads; divides width.
    """

    crop: int = 96
    width: int = 128
    layers: int = 4
    heads: int = 4

    @property
    def side(self) -> int:
        """Patches along one side of a crop."""
        return self.crop // 16


class HighPass(nn.Module):
    """RGB and its residuals under two fixed filters; nothing here is trained."""

    def __init__(self) -> None:
        super().__init__()
        small = functional.pad(torch.tensor(_KERNEL_3) / 4.0, (1, 1, 1, 1))
        bank = torch.stack([small, torch.tensor(_KERNEL_5) / 12.0])  # (2, 5, 5)
        # each filter looks at each colour on its own
        self.register_buffer("bank", bank.repeat(3, 1, 1).unsqueeze(1), persistent=False)  # (6, 1, 5, 5)
        self.bank: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """Float (B, 3, S, S) in 0..255 -> (B, 9, S, S), about unit scale."""
        padded = functional.pad(pixels, (2, 2, 2, 2), mode="reflect")
        residual = functional.conv2d(padded, self.bank, groups=3)
        residual = residual.clamp(-_RESIDUAL_CLIP, _RESIDUAL_CLIP) / 4.0
        return torch.cat([pixels / 127.5 - 1.0, residual], dim=1)


def _stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(8, outputs), nn.GELU()
    )


class DetectorViT(ViT):
    """Crops in, one logit each out; build it under `generator.training.seeded` for repeatable weights."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        config = config or DetectorConfig()
        if config.crop % 16 or config.width % 8 or config.width % config.heads:
            raise ValueError(f"{config}: crop must divide by 16, width by 8 and by heads")
        stem = nn.Sequential(
            _stage(9, 32), _stage(32, 64), _stage(64, 96), nn.Conv2d(96, config.width, 2, stride=2)
        )
        super().__init__(stem, side=config.side, width=config.width, depth=config.layers, heads=config.heads)
        self.config = config
        self.high_pass = HighPass()
        self.head = nn.Linear(config.width, 1)
        nn.init.normal_(self.head.weight, std=0.02)  # starts undecided
        nn.init.zeros_(self.head.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        """Judge crops.

        Args:
            pixels: uint8 or float (B, 3, crop, crop), 0 to 255, RGB.

        Returns:
            float32 logits (B,); positive leans synthetic. Uncalibrated.
        """
        logits: Tensor = self.head(self.look(self.high_pass(pixels.float())))  # (B, 1)
        return logits.squeeze(1).float()
