"""The masked autoencoder: a vision transformer that learns, without labels, to see what is not shown.

    a quarter of the patches --ViT--> what they say --small decoder--> the pixels of all the others

Only visible patches enter the encoder, so it is trained at a quarter of the cost. Afterwards `MAE.vit` can start any
other `ViT` of that shape, and encoder and decoder together fill in what is missing in a picture (`inpaint`). It draws
no picture from a prompt, so it has no `sample`.

Source: arXiv:2111.06377.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from generator.errors import InputError
from generator.tokenizer import INPUT_SIZE
from generator.transformer import GridPositions, Transformer
from generator.vit import PatchEmbedding, ViT

PATCH = 8  # pixels
SIDE = INPUT_SIZE // PATCH
PATCHES = SIDE * SIDE
VISIBLE = PATCHES // 4


class MAE(nn.Module):
    """Encoder over the visible patches, decoder over all.

    Args:
        width: C of the encoder.
        depth: blocks of the encoder.
        heads: of every attention.
        decoder_width: of the decoder, which is thrown away when only the encoder is wanted.
        decoder_depth: blocks of the decoder.
    """

    def __init__(
        self,
        *,
        width: int = 192,
        depth: int = 4,
        heads: int = 4,
        decoder_width: int = 96,
        decoder_depth: int = 2,
    ) -> None:
        super().__init__()
        self.config = {
            "width": width,
            "depth": depth,
            "heads": heads,
            "decoder_width": decoder_width,
            "decoder_depth": decoder_depth,
        }
        stem = PatchEmbedding(3, PATCH, width)
        self.vit = ViT(stem, side=SIDE, width=width, depth=depth, heads=heads)
        self.narrow = nn.Linear(width, decoder_width)
        self.hidden = nn.Parameter(torch.randn(decoder_width) * 0.02)
        self.positions = GridPositions(SIDE, decoder_width)
        self.decoder = Transformer(decoder_width, decoder_depth, heads=heads)
        self.head = nn.Linear(decoder_width, 3 * PATCH * PATCH)

    def forward(self, images: Tensor, visible: Tensor) -> Tensor:
        """Fill in pictures.

        Args:
            images: float (B, 3, 64, 64) in -1..1; what the hidden patches hold has no effect.
            visible: int64 (B, V), positions of the patches that are shown, the same number in every row.

        Returns:
            All patches as predicted, float32 (B, 64, 192).
        """
        patches = self.vit.embed(images)  # (B, 64, C)
        shown = patches.gather(1, visible[:, :, None].expand(-1, -1, patches.shape[2]))  # (B, V, C)
        seen = self.narrow(self.vit.encode(shown)[:, 1:])  # (B, V, D)
        slots = self.hidden.to(seen.dtype).expand(len(images), PATCHES, -1)
        x = slots.scatter(1, visible[:, :, None].expand_as(seen), seen)
        return self.head(self.decoder(x + self.positions())).float()  # type: ignore[no-any-return]

    def loss(self, images: Tensor) -> Tensor:
        """Mean squared error of hidden pixels, in units of half the range of a pixel.

        Args:
            images: uint8 (B, 3, 64, 64); a random quarter of the patches of each is shown.
        """
        pictures = images.float() / 127.5 - 1
        order = torch.rand(len(images), PATCHES, device=images.device).argsort(1)
        error: Tensor = self(pictures, order[:, :VISIBLE]) - to_patches(pictures)
        hidden = order[:, VISIBLE:, None].expand(-1, -1, error.shape[2])
        return error.gather(1, hidden).square().mean()

    @torch.no_grad()
    def inpaint(self, images: Tensor, missing: Tensor) -> Tensor:
        """Fill in missing pixels; every other pixel stays as it is.

        Args:
            images: uint8 (B, 3, 64, 64).
            missing: bool (B, 64, 64); a patch with a missing pixel is not looked at.

        Returns:
            uint8 (B, 3, 64, 64)

        Raises:
            InputError: the mask has another shape, or leaves nothing to look at.
        """
        if missing.shape != images[:, 0].shape:
            raise InputError(
                f"mask is {tuple(missing.shape)}, expected {tuple(images[:, 0].shape)}: one value per pixel"
            )
        hidden = functional.pixel_unshuffle(missing[:, None], PATCH).any(1).flatten(1)  # (B, 64)
        if hidden.all(1).any():
            raise InputError("mask leaves no patch of a picture to look at; uncover one of 8 x 8 pixels")
        pictures = images.float() / 127.5 - 1
        # row by row: each may show another number of patches
        rows = [
            self(picture[None], (~row).nonzero().T) for picture, row in zip(pictures, hidden, strict=True)
        ]
        filled = to_picture(torch.cat(rows)).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        return torch.where(missing[:, None], filled, images)


def to_patches(images: Tensor) -> Tensor:
    """(B, 3, 64, 64) -> (B, 64, 192), row by row."""
    return functional.pixel_unshuffle(images, PATCH).flatten(2).transpose(1, 2)


def to_picture(patches: Tensor) -> Tensor:
    """(B, 64, 192) -> (B, 3, 64, 64), the inverse of `to_patches`."""
    grid = patches.transpose(1, 2).reshape(len(patches), -1, SIDE, SIDE)
    return functional.pixel_shuffle(grid, PATCH)
