"""The learned watermark against ours, at equal PSNR, on the same pictures under the same attacks.

    python -m benchmarks.learned_watermark FOLDER [--json] [--images N] [--side PX] [--psnr DB] [--photographs FOLDER]

FOLDER holds the weights that `assay train watermark` wrote. Photographs that it was trained on are no test: give
others with --photographs. The rule for shipping it: nowhere worse than ours, somewhere better.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from audit.statistics import clopper_pearson
from benchmarks import attacks
from benchmarks.attacks import Pixels
from benchmarks.document import Figure, print_figures
from benchmarks.watermark_pictures import PHOTOGRAPHS, draw_portraits, load_photographs
from benchmarks.watermark_survival import Registered, Survival, measure_survival
from generator.learned_watermark import load_learned
from generator.marking.watermark.registry import DEFAULT

GRID = (*attacks.COMMON, *attacks.STRONG, *attacks.HARD, *attacks.BENT)


def compare(folder: Path, pictures: Sequence[Pixels], *, psnr: float) -> Iterator[Figure]:
    """Share of pictures whose identifier is read, for both, per attack; then on how many attacks each is ahead.

    Args:
        folder: of the learned weights.
        pictures: uint8 (H, W, 3) each, not those of the training.
        psnr: of both, dB.
    """
    ours = measure_survival(Registered(DEFAULT, psnr), pictures, attacks=GRID)
    learned = measure_survival(Registered(load_learned(folder), psnr, name="learned"), pictures, attacks=GRID)
    for entry in (learned, ours):
        yield from _figures(entry, psnr)
    ahead = sum(learned.read[name] > ours.read[name] for name in GRID)
    behind = sum(learned.read[name] < ours.read[name] for name in GRID)
    yield Figure("learned.ahead_of_ours", ahead, "attacks", floor=1, note=f"of {len(GRID)}")
    yield Figure("learned.behind_ours", behind, "attacks", ceiling=0, note=f"of {len(GRID)}")


def _figures(entry: Survival, psnr: float) -> Iterator[Figure]:
    note = f"{entry.pictures} pictures, {entry.refused} refused at {psnr:g} dB"
    yield Figure(f"{entry.name}.psnr", entry.psnr, "dB", note=note)
    yield Figure(f"{entry.name}.ssim", entry.ssim, "", note=note)
    yield Figure(f"{entry.name}.embed", entry.embed_ms, "ms", note="CPU, median")
    for name, read in entry.read.items():
        interval = clopper_pearson(read, entry.pictures)
        yield Figure(f"{entry.name}.{name}", read / entry.pictures, "share", interval=interval)


def main() -> int:
    """Measure; exit code 1 unless the learned scheme may ship."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned_watermark")
    parser.add_argument("folder", type=Path, help="of the weights")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--images", type=int, default=24, metavar="N", help="number of pictures (default 24)")
    parser.add_argument("--side", type=int, default=512, metavar="PX", help="of the pictures (default 512)")
    parser.add_argument("--psnr", type=float, default=44.0, metavar="DB", help="of both (default 44)")
    parser.add_argument(
        "--photographs", type=Path, default=PHOTOGRAPHS, metavar="FOLDER", help="test pictures"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = list(load_photographs(options.photographs, side=options.side, count=options.images))
    pictures = pictures or list(draw_portraits(options.images, side=options.side))
    figures = compare(options.folder, pictures, psnr=options.psnr)
    return print_figures("learned watermark", figures, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
