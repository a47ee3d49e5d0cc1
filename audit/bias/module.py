"""The bias room as the engine sees it: pixels to readings, readings to evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from audit.bias.label_table import TableSource
from audit.bias.perception import Reading
from audit.bias.policy import Policy
from audit.bias.readings import UNDETERMINED
from audit.bias.sources import EMBEDDED_CLIP, ClipSource, Source
from audit.bias.summary import Summarise
from audit.collection import Item, load_pixels
from audit.engine import Module
from audit.evidence import Evidence, Status
from generator.errors import InputError

READ_SIDE = 512  # px; CLIP sees 64 to 336 px, so larger files are reduced while they are read
PROBABILITY_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Measure:
    """Items to rows, one per image and attribute.

    Attributes:
        source: reads pictures.
    """

    source: Source | TableSource

    def __call__(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """Rows in the order of items, then of attributes.

        Raises:
            CannotCheckError: an image cannot be decoded.
            InputError: the reader gave an unknown group, or probabilities that do not sum to one.
        """
        if isinstance(self.source, TableSource):
            readings = self.source.read_items(items)
        else:
            readings = self.source.read([load_pixels(item.path, max_side=READ_SIDE) for item in items])
        return [
            _row(item, attribute, read[attribute], groups=groups)
            for item, read in zip(items, readings, strict=True)
            for attribute, groups in self.source.groups.items()
        ]


def _row(item: Item, attribute: str, reading: Reading, *, groups: tuple[str, ...]) -> dict[str, Any]:
    """One reading as a row; a reading that is not one of the schema is refused."""
    chances = dict(reading.probabilities)
    if reading.value not in (*groups, UNDETERMINED) or not set(chances) <= set(groups):
        found = sorted({reading.value, *chances} - {*groups, UNDETERMINED})
        raise InputError(f"reader: {attribute!r} has no group {found}; expected {list(groups)}")
    in_range = all(0 <= chance <= 1 + PROBABILITY_TOLERANCE for chance in chances.values())
    if chances and (not in_range or abs(sum(chances.values()) - 1) > PROBABILITY_TOLERANCE):
        raise InputError(
            f"reader: probabilities of {attribute!r} are {chances}, expected numbers in [0, 1] that sum to 1"
        )
    determined = reading.value != UNDETERMINED
    return {
        "image_id": item.image_id,
        "prompt_id": item.prompt_id,
        "attribute": attribute,
        "value": reading.value,
        "probabilities": json.dumps({group: round(chance, 5) for group, chance in chances.items()}),
        "status": str(Status.PASS if determined else Status.INCONCLUSIVE),
        "reason": reading.reason or f"Read as {reading.value}.",
    }


@dataclass(frozen=True)
class SummariseSource:
    """Tables to evidence, with the error matrices of a source.

    Attributes:
        source: knows the groups and counts the errors when first asked.
        policy: what to decide.
    """

    source: Source | TableSource
    policy: Policy

    def __call__(self, rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
        """Evidence of a run; see `Summarise`."""
        if isinstance(self.source, TableSource):
            self.source.check_images(images)
        matrices = {} if images.empty else self.source.error_matrices()
        summarise = Summarise(self.source.groups, matrices, self.policy, self.source.description)
        return summarise(rows, images)


def build_module(
    clip: str = EMBEDDED_CLIP, *, source: Source | TableSource | None = None, policy: Policy | None = None
) -> Module:
    """The bias room.

    Args:
        clip: open_clip model that reads; its weights are loaded when the first image is read.
        source: another reader with its error matrices; takes the place of `clip`.
        policy: references, margin, level; default: parity.

    Raises:
        InputError: the policy has a reference for an attribute that the reader does not read.
    """
    chosen, rules = source or ClipSource(clip), policy or Policy()
    Summarise(chosen.groups, {}, rules)  # refuses a policy that does not fit, before hours of reading
    return Module(
        name="bias",
        title="Bias (perceived attributes)",
        measure=Measure(chosen),
        summarise=SummariseSource(chosen, rules),
    )
