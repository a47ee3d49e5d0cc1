"""Every technique that pixels can be read for under a key, by name.

`SCHEMES` are those that we publish with, always there. `list_entries` names every other one too: techniques of others
bring the bits, and `adapters` puts our key, identifier and p-value on top; marks of sampling are left only while a
picture is made, and are read here alone. One that lacks its library or its model is absent by name, with the reason.
Nothing is imported before it is used; what needs torch lives outside `generator.marking` and is named here by text
only.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

from generator.errors import InputError
from generator.marking.identity import assay_home
from generator.marking.watermark.interface import Reader, Scheme
from generator.marking.watermark.tile_fourier import TileFourier

_TILE_FOURIER = TileFourier()

SCHEMES: Mapping[str, Scheme] = MappingProxyType({_TILE_FOURIER.name: _TILE_FOURIER})
DEFAULT: Scheme = _TILE_FOURIER

MODELS = "watermarks"
"""Folder of the assay home for the models of others, and for the learned one after `assay train watermark`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One technique of the registry.

    Args:
        name: of the technique.
        title: what people call it.
        missing: why it cannot be used here; empty when it can.
        load: makes it ready to use, a `Scheme` if it embeds; raises CannotCheckError (WeightsError for a damaged
            model) or InputError.
        embeds: whether it marks finished pixels also.
    """

    name: str
    title: str
    missing: str
    load: Callable[[], Reader]
    embeds: bool = True


def list_entries(folder: Path | None = None) -> tuple[Entry, ...]:
    """Every technique known by name, available or not; no model is opened.

    Args:
        folder: of the models; default `MODELS` in the assay home.
    """
    folder = assay_home() / MODELS if folder is None else folder
    ours = Entry(DEFAULT.name, "tile-Fourier, this project's own", "", lambda: DEFAULT)
    return (ours, *(other.find(folder) for other in _OTHERS))


def get_scheme(name: str, *, folder: Path | None = None) -> Scheme:
    """The scheme of that name, to mark pixels with; `folder` as for `list_entries`.

    Raises:
        InputError: no such scheme, it only reads, or something that it needs is missing; the message says which.
        WeightsError: its model is damaged.
    """
    if name in SCHEMES:
        return SCHEMES[name]
    entries = {entry.name: entry for entry in list_entries(folder)}
    if name in entries and not entries[name].embeds:
        raise InputError(
            f"watermark scheme {name!r}: is left while a picture is made; it marks no finished picture"
        )
    if name not in entries:
        raise InputError(f"watermark scheme {name!r}: unknown; expected one of {', '.join(sorted(entries))}")
    if entries[name].missing:
        raise InputError(f"watermark scheme {name!r}: cannot be used here: {entries[name].missing}")
    return cast(Scheme, entries[name].load())


@dataclass(frozen=True, slots=True)
class _Other:
    """A technique that may be missing.

    Args:
        name: of the technique.
        title: what people call it.
        source: "module:function" that makes it from the folder of models.
        packages: that must be installed.
        files: that must be in the folder of models.
        embeds: whether it marks finished pixels also.
    """

    name: str
    title: str
    source: str
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    embeds: bool = True

    def find(self, folder: Path) -> Entry:
        absent = [package for package in self.packages if importlib.util.find_spec(package) is None]
        lacking = [folder / file for file in self.files if not (folder / file).is_file()]
        missing = ""
        if absent:
            missing = f"the Python package {absent[0]} is not installed"
        elif lacking:
            missing = f"there is no file {lacking[0]}"
        return Entry(self.name, self.title, missing, lambda: self._load(folder), embeds=self.embeds)

    def _load(self, folder: Path) -> Reader:
        module, _, function = self.source.partition(":")
        reader: Reader = getattr(importlib.import_module(module), function)(folder)
        return reader


_PREFIX = "io.github.assay-audit."
_NUMPY = "generator.marking.watermark.adapters.invisible_watermark:"
_TORCH = "generator.watermark_checkpoints:"
_SAMPLING = "generator.sampling_readers:"
_OTHERS = (
    _Other(f"{_PREFIX}dwtdct.1", "dwtDct of invisible-watermark", f"{_NUMPY}load_dwtdct"),
    _Other(f"{_PREFIX}dwtdctsvd.1", "dwtDctSvd of invisible-watermark", f"{_NUMPY}load_dwtdctsvd"),
    _Other(
        f"{_PREFIX}rivagan.1",
        "rivaGan of invisible-watermark",
        f"{_NUMPY}load_rivagan",
        packages=("onnxruntime",),
        files=("rivagan_encoder.onnx", "rivagan_decoder.onnx"),
    ),
    _Other(
        f"{_PREFIX}trustmark.1",
        "TrustMark",
        f"{_TORCH}load_trustmark",
        packages=("torch",),
        files=("trustmark_encoder.pt", "trustmark_decoder.pt"),
    ),
    _Other(
        f"{_PREFIX}wam.1",
        "Watermark Anything",
        f"{_TORCH}load_watermark_anything",
        packages=("torch",),
        files=("wam_encoder.pt", "wam_decoder.pt"),
    ),
    _Other(
        f"{_PREFIX}pixelseal.1",
        "Pixel Seal",
        f"{_TORCH}load_pixel_seal",
        packages=("torch",),
        files=("pixelseal.pt",),
    ),
    _Other(
        f"{_PREFIX}learned.1",
        "the learned scheme of `assay train watermark`",
        "generator.learned_watermark:load_learned",
        packages=("torch",),
        files=("watermark.safetensors", "watermark.json"),
    ),
    _Other(
        f"{_PREFIX}sampling-tokens.1",
        "token mark of the autoregressive and masked families",
        f"{_SAMPLING}load_tokens",
        packages=("torch",),
        embeds=False,
    ),
    _Other(
        f"{_PREFIX}sampling-noise.1",
        "noise mark of the diffusion family",
        f"{_SAMPLING}load_noise",
        packages=("torch",),
        embeds=False,
    ),
    _Other(
        f"{_PREFIX}sampling-latents.1",
        "noise mark in the latents of a diffusers pipeline",
        f"{_SAMPLING}load_latents",
        packages=("torch", "diffusers"),
        files=("diffusers/model_index.json",),
        embeds=False,
    ),
)
"""What others put into pixels, under keys and with p-values of this project; then what sampling leaves in them."""
