"""Watermarks beside ours: every technique of the registry, under our key, and the public marks of others.

Asked only when the user wants the full search by name: some cost seconds, and some load torch. All of them together
are held to one level, so that more techniques do not mean more false alarms.
"""

from __future__ import annotations

from dataclasses import dataclass

from generator.errors import WeightsError
from generator.marking.identity import assay_home
from generator.marking.watermark.adapters.public_marks import recognise
from generator.marking.watermark.interface import ALPHA, Detection, Pixels
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import MODELS, SCHEMES, Entry, list_entries


@dataclass(frozen=True, slots=True)
class Others:
    """What they say.

    Args:
        detections: of each technique that could be asked.
        said: one sentence per technique, also of those that could not be asked.
        public: one per public mark that was recognised.
    """

    detections: tuple[Detection, ...]
    said: tuple[str, ...]
    public: tuple[str, ...]


def ask_others(pixels: Pixels, key: WatermarkKey | None) -> Others:
    """Look for every mark but ours.

    Args:
        pixels: uint8 (H, W, 3).
        key: the deployment's; None: only public marks are looked for.
    """
    if key is None:
        return Others((), (), tuple(_public_marks(pixels)))
    entries = [entry for entry in list_entries() if entry.name not in SCHEMES]
    level = ALPHA / sum(not entry.missing for entry in entries)  # never 0: two need nothing installed
    detections, said = [], []
    for entry in entries:
        found = _ask(entry, pixels, key, level)
        if isinstance(found, Detection):
            detections.append(found)
        said.append(f"{entry.title}: {found.reason if isinstance(found, Detection) else found}")
    return Others(tuple(detections), tuple(said), tuple(_public_marks(pixels)))


def _ask(entry: Entry, pixels: Pixels, key: WatermarkKey, level: float) -> Detection | str:
    if entry.missing:
        return f"not looked for, {entry.missing}."
    try:
        return entry.load().detect(pixels, key=key, search="full", alpha=level)
    except WeightsError as error:
        return f"could not be asked, {error}."


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
