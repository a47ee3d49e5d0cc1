"""The vision transformer: patches, a linear embedding, positions, a class token, an encoder.

    picture --stem--> one vector per patch, + its position;   [class, patches] --encoder--> what each has seen

The stem may be any module that makes a grid of vectors; `PatchEmbedding` is the plain linear one. The masked
autoencoder trains this network without labels, the adversarial family judges with it, and the detector puts another
stem before it.

Source: arXiv:2010.11929.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from generator.transformer import GridPositions, Transformer


class PatchEmbedding(nn.Module):
    """One linear map from the pixels of a patch to a vector.

    Args:
        channels: of the picture.
        patch: side of a patch in pixels.
        width: C.
    """

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.linear = nn.Linear(channels * patch * patch, width)
        nn.init.normal_(self.linear.weight, std=0.02)  # no louder than the positions
        nn.init.zeros_(self.linear.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, C, H / patch, W / patch)."""
        patches = nn.functional.pixel_unshuffle(
            images, self.patch
        )  # (B, channels * patch^2, H / patch, W / patch)
        return self.linear(patches.movedim(1, 3)).movedim(3, 1)  # type: ignore[no-any-return]


class ViT(nn.Module):
    """Stem, positions, class token and encoder; build it under `generator.training.seeded`.

    Args:
        stem: pictures -> (B, C, side, side).
        side: patches along one side.
        width: C.
        depth: blocks.
        heads: of every attention.
        cross: every block also attends to another sequence, such as a prompt.
    """

    def __init__(
        self, stem: nn.Module, *, side: int, width: int, depth: int, heads: int, cross: bool = False
    ) -> None:
        super().__init__()
        self.stem = stem
        self.positions = GridPositions(side, width)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.encoder = Transformer(width, depth, heads=heads, cross=cross)

    def embed(self, images: Tensor) -> Tensor:
        """Pictures -> one vector per patch, row by row, (B, side * side, C), with its position."""
        return self.stem(images).flatten(2).transpose(1, 2) + self.positions()  # type: ignore[no-any-return]

    def encode(self, patches: Tensor, *, other: Tensor | None = None) -> Tensor:
        """Embedded patches (B, T, C), all or some -> (B, 1 + T, C), the class token first."""
        x = torch.cat([self.class_token.expand(len(patches), -1, -1), patches], dim=1)
        return self.encoder(x, other=other)  # type: ignore[no-any-return]

    def look(self, images: Tensor, *, other: Tensor | None = None) -> Tensor:
        """Pictures -> what the class token has seen, (B, C), for a head to judge."""
        return self.encode(self.embed(images), other=other)[:, 0]
