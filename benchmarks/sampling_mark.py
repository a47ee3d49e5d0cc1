"""The mark of sampling: found after what happens to files, silent elsewhere; run by `benchmarks.generate`."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from audit.statistics import clopper_pearson
from benchmarks.document import Figure
from benchmarks.families import COMPARED, embed, held_out, load, sample_captions
from generator.clip import load_clip
from generator.embedded import MARKED, EmbeddedGenerator
from generator.families.interface import Control
from generator.figures import as_jpeg
from generator.marking.payload import AssetId
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT
from generator.noise import PUBLIC_KEY
from generator.sampling_mark import detect_choices
from generator.tokenizer import LEVELS, TOKENS
from generator.two_sample import compute_kernel_distance

PICTURES = 96  # per family and treatment
NULL_PICTURES = 2000
NULL_KEYS = 10  # independent keys tried on each of them
SEARCHED = 1_000_000

Pixels = NDArray[np.uint8]


def _resize(pixels: Pixels) -> Pixels:
    picture = Image.fromarray(pixels)
    small = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.BICUBIC)
    return np.asarray(small.resize(picture.size, Image.Resampling.BICUBIC))


def _as_webp(pixels: Pixels) -> Pixels:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=80)
    return np.asarray(Image.open(stream).convert("RGB"))


TREATMENTS: dict[str, Callable[[Pixels], Pixels]] = {
    "png": lambda pixels: pixels,
    "jpeg75": as_jpeg,
    "resize": _resize,
    "webp80": _as_webp,
}
CEILINGS = {
    ("token", "png"): -9.0,
    ("token", "jpeg75"): -6.0,
    ("token", "resize"): -4.0,
    ("diffusion", "png"): -9.0,
    ("diffusion", "jpeg75"): -4.0,
}
"""(Kind of family, treatment) -> largest median of log10 p."""


def measure_marks() -> Iterator[Figure]:
    """Power, null, harmlessness and search."""
    for family in MARKED:
        yield from _power(family, load(family))
    yield from _null()
    yield from _harmless()
    yield _search()


def _power(family: str, generator: EmbeddedGenerator) -> Iterator[Figure]:
    """Median log10 p of published pictures (with their watermark) under their own seed."""
    captions = held_out(PICTURES).captions
    key = WatermarkKey.generate()
    rng = np.random.default_rng(3)
    published = [
        DEFAULT.embed(pixels, AssetId(int(rng.integers(2**63))), key=key).pixels
        for pixels in sample_captions(generator, captions, seed=30_000)
    ]
    kind = "diffusion" if family == "diffusion" else "token"
    for name, treat in TREATMENTS.items():
        log_p = [generator.read_mark(treat(p), [30_000 + i]).log10_p for i, p in enumerate(published)]
        yield Figure(
            f"mark.{family}.{name}.median_log10_p",
            float(np.median(log_p)),
            "log10",
            ceiling=CEILINGS.get((kind, name)),
            note=f"{PICTURES} published pictures; a tenth is above {np.quantile(log_p, 0.9):.1f}",
        )


def _null() -> Iterator[Figure]:
    """p-values of drawings, and of samples under keys that did not make them: uniform, also far out."""
    generator = load("autoregressive")
    half = NULL_PICTURES // 2
    pictures = list(held_out(half).pixels)
    pictures += sample_captions(generator, held_out(half).captions, seed=40_000)
    rng = np.random.default_rng(5)
    keys = [[rng.bytes(32) for _ in range(NULL_KEYS)] for _ in pictures]
    p = np.empty((len(pictures), NULL_KEYS))
    for i, (pixels, some) in enumerate(zip(pictures, keys, strict=True)):
        choices = generator.read_choices(pixels)
        for j, key in enumerate(some):
            reading = detect_choices(choices.shown, [40_000 + i], weights=choices.weights, keys=[key])
            p[i, j] = 10**reading.log10_p
    yield Figure(
        "mark.null.uniformity_p",
        float(stats.kstest(p[:, 0], "uniform").pvalue),
        "p",
        floor=0.01,
        note=f"Kolmogorov-Smirnov, {NULL_PICTURES} unmarked or wrong-key pictures",
    )
    count = int((p <= 1e-4).sum())
    upper = float(stats.binom.ppf(0.995, p.size, 1e-4))
    yield Figure(
        "mark.null.below_1e-4",
        count,
        "tests",
        ceiling=upper,
        interval=clopper_pearson(count, p.size),
        note=f"of {p.size}; {p.size * 1e-4:.0f} expected; interval of the share",
    )


def _harmless() -> Iterator[Figure]:
    """Samples with the public key against samples whose keys nobody knows, each for captions of its own."""
    clip = load_clip()
    captions = held_out(COMPARED).captions
    others = held_out(
        COMPARED, seed=5004
    ).captions  # the same ones would pair the samples and hide a difference
    marked = embed(clip, sample_captions(load("autoregressive"), captions, seed=50_000))
    free = EmbeddedGenerator.load(control=Control(), key=np.random.default_rng().bytes(32))
    unmarked = embed(clip, sample_captions(free, others, seed=60_000))
    distance = compute_kernel_distance(marked, unmarked, rng=np.random.default_rng(6))
    yield Figure(
        "mark.two_sample_p",
        distance.p_value,
        "p",
        floor=0.01,
        note=f"marked against unmarked, {COMPARED} each",
    )


def _search() -> Figure:
    """Seconds to test one picture for a million issued seeds."""
    shown = np.stack([np.random.default_rng(7).integers(0, n, TOKENS) for n in LEVELS], axis=1)
    seeds = np.arange(SEARCHED, dtype=np.uint64)
    started = time.perf_counter()
    reading = detect_choices(shown, seeds, weights=np.ones(shown.shape), keys=[PUBLIC_KEY])
    assert reading.tried == SEARCHED
    return Figure(
        "mark.search_seconds", time.perf_counter() - started, "s", ceiling=5, note="a million seeds"
    )
