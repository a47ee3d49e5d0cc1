"""What a run is held against, as its user named it: references, training data, groups of prompts.

Kept in the run record by name or path, so that a run summarised again (after labelling, say) is held against the
same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from audit.bias.label_table import read_rows
from generator.errors import CannotCheckError, InputError


@dataclass(frozen=True)
class Against:
    """What shares are held against; None leaves what the run has.

    Attributes:
        references: names or files, see `audit.bias.references`.
        training: file that counts groups in the generator's training data: attribute, prompt_id, group, count.
        prompt_groups: file that puts prompts into groups: prompt_id, group.
    """

    references: tuple[str, ...] | None = None
    training: str | None = None
    prompt_groups: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Against:
        """Restore what a run record keeps.

        Raises:
            CannotCheckError: written by another version.
        """
        try:
            references = data.get("references")
            return cls(**{**data, "references": None if references is None else tuple(references)})
        except TypeError as error:
            raise CannotCheckError(
                f"run.json: what shares are held against is of another version ({error})"
            ) from error

    def to_json(self) -> dict[str, Any]:
        """As a run record keeps it."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def over(self, kept: Against) -> Against:
        """This, and what was kept where this says nothing."""
        return Against(
            kept.references if self.references is None else self.references,
            self.training or kept.training,
            self.prompt_groups or kept.prompt_groups,
        )


def load_training(path: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Attribute -> prompt_id -> group -> images of the training data.

    Raises:
        InputError: columns are missing, or a count is no whole number or stands twice (named).
    """
    table = _read(path, ("attribute", "prompt_id", "group", "count"))
    found: dict[str, dict[str, dict[str, int]]] = {}
    for attribute, prompt, group, count in table.itertuples(index=False):
        if not str(count).strip().isdigit():
            raise InputError(
                f"{path}: {attribute}, {prompt}, {group}: count {count!r}, expected a whole number"
            )
        cells = found.setdefault(str(attribute), {}).setdefault(str(prompt), {})
        if str(group) in cells:
            raise InputError(f"{path}: {attribute}, {prompt}: group {group!r} stands twice")
        cells[str(group)] = int(count)
    return found


def load_prompt_groups(path: Path, prompt_ids: Sequence[str]) -> dict[str, str]:
    """prompt_id -> its group.

    Raises:
        InputError: columns are missing, or a prompt is not in the run or stands twice (named).
    """
    table = _read(path, ("prompt_id", "group")).astype(str)
    strangers = sorted(set(table["prompt_id"]) - set(prompt_ids))
    twice = sorted(set(table.loc[table["prompt_id"].duplicated(), "prompt_id"]))
    if strangers or twice:
        raise InputError(
            f"{path}: prompts not in the run: {strangers[:5]}; prompts that stand twice: {twice[:5]}"
        )
    return dict(zip(table["prompt_id"], table["group"], strict=True))


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = read_rows(path)
    missing = [name for name in columns if name not in table]
    if missing or table[[name for name in columns if name in table]].isna().to_numpy().any():
        raise InputError(
            f"{path}: expected a value in each of the columns {', '.join(columns)}; missing: {missing}"
        )
    return table[list(columns)]
