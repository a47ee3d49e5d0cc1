"""What the watermark costs: CPU milliseconds of one core, and for a very large picture also memory.

python -m benchmarks.watermark_times SIDE    mark and read one picture of SIDE x SIDE px; prints JSON
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from benchmarks.attacks import ATTACKS, Pixels
from benchmarks.document import Figure
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import Search
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

GEOMETRIC = (
    "rotation5",
    "rotation30",
    "crop75_restored",
    "resize1.37",
    "screenshot",
    "aspect.9",
    "perspective4",
)
LARGE_SIDE = 8192  # px
EMBED_MS = {512: 5.0, 1024: 20.0}
READ_MS = {512: 60.0, 1024: 100.0}
_UNTOUCHED_MS = 15.0
_UNMARKED_MS: dict[Search, float] = {"quick": 15.0, "full": 250.0}
_KEY = WatermarkKey(bytes(32))
_PAYLOAD = AssetId(77)
_PSNR = 44.5  # dB


def measure_times(pictures: Sequence[Pixels]) -> Iterator[Figure]:
    """Medians over pictures of one size: marking, reading after each geometric attack, and searching in vain.

    Args:
        pictures: uint8 (side, side, 3), photographs.
    """
    side = len(pictures[0])
    marked = [DEFAULT.embed(pixels, _PAYLOAD, key=_KEY, psnr=_PSNR).pixels for pixels in pictures]

    def figure(name: str, taken: list[float], ceiling: float) -> Figure:
        note = f"CPU, median of {len(taken)}, worst {max(taken):.0f}"
        return Figure(f"time.{side}px.{name}", statistics.median(taken), "ms", ceiling=ceiling, note=note)

    def mark(pixels: Pixels) -> object:
        return DEFAULT.embed(pixels, _PAYLOAD, key=_KEY, psnr=_PSNR)

    yield figure("embed", [_milliseconds(mark, pixels) for pixels in pictures], EMBED_MS[side])
    yield figure("read_untouched", [_milliseconds(_read, pixels) for pixels in marked], _UNTOUCHED_MS)
    for name in GEOMETRIC:
        damaged = [ATTACKS[name](pixels, np.random.default_rng(index)) for index, pixels in enumerate(marked)]
        yield figure(f"read.{name}", [_milliseconds(_read, pixels) for pixels in damaged], READ_MS[side])
    for search, ceiling in _UNMARKED_MS.items():

        def look(pixels: Pixels, search: Search = search) -> object:
            return DEFAULT.detect(pixels, key=_KEY, search=search)

        yield figure(f"unmarked_{search}", [_milliseconds(look, pixels) for pixels in pictures], ceiling)


def _read(pixels: Pixels) -> object:
    return DEFAULT.detect(pixels, key=_KEY)


def _milliseconds(action: Callable[[Pixels], object], pixels: Pixels) -> float:
    action(pixels)  # tables and caches are paid for once
    started = time.process_time()
    action(pixels)
    return 1000 * (time.process_time() - started)


def measure_large(side: int) -> Iterator[Figure]:
    """Time and memory of one very large picture, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.watermark_times", str(side)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found["read"], "the large picture's identifier was not read"
    for name in ("embed", "read_untouched"):
        yield Figure(f"time.{side}px.{name}", found[name], "ms", note="CPU, one noisy gradient")
    note = "above the picture itself, at the peak of marking (includes the marked copy) and of reading"
    yield Figure(
        f"memory.{side}px.mark", found["mark_mib"], "MiB", ceiling=3 * side * side * 3 / 2**20, note=note
    )
    yield Figure(
        f"memory.{side}px.read", found["read_mib"], "MiB", ceiling=3 * side * side * 3 / 2**20, note=note
    )


def _measure_one(side: int) -> dict[str, object]:
    rng = np.random.default_rng(1)
    coarse = rng.integers(30, 226, (64, 64, 3), np.uint8)
    pixels = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    for top in range(0, side, 256):
        noise = rng.integers(0, 9, (min(256, side - top), side, 3), np.uint8)
        cv2.add(pixels[top : top + 256], noise, dst=pixels[top : top + 256])
    before = _peak_mib()
    started = time.process_time()
    marked = DEFAULT.embed(pixels, _PAYLOAD, key=_KEY, psnr=_PSNR).pixels
    middle = time.process_time()
    mark_mib = _peak_mib() - before
    read = DEFAULT.detect(marked, key=_KEY).payload == _PAYLOAD
    return {
        "embed": 1000 * (middle - started),
        "read_untouched": 1000 * (time.process_time() - middle),
        "mark_mib": mark_mib,
        "read_mib": _peak_mib() - before,
        "read": read,
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    cv2.setNumThreads(1)
    print(json.dumps(_measure_one(int(sys.argv[1]))))
