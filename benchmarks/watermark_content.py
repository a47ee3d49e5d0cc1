"""Does a mark belong to the picture it is read in? Own and foreign ones, also cut, bent and pasted into others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from audit.statistics import clopper_pearson
from benchmarks.attacks import ATTACKS, Pixels
from benchmarks.document import Figure
from generator.marking.fingerprint import make_preview
from generator.marking.payload import AssetId
from generator.marking.watermark.content import match_content
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

DAMAGE = (
    "none",
    "jpeg30",
    "crop75",
    "crop50",
    "rotation30",
    "flip",
    "aspect.9",
    "collage",
    "perspective4",
    "elastic",
)


def measure_content(
    pictures: Sequence[Pixels], *, psnr: float, damage: Sequence[str] = DAMAGE
) -> Iterator[Figure]:
    """Shares of read pictures whose content is called the same, and wrongly another's; and the same for foreign ones.

    Args:
        pictures: at least two.
        psnr: of the marking, dB.
        damage: attacks, by name.
    """
    key = WatermarkKey(bytes(range(1, 33)))
    previews = [make_preview(pixels) for pixels in pictures]
    for number, name in enumerate(damage):
        verdicts: dict[str, list[str]] = {"own": [], "foreign": []}
        for index, pixels in enumerate(pictures):
            marked = DEFAULT.embed(pixels, AssetId(index), key=key, psnr=psnr).pixels
            seen = ATTACKS[name](marked, np.random.default_rng([index, number]))
            geometry = DEFAULT.detect(seen, key=key).geometry
            if geometry is None:
                continue
            for owner, preview in (("own", previews[index]), ("foreign", previews[index - 1])):
                verdicts[owner].append(match_content(seen, preview, geometry=geometry).verdict)
        yield _share(f"content.{name}.own_same", verdicts["own"], "same")
        yield _share(f"content.{name}.own_called_other", verdicts["own"], "other")
        yield _share(f"content.{name}.foreign_called_same", verdicts["foreign"], "same")
        yield _share(f"content.{name}.foreign_other", verdicts["foreign"], "other")


def _share(name: str, verdicts: list[str], verdict: str) -> Figure:
    hits = verdicts.count(verdict)
    interval = clopper_pearson(hits, len(verdicts))
    return Figure(name, hits / len(verdicts), "share", interval=interval, note=f"of {len(verdicts)} read")
