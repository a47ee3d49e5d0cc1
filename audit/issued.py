"""Which issued seed made this picture? The mark of sampling, read against the seeds of a run or a list.

The answer survives when every byte of metadata is gone, and it needs no mark in the pixels: the choices of the
embedded families and the starting noise of a diffusers pipeline are keyed (`generator.sampling_mark`). It names a
sampler and a seed; it proves no origin.

A mark of sampling lives in the generator's own grid, so a crop or a rotation hides it. Where the watermark is found,
its geometry lays the picture as it was before the mark is read. Everything that is tried is paid for: the p-value is
corrected for seeds and placements, whose number is settled before the sampling key has a say. Under the public key
it holds for pictures that were made without that key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.combination import check_combined
from audit.evidence import Check, Status
from audit.run import RunDirectory
from generator.embedded import FAMILIES, MARKED, EmbeddedGenerator
from generator.errors import InputError
from generator.marking.watermark.interface import Geometry
from generator.marking.watermark.keyring import Keyring
from generator.marking.watermark.realign import Realigned, realign
from generator.marking.watermark.registry import DEFAULT
from generator.noise import PUBLIC_KEY
from generator.sampling_mark import MarkReading
from generator.sources import Source

NAME = "watermark.sampling"
BOUND = 1e-6
"""Largest p-value, corrected for all that was tried, at which a seed is named."""


class Reader(Protocol):
    """A generator that finds the noise of its pictures again."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its pictures, px."""

    @property
    def weights_digest(self) -> str:
        """`sha256:` digest of the weights."""

    def read_mark(
        self,
        pixels: NDArray[np.uint8],
        seeds: Sequence[int] | NDArray[np.uint64],
        *,
        keys: Sequence[bytes],
        seen: NDArray[np.float32] | None = None,
    ) -> MarkReading:
        """Which of the seeds made the picture."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Seeds that a generator was given.

    Attributes:
        seeds: uint64 (n,), at least one, without repeats.
        source: the generator.
        weights_digest: of the weights it had then; empty when not known.
    """

    seeds: NDArray[np.uint64]
    source: Source
    weights_digest: str = ""


def load_issued(path: Path, *, source: Source = Source()) -> Issued:  # noqa: B008 - frozen
    """Read issued seeds.

    Args:
        path: a run directory, whose record says the generator, or a text file with one seed a line.
        source: of the seeds of a text file.

    Raises:
        InputError: no such file, no seed in it, or a generator that leaves no mark.
    """
    if path.is_dir():
        return _issued_by_run(RunDirectory.open(path))
    try:
        words = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list of seeds ({error})") from error
    if source.family not in ("", *FAMILIES):
        raise InputError(f"family {source.family!r} is unknown; use {', '.join(MARKED)}")
    if source.is_foreign:
        raise InputError(f"{source.spec} leaves no sampling mark: its noise is not ours")
    return Issued(_seeds(words, path), source)


def _issued_by_run(run: RunDirectory) -> Issued:
    images = run.rows("images").dropna(subset=["seed"])
    config = run.record().get("config") or {}
    source = Source.from_json(config["source"]) if "source" in config else Source()
    if source.kind == "embedded":
        families = {name.removeprefix("assay-") for name in images["generator"].dropna()}
        if len(families) != 1 or not families <= set(MARKED):
            raise InputError(
                f"{run.path}: its generator ({', '.join(sorted(families)) or 'none'}) leaves no sampling mark; "
                f"give a run of one of {', '.join(MARKED)}, or of a diffusers pipeline"
            )
        source = Source(family=families.pop())
    elif source.is_foreign:
        raise InputError(f"{run.path}: {source.spec} leaves no sampling mark: its noise is not ours")
    digests = set(images.get("weights_digest", pd.Series(dtype=str)).dropna())
    return Issued(
        _seeds(images["seed"].astype(str).tolist(), run.path),
        source,
        digests.pop() if len(digests) == 1 else "",
    )


def _seeds(words: Sequence[str], where: Path) -> NDArray[np.uint64]:
    bad = next(
        (word for word in words if not (word.isascii() and word.isdigit() and int(word) < 2**64)), None
    )
    if bad is not None or not words:
        raise InputError(f"{where}: {bad!r} is no seed; expected one number from 0 to 2^64 - 1 a line")
    return np.unique(np.array([int(word) for word in words], dtype=np.uint64))


def load_reader(issued: Issued) -> Reader:
    """The generator that the seeds were issued to.

    Raises:
        InputError: it is not there, or it has other weights than then.
        WeightsError: the embedded weights are damaged.
        CannotCheckError: a library is missing, or the model cannot be loaded.
    """
    reader: Reader
    source = issued.source
    if source.kind == "embedded":
        reader = EmbeddedGenerator.load(family=source.family or MARKED[0])
    else:
        from generator.adapters.diffusers import DiffusersGenerator

        reader = DiffusersGenerator(
            source.target, source.options, guidance=source.guidance, negative=source.negative
        )
    if issued.weights_digest and reader.weights_digest != issued.weights_digest:
        raise InputError(
            f"the seeds were given to weights {issued.weights_digest[:19]}, the model here has "
            f"{reader.weights_digest[:19]}; restore the model of that run"
        )
    return reader


def check_picture(
    pixels: NDArray[np.uint8],
    issued: Issued,
    reader: Reader,
    *,
    key: bytes = PUBLIC_KEY,
    keyring: Keyring | None = None,
) -> tuple[Check, ...]:
    """Whether one of the issued seeds made a picture, and what that and the watermark say together.

    Args:
        pixels: uint8 (H, W, 3).
        issued: the seeds.
        reader: the generator they were issued to.
        key: of the sampling noise.
        keyring: the deployment's watermark keys; None reads the picture as it is.
    """
    if keyring is None:
        return (_judge(_read(pixels, (), issued, reader, key=key), issued, key=key),)
    mark = keyring.detect(DEFAULT, pixels)
    placements = realign(pixels, mark, key=keyring.get(mark.key_id), size=reader.size)
    found = _read(pixels, placements, issued, reader, key=key)
    check = _judge(found, issued, key=key, geometry=mark.geometry if found.laid else None)
    # The keys of both marks are drawn independently, and the second reading is valid whatever the first one found.
    return check, check_combined({DEFAULT.name: mark.log10_p, NAME: found.log10_p}, rule="sequential")


@dataclass(frozen=True, slots=True)
class _Found:
    """The reading of smallest p-value.

    Attributes:
        reading: as it was made.
        log10_p: corrected for the placements also.
        as_is: log10 p of the picture as it came, corrected for the seeds alone.
        laid: whether it is a reading of the picture as its watermark lays it.
    """

    reading: MarkReading
    log10_p: float
    as_is: float
    laid: bool


def _read(
    pixels: NDArray[np.uint8],
    placements: Sequence[Realigned],
    issued: Issued,
    reader: Reader,
    *,
    key: bytes,
) -> _Found:
    """Read a picture as it came and in every placement."""
    if pixels.shape[:2] != reader.size:
        pixels = np.asarray(cv2.resize(pixels, reader.size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    readings = [reader.read_mark(pixels, issued.seeds, keys=(key,))]
    for placed in placements:
        readings.append(reader.read_mark(placed.pixels, issued.seeds, keys=(key,), seen=placed.seen))
    best = min(readings, key=lambda reading: reading.log10_p)
    log10_p = min(0.0, best.log10_p + math.log10(len(readings)))
    return _Found(best, log10_p, as_is=readings[0].log10_p, laid=best is not readings[0])


def _judge(found: _Found, issued: Issued, *, key: bytes, geometry: Geometry | None = None) -> Check:
    named = found.log10_p <= math.log10(BOUND)
    public = " The key is public, so anyone could have made it." if key == PUBLIC_KEY else ""
    laid = f" It was read after undoing {_describe(geometry)}, which the watermark tells." if geometry else ""
    tried = found.reading.tried
    if named:
        reason = (
            f"Seed {found.reading.seed} of {_maker(issued.source)} made this picture: one of other origin agrees "
            f"this well with any of {tried} seeds with probability 10^{found.log10_p:.1f} at most.{laid}{public}"
        )
    else:
        reason = (
            f"None of {tried} seeds is named: the best one reaches p = {10**found.log10_p:.2g}, more than "
            f"{BOUND:g}. The picture is of other origin, or changed too much."
        )
    return Check(
        name=NAME,
        status=Status.PASS if named else Status.INCONCLUSIVE,
        reason=reason,
        value=found.log10_p,
        unit="log10 p",
        threshold=math.log10(BOUND),
        source="generator.sampling_mark",
        next_step="" if named else "Undo a crop or rotation that the watermark does not tell.",
        details={
            "seed": str(found.reading.seed) if named else None,
            "tried": tried,
            "public_key": bool(public),
            "log10_p_as_is": found.as_is,
            "undone": _describe(geometry) if geometry else None,
        },
    )


def _maker(source: Source) -> str:
    return source.spec if source.target else f"the {source.family or MARKED[0]} family"


def _describe(geometry: Geometry) -> str:
    """What happened to a picture, in words."""
    parts = [f"a rotation by {geometry.rotation:.1f} degrees"] if abs(geometry.rotation) >= 0.05 else []
    parts += ["a mirroring"] if geometry.flipped else []
    parts += [f"a scaling by {geometry.scale:.3f}"] if abs(geometry.scale - 1) >= 0.002 else []
    return ", ".join(parts) or "a crop"
