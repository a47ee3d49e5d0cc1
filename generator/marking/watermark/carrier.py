"""The carrier: one square tile, defined by the Fourier coefficients that a key puts into it.

A tile has 128 x 128 lattice steps. Its usable coefficients lie in a ring (high enough to stay invisible, low
enough to survive JPEG and resizing). Some of them, chosen by the key, are pilots: their phases are known
before anything is read and they tell where the lattice lies. All others carry the coded payload: each has a
secret phase, and the sign of one coded bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from generator.marking.payload import LENGTHS, PAYLOAD_BITS, AssetId
from generator.marking.watermark import convolutional
from generator.marking.watermark.keys import WatermarkKey

TILE = 128  # lattice steps per side of a tile
BAND = (0.045, 0.22)  # radius of usable coefficients, cycles per lattice step
PILOT_BAND = (0.06, 0.20)
PILOTS_WANTED = 56  # about 42 fit under the two rules below
PILOT_SPACING = 4.0  # coefficients between two pilots, so that their peaks stay apart
PILOT_AXIS_GAP = 3  # coefficients off either axis, where pictures have their own lines
PILOT_ENERGY = 0.22  # share of the mark's energy

Shift = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Channel:
    """How the data coefficients carry payloads of one length.

    Args:
        bits: length of the payload.
        phasors: complex64 (n_data,), exp(i phi) of the secret phases.
        coded_index: int64 (n_data,), which coded bit each data coefficient carries.
    """

    bits: int
    phasors: NDArray[np.complex64]
    coded_index: NDArray[np.int64]

    def signs(self, value: int) -> NDArray[np.float32]:
        """Sign of every data coefficient for a payload: float32 (n_data,), +1 or -1."""
        signs: NDArray[np.float32] = convolutional.encode(value, self.bits)[self.coded_index]
        return signs

    def project(self, coefficients: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Component of each data coefficient along its secret phase: float32 (n_data,)."""
        component: NDArray[np.float32] = (coefficients * self.phasors.conj()).real
        return component

    def gather(self, projections: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum of the projections per coded bit: float32 (coded_length,), positive for a coded 0."""
        length = convolutional.coded_length(self.bits)
        return np.bincount(self.coded_index, projections, length).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Carrier:
    """Everything that a key decides.

    Args:
        pilots: int64 (n_pilots, 2), (row, column) frequencies, cycles per tile; one half-plane only.
        pilot_phases: float64 (n_pilots,), radians.
        data: int64 (n_data, 2), like pilots.
        channels: by length of the payload; the pilots are the same for all.
    """

    pilots: NDArray[np.int64]
    pilot_phases: NDArray[np.float64]
    data: NDArray[np.int64]
    channels: Mapping[int, Channel]

    def tile(self, payload: AssetId) -> NDArray[np.float32]:
        """The tile that carries a payload: float32 (TILE, TILE), mean 0, root mean square 1."""
        channel = self.channels[payload.bits]
        spectrum = np.zeros((TILE, TILE // 2 + 1), np.complex64)
        pilot_gain = math.sqrt(PILOT_ENERGY / len(self.pilots))
        data_gain = math.sqrt((1 - PILOT_ENERGY) / len(self.data))
        _place(spectrum, self.pilots, pilot_gain * np.exp(1j * self.pilot_phases))
        _place(spectrum, self.data, data_gain * channel.signs(payload.value) * channel.phasors)
        tile: NDArray[np.float32] = np.fft.irfft2(spectrum, (TILE, TILE)).astype(np.float32)
        tile /= np.sqrt(np.mean(tile * tile))
        return tile


@lru_cache(maxsize=8)
def build_carrier(key: WatermarkKey) -> Carrier:
    """The key's carrier (a few ms; kept for the last eight keys)."""
    frequencies = _ring()
    pilot = _choose_pilots(frequencies, key)
    pilots, data = frequencies[pilot], frequencies[~pilot]
    return Carrier(
        pilots=pilots,
        pilot_phases=2 * np.pi * key.uniform("tile-fourier.1/pilot-phases", len(pilots)),
        data=data,
        channels={bits: _open_channel(np.hypot(*data.T), key, bits) for bits in LENGTHS},
    )


def _open_channel(radius: NDArray[np.float64], key: WatermarkKey, bits: int) -> Channel:
    """The key's channel for payloads of `bits` bits on data coefficients of these radii."""
    name = "" if bits == PAYLOAD_BITS else f"-{bits}"
    phases = 2 * np.pi * key.uniform(f"tile-fourier.1/data-phases{name}", len(radius))
    return Channel(
        bits=bits,
        phasors=np.exp(1j * phases).astype(np.complex64),
        coded_index=_interleave(radius, key, f"tile-fourier.1/interleave{name}", bits=bits),
    )


def _ring() -> NDArray[np.int64]:
    """All usable (row, column) frequencies of one half-plane: int64 (n, 2)."""
    rows, columns = np.meshgrid(np.arange(-TILE // 2, TILE // 2), np.arange(TILE // 2), indexing="ij")
    radius = np.hypot(rows, columns) / TILE
    usable = ((columns > 0) | (rows > 0)) & (radius >= BAND[0]) & (radius <= BAND[1])
    return np.stack([rows[usable], columns[usable]], axis=1)


def _choose_pilots(frequencies: NDArray[np.int64], key: WatermarkKey) -> NDArray[np.bool_]:
    """Greedy choice in the key's order: off the axes, inside the pilot band, apart from one another."""
    radius = np.hypot(*frequencies.T) / TILE
    free = (radius >= PILOT_BAND[0]) & (radius <= PILOT_BAND[1])
    free &= np.abs(frequencies).min(axis=1) >= PILOT_AXIS_GAP
    chosen = np.zeros(len(frequencies), bool)
    order = key.permutation("tile-fourier.1/pilots", len(frequencies))
    for index in order:
        if not free[index]:
            continue
        chosen[index] = True
        free &= np.hypot(*(frequencies - frequencies[index]).T) >= PILOT_SPACING
        if chosen.sum() == PILOTS_WANTED:
            break
    return chosen


def _interleave(
    radius: NDArray[np.float64], key: WatermarkKey, label: str, *, bits: int
) -> NDArray[np.int64]:
    """Deal the coded bits of a payload out so that each owns low and high frequencies: int64 (n_data,).

    Coefficients are sorted by slightly jittered radius; every run of as many as there are coded bits gets
    its own permutation of them.
    """
    length = convolutional.coded_length(bits)
    jitter = key.uniform("tile-fourier.1/jitter", len(radius)) - 0.5
    order = np.argsort(radius + 1.7 * jitter, kind="stable")
    coded = np.empty(len(radius), np.int64)
    for start in range(0, len(order), length):
        run = order[start : start + length]
        coded[run] = key.permutation(f"{label}/{start}", length)[: len(run)]
    return coded


def _place(
    spectrum: NDArray[np.complex64], frequencies: NDArray[np.int64], values: NDArray[np.complexfloating]
) -> None:
    """Write coefficients into a half spectrum; column 0 also needs its mirrored rows."""
    rows, columns = frequencies.T
    spectrum[rows % TILE, columns] = values
    edge = columns == 0
    spectrum[-rows[edge] % TILE, 0] = values[edge].conj()
