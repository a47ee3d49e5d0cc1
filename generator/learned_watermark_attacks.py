"""The attack layer: what happens to pictures on their way, differentiable, for training a watermark.

Each attack takes pictures (B, 1, H, W) in grey levels and returns as many of that size. All random numbers come from
torch's generator, which the trainer seeds per step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

Attack = Callable[[Tensor], Tensor]

# Luminance quantisation at quality 50: ITU-T T.81, table K.1.
_QUANTISATION = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


def attack(pictures: Tensor) -> Tensor:
    """One attack, or two after one another, for the whole batch; whole grey levels afterwards."""
    chosen = torch.randint(len(ATTACKS), (int(torch.randint(1, 3, ())),)).tolist()
    damaged = round_through(pictures)
    with torch.autocast(pictures.device.type, enabled=False):  # half precision would be an attack of its own
        for index in chosen:
            damaged = round_through(ATTACKS[index](damaged).clamp(0, 255))
    return damaged


def round_through(values: Tensor) -> Tensor:
    """Whole numbers forward, the identity backward."""
    return values + (values.round() - values).detach()


def keep(pictures: Tensor) -> Tensor:
    """Nothing happens."""
    return pictures


def jpeg(pictures: Tensor) -> Tensor:
    """Quantised 8 x 8 cosine coefficients at one quality from 30 to 95."""
    quality = _uniform(30, 95)
    scale = 50 / quality if quality < 50 else 2 - quality / 50
    table = (torch.tensor(_QUANTISATION, device=pictures.device) * scale).clamp(1, 255)
    basis = _cosines().to(pictures)
    height, width = pictures.shape[2:]
    padded = F.pad(pictures - 128, (0, -width % 8, 0, -height % 8), mode="replicate")
    # (B, 1, H, W) -> (B, 1, H / 8, W / 8, 8, 8)
    blocks = padded.reshape(len(padded), 1, padded.shape[2] // 8, 8, -1, 8).transpose(3, 4)
    levels = round_through((basis @ blocks @ basis.T) / table)
    restored = basis.T @ (levels * table) @ basis
    joined = restored.transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return joined[..., :height, :width] + 128


def shrink(pictures: Tensor) -> Tensor:
    """Resized to 40 to 95 % of the sides, and back."""
    height, width = pictures.shape[2:]
    share = _uniform(0.4, 0.95)
    small = (max(1, round(height * share)), max(1, round(width * share)))
    reduced = F.interpolate(pictures, small, mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(reduced, (height, width), mode="bicubic", align_corners=False)


def noise(pictures: Tensor) -> Tensor:
    """Gaussian, up to 5 % of the grey range."""
    return pictures + torch.randn_like(pictures) * _uniform(0, 0.05 * 255)


def blur(pictures: Tensor) -> Tensor:
    """Gaussian, radius up to 2 px."""
    deviation = _uniform(0.3, 2.0)
    rows, columns = (_averaging(side, deviation).to(pictures) for side in pictures.shape[2:])
    return rows @ pictures @ columns.T


def relight(pictures: Tensor) -> Tensor:
    """Brightness and contrast by factors of 0.6 to 1.5."""
    brighter = pictures * _uniform(0.6, 1.5)
    middle = brighter.mean(dim=(2, 3), keepdim=True)
    return middle + (brighter - middle) * _uniform(0.6, 1.5)


def move(pictures: Tensor) -> Tensor:
    """Turned by up to a degree and cropped by up to 3 % of the sides, each picture differently."""
    count = len(pictures)
    angle = (torch.rand(count) * 2 - 1) * math.radians(1.0)
    zoom = 1 - 0.03 * torch.rand(count)
    shift = (torch.rand(count, 2) * 2 - 1) * (1 - zoom)[:, None]
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    matrix = torch.cat([turn * zoom[:, None, None], shift[:, :, None]], 2).to(pictures)
    places = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    return F.grid_sample(pictures, places, mode="bilinear", padding_mode="reflection", align_corners=False)


def cover(pictures: Tensor) -> Tensor:
    """A grey box over up to 45 % of the sides."""
    height, width = pictures.shape[2:]
    high, wide = (int(side * _uniform(0.1, 0.45)) for side in (height, width))
    top, left = (int(_uniform(0, side - part)) for side, part in ((height, high), (width, wide)))
    covered = pictures.clone()
    covered[:, :, top : top + high, left : left + wide] = 128
    return covered


ATTACKS: tuple[Attack, ...] = (keep, jpeg, shrink, noise, blur, relight, move, cover)


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * torch.rand(()).item()


def _cosines() -> Tensor:
    """Orthonormal 8-point cosine transform, float32 (8, 8)."""
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    basis = torch.cos((2 * columns + 1) * rows * math.pi / 16) / 2
    basis[0] /= math.sqrt(2)
    return basis


def _averaging(side: int, deviation: float) -> Tensor:
    """Each place as the Gaussian mean of those around it: (side, side), rows sum to 1."""
    places = torch.arange(side)
    weights = torch.exp(-0.5 * ((places[:, None] - places) / deviation) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)
