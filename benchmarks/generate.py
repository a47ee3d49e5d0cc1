"""The embedded world and its generator: speed, what the images show, and bit-equal regeneration.

python -m benchmarks.generate [--json]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from audit.bias.perception import Reader, measure_errors
from audit.statistics import clopper_pearson
from benchmarks.document import Figure, run_benchmark
from generator.clip import load_clip
from generator.embedded import EmbeddedGenerator
from generator.figures import Probe
from generator.interface import Request
from generator.portraits import Corpus, Rates
from generator.prompts import load_prompts
from generator.tokenizer import shrink

BATCH = 32
PROBE_DRAWINGS = 2400  # that the occupation probe is fitted on; the generator never saw them
READER_DRAWINGS = 2000
REPLICATES = 20  # images a prompt for the probe


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
        "generator.images_per_second_batch32", BATCH / seconds, "1/s", floor=40, note="to 256 px pixels"
    )


def _occupation(generator: EmbeddedGenerator) -> Figure:
    """Share of images in which a probe fitted on drawings reads the prompted occupation; chance is 1 in 24."""
    drawn = Corpus(4001, Rates.balanced(), PROBE_DRAWINGS).batch(range(PROBE_DRAWINGS), 64)
    inputs = np.stack([shrink(pixels).numpy().ravel() for pixels in drawn.pixels])
    probe = Probe.fit(inputs, [traits.occupation for traits in drawn.traits])
    requests = _requests(REPLICATES * len(load_prompts("occupations").prompts), seed=10_000)
    made = np.stack([shrink(image.pixels).numpy().ravel() for image in generator.generate(requests)])
    truth = [request.prompt.slots["occupation"] for request in requests]
    share = probe.accuracy(made, truth)
    interval = clopper_pearson(round(share * len(truth)), len(truth))
    return Figure("generator.prompted_occupation_read", share, "share", floor=0.8, interval=interval)


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
    yield _occupation(generator)
    yield _regeneration(generator)
    yield from _reader()


if __name__ == "__main__":
    raise SystemExit(run_benchmark("generate", measure))
