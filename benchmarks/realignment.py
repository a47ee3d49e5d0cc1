"""Naming the seed of a picture that was turned, cut or resized: as it comes, and as its watermark lays it.

python -m benchmarks.realignment [--json]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit.issued import check_picture
from audit.provenance.checks_sampling import SAMPLING
from audit.statistics import clopper_pearson
from benchmarks.attacks import ATTACKS
from benchmarks.document import Figure, run_benchmark
from benchmarks.families import held_out, load, sample_captions
from generator.embedded import MARKED
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import ALPHA
from generator.marking.watermark.keyring import Keyring
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT
from generator.noise import PUBLIC_KEY
from generator.sampling_keys import BY_FAMILY, Issued, SamplingKey
from generator.sampling_readers import SamplingMark
from generator.sources import Source

PICTURES = 32  # per family
ISSUED = 1000  # seeds that each is tested for
FIRST = 50_000
CHANGES = (
    "none",
    "rotation5",
    "rotation30",
    "rotation90",
    "flip",
    "crop90",
    "crop75",
    "resize3/4",
    "resize1.37",
)


def measure_realignment() -> Iterator[Figure]:
    """Share of published pictures whose seed is named, and the median p-value, before and after."""
    key, rng = WatermarkKey.generate(), np.random.default_rng(3)
    seeds = np.arange(FIRST, FIRST + ISSUED, dtype=np.uint64)
    for family in MARKED:
        generator, issued = load(family), Issued(SamplingKey(PUBLIC_KEY, seeds=seeds), Source(family=family))
        mark = SamplingMark(BY_FAMILY[family], family, generator)
        published = [
            DEFAULT.embed(pixels, AssetId(int(rng.integers(2**63))), key=key).pixels
            for pixels in sample_captions(generator, held_out(PICTURES).captions, seed=FIRST)
        ]
        for change in CHANGES:
            before, after, wrong = [], [], 0
            for number, pixels in enumerate(published):
                changed = ATTACKS[change](pixels, rng)
                check = check_picture(changed, issued, mark, keyring=Keyring((key,)))[0]
                assert check.name == SAMPLING
                before.append(float(str(check.details["log10_p_as_is"])))
                after.append(float(str(check.value)))
                wrong += check.details["seed"] not in (None, str(FIRST + number))
            yield from _figures(f"realign.{family}.{change}", np.array(before), np.array(after))
            yield Figure(f"realign.{family}.{change}.misnamed", wrong, "pictures", ceiling=0)


def _figures(name: str, before: np.ndarray, after: np.ndarray) -> Iterator[Figure]:
    for when, log10_p in (("as_is", before), ("laid", after)):
        named = int((log10_p <= np.log10(ALPHA)).sum())
        yield Figure(
            f"{name}.{when}.named",
            named / len(log10_p),
            "share",
            interval=clopper_pearson(named, len(log10_p)),
            note=f"median log10 p {np.median(log10_p):.1f}, corrected for {ISSUED} seeds and all placements",
        )


if __name__ == "__main__":
    raise SystemExit(run_benchmark("realignment", measure_realignment))
