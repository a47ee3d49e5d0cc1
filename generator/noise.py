"""The only source of randomness of sampling: a keyed function of integers, the same on every machine.

    word(seed, i) = the first 64 bits of AES_key(seed, i);   uniform = (its upper 53 bits + 1/2) / 2^53

Sampling by Gumbel-max, argmax(log p + Gumbel), draws from p exactly, so a sampler that takes its noise from here
follows the model's distribution to the letter, and each of its choices is one keyed choice that a holder of the key
can test later (`generator.sampling_mark`). Only integers enter: no device, thread or batch has a say. Any number can
be computed without those before it, and processors compute AES in hardware: a million seeds are tested in seconds.

Sources: Gumbel-max, arXiv:1410.5401 section 2; counter-based random numbers, Salmon et al., SC 2011; AES, FIPS 197;
BLAKE2, RFC 7693.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from generator.errors import InputError

PUBLIC_KEY = b"assay-audit: public sampling key, version 1"
"""Used when nobody gives a key. It is public: it makes images repeatable and proves nothing about their origin."""

SEED_LIMIT = 2**64


def uniforms(seed: int, *, key: bytes = PUBLIC_KEY, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform numbers strictly between 0 and 1, determined by the seed and the key alone.

    Args:
        seed: of one image, 0 to 2^64 - 1.
        key: 16 to 64 bytes; whoever knows it can recompute the numbers.
        shape: the first numbers do not depend on how many follow.

    Raises:
        InputError: seed or key out of range.
    """
    count = int(np.prod(shape, dtype=np.int64))
    return uniforms_at(check_seeds([seed]), np.arange(count), key=key).reshape(shape)


def uniforms_at(
    seeds: NDArray[np.uint64], numbers: NDArray[np.int64], *, key: bytes = PUBLIC_KEY
) -> NDArray[np.float64]:
    """Chosen numbers of many seeds: `uniforms(seed, ...)` flattened, at the positions `numbers`.

    Args:
        seeds: (n,), see `check_seeds`.
        numbers: (m,), positions from 0.
        key: as in `uniforms`.

    Returns:
        (n, m)
    """
    return ((words_at(seeds, numbers, key=key) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def check_seeds(seeds: Sequence[int] | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Seeds as integers of the noise.

    Raises:
        InputError: one is not 0 to 2^64 - 1.
    """
    if isinstance(seeds, np.ndarray) and seeds.dtype == np.uint64:
        return seeds
    for seed in seeds:
        if not 0 <= seed < SEED_LIMIT:
            raise InputError(f"seed is {seed}, expected 0 to {SEED_LIMIT - 1}; choose another seed")
    return np.array(seeds, dtype=np.uint64)


def words_at(
    seeds: NDArray[np.uint64], numbers: NDArray[np.int64], *, key: bytes = PUBLIC_KEY
) -> NDArray[np.uint64]:
    """The 64 random bits behind `uniforms_at`, (n, m)."""
    if not 16 <= len(key) <= 64:
        raise InputError(
            f"sampling key has {len(key)} bytes, expected 16 to 64; draw one with secrets.token_bytes"
        )
    blocks = np.empty((len(seeds), len(numbers), 2), dtype="<u8")
    blocks[:, :, 0] = seeds[:, None]
    blocks[:, :, 1] = numbers
    encrypted = np.empty(
        blocks.nbytes + 15, dtype=np.uint8
    )  # the library asks for a block less a byte to spare
    secret = hashlib.blake2b(key=key, person=b"assay/noise", digest_size=32).digest()
    # Every block is encrypted once under its own number: this is counter mode with the counter written out.
    encryptor = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()  # noqa: S305
    size = encryptor.update_into(blocks.reshape(-1).view(np.uint8).data, encrypted.data)
    words: NDArray[np.uint64] = encrypted[:size].view("<u8").reshape(blocks.shape)[:, :, 0]
    return words


def gumbels(uniform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard Gumbel noise of uniform numbers in (0, 1); same shape."""
    return -np.log(-np.log(uniform))


def choose_units(
    logits: NDArray[np.floating], noise: NDArray[np.float64], *, levels: tuple[int, ...]
) -> NDArray[np.int64]:
    """Sample FSQ levels from a joint distribution, one dimension after the other.

    The chain rule is exact: p(a, b, c, d) = p(a) p(b | a) p(c | a, b) p(d | a, b, c), where a marginal is a
    log-sum-exp of the joint logits over the dimensions still to come.

    Args:
        logits: (B, prod(levels)), joint, the first dimension the most significant; need not be normalised.
        noise: Gumbel, (B, sum(levels)): one number per level of each dimension.
        levels: of each dimension.

    Returns:
        Chosen levels, (B, len(levels)).
    """
    batch = len(logits)
    rows = np.arange(batch)
    joint = np.asarray(logits, dtype=np.float64)
    chosen = np.empty((batch, len(levels)), dtype=np.int64)
    start = 0
    for dimension, count in enumerate(levels):
        joint = joint.reshape(batch, count, -1)  # (B, this dimension, all later ones)
        peak = joint.max(axis=2)
        marginal = peak + np.log(np.exp(joint - peak[:, :, None]).sum(axis=2))
        choice = (marginal + noise[:, start : start + count]).argmax(axis=1)
        chosen[:, dimension] = choice
        joint = joint[rows, choice]
        start += count
    return chosen
