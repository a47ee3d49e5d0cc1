"""From the tables of a run to counts per prompt: what was read, what could not be, and what people labelled.

Tables are joined once, as integers, so that a million images cost seconds. Readings that fit no schema are refused
by name. An image without a reading (it could not be decoded, or the reader broke) counts as unread: it stays in the
worst-case bounds and in the undetermined rate, and is left out of the estimates, since no error matrix holds damaged
files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from audit.bias.labelled import LabelledReadings, count_labels
from audit.bias.readings import UNDETERMINED, Counts, Readings
from generator.errors import InputError

NO_PROMPT = "all images"
Schema = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What was read of one attribute.

    Attributes:
        attribute: its name.
        readings: counts per prompt; one row "all images" when the images carry no prompts.
        unread: int64 (P,), images of each prompt without any reading.
        has_prompts: False for images of unknown origin.
        without_prompt: images left out because they carry no prompt while others do.
        texts: prompt_id -> prompt.
        labelled: () or one, human labels beside the readings.
    """

    attribute: str
    readings: Readings
    unread: Counts
    has_prompts: bool
    without_prompt: int
    texts: Mapping[str, str]
    labelled: tuple[LabelledReadings, ...] = ()


class Tables:
    """The bias and the images table, joined.

    Args:
        rows: the bias table: image_id, attribute, value, status.
        images: the images table: image_id, prompt_id, prompt; not empty.
        labels: image_id, attribute, value, annotator; None or empty: there are none.

    Raises:
        InputError: an image occurs twice in the images table, or a reading is of an unknown image.
    """

    def __init__(self, rows: pd.DataFrame, images: pd.DataFrame, labels: pd.DataFrame | None = None) -> None:
        self._ids = pd.Index(images["image_id"])
        if not self._ids.is_unique:
            twice = self._ids[self._ids.duplicated()][0]
            raise InputError(f"images table: image {twice!r} occurs twice, expected once")
        self.has_prompts = bool(images["prompt_id"].notna().any())
        named = images["prompt_id"] if self.has_prompts else pd.Series(NO_PROMPT, index=images.index)
        self._prompt_of, prompts = pd.factorize(named)  # -1: no prompt while others have one
        self.prompt_ids = tuple(str(prompt) for prompt in prompts)
        self.without_prompt = int(np.count_nonzero(self._prompt_of < 0))
        self._per_prompt = np.bincount(self._prompt_of[self._prompt_of >= 0], minlength=len(prompts))
        self.texts: dict[str, str] = {}
        if self.has_prompts:
            first = images.drop_duplicates("prompt_id").dropna(subset=["prompt_id", "prompt"])
            self.texts = dict(zip(first["prompt_id"].astype(str), first["prompt"].astype(str), strict=True))
        kept = (rows["status"] != "error") & rows["attribute"].notna()
        self._attribute, self._attributes = pd.factorize(rows["attribute"].where(kept))
        self._value, self._values = pd.factorize(rows["value"])
        self._image = self._ids.get_indexer(pd.Index(rows["image_id"]))
        strangers = (self._image < 0) & (self._attribute >= 0)
        if strangers.any():
            stranger = sorted(set(rows["image_id"].to_numpy()[strangers]))[0]
            raise InputError(f"bias table: reads image {stranger}, which is not in the images table")
        self._labels = labels if labels is not None and len(labels) else None

    def sample(self, attribute: str, groups: tuple[str, ...], *, source: str = "") -> Sample:
        """Count one attribute.

        Args:
            attribute: its name.
            groups: its groups.
            source: who labelled, for the report.

        Raises:
            InputError: an image is read twice, or a reading or a label is unknown.
        """
        columns = {name: index for index, name in enumerate((*groups, UNDETERMINED))}
        codes = [index for index, name in enumerate(self._attributes) if name == attribute]
        mine = np.flatnonzero(self._attribute == codes[0]) if codes else np.zeros(0, dtype=np.int64)
        image, value = self._image[mine], self._value[mine]
        times = np.bincount(image, minlength=len(self._ids))
        if times.size and times.max() > 1:
            twice = self._ids[int(np.argmax(times > 1))]
            raise InputError(f"bias table: image {twice} has two readings of {attribute!r}, expected one")
        used = sorted({str(self._values[code]) for code in np.unique(value) if code >= 0} - set(columns))
        if used:
            raise InputError(f"unknown reading {used}: expected one of {list(columns)}; correct the table")
        column_of = np.array([columns.get(str(name), -1) for name in self._values] + [-1], dtype=np.int64)
        prompt, column = self._prompt_of[image], column_of[value]
        read = (column >= 0) & (prompt >= 0)
        flat = prompt[read] * len(columns) + column[read]
        counts = np.bincount(flat, minlength=len(self.prompt_ids) * len(columns)).reshape(-1, len(columns))
        readings = Readings(counts, groups, self.prompt_ids)
        return Sample(
            attribute, readings, self._per_prompt - counts.sum(axis=1), self.has_prompts, self.without_prompt,
            self.texts, self._labelled(attribute, readings, image=image, column=column, source=source),
        )  # fmt: skip

    def cross(self, schema: Schema) -> Counts:
        """Count combinations of several attributes: int64 (P, k1 + 1, k2 + 1, ...).

        Args:
            schema: the attributes to cross -> their groups. Images that lack a reading of one of them are left out.
        """
        flat = np.zeros(len(self._ids), dtype=np.int64)
        read = self._prompt_of >= 0
        for attribute, groups in schema.items():
            columns = {name: index for index, name in enumerate((*groups, UNDETERMINED))}
            column_of = np.array([columns.get(str(name), -1) for name in self._values] + [-1], dtype=np.int64)
            codes = [index for index, name in enumerate(self._attributes) if name == attribute]
            mine = np.flatnonzero(self._attribute == codes[0]) if codes else np.zeros(0, dtype=np.int64)
            column = np.full(len(self._ids), -1, dtype=np.int64)
            column[self._image[mine]] = column_of[self._value[mine]]
            read &= column >= 0
            flat = flat * len(columns) + column
        shape = [len(groups) + 1 for groups in schema.values()]
        cells = int(np.prod(shape))
        counts = np.bincount(
            self._prompt_of[read] * cells + flat[read], minlength=len(self.prompt_ids) * cells
        )
        return np.asarray(counts.reshape(len(self.prompt_ids), *shape), dtype=np.int64)

    def _labelled(
        self, attribute: str, readings: Readings, *, image: Counts, column: Counts, source: str
    ) -> tuple[LabelledReadings, ...]:
        if self._labels is None:
            return ()
        mine = self._labels[self._labels["attribute"] == attribute]
        if mine.empty:
            return ()
        labelled = self._ids.get_indexer(pd.Index(mine["image_id"]))
        names = (*readings.groups, UNDETERMINED)
        column_of = np.full(len(self._ids) + 1, -1, dtype=np.int64)  # the last entry stands for a stranger
        column_of[image] = column
        # Images that were not read, or carry no prompt while others do, are left out of the estimates.
        used = (labelled < 0) | ((column_of[labelled] >= 0) & (self._prompt_of[labelled] >= 0))
        mine, labelled = mine[used], labelled[used]
        known = {
            str(name): int(index)
            for name, index in zip(mine["image_id"], labelled, strict=True)
            if index >= 0
        }
        found = count_labels(
            mine["image_id"].astype(str).tolist(),
            mine["value"].astype(str).tolist(),
            reading_of={name: names[column_of[index]] for name, index in known.items()},
            prompt_of={name: self.prompt_ids[self._prompt_of[index]] for name, index in known.items()},
            readings=readings,
            source=source,
        )
        return (found,) if found.n_labels else ()


def sample_attribute(
    rows: pd.DataFrame,
    images: pd.DataFrame,
    *,
    attribute: str,
    schema: Schema,
    labels: pd.DataFrame | None = None,
) -> Sample:
    """Count one attribute's readings per prompt; see `Tables`, which counts several without joining anew.

    Raises:
        InputError: see `Tables` and `Tables.sample`.
    """
    return Tables(rows, images, labels).sample(attribute, schema[attribute])
