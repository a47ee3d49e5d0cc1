"""What tests of all techniques share: a picture, and stand-ins for the models of others that really carry bits.

Each bit is a fixed random pattern; the reader takes away what is smooth and correlates. Nobody's weights are needed.
"""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from generator.learned_watermark import FAMILY, Learned
from generator.marking.watermark.interface import Pixels
from generator.watermark_checkpoints import PIXEL_SEAL, TRUSTMARK, WATERMARK_ANYTHING
from generator.weights import Card, save_weights

SIDE = 128


def texture(seed: int, height: int = 256, width: int | None = None) -> Pixels:
    """A picture with the falling spectrum of photographs, in colour."""
    rng = np.random.default_rng(seed)
    width = width or height
    rows, columns = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    planes = []
    for _ in range(3):
        spectrum = np.fft.rfft2(rng.normal(size=(height, width)))
        field = np.fft.irfft2(spectrum / (np.hypot(rows, columns) + 0.01) ** 2, (height, width))
        planes.append(field / field.std())
    grey, *colour = planes
    levels = [128 + 30 * grey + 8 * change for change in (0, *colour)]
    return np.clip(np.stack(levels, axis=2) + rng.normal(0, 2, (height, width, 3)), 0, 255).astype(np.uint8)


class Patterns(nn.Module):
    """Writes and reads at SIDE px."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        draws = torch.rand(bits, SIDE, SIDE, generator=torch.Generator().manual_seed(bits))
        self.register_buffer("patterns", torch.where(draws < 0.5, -1.0, 1.0))

    def write(self, bits: Tensor) -> Tensor:
        return torch.einsum("bn,nhw->bhw", 2 * bits - 1, self.patterns)[:, None].repeat(1, 3, 1, 1) / 1000

    def read(self, picture: Tensor) -> Tensor:
        small = nn.functional.interpolate(picture, self.patterns.shape[1:], mode="area").mean(
            dim=1, keepdim=True
        )
        rough = small - nn.functional.avg_pool2d(small, 3, 1, 1)
        rough = rough / (nn.functional.avg_pool2d(rough.abs(), 9, 1, 4) + 1e-3)
        return torch.einsum("bhw,nhw->bn", rough[:, 0], self.patterns)


class Seal(Patterns):
    """One file: embed and detect on pictures of any size, 0 to 1, as Video Seal's and Pixel Seal's."""

    @torch.jit.export
    def embed(self, picture: Tensor, bits: Tensor) -> Tensor:
        height, width = picture.shape[2], picture.shape[3]
        change = nn.functional.interpolate(self.write(bits), [height, width], mode="nearest")
        return torch.clamp(picture + change, 0.0, 1.0)

    @torch.jit.export
    def detect(self, picture: Tensor) -> Tensor:
        scores = self.read(picture)
        return torch.cat([torch.zeros(scores.shape[0], 1), scores], dim=1)


class Encoder(Patterns):
    """Returns the change, or the marked picture, in normalised units at 256 px."""

    def __init__(self, bits: int, *, change_only: bool) -> None:
        super().__init__(bits)
        self.change_only = change_only

    def forward(self, picture: Tensor, bits: Tensor) -> Tensor:
        change = nn.functional.interpolate(self.write(bits), scale_factor=2.0)
        return change if self.change_only else picture + change


class Decoder(Patterns):
    """Scores per bit; as a map with a first channel for the mask when asked."""

    def __init__(self, bits: int, *, as_map: bool) -> None:
        super().__init__(bits)
        self.as_map = as_map

    def forward(self, picture: Tensor) -> Tensor:
        scores = self.read(picture)
        if self.as_map:
            scores = torch.cat([torch.zeros(scores.shape[0], 1), scores], dim=1)
            return scores[:, :, None, None].repeat(1, 1, 4, 4)
        return scores


def write_models(folder: Path) -> None:
    """Put one model of each kind into the folder; rivaGan's where its package is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    trustmark, anything = TRUSTMARK.bits, WATERMARK_ANYTHING.bits
    modules = {
        "pixelseal.pt": Seal(PIXEL_SEAL.bits),
        "trustmark_encoder.pt": Encoder(trustmark, change_only=False),
        "trustmark_decoder.pt": Decoder(trustmark, as_map=False),
        "wam_encoder.pt": Encoder(anything, change_only=True),
        "wam_decoder.pt": Decoder(anything, as_map=True),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for name, module in modules.items():
            torch.jit.script(module).save(str(folder / name))
    write_learned(folder)
    package = importlib.util.find_spec("imwatermark")
    for part in ("encoder", "decoder"):
        if package is not None and package.submodule_search_locations:
            shutil.copy(Path(package.submodule_search_locations[0]) / f"rivagan_{part}.onnx", folder)


def write_learned(folder: Path) -> None:
    """Weights of the learned scheme that need no training: each filter is its bit's pattern."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        model = Learned(width=4)
    model.filters.data = model.patterns.data / model.grid
    card = Card(FAMILY, "none", {}, 0, {}, ("A stand-in for tests.",), model.config)
    save_weights(FAMILY, model.state_dict(), card, folder)
