"""Watermarks of others by their TorchScript files: Pixel Seal, Watermark Anything and TrustMark.

Their weights are not ours to ship, and some are pickles, which this project does not read. TorchScript files hold no
foreign code that Python runs; Pixel Seal and Video Seal are published as such, the others are exported once:

    torch.jit.trace(model.encoder, (picture, bits)).save("trustmark_encoder.pt")

A file belongs into the folder `watermarks` of the assay home. Each technique runs under our key (`keyed_bits`).

Sources: facebookresearch/videoseal, docs/torchscript.md and models/baselines.py (MIT); adobe/trustmark (MIT);
facebookresearch/watermark-anything (MIT for its weights wam_mit).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor

from generator.errors import WeightsError
from generator.marking.watermark.adapters.bch import Bits
from generator.marking.watermark.adapters.bit_scheme import BitScheme
from generator.marking.watermark.adapters.public_marks import PublicMark, parse_trustmark
from generator.marking.watermark.interface import Pixels, Search

_MOST_READ = 2048  # px
_PLAIN = (0.0, 1.0)
_SYMMETRIC = (0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Format:
    """How one model wants to be called.

    Args:
        name: of the scheme.
        bits: that it carries.
        files: one file with the methods embed and detect, or those of an encoder and a decoder.
        side: px that an encoder and a decoder work at; 0: the model resizes by itself.
        scale: (mean, deviation) per channel that pictures of 0 to 1 are normalised with.
        writes_change: the encoder returns what to add, not the marked picture.
    """

    name: str
    bits: int
    files: tuple[str, ...]
    side: int = 0
    scale: tuple[float | tuple[float, ...], float | tuple[float, ...]] = _PLAIN
    writes_change: bool = False


PIXEL_SEAL = Format("io.github.assay-audit.pixelseal.1", 256, ("pixelseal.pt",))
TRUSTMARK = Format(
    "io.github.assay-audit.trustmark.1",
    100,
    ("trustmark_encoder.pt", "trustmark_decoder.pt"),
    side=256,
    scale=_SYMMETRIC,
)
WATERMARK_ANYTHING = Format(
    "io.github.assay-audit.wam.1",
    32,
    ("wam_encoder.pt", "wam_decoder.pt"),
    side=256,
    scale=((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    writes_change=True,
)


class Checkpoint:
    """A model under `Technique`'s interface; its files are loaded when first used.

    Args:
        format: how to call it.
        folder: where its files are.
    """

    readings = 1
    min_side = 128  # px
    default_psnr = 42.0  # dB

    def __init__(self, format: Format, folder: Path) -> None:
        self._format, self._folder = format, folder
        self.name, self.bits = format.name, format.bits

    @cached_property
    def _writer(self) -> Any:  # noqa: ANN401 - a scripted module
        return _load(self._folder / self._format.files[0])

    @cached_property
    def _reader(self) -> Any:  # noqa: ANN401 - a scripted module
        return self._writer if len(self._format.files) == 1 else _load(self._folder / self._format.files[1])

    def change(self, pixels: Pixels, bits: Bits) -> NDArray[np.float32]:
        """See `Technique`: float32 (H, W, 3)."""
        picture, message = _tensor(pixels), torch.from_numpy(bits).float()[None]
        with torch.no_grad():
            if not self._format.side:
                change = self._call(self._writer, "embed", picture, message) - picture
            else:
                small = self._resize(picture)
                written = self._call(self._writer, "forward", self._normalise(small), message)
                mean, deviation = self._scale()
                change = (
                    written * deviation if self._format.writes_change else written * deviation + mean - small
                )
                change = F.interpolate(change, pixels.shape[:2], mode="bilinear", align_corners=False)
        grey_levels: NDArray[np.float32] = 255 * change[0].permute(1, 2, 0).numpy()
        return grey_levels

    def read(self, pixels: Pixels, *, search: Search) -> list[Bits]:  # noqa: ARG002 - there is no search
        """See `Technique`: one reading."""
        picture = _tensor(_reduce(pixels))
        with torch.no_grad():
            if not self._format.side:
                scores = self._call(self._reader, "detect", picture)
            else:
                scores = self._call(self._reader, "forward", self._normalise(self._resize(picture)))
        scores = scores.flatten(2).mean(dim=2) if scores.ndim > 2 else scores
        if scores.shape[1] == self.bits + 1:
            scores = scores[:, 1:]  # the first says whether there is a mark, without a threshold that holds
        if scores.shape != (1, self.bits):
            raise WeightsError(
                f"{self._folder / self._format.files[-1]}: gave {scores.shape[1]} values per picture, expected "
                f"{self.bits}; is this the model that the file's name says?"
            )
        return [(scores[0] > 0).numpy().astype(np.uint8)]

    def _call(self, model: Any, method: str, *arguments: Tensor) -> Tensor:  # noqa: ANN401 - a scripted module
        try:
            result = getattr(model, method)(*arguments)
        except (AttributeError, RuntimeError) as error:
            lines = str(error).strip().splitlines()
            raise WeightsError(
                f"{self._folder / self._format.files[0]}: cannot run ({lines[-1] if lines else error}); export it "
                "with the interface in the text of generator.watermark_checkpoints"
            ) from error
        tensor: Tensor = result[0] if isinstance(result, tuple) else result
        return tensor.float()

    def _scale(self) -> tuple[Tensor, Tensor]:
        mean, deviation = (torch.tensor(part).view(1, -1, 1, 1) for part in self._format.scale)
        return mean, deviation

    def _normalise(self, picture: Tensor) -> Tensor:
        mean, deviation = self._scale()
        return (picture - mean) / deviation

    def _resize(self, picture: Tensor) -> Tensor:
        side = self._format.side
        return F.interpolate(picture, (side, side), mode="bilinear", antialias=True, align_corners=False)


def load_pixel_seal(folder: Path) -> BitScheme:
    """The scheme Pixel Seal; needs `pixelseal.pt` in the folder."""
    return BitScheme(Checkpoint(PIXEL_SEAL, folder))


def load_trustmark(folder: Path) -> BitScheme:
    """The scheme TrustMark; needs `trustmark_encoder.pt` and `trustmark_decoder.pt` in the folder."""
    return BitScheme(Checkpoint(TRUSTMARK, folder))


def load_watermark_anything(folder: Path) -> BitScheme:
    """The scheme Watermark Anything; needs `wam_encoder.pt` and `wam_decoder.pt` in the folder."""
    return BitScheme(Checkpoint(WATERMARK_ANYTHING, folder))


def recognise_trustmark(pixels: Pixels, folder: Path) -> PublicMark | None:
    """TrustMark's own packet, written without a key of ours; None: there is none, or no model to look with."""
    checkpoint = Checkpoint(TRUSTMARK, folder)
    if not (folder / TRUSTMARK.files[1]).is_file():
        return None
    return parse_trustmark(checkpoint.read(pixels, search="quick")[0])


def _load(path: Path) -> Any:  # noqa: ANN401 - a scripted module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the published files are what they are
            return torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a TorchScript file; export it with torch.jit, see its docs"
        ) from error


def _reduce(pixels: Pixels) -> Pixels:
    """A large picture at a size that any of these models reads as well, so that memory stays bounded."""
    share = _MOST_READ / max(pixels.shape[:2])
    if share >= 1:
        return pixels
    width, height = (max(1, round(side * share)) for side in pixels.shape[1::-1])
    reduced: Pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return reduced


def _tensor(pixels: Pixels) -> Tensor:
    """(1, 3, H, W), 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32))[None] / 255
