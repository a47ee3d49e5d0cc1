"""Watermarks beside ours: every technique of the registry, and the public marks of others.

Asked only when the user wants the full search by name: some cost seconds, and some load torch. Techniques that mark
finished pixels are read under our watermark key; marks of sampling under the sampling key and the seeds that were
issued under it, where the user names those. How many are asked is known before the picture is looked at, and each is
held to its share of one level (Bonferroni), so that more techniques do not mean more false alarms.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from audit.provenance.layers import Asked, Others
from generator.errors import CannotCheckError, InputError, WeightsError
from generator.marking.identity import assay_home
from generator.marking.watermark.adapters.public_marks import recognise
from generator.marking.watermark.interface import ALPHA, Detection, Pixels
from generator.marking.watermark.keyring import Keyring
from generator.marking.watermark.registry import MODELS, SCHEMES, Entry, list_entries
from generator.sampling_keys import Issued

_NO_SEEDS = "no issued seeds are known; name the run that made it with --issued"


@dataclass(frozen=True, slots=True)
class _Question:
    """A technique before it is asked: how, given the level, or why it cannot be."""

    title: str
    ask: Callable[[float], Detection] | str

    def answer(self, level: float) -> Asked:
        if isinstance(self.ask, str):
            return Asked(self.title, f"not looked for, {self.ask}.")
        try:
            detection = self.ask(level)
        except (CannotCheckError, InputError) as error:
            return Asked(self.title, f"could not be asked, {error}.")
        return Asked(self.title, detection.reason, detection)


def ask_others(
    pixels: Pixels, keys: Keyring | None, *, ours: Detection | None = None, issued: Sequence[Issued] = ()
) -> Others:
    """Look for every mark but ours.

    Args:
        pixels: uint8 (H, W, 3).
        keys: the deployment's; None: what needs one is not asked.
        ours: what our own watermark says of the picture, under one of `keys`.
        issued: seeds whose pictures are to be recognised.
    """
    entries = [entry for entry in list_entries() if entry.name not in SCHEMES]
    questions = [_of_pixels(entry, pixels, keys) for entry in entries if entry.embeds and keys is not None]
    for entry in entries:
        if not entry.embeds:
            questions += _of_sampling(entry, pixels, keys, ours=ours, issued=issued)
    level = ALPHA / max(1, sum(callable(question.ask) for question in questions))
    asked = tuple(question.answer(level) for question in questions)
    return Others(asked, level, tuple(_public_marks(pixels)))


def _of_pixels(entry: Entry, pixels: Pixels, keys: Keyring) -> _Question:
    def ask(level: float) -> Detection:
        return entry.load().detect(pixels, key=keys.marking[0], search="full", alpha=level)

    return _Question(entry.title, entry.missing or ask)


def _of_sampling(
    entry: Entry,
    pixels: Pixels,
    keys: Keyring | None,
    *,
    ours: Detection | None,
    issued: Sequence[Issued],
) -> Iterator[_Question]:
    """One question for every list of seeds that may have left this mark."""
    lists = [one for one in issued if one.may_leave(entry.name)]
    mark_key = None if keys is None or ours is None else keys.get(ours.key_id)

    def read(one: Issued, level: float) -> Detection:
        from generator.sampling_readers import SamplingMark, load_mark  # imports torch

        mark = load_mark(one) if one.is_named else entry.load()
        assert isinstance(mark, SamplingMark), "the registry says that it does not embed"
        return mark.detect(pixels, key=one.key, alpha=level, mark=ours, mark_key=mark_key)

    for one in lists:
        missing = "" if one.source.target else entry.missing  # such a run says where its pipeline is
        yield _Question(entry.title, missing or functools.partial(read, one))
    if not lists:
        yield _Question(entry.title, _NO_SEEDS)


def _public_marks(pixels: Pixels) -> list[str]:
    """Sentences on marks without a key; TrustMark's only where its model is."""
    marks = [str(mark) for mark in recognise(pixels)]
    folder = assay_home() / MODELS
    if any(entry.title == "TrustMark" and not entry.missing for entry in list_entries(folder)):
        from generator.watermark_checkpoints import recognise_trustmark  # imports torch

        try:
            packet = recognise_trustmark(pixels, folder)
        except WeightsError:
            return marks  # said already, where it was asked under our key
        marks += [str(packet)] if packet is not None else []
    return marks
