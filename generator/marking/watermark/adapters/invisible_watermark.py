"""The techniques dwtDct, dwtDctSvd and rivaGan of invisible-watermark, written anew or run from its files.

The package itself is not imported: it loads torch whatever the method, wants a second OpenCV, and needs Python loops
over all blocks. dwtDct and dwtDctSvd are a few lines of NumPy and need nothing installed; bits written by the package
are read here and the other way round. rivaGan runs the package's two networks with onnxruntime; it takes seconds, so
it is there only after somebody has copied them into the folder of models.

dwtDct is weak by design: it quantises the largest of 16 values of a block, and the next reader may find another one
largest. It is here because Stable Diffusion and FLUX stamp with it, see `public_marks`.

Source: github.com/ShieldMnt/invisible-watermark (MIT), whose formats these are.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from generator.errors import WeightsError
from generator.marking.watermark.adapters.bch import Bits
from generator.marking.watermark.adapters.bit_scheme import BitScheme
from generator.marking.watermark.interface import Pixels, Search

Blocks = NDArray[np.float32]
_STEP = 36.0  # quantisation of a block's value, in Haar units: the package's default
_BLOCK = 4  # Haar values per side of a block
_MOST_BLOCKS = 1 << 16  # that are read: 512 for each of 128 bits
_MOST_READ = 512  # px; rivaGan's cost grows with the area: two seconds at this side
_U_TO_RGB = np.array([0.0, -0.395, 2.032], np.float32)  # OpenCV's YUV, grey levels per level of U


@dataclass(frozen=True)
class BlockTechnique:
    """dwtDct or dwtDctSvd: one bit per block of the coarse half of U, the same bits again and again.

    Args:
        svd: quantise the block's largest singular value (dwtDctSvd) instead of its largest entry (dwtDct).
        bits: that a picture carries; the identifier and its check bits fit into 128.
    """

    svd: bool
    bits: int = 128

    readings = 1
    min_side = 256  # px; the package refuses smaller areas
    default_psnr = None

    @property
    def name(self) -> str:
        """Of the scheme that it becomes."""
        return f"io.github.assay-audit.{'dwtdctsvd' if self.svd else 'dwtdct'}.1"

    def change(self, pixels: Pixels, bits: Bits) -> NDArray[np.float32]:
        """See `Technique`: float32 (H, W, 3), no grey levels in red."""
        blocks = cut_blocks(pixels)
        wanted = np.resize(bits, len(blocks))
        if self.svd:
            left, values, right = np.linalg.svd(blocks)
            step = _quantise(values[:, 0], wanted) - values[:, 0]
            delta = step[:, None, None] * left[:, :, :1] * right[:, :1]
        else:
            rows, (place, value) = np.arange(len(blocks)), _largest(blocks)
            delta = np.zeros_like(blocks)
            delta.reshape(len(blocks), -1)[rows, place] = _quantise(value, wanted) - value
        height, width = (side // 4 * 4 for side in pixels.shape[:2])
        # (down * across, 4, 4) -> (H / 2, W / 2); a Haar value is half the sum of its 2 x 2 pixels
        across = width // (2 * _BLOCK)
        coarse = delta.reshape(-1, across, _BLOCK, _BLOCK).swapaxes(1, 2).reshape(-1, across * _BLOCK)
        change = np.zeros(pixels.shape, np.float32)
        part = np.repeat(np.repeat(coarse / 2, 2, axis=0), 2, axis=1)
        change[: part.shape[0], : part.shape[1]] = part[..., None] * _U_TO_RGB
        return change

    def read(self, pixels: Pixels, *, search: Search) -> list[Bits]:  # noqa: ARG002 - there is no search
        """See `Technique`: one reading, the majority of all blocks of each bit."""
        return [vote(self.read_blocks(pixels), self.bits)]

    def read_blocks(self, pixels: Pixels) -> Bits:
        """The bit of each block, uint8, in the order of rows; of a large picture its upper part says enough."""
        across = max(1, pixels.shape[1] // (2 * _BLOCK))
        blocks = cut_blocks(pixels[: 2 * _BLOCK * max(1, _MOST_BLOCKS // across)])
        value = np.linalg.svd(blocks, compute_uv=False)[:, 0] if self.svd else _largest(blocks)[1]
        return (np.abs(value) % _STEP > _STEP / 2).astype(np.uint8)


def cut_blocks(pixels: Pixels) -> Blocks:
    """The coarse Haar half of U in blocks: float32 (n, 4, 4); what does not fill a block is left out."""
    height, width = (side // 4 * 4 for side in pixels.shape[:2])
    u = cv2.cvtColor(pixels[:height, :width], cv2.COLOR_RGB2YUV)[..., 1].astype(np.float32)
    coarse = u.reshape(height // 2, 2, width // 2, 2).sum(axis=(1, 3)) / 2
    down, across = (side // _BLOCK for side in coarse.shape)
    blocks = coarse[: down * _BLOCK, : across * _BLOCK].reshape(down, _BLOCK, across, _BLOCK)
    cut: Blocks = blocks.swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)
    return cut


def vote(blocks: Bits, length: int) -> Bits:
    """Majority of the blocks of each of `length` bits, dealt out in turn: uint8 (length,); a tie reads as 1."""
    place = np.arange(len(blocks)) % length
    ones = np.bincount(place, blocks, length)
    return (2 * ones >= np.bincount(place, minlength=length)).astype(np.uint8)


def _largest(blocks: Blocks) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Place in the block and value of its largest entry, apart from the first."""
    flat = blocks.reshape(len(blocks), -1)
    place = np.abs(flat[:, 1:]).argmax(axis=1) + 1
    return place, flat[np.arange(len(flat)), place]


def _quantise(value: NDArray[np.float32], bits: Bits) -> NDArray[np.float32]:
    return ((value // _STEP + 0.25 + 0.5 * bits) * _STEP).astype(np.float32)


class RivaGan:
    """rivaGan: 32 bits by two small networks; too few for an identifier, enough to tell whose key it is.

    Args:
        folder: with `rivagan_encoder.onnx` and `rivagan_decoder.onnx` of the package.
    """

    name = "io.github.assay-audit.rivagan.1"
    bits = 32
    readings = 1
    min_side = 256  # px
    default_psnr = 40.0  # dB, about what the package gives

    _THRESHOLD = 0.52  # the package's

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _networks(self) -> tuple[Any, Any]:
        onnxruntime = importlib.import_module("onnxruntime")
        files = [self._folder / f"rivagan_{part}.onnx" for part in ("encoder", "decoder")]
        try:
            encoder, decoder = (onnxruntime.InferenceSession(str(file)) for file in files)
        except RuntimeError as error:
            raise WeightsError(f"{files[0].parent}: rivaGan's networks cannot be loaded ({error})") from error
        return encoder, decoder

    def change(self, pixels: Pixels, bits: Bits) -> NDArray[np.float32]:
        """See `Technique`."""
        (marked, *_) = self._networks[0].run(
            None, {"frame": _frame(pixels), "data": bits[None].astype(np.float32)}
        )
        bgr = (np.clip(marked[0, :, 0], -1, 1).transpose(1, 2, 0) + 1) * 127.5
        change: NDArray[np.float32] = bgr[..., ::-1] - pixels
        return change

    def read(self, pixels: Pixels, *, search: Search) -> list[Bits]:  # noqa: ARG002 - there is no search
        """See `Technique`: one reading, of the middle of a large picture."""
        top, left = (max(0, side - _MOST_READ) // 2 for side in pixels.shape[:2])
        middle = pixels[top : top + _MOST_READ, left : left + _MOST_READ]
        (scores, *_) = self._networks[1].run(None, {"frame": _frame(middle)})
        return [(scores[0] > self._THRESHOLD).astype(np.uint8)]


def load_dwtdct(_: Path) -> BitScheme:
    """The scheme dwtDct; needs nothing."""
    return BitScheme(BlockTechnique(svd=False))


def load_dwtdctsvd(_: Path) -> BitScheme:
    """The scheme dwtDctSvd; needs nothing."""
    return BitScheme(BlockTechnique(svd=True))


def load_rivagan(folder: Path) -> BitScheme:
    """The scheme rivaGan; needs onnxruntime and the package's networks in the folder."""
    return BitScheme(RivaGan(folder))


def _frame(pixels: Pixels) -> NDArray[np.float32]:
    """(1, 3, 1, H, W), BGR, -1 to 1: a film of one picture."""
    frame = pixels[..., ::-1].astype(np.float32) / 127.5 - 1
    return np.ascontiguousarray(frame.transpose(2, 0, 1)[None, :, None])
