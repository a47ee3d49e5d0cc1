"""The watermark schemes of this project by name. `assay verify` tries each of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from generator.errors import InputError
from generator.marking.watermark.interface import Scheme
from generator.marking.watermark.tile_fourier import TileFourier

_TILE_FOURIER = TileFourier()

SCHEMES: Mapping[str, Scheme] = MappingProxyType({_TILE_FOURIER.name: _TILE_FOURIER})
DEFAULT: Scheme = _TILE_FOURIER


def get_scheme(name: str) -> Scheme:
    """The scheme of that name.

    Raises:
        InputError: no such scheme; the message lists the known ones.
    """
    scheme = SCHEMES.get(name)
    if scheme is None:
        raise InputError(f"watermark scheme {name!r}: unknown; expected one of {', '.join(sorted(SCHEMES))}")
    return scheme
