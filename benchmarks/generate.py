"""The embedded world and its generator: speed, what the images show, the mark in them, bit-equal regeneration.

python -m benchmarks.generate [--json]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from audit.bias.perception import Reader, measure_errors
from audit.memory import keep_memory
from audit.statistics import clopper_pearson
from benchmarks.document import Figure, run_benchmark
from benchmarks.families import measure_families, measure_sampling_speed
from benchmarks.sampling_mark import measure_marks
from generator.clip import load_clip
from generator.embedded import EmbeddedGenerator, load_tokenizer
from generator.figures import measure_tokenizer
from generator.interface import Request
from generator.portraits import Corpus, Rates
from generator.prompts import load_prompts
from generator.tokenizer import OUTPUT_SIZE
from generator.weights import load_weights

BATCH = 32
READER_DRAWINGS = 2000
TOKENIZER_DRAWINGS = 512


def _fastest(action: Callable[[], object], *, repeats: int = 3) -> float:
    """Seconds of the fastest of several runs: what the machine can do between other people's work."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _requests(count: int, *, seed: int = 0) -> list[Request]:
    prompts = load_prompts("occupations").prompts
    return [Request(prompts[i % len(prompts)], i // len(prompts), seed + i) for i in range(count)]


def _speed(generator: EmbeddedGenerator) -> Iterator[Figure]:
    corpus = Corpus(7, Rates.default(), 10_000)
    seconds = _fastest(lambda: corpus.batch(range(1000), 64))
    yield Figure("portraits.drawings_per_second_64px", 1000 / seconds, "1/s", floor=2000, note="one core")
    batch = _requests(BATCH)
    list(generator.generate(batch))
    seconds = _fastest(lambda: list(generator.generate(batch)), repeats=5)
    yield Figure(
        "generator.images_per_second_batch32", BATCH / seconds, "1/s", floor=60, note="to 256 px pixels"
    )


def _tokenizer() -> Iterator[Figure]:
    """Fidelity of the tokenizer, and whether it reads its own pictures back."""
    drawn = Corpus(6001, Rates.default(), TOKENIZER_DRAWINGS).batch(range(TOKENIZER_DRAWINGS), OUTPUT_SIZE)
    tokenizer = load_tokenizer(load_weights("tokenizer", family="tokenizer"))
    figures = measure_tokenizer(tokenizer, drawn.pixels)
    floors = {
        "psnr_64": 27.0,
        "psnr_128": None,
        "token_png": 0.95,
        "token_jpeg75": 0.92,
        "token_bright": 0.85,
    }
    notes = {"psnr_64": "at the encoder's size", "psnr_128": "at the decoder's size"}
    for name, floor in floors.items():
        unit = "dB" if name.startswith("psnr") else "share"
        note = notes.get(name, "held-out drawings, decoded and encoded again")
        yield Figure(f"tokenizer.{name}", figures[name], unit, floor=floor, note=note)


def _regeneration(generator: EmbeddedGenerator) -> Figure:
    """Images that are bit-equal when made again alone and in a shuffled batch of another size."""
    requests = _requests(40, seed=99)
    whole = [image.pixels for image in generator.generate(requests)]
    order = np.random.default_rng(5).permutation(len(requests))[:17]
    shuffled = [image.pixels for image in generator.generate([requests[i] for i in order])]
    equal = sum(np.array_equal(whole[i], pixels) for i, pixels in zip(order, shuffled, strict=True))
    for i in (0, 13, 39):
        (alone,) = generator.generate([requests[i]])
        equal += np.array_equal(whole[i], alone.pixels)
    return Figure("generator.bit_equal_again", equal / (len(order) + 3), "share", floor=1.0, note="20 images")


def _reader() -> Iterator[Figure]:
    matrices = measure_errors(
        Reader(load_clip()), Corpus(31_337, Rates.balanced(), READER_DRAWINGS), READER_DRAWINGS
    )
    for name, matrix in matrices.items():
        right, total = int(np.trace(matrix.counts)), int(matrix.counts.sum())
        interval = clopper_pearson(right, total)
        yield Figure(
            f"reader.agreement_{name}",
            right / total,
            "share",
            floor=0.95,
            interval=interval,
            note="held-out drawings",
        )


def measure() -> Iterator[Figure]:
    """All figures."""
    generator = EmbeddedGenerator.load()
    yield from _speed(generator)
    yield from measure_sampling_speed()
    yield from _tokenizer()
    yield from measure_families()
    yield _regeneration(generator)
    yield from measure_marks()
    yield from _reader()


if __name__ == "__main__":
    keep_memory()  # as the command does
    raise SystemExit(run_benchmark("generate", measure))
