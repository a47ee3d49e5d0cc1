"""The bias room on a page: shares by prompt, their spread over prompts, skin tones, and examples of every reading."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from audit.bias.skin_tone import MONK_GROUPS
from audit.evidence import Evidence, Status
from audit.report.distributions import ridge_chart, tone_chart
from audit.report.figures import GroupRow, group_chart
from audit.report.galleries import Picture, build_picture
from audit.report.rooms import MAX_ROWS, Figure, RoomFigures, build_figure
from audit.report.shares import ALL_PROMPTS, UNDETERMINED, AttributeShares, find_shares
from generator.portraits.traits import MONK_TONES

MIN_RIDGE = 5  # prompts; a spread of fewer is better read off the rows
PER_CELL = 4
MAX_CELLS = 60


@dataclass(frozen=True)
class Cell:
    """Examples of one reading.

    Attributes:
        attribute: what was perceived.
        group: a group or "undetermined".
        pictures: a few, spread over the prompts.
        total: images read so.
    """

    attribute: str
    group: str
    pictures: tuple[Picture, ...]
    total: int


def bias_figures(rows: pd.DataFrame, evidence: Evidence | None) -> RoomFigures:
    """Shares of each perceived group in each prompt, corrected where the evidence holds corrected ones."""
    figures: list[Figure] = []
    remarks = []
    for shares in find_shares(rows, evidence):
        figures += [_by_prompt(shares), *_ridges(shares), *_tones(shares, rows)]
        if shares.undetermined:
            part = 100 * shares.undetermined / shares.read
            remarks.append(
                f"Perceived {shares.attribute}: {shares.undetermined} of {shares.read} images ({part:.1f} %) are "
                "undetermined. They are counted here and are in no share above."
            )
    if not figures:
        remarks.append("No picture was read, so there is no share to show.")
    return RoomFigures(tuple(figures), (), tuple(remarks))


def _by_prompt(shares: AttributeShares) -> Figure:
    rows = []
    varies = bool(shares.table.groupby("group")["reference"].nunique().gt(1).any())
    for prompt, table in shares.table.groupby("prompt_id", sort=False):
        seen = table[table["of"] > 0]
        cells = zip(seen["group"], seen["share"], seen["low"], seen["high"], strict=True)
        own = dict(zip(table["group"], table["reference"], strict=True)) if varies else {}
        rows.append(GroupRow(str(prompt), {str(group): (s, low, high) for group, s, low, high in cells}, own))
    chart = group_chart(
        rows[:MAX_ROWS],
        groups=shares.groups or ("no group",),
        title=f"Perceived {shares.attribute} by prompt",
        reference=shares.reference,
    )
    caption = shares.caption
    if len(rows) > MAX_ROWS:
        caption += f" The first {MAX_ROWS} of {len(rows)} prompts are drawn."
    return build_figure(chart, caption)


def prompt_shares(shares: AttributeShares) -> dict[str, np.ndarray]:
    """Group -> shares of single prompts that were read, float64; empty with fewer than MIN_RIDGE prompts."""
    table = shares.table[(shares.table["prompt_id"] != ALL_PROMPTS) & (shares.table["of"] > 0)]
    if table["prompt_id"].nunique() < MIN_RIDGE:
        return {}
    return {
        group: table.loc[table["group"] == group, "share"].to_numpy(np.float64) for group in shares.groups
    }


def _ridges(shares: AttributeShares) -> list[Figure]:
    spread = prompt_shares(shares)
    if not spread:
        return []
    chart = ridge_chart(
        spread, title=f"Spread of perceived {shares.attribute} over prompts", reference=shares.reference
    )
    caption = (
        f"Perceived {shares.attribute}: how the shares of single prompts are spread. Each tick is a prompt; two "
        "hills say "
        "that prompts are of two kinds, which a mean over them hides. Chance alone spreads them too."
    )
    return [build_figure(chart, caption)]


def _tones(shares: AttributeShares, rows: pd.DataFrame) -> list[Figure]:
    if shares.groups != MONK_GROUPS:
        return []
    read = rows.loc[(rows["attribute"] == shares.attribute) & (rows["status"] != str(Status.ERROR)), "value"]
    found = read.value_counts()
    chart = tone_chart(
        {tone: int(found.get(tone, 0)) for tone in MONK_GROUPS},
        colours=dict(zip(MONK_GROUPS, MONK_TONES.values(), strict=True)),
        undetermined=int(found.get(UNDETERMINED, 0)),
        title="Skin tones on the Monk scale, as measured",
    )
    caption = "Skin tones on the Monk scale, measured by colour, not corrected for light; bad light is undetermined."
    return [build_figure(chart, caption)]


def build_cells(run: Path, images: pd.DataFrame, rows: pd.DataFrame) -> list[Cell]:
    """Examples of each reading of each attribute, undetermined ones too; at most MAX_CELLS.

    Args:
        run: the run directory.
        images: image_id, path, prompt.
        rows: the bias table.
    """
    read = rows[(rows["status"] != str(Status.ERROR)) & rows["attribute"].notna() & rows["value"].notna()]
    if read.empty:
        return []
    joined = read.merge(images[["image_id", "path", "prompt"]], on="image_id", how="inner")
    shown: dict[str, Picture] = {}
    cells: list[Cell] = []
    for (attribute, group), table in joined.groupby(["attribute", "value"], sort=False):
        if len(cells) == MAX_CELLS:
            break
        pictures = []
        # the first picture of every prompt before any second one
        spread = table.iloc[
            table.groupby("prompt", sort=False, dropna=False).cumcount().argsort(kind="stable")
        ]
        for image_id, path, prompt in spread.head(PER_CELL)[["image_id", "path", "prompt"]].itertuples(
            index=False
        ):
            if image_id not in shown:
                said = prompt if isinstance(prompt, str) else ""
                shown[image_id] = build_picture(run, str(image_id), str(path), prompt=said, flags={})
            pictures.append(shown[image_id])
        cells.append(Cell(str(attribute), str(group), tuple(pictures), len(table)))
    order = list(dict.fromkeys(cell.attribute for cell in cells))
    return sorted(cells, key=lambda cell: (order.index(cell.attribute), cell.group == UNDETERMINED))
