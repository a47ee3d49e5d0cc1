"""Shares of perceived groups per prompt: as the bias room corrected them, else as the classifier read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from audit.evidence import Evidence, Status
from audit.statistics import clopper_pearson_bounds

UNDETERMINED = "undetermined"
COLUMNS = ("image_id", "prompt_id", "attribute", "value", "probabilities", "status")
NO_PROMPT = "images without a prompt"
ALL_PROMPTS = "mean over prompts"


@dataclass(frozen=True)
class AttributeShares:
    """What was perceived of one attribute.

    Attributes:
        attribute: its name.
        groups: in the order of the classifier.
        table: prompt_id, group, of, share, low, high, reference; one row per prompt and group, `of` is the number
            of determined images of the prompt.
        read: number of images read, determined or not.
        undetermined: number of images without a reading.
        reference: group -> the share that the mean over prompts is compared with.
        corrected: True: shares are corrected for the classifier's measured errors, and so are their intervals;
            False: shares as read, with exact (Clopper-Pearson) 95 % intervals.
    """

    attribute: str
    groups: tuple[str, ...]
    table: pd.DataFrame
    read: int
    undetermined: int
    reference: Mapping[str, float] = field(default_factory=dict)
    corrected: bool = False

    @property
    def caption(self) -> str:
        """What a chart of these shares shows and how to read it."""
        how = (
            "corrected for the classifier's measured errors, with intervals that cover those errors"
            if self.corrected
            else "as the classifier read them and not corrected for its errors, with exact 95 % intervals"
        )
        return (
            f"Perceived {self.attribute}: share of each group among the determined images of a prompt, {how}. The "
            "dashed line is the reference that shares are compared with, a yardstick and no norm."
        )


def find_shares(rows: pd.DataFrame, evidence: Evidence | None) -> list[AttributeShares]:
    """Shares of every attribute: the room's corrected ones where its evidence holds them, else as read.

    Args:
        rows: the bias table with COLUMNS.
        evidence: of the bias room.
    """
    corrected = _from_evidence(evidence)
    return [corrected.get(shares.attribute, shares) for shares in compute_shares(rows)]


def _from_evidence(evidence: Evidence | None) -> dict[str, AttributeShares]:
    found = {}
    for check in evidence.checks if evidence is not None else ():
        room, _, rest = check.name.partition(".")
        attribute, _, last = rest.rpartition(".")
        if room == "bias" and last == "overall" and "prompt_estimates" in check.details:
            try:
                found[attribute] = _corrected(
                    attribute, check.details, _prompt_references(attribute, evidence)
                )
            except (
                KeyError,
                TypeError,
                ValueError,
            ):  # written by another version: the shares as read are shown
                continue
    return found


def _prompt_references(attribute: str, evidence: Evidence | None) -> dict[str, Any]:
    """Prompt -> shares it was compared with, where the checks of single prompts say so."""
    return {
        str(check.details["prompt_id"]): check.details["reference"]
        for check in (evidence.checks if evidence is not None else ())
        if check.name.startswith(f"bias.{attribute}.") and {"prompt_id", "reference"} <= check.details.keys()
    }


def _corrected(attribute: str, details: Mapping[str, Any], references: Mapping[str, Any]) -> AttributeShares:
    groups = tuple(map(str, details["groups"]))
    silent, total = details["prompt_undetermined"], details["prompt_n"]
    lines = [(ALL_PROMPTS, details["n_images"], details["estimates"], details["lows"], details["highs"])]
    prompts = zip(
        details["prompt_ids"], total, silent, details["prompt_estimates"], details["prompt_lows"],
        details["prompt_highs"], strict=True,
    )  # fmt: skip
    lines += [
        (name, n - dumb, mid, low, high) for name, n, dumb, mid, low, high in prompts if mid is not None
    ]
    rows = [
        (str(name), group, int(of), float(share), float(low), float(high), float(against))
        for name, of, shares, lows, highs in lines
        for group, share, low, high, against in zip(
            groups, shares, lows, highs, references.get(str(name), details["reference"]), strict=True
        )
    ]
    columns = ["prompt_id", "group", "of", "share", "low", "high", "reference"]
    table = pd.DataFrame(rows, columns=columns)
    reference = dict(zip(groups, map(float, details["reference"]), strict=True))
    return AttributeShares(attribute, groups, table, sum(total), sum(silent), reference, corrected=True)


def compute_shares(rows: pd.DataFrame) -> list[AttributeShares]:
    """Shares of every attribute, in order of appearance; rows of status error are left out.

    Args:
        rows: the bias table with COLUMNS.
    """
    read = rows[(rows["status"] != str(Status.ERROR)) & rows["attribute"].notna() & rows["value"].notna()]
    read = read.assign(prompt_id=read["prompt_id"].astype(object).fillna(NO_PROMPT))
    return [
        _attribute(str(attribute), table)
        for attribute, table in read.groupby("attribute", sort=False)
        if len(table)
    ]


def _attribute(attribute: str, table: pd.DataFrame) -> AttributeShares:
    determined = table[table["value"] != UNDETERMINED]
    groups = _groups(table, determined)
    counts = pd.crosstab(determined["prompt_id"], determined["value"])
    prompts = list(dict.fromkeys(table["prompt_id"]))
    # Without a determined reading the table is empty, and pandas would take its columns for text.
    counts = counts.reindex(index=prompts, columns=list(groups), fill_value=0).astype(int)
    counts = counts.rename_axis("prompt_id")
    long = counts.reset_index().melt("prompt_id", var_name="group", value_name="count")
    long["of"] = long["prompt_id"].map(counts.sum(axis=1)).astype(int)
    bounds = clopper_pearson_bounds(long["count"].to_numpy(), long["of"].to_numpy())
    long = long.assign(
        share=long["count"] / long["of"].where(long["of"] > 0),
        low=bounds.low,
        high=bounds.high,
        reference=1 / max(len(groups), 1),
    )
    equal = dict.fromkeys(groups, 1 / max(len(groups), 1))
    undetermined = len(table) - len(determined)
    return AttributeShares(attribute, groups, long.drop(columns="count"), len(table), undetermined, equal)


def _groups(table: pd.DataFrame, determined: pd.DataFrame) -> tuple[str, ...]:
    """Groups in the classifier's order, then any others that occur."""
    known: list[str] = []
    for text in table["probabilities"].dropna().head(20):
        known += list(parse_probabilities(text))
    return tuple(dict.fromkeys([*known, *sorted(map(str, determined["value"].unique()))]))


def parse_probabilities(text: object) -> dict[str, float]:
    """Group -> probability from a cell of the bias table; empty when it holds none."""
    try:
        found = json.loads(text) if isinstance(text, str) and text else {}
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(group): float(p) for group, p in found.items() if isinstance(p, int | float)}
