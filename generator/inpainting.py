"""A picture with a hole -> the tokens that stay: what the embedded families continue when they inpaint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from generator.adapters.pictures import decode_picture
from generator.errors import InputError
from generator.tokenizer import GRID, Tokenizer, shrink

DRAWN = -1  # in place of a token that is to be drawn


def kept_tokens(picture: Path, mask: Path, *, tokenizer: Tokenizer) -> Tensor:
    """Tokens of a picture, and where its mask is white, `DRAWN`.

    A token covers an eighth of either side; it is drawn anew when any pixel of it is white (128 to 255) in the mask.

    Args:
        picture: file of a square picture.
        mask: file of the same size.
        tokenizer: in evaluation mode.

    Returns:
        int64 (1, 64).

    Raises:
        InputError: a file cannot be read, the sizes differ, the picture is not square, or the mask is all black.
    """
    pixels = decode_picture(_read(picture), where=str(picture))
    height, width = pixels.shape[:2]
    white = np.asarray(Image.fromarray(decode_picture(_read(mask), where=str(mask))).convert("L")) > 127
    if white.shape != (height, width):
        raise InputError(
            f"{mask} is {white.shape[1]} x {white.shape[0]} pixels, the picture {picture} is {width} x {height}: "
            "make them the same size"
        )
    if height != width:
        raise InputError(f"{picture} is {width} x {height} pixels, expected a square; crop it and its mask")
    if not white.any():
        raise InputError(
            f"mask {mask} has no white pixel, so nothing would be drawn; paint white what is to change"
        )
    drawn = [
        [cell.any() for cell in np.array_split(row, GRID, axis=1)]
        for row in np.array_split(white, GRID, axis=0)
    ]
    with torch.no_grad():
        tokens = tokenizer.encode(shrink(pixels)[None])
    return torch.where(torch.tensor(drawn).reshape(1, -1), DRAWN, tokens)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
