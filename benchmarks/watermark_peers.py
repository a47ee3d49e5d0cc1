"""Other watermarks under the same attacks, where their packages are installed; and what TrustMark publishes.

Nothing of theirs is needed by this project: `pip install invisible-watermark blind-watermark onnxruntime`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.attacks import Pixels
from benchmarks.watermark_survival import Contender

TRUSTMARK_PUBLISHED: dict[str, object] = {
    "name": "TrustMark 0.9 (published figures, not measured here)",
    "source": "CONFIG.md and FAQ.md of github.com/adobe/trustmark, variant Q",
    "psnr": "43 to 45 dB",
    "payload": "61 bits with BCH_5",
    "claim": "above 96 % bit accuracy under severe noise; crops of up to 20 % of the area; rotation not claimed",
}


def _message(bits: int, seed: int) -> list[int]:
    return [int(bit) for bit in np.random.default_rng([seed, 7]).integers(0, 2, bits)]


@dataclass(frozen=True)
class InvisibleWatermark:
    """invisible-watermark (MIT), method dwtDct, dwtDctSvd or rivaGan (32 bits only), at its defaults."""

    name: str
    bits: int

    def embed(self, pixels: Pixels, seed: int) -> Pixels | None:
        """See `Contender`."""
        encoder = _module("imwatermark").WatermarkEncoder()
        encoder.set_watermark("bits", _message(self.bits, seed))
        marked = encoder.encode(np.ascontiguousarray(pixels[..., ::-1]), self.name)
        return np.ascontiguousarray(marked[..., ::-1]).astype(np.uint8)

    def reads(self, pixels: Pixels, seed: int) -> bool:
        """See `Contender`; the package decodes pictures of at least 256 x 256 px only."""
        if pixels.shape[0] * pixels.shape[1] < 256 * 256:
            return False
        decoder = _module("imwatermark").WatermarkDecoder("bits", self.bits)
        bits = decoder.decode(np.ascontiguousarray(pixels[..., ::-1]), self.name)
        return [int(bit) for bit in bits] == _message(self.bits, seed)


@dataclass(frozen=True)
class BlindWatermark:
    """blind-watermark (MIT) at its defaults; the reader is told the length, as the package demands."""

    name: str = "blind-watermark"
    bits: int = 64

    def _tool(self) -> Any:  # noqa: ANN401 - a foreign, untyped class
        return _module("blind_watermark").WaterMark(password_img=1, password_wm=1, mode="common")

    def embed(self, pixels: Pixels, seed: int) -> Pixels | None:
        """See `Contender`."""
        tool = self._tool()
        tool.read_img(img=np.ascontiguousarray(pixels[..., ::-1]))
        tool.read_wm([bool(bit) for bit in _message(self.bits, seed)], mode="bit")
        marked = np.clip(np.rint(tool.embed()), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(marked[..., ::-1])

    def reads(self, pixels: Pixels, seed: int) -> bool:
        """See `Contender`; a picture too small for the package's blocks is not read."""
        try:
            bits = self._tool().extract(
                embed_img=np.ascontiguousarray(pixels[..., ::-1]), wm_shape=self.bits, mode="bit"
            )
        except (AssertionError, IndexError, ValueError):
            return False
        return [int(bit > 0.5) for bit in bits] == _message(self.bits, seed)


def _module(name: str) -> Any:  # noqa: ANN401 - a foreign, untyped package
    module = importlib.import_module(name)
    if name == "blind_watermark":
        importlib.import_module("blind_watermark.blind_watermark").bw_notes.close()  # it prints a greeting
    return module


@dataclass(frozen=True)
class Peer:
    """A contender, the packages it needs, and how many pictures its cost allows."""

    contender: Contender
    needs: tuple[str, ...]
    most_pictures: int
    prepare: Callable[[], None] = lambda: None


def _load_rivagan() -> None:
    _module("imwatermark").WatermarkEncoder.loadModel()


PEERS = (
    Peer(InvisibleWatermark("dwtDct", 48), ("imwatermark", "pywt", "torch"), 24),
    Peer(InvisibleWatermark("dwtDctSvd", 48), ("imwatermark", "pywt", "torch"), 24),
    Peer(
        InvisibleWatermark("rivaGan", 32), ("imwatermark", "pywt", "torch", "onnxruntime"), 2, _load_rivagan
    ),
    Peer(BlindWatermark(), ("blind_watermark", "pywt"), 8),
)


def missing_packages(peer: Peer) -> list[str]:
    """What is not installed of what a peer needs."""
    return [name for name in peer.needs if importlib.util.find_spec(name) is None]
