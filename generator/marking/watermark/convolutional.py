"""Convolutional code (constraint length 9, rate 1/4) with a soft-decision Viterbi decoder for many messages at once.

Every input bit leaves four coded bits that depend on it and the eight bits before it. Eight zero bits at the
end bring the encoder back to state 0, so that the last payload bits are as well protected as the others.

Better codes were tried on what 41 attacks left of the mark in 16 photographs at 46 dB: tail-biting and memories of
10, 12 and 14 bits read at most 0.6 % more identifiers of 64 bits and 2.3 % more of 128, at 2 to 200 times the cost.
The bound on the p-value asks for nearly as much signal as this code.

Source: generators 463, 535, 733, 745 (octal), the maximum-free-distance code of Larsen, IEEE Trans. Inf.
Theory 19(3), 1973 (free distance 24); A. Viterbi, IEEE Trans. Inf. Theory 13(2), 1967.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

GENERATORS = (0o463, 0o535, 0o733, 0o745)
MEMORY = 8
STATES = 1 << MEMORY
RATE = len(GENERATORS)
_UNREACHABLE = -1e9  # metric of the states that the encoder cannot start in


def coded_length(bits: int) -> int:
    """Number of coded bits for a payload of `bits` bits."""
    return RATE * (bits + MEMORY)


@cache
def _branch_signs() -> NDArray[np.float32]:
    """Coded bits of every transition as signs (bit 0 is +1, bit 1 is -1), float32 (4, 2, STATES / 2, 2).

    The state is the last eight bits, newest on top, so state (bit, j) is reached from states 2 j and 2 j + 1
    by that bit: axis 1 is the new bit, axis 2 is j, axis 3 chooses the predecessor.
    """
    register = np.arange(2 * STATES)  # new bit on top, then the old state
    signs = np.empty((RATE, 2 * STATES), np.float32)
    for row, generator in enumerate(GENERATORS):
        signs[row] = 1 - 2 * (np.bitwise_count(register & generator) & 1).astype(np.float32)
    return signs.reshape(RATE, 2, STATES // 2, 2)


def encode(value: int, bits: int) -> NDArray[np.float32]:
    """Code an unsigned integer of `bits` bits, most significant first.

    Returns:
        float32 (coded_length(bits),), +1 for a coded 0 and -1 for a coded 1.
    """
    signs = _branch_signs().reshape(RATE, 2 * STATES)
    state, coded = 0, []
    for position in range(bits - 1, -MEMORY - 1, -1):
        bit = (value >> position) & 1 if position >= 0 else 0
        register = bit << MEMORY | state
        coded.append(signs[:, register])
        state = register >> 1
    return np.concatenate(coded)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The best path, and by how much it won.

    Args:
        value: payload as an unsigned integer.
        lead: metric of the best path minus that of the best path with another payload, >= 0.
    """

    value: int
    lead: float


def decode(soft: NDArray[np.float32]) -> list[Decoded]:
    """Maximum-likelihood payloads of soft coded bits.

    Args:
        soft: float32 (n, coded_length(bits)), log-likelihood ratios up to a positive factor per row; positive
            means a coded 0.

    Returns:
        One payload per row; always one, whatever the input: the caller decides by a p-value.
    """
    rows, steps = len(soft), soft.shape[1] // RATE
    coded = np.ascontiguousarray(soft.reshape(rows, steps, RATE).transpose(1, 2, 0), np.float32)
    # All generators begin and end with a 1, so either the new bit or the oldest one turns all four signs.
    metrics = np.matmul(_branch_signs()[:, 0, :, 0].T, coded)  # (steps, STATES / 2, rows)
    branches = np.stack([metrics, -metrics], axis=1)
    paths = np.full((1, STATES // 2, 2, rows), _UNREACHABLE, np.float32)
    paths[0, 0, 0] = 0.0
    differences = np.empty((steps, 2, STATES // 2, rows), np.float32)  # above 0: came from state 2 j + 1
    for step in range(steps):
        first = paths[:, :, 0] + branches[step]
        second = paths[:, :, 1] - branches[step]
        np.subtract(second, first, out=differences[step])
        paths = np.maximum(first, second).reshape(1, STATES // 2, 2, rows)
    return _trace_back(differences.reshape(steps, STATES, rows))


def _trace_back(differences: NDArray[np.float32]) -> list[Decoded]:
    """Follow the survivors back from state 0; the tail bits are dropped.

    Every path with another payload joins the best path for good at some step, where it lost to it; the
    runner-up is the one that lost there by the least.

    Args:
        differences: float32 (steps, STATES, rows).
    """
    steps, _, rows = differences.shape
    row = np.arange(rows)
    state = np.zeros(rows, np.int64)
    lead = np.full(rows, np.inf, np.float32)
    bits = np.empty((steps, rows), np.uint8)
    for step in range(steps - 1, -1, -1):
        bits[step] = state >> (MEMORY - 1)
        difference = differences[step, state, row]
        np.minimum(lead, np.abs(difference), out=lead)
        state = (state << 1 & (STATES - 1)) | (difference > 0)
    packed = np.packbits(bits[: steps - MEMORY], axis=0).T  # most significant first
    spare = -(steps - MEMORY) % 8
    values = [int.from_bytes(line.tobytes(), "big") >> spare for line in packed]
    return [Decoded(value=value, lead=float(least)) for value, least in zip(values, lead, strict=True)]
