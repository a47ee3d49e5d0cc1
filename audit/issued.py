"""Which issued seed made this picture? The mark of sampling, read against the seeds of a run or a list.

The answer survives when every byte of metadata is gone, and it needs no mark in the pixels: the choices of the
embedded families and the starting noise of a diffusers pipeline are keyed (`generator.sampling_mark`). It names a
sampler and a seed; it proves no origin. `generator.sampling_readers` reads it; the seeds come from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.combination import check_combined
from audit.evidence import Check
from audit.provenance.checks_sampling import SAMPLING, judge_sampling
from audit.run import RunDirectory
from generator.errors import InputError
from generator.marking.watermark.keyring import Keyring
from generator.marking.watermark.registry import DEFAULT
from generator.noise import PUBLIC_KEY
from generator.sampling_keys import BY_FAMILY, Issued, SamplingKey
from generator.sources import Source

if TYPE_CHECKING:  # it imports torch
    from generator.sampling_readers import SamplingMark


def load_issued(
    path: Path,
    *,
    source: Source = Source(),  # noqa: B008 - frozen
    secret: bytes = PUBLIC_KEY,
) -> Issued:
    """Read issued seeds.

    Args:
        path: a run directory, whose record says the generator, or a text file with one seed a line.
        source: of the seeds of a text file.
        secret: sampling key that they were issued under, 16 to 64 bytes.

    Raises:
        InputError: no such file, no seed in it, a generator that leaves no mark, or a secret of another length.
    """
    if path.is_dir():
        return _issued_by_run(RunDirectory.open(path), secret)
    try:
        words = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list of seeds ({error})") from error
    if source.family not in ("", *BY_FAMILY):
        raise InputError(f"family {source.family!r} leaves no sampling mark; use {', '.join(BY_FAMILY)}")
    if source.is_foreign:
        raise InputError(f"{source.spec} leaves no sampling mark: its noise is not ours")
    return Issued(SamplingKey(secret, seeds=_seeds(words, path)), source)


def _issued_by_run(run: RunDirectory, secret: bytes) -> Issued:
    images = run.rows("images").dropna(subset=["seed"])
    config = run.record().get("config") or {}
    source = Source.from_json(config["source"]) if "source" in config else Source()
    if source.kind == "embedded":
        families = {name.removeprefix("assay-") for name in images["generator"].dropna()}
        if len(families) != 1 or not families <= set(BY_FAMILY):
            raise InputError(
                f"{run.path}: its generator ({', '.join(sorted(families)) or 'none'}) leaves no sampling mark; "
                f"give a run of one of {', '.join(BY_FAMILY)}, or of a diffusers pipeline"
            )
        source = Source(family=families.pop())
    elif source.is_foreign:
        raise InputError(f"{run.path}: {source.spec} leaves no sampling mark: its noise is not ours")
    digests = set(images.get("weights_digest", pd.Series(dtype=str)).dropna())
    return Issued(
        SamplingKey(secret, seeds=_seeds(images["seed"].astype(str).tolist(), run.path)),
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


def check_picture(
    pixels: NDArray[np.uint8], issued: Issued, mark: SamplingMark, *, keyring: Keyring | None = None
) -> tuple[Check, ...]:
    """Whether one of the issued seeds made a picture, and what that and the watermark say together.

    Args:
        pixels: uint8 (H, W, 3).
        issued: the seeds.
        mark: of the generator they were issued to, see `sampling_readers.load_mark`.
        keyring: the deployment's watermark keys; None reads the picture as it is.
    """
    if keyring is None:
        return (judge_sampling(mark.detect(pixels, key=issued.key)),)
    watermark = keyring.detect(DEFAULT, pixels)
    found = mark.detect(pixels, key=issued.key, mark=watermark, mark_key=keyring.get(watermark.key_id))
    # The keys of both marks are drawn independently, and the second reading is valid whatever the first one found.
    together = check_combined({DEFAULT.name: watermark.log10_p, SAMPLING: found.log10_p}, rule="sequential")
    return judge_sampling(found), together
