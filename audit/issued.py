"""Which issued seed made this picture? The mark of sampling, read against the seeds of a run or a list.

The answer survives when every byte of metadata is gone, and it needs no mark in the pixels: the embedded generator's
choices are keyed (`generator.sampling_mark`). It names a sampler and a seed; it proves no origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audit.evidence import Check, Status
from audit.run import RunDirectory
from generator.embedded import FAMILIES, MARKED, EmbeddedGenerator
from generator.errors import InputError
from generator.noise import PUBLIC_KEY

NAME = "watermark.sampling"
BOUND = 1e-6
"""Largest p-value, corrected for the seeds tried, at which a seed is named."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Seeds that a generator was given.

    Attributes:
        seeds: uint64 (n,), at least one, without repeats.
        family: of the embedded generator.
    """

    seeds: NDArray[np.uint64]
    family: str


def load_issued(source: Path, *, family: str = "autoregressive") -> Issued:
    """Read issued seeds.

    Args:
        source: a run directory, whose record says the family, or a text file with one seed a line.
        family: of the seeds of a text file.

    Raises:
        InputError: no such file, no seed in it, or a run of a generator that leaves no mark.
    """
    if source.is_dir():
        images = RunDirectory.open(source).rows("images").dropna(subset=["seed"])
        families = {name.removeprefix("assay-") for name in images["generator"].dropna()}
        known = sorted(families & set(MARKED))
        if len(known) != 1 or len(families) != 1:
            raise InputError(
                f"{source}: its generator ({', '.join(sorted(families)) or 'none'}) leaves no sampling mark; "
                f"give a run of one of {', '.join(MARKED)}"
            )
        words, family = images["seed"].astype(str).tolist(), known[0]
    else:
        try:
            words = source.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{source}: cannot be read as a list of seeds ({error})") from error
    if family not in FAMILIES:
        raise InputError(f"family {family!r} is unknown; use {', '.join(MARKED)}")
    bad = next(
        (word for word in words if not (word.isascii() and word.isdigit() and int(word) < 2**64)), None
    )
    if bad is not None or not words:
        raise InputError(f"{source}: {bad!r} is no seed; expected one number from 0 to 2^64 - 1 a line")
    return Issued(np.unique(np.array([int(word) for word in words], dtype=np.uint64)), family)


def check_seed(
    pixels: NDArray[np.uint8], issued: Issued, generator: EmbeddedGenerator, *, key: bytes = PUBLIC_KEY
) -> Check:
    """Whether one of the issued seeds made a picture, uint8 (H, W, 3), upright and whole."""
    reading = generator.read_mark(pixels, issued.seeds, keys=(key,))
    named = reading.log10_p <= np.log10(BOUND)
    public = " The key is public, so anyone could have made it." if key == PUBLIC_KEY else ""
    if named:
        reason = (
            f"Seed {reading.seed} of the {issued.family} family made this picture: a picture of other origin agrees "
            f"this well with any of {reading.tried} seeds with probability 10^{reading.log10_p:.1f} at most.{public}"
        )
    else:
        reason = (
            f"None of {reading.tried} seeds is named: the best one reaches p = {10**reading.log10_p:.2g}, more than "
            f"{BOUND:g}. The picture is of other origin, or changed too much."
        )
    return Check(
        name=NAME,
        status=Status.PASS if named else Status.INCONCLUSIVE,
        reason=reason,
        value=reading.log10_p,
        unit="log10 p",
        threshold=float(np.log10(BOUND)),
        source="generator.sampling_mark",
        next_step="" if named else "Undo a crop or rotation first; assay verify reads the pixel watermark.",
        details={
            "seed": str(reading.seed) if named else None,
            "tried": reading.tried,
            "public_key": bool(public),
        },
    )
