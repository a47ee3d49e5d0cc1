"""Readings that the user brings in a table: CSV, Parquet or JSONL, one row an image and attribute.

Columns: `image_id` of the run or `file` (a path or a name that ends an image's path); `attribute`; and `value`, or
`probabilities` (a JSON object, group -> probability), or both. An image without a row is "undetermined". What does
not fit is refused by name: an unknown image, group or attribute, two rows for one, probabilities that do not sum to
one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from audit.bias.perception import THRESHOLD, Reading
from audit.bias.readings import UNDETERMINED, ErrorMatrix
from audit.collection import Item
from generator.errors import InputError

TOLERANCE = 1e-3  # of the sum of probabilities
_NO_ROW = "the table of readings has no row for it"


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of a table file; text columns stay text.

    Raises:
        InputError: it is not there, has another suffix, or is damaged.
    """
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix in (".jsonl", ".ndjson"):
            lines = path.read_text("utf-8").splitlines()
            return pd.DataFrame([json.loads(line) for line in lines if line.strip()], dtype=object)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    raise InputError(f"{path}: unknown suffix; expected .csv, .parquet or .jsonl")


@dataclass
class TableSource:
    """The user's readings as a source.

    Attributes:
        path: of the table.
        schema: attribute -> groups; empty: the values that occur, in sorted order.
        trusted: the readings are the truth (a person labelled every image); else their errors are unknown.
    """

    path: Path
    schema: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trusted: bool = False
    _readings: dict[tuple[str, str], Reading] = field(default_factory=dict, init=False, repr=False)
    _groups: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False)
    _used: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        table = read_rows(self.path)
        key = next((name for name in ("image_id", "file") if name in table), None)
        if key is None or "attribute" not in table or not {"value", "probabilities"} & set(table):
            raise InputError(
                f"{self.path}: columns are {list(table)}; expected image_id or file, attribute, and value or "
                "probabilities"
            )
        table = table.reindex(columns=[key, "attribute", "value", "probabilities"])
        rows = [
            (number, str(image), str(attribute), _text(value), self._probabilities(chances, number))
            for number, (image, attribute, value, chances) in enumerate(
                table.itertuples(index=False), start=1
            )
        ]
        self._groups |= self.schema or _occurring(rows)
        for number, image, attribute, value, chances in rows:
            if (image, attribute) in self._readings:
                raise InputError(
                    f"{self.path}: row {number}: {image!r} has a reading of {attribute!r} already"
                )
            self._readings[image, attribute] = self._reading(attribute, value, chances, number)

    def _probabilities(self, cell: object, number: int) -> dict[str, float]:
        if cell is None or (isinstance(cell, float) and cell != cell) or cell == "":
            return {}
        try:
            found = json.loads(cell) if isinstance(cell, str) else dict(cell)  # type: ignore[call-overload]
            chances = {str(group): float(chance) for group, chance in found.items() if chance is not None}
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.path}: row {number}: probabilities {cell!r} are no JSON object"
            ) from error
        if (
            any(not 0 <= chance <= 1 for chance in chances.values())
            or abs(sum(chances.values()) - 1) > TOLERANCE
        ):
            raise InputError(
                f"{self.path}: row {number}: probabilities {chances} are not numbers from 0 to 1 that sum to one"
            )
        return chances

    def _reading(self, attribute: str, value: str, chances: Mapping[str, float], number: int) -> Reading:
        if attribute not in self._groups:
            raise InputError(
                f"{self.path}: row {number}: unknown attribute {attribute!r}; known: {list(self._groups)}"
            )
        groups = self._groups[attribute]
        unknown = sorted({value, *chances} - {*groups, UNDETERMINED, ""})
        if unknown or UNDETERMINED in chances:
            raise InputError(
                f"{self.path}: row {number}: {attribute!r} has no group {unknown}; expected {list(groups)}"
            )
        if value:
            return Reading(
                attribute, value, chances, "given as undetermined" if value == UNDETERMINED else ""
            )
        if not chances:
            return Reading(attribute, UNDETERMINED, {}, "neither a value nor probabilities are given")
        best = max(chances, key=lambda group: chances[group])
        if chances[best] < THRESHOLD:
            reason = f"best probability {chances[best]:.2f} ({best}) is below {THRESHOLD:.2f}"
            return Reading(attribute, UNDETERMINED, chances, reason)
        return Reading(attribute, best, chances)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Attribute -> groups."""
        return self._groups

    @property
    def description(self) -> str:
        """What the readings are worth, for the report."""
        return f"the table {self.path.name}, taken as the truth" if self.trusted else ""

    def error_matrices(self) -> Mapping[str, ErrorMatrix | None]:
        """None for every attribute when the table is trusted (readings are the truth); nothing otherwise."""
        return dict.fromkeys(self._groups) if self.trusted else {}

    def read_items(self, items: Sequence[Item]) -> list[dict[str, Reading]]:
        """Readings of images, found by image_id or by the end of their path."""
        return [self._read(item) for item in items]

    def _read(self, item: Item) -> dict[str, Reading]:
        parts = PurePosixPath(item.path.as_posix()).parts
        names = [item.image_id, *("/".join(parts[start:]) for start in range(len(parts)))]
        found: dict[str, Reading] = {}
        for attribute in self._groups:
            name = next((name for name in names if (name, attribute) in self._readings), None)
            if name is None:
                found[attribute] = Reading(attribute, UNDETERMINED, {}, _NO_ROW)
            else:
                self._used.add(name)
                found[attribute] = self._readings[name, attribute]
        return found

    def check_images(self, images: pd.DataFrame) -> None:
        """Refuse readings of images that the run does not hold.

        Args:
            images: the images table, with image_id and path.

        Raises:
            InputError: some are not in the run (named).
        """
        known = set(images["image_id"])
        for path in images["path"].astype(str):
            parts = PurePosixPath(path).parts
            known |= {"/".join(parts[start:]) for start in range(len(parts))}
        strangers = sorted({image for image, _ in self._readings} - known - self._used)
        if strangers:
            raise InputError(
                f"{self.path}: {len(strangers)} images are not in the run, first "
                f"{', '.join(map(repr, strangers[:5]))}"
            )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None or value != value else str(value)


def _occurring(rows: Sequence[tuple[int, str, str, str, dict[str, float]]]) -> dict[str, tuple[str, ...]]:
    """Attribute -> groups that occur as a value or with a probability."""
    found: dict[str, Any] = {}
    for _, _, attribute, value, chances in rows:
        found.setdefault(attribute, set()).update({value, *chances} - {UNDETERMINED, ""})
    few = sorted(attribute for attribute, groups in found.items() if len(groups) < 2)
    if few:
        raise InputError(f"table of readings: {few[0]!r} has fewer than two groups; name them with --schema")
    return {attribute: tuple(sorted(groups)) for attribute, groups in found.items()}
