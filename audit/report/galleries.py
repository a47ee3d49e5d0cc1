"""Which pictures the report shows: a few of every prompt, flagged ones first, and pairs with candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from audit.evidence import Status
from audit.report.numbers import format_probability
from audit.report.pictures import candidate_thumbnail, file_thumbnail

SIDE = 112  # px of the longer side of a thumbnail
PAIR_SIDE = 160
PER_PROMPT = 6
MAX_PROMPTS = 60
WITHOUT_PROMPT = 48  # pictures shown of a collection without prompts
PAIRS = 12
NAMED = 100  # unreadable files named


@dataclass(frozen=True)
class Picture:
    """A picture with its caption.

    Attributes:
        uri: data URI; "" when no pixels can be had.
        alt: what a screen reader says.
        name: below it.
        flags: why a person should look at it.
    """

    uri: str
    alt: str
    name: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """Pictures of one prompt.

    Attributes:
        prompt_id: of the prompt; "" for images without one.
        prompt: its text.
        pictures: flagged first.
        total: images of the prompt.
        flagged: how many of them are flagged.
    """

    prompt_id: str
    prompt: str
    pictures: tuple[Picture, ...]
    total: int
    flagged: int


@dataclass(frozen=True)
class Pair:
    """A picture beside its best candidate."""

    picture: Picture
    candidate: Picture
    similarity: float
    p_value: str
    match: bool


@dataclass(frozen=True)
class Unreadable:
    """A file that could not be read, with the reason."""

    path: str
    reason: str


def build_galleries(run: Path, images: pd.DataFrame, flags: Mapping[str, list[str]]) -> list[Gallery]:
    """Galleries of at most MAX_PROMPTS prompts, in the order of the run; unreadable files are left out.

    Args:
        run: the run directory.
        images: image_id, path, prompt_id, prompt, status.
        flags: see `audit.report.flags`.
    """
    readable = images[images["status"] != str(Status.ERROR)]
    readable = readable.assign(flagged=readable["image_id"].isin(list(flags)))
    keys = readable["prompt_id"].astype(object).fillna("")
    galleries: list[Gallery] = []
    for prompt_id, table in readable.groupby(keys, sort=False):
        if len(galleries) == MAX_PROMPTS:
            break
        shown = table.sort_values("flagged", ascending=False, kind="stable")
        shown = shown.head(PER_PROMPT if prompt_id else WITHOUT_PROMPT)
        prompt = str(table["prompt"].iloc[0]) if prompt_id else ""
        pictures = tuple(
            build_picture(run, image_id, path, prompt=prompt, flags=flags)
            for image_id, path in zip(shown["image_id"], shown["path"], strict=True)
        )
        flagged = int(table["flagged"].sum())
        galleries.append(Gallery(str(prompt_id), prompt, pictures, len(table), flagged))
    return galleries


def build_picture(
    run: Path, image_id: str, path: str, *, prompt: str, flags: Mapping[str, list[str]], side: int = SIDE
) -> Picture:
    """A picture with its caption; one without pixels where the file is gone or damaged."""
    reasons = tuple(flags.get(image_id, ()))
    alt = f"Image {Path(path).name}" + (f", prompt “{prompt}”" if prompt else "")
    alt += f"; flagged: {'; '.join(reasons)}" if reasons else ""
    return Picture(file_thumbnail(run / path, side=side), alt, Path(path).name, reasons)


def build_pairs(
    run: Path, images: pd.DataFrame, similarity: pd.DataFrame, *, folder: Path | None
) -> list[Pair]:
    """The images that resemble a reference most, each beside its candidate, matches first.

    Args:
        run: the run directory.
        images: image_id, path, prompt.
        similarity: the table, with rank, candidate_id, similarity, p_value and match.
        folder: of the references; None: the embedded generator's drawings.
    """
    best = similarity[(similarity["rank"] == 1) & similarity["candidate_id"].notna()]
    best = best.sort_values(["p_value", "similarity"], ascending=[True, False]).head(PAIRS)
    best = best.merge(images[["image_id", "path", "prompt"]], on="image_id", how="inner")
    pairs = []
    for row in best.to_dict("records"):
        prompt = row["prompt"] if isinstance(row["prompt"], str) else ""
        picture = build_picture(run, row["image_id"], row["path"], prompt=prompt, flags={}, side=PAIR_SIDE)
        name = str(row["candidate_id"])
        uri = candidate_thumbnail(name, side=PAIR_SIDE, folder=folder)
        candidate = Picture(uri, f"Reference {name}", name, ())
        p_value = format_probability(float(row["p_value"]))
        pairs.append(Pair(picture, candidate, float(row["similarity"]), p_value, row["match"] is True))
    return pairs


def list_unreadable(images: pd.DataFrame) -> list[Unreadable]:
    """Files that could not be read, with reasons; the caller shows the first NAMED."""
    broken = images[images["status"] == str(Status.ERROR)]
    return [
        Unreadable(str(path), str(reason or "no reason was recorded"))
        for path, reason in zip(broken["path"], broken["reason"], strict=True)
    ]
