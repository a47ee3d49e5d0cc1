"""Human labels of audited images, beside what the reader said of the same images.

A label is the presentation a human perceived; "undetermined" is a label too. Several annotators of one image
share it: with two who disagree, half the image goes to each answer. The labelled images must be a random draw
from the audited ones (whatever the prompt), or nothing computed from them is about the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit.bias.readings import UNDETERMINED, ErrorMatrix, Floats, Readings
from generator.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class LabelledReadings:
    """Labelled images per prompt, by reading and label.

    Attributes:
        counts: float64 (P, k + 1, k + 1), prompt x reading x label, >= 0; undetermined last in both. Fractions
            come from annotators who disagree; every image adds 1.
        groups: the k group names.
        source: who labelled, for the report.

    Raises:
        InputError: a wrong shape, or negative or non-finite counts.
    """

    counts: Floats
    groups: tuple[str, ...]
    source: str = ""

    def __post_init__(self) -> None:
        table, side = np.asarray(self.counts, dtype=np.float64), len(self.groups) + 1
        if table.ndim != 3 or table.shape[1:] != (side, side) or not np.all(table >= 0):
            raise InputError(
                f"labelled readings: got an array of shape {table.shape}, expected counts >= 0 of shape "
                f"(prompts, {side}, {side}): reading, then label, undetermined last"
            )
        object.__setattr__(self, "counts", table)
        object.__setattr__(self, "groups", tuple(self.groups))

    @property
    def n_labels(self) -> int:
        """Labelled images."""
        return round(float(self.counts.sum()))

    @property
    def per_prompt(self) -> Floats:
        """float64 (P,): labelled images of each prompt."""
        return np.asarray(self.counts.sum(axis=(1, 2)), dtype=np.float64)

    def error_matrix(self) -> ErrorMatrix:
        """The reader's errors on the labelled images; labels that are undetermined are left out."""
        by_label = self.counts.sum(axis=0).T[:-1]  # (label, reading)
        return ErrorMatrix(np.floor(by_label + 1e-9), self.groups, self.source)


def count_labels(
    images: Sequence[str],
    labels: Sequence[str],
    *,
    reading_of: dict[str, str],
    prompt_of: dict[str, str],
    readings: Readings,
    source: str = "",
) -> LabelledReadings:
    """Count labels beside readings.

    Args:
        images: image of each label; an image may occur once per annotator.
        labels: a group or "undetermined", same length.
        reading_of: image -> reading; an image without a reading counts as undetermined.
        prompt_of: image -> prompt, of every image of the run.
        readings: the readings the labels belong to; gives groups and prompts.
        source: who labelled.

    Raises:
        InputError: lengths differ, an unknown label, or labels for images that are not in the run (named).
    """
    columns = {name: index for index, name in enumerate((*readings.groups, UNDETERMINED))}
    rows = {name: index for index, name in enumerate(readings.prompt_ids)}
    if len(images) != len(labels):
        raise InputError(f"labels: got {len(labels)} labels of {len(images)} images, expected as many")
    unknown = sorted(set(labels) - set(columns))
    if unknown:
        raise InputError(f"labels: unknown values {unknown}; expected one of {list(columns)}")
    strangers = sorted(set(images) - set(prompt_of))
    if strangers:
        raise InputError(
            f"labels: {len(strangers)} images are not in the run, first {strangers[0]!r}; label images of this "
            "run, or give the labels to the run they belong to"
        )
    times: dict[str, int] = {}
    for image in images:
        times[image] = times.get(image, 0) + 1
    counts = np.zeros((len(rows), len(columns), len(columns)))
    for image, label in zip(images, labels, strict=True):
        reading = columns[reading_of.get(image, UNDETERMINED)]
        counts[rows[prompt_of[image]], reading, columns[label]] += 1 / times[image]
    return LabelledReadings(counts, readings.groups, source)
