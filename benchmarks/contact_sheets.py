"""Draw the README's contact sheets: what each family makes of the same prompts and seeds.

python -m benchmarks.contact_sheets
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.families import load, shipped_families
from generator.interface import Prompt, Request

FOLDER = Path(__file__).parents[1] / "generator" / "families"
TILE = 96  # px
COLUMNS = 8
PROMPTS = (
    "a portrait of a female judge",
    "a portrait of a male nurse",
    "a portrait of a young chef",
    "a portrait of an old farmer",
    "a portrait of a firefighter with glasses",
    "a portrait of a pilot",
    "a portrait of a scientist",
    "a portrait of a musician",
)


def draw_sheet(family: str) -> Image.Image:
    """Every prompt in a column of its own, three seeds each."""
    requests = [
        Request(Prompt(text, text), row, 1 + row * COLUMNS + column)
        for row in range(3)
        for column, text in enumerate(PROMPTS)
    ]
    tiles = [
        np.asarray(Image.fromarray(image.pixels).resize((TILE, TILE), Image.Resampling.BOX))
        for image in load(family).generate(requests)
    ]
    rows = [np.concatenate(tiles[i : i + COLUMNS], axis=1) for i in range(0, len(tiles), COLUMNS)]
    return Image.fromarray(np.concatenate(rows))


if __name__ == "__main__":
    for family in shipped_families():
        draw_sheet(family).quantize(256).save(FOLDER / f"{family}.png", optimize=True)
