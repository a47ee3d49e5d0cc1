"""What the families of the embedded generator draw, and how fast; run by `python -m benchmarks.generate`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from audit.evidence import Interval
from audit.statistics import clopper_pearson
from benchmarks.document import Figure
from generator.clip import Clip, load_clip
from generator.embedded import FAMILIES, EmbeddedGenerator, load_family
from generator.families.interface import Control
from generator.figures import Probe
from generator.interface import Prompt, Request
from generator.portraits import Corpus, Rates
from generator.prompts import load_prompts
from generator.tokenizer import CODES, PUBLISHED_SIZE, TOKENS, shrink
from generator.two_sample import compute_kernel_distance
from generator.weights import WEIGHTS_FOLDER, load_weights

BATCH = 32
REPLICATES = 20  # images a prompt for the probe
COMPARED = 480  # images of each side of a two-sample measure
PROBE_DRAWINGS = 2400  # that the occupation probe is fitted on; no generator saw them

GUIDANCE = {"autoregressive": 1.0, "masked": 1.0, "diffusion": 1.0, "adversarial": 1.0}
"""Guidance that the figures of a family are measured with."""

OCCUPATION_FLOORS = {"autoregressive": 0.90, "masked": 0.85, "diffusion": 0.90, "adversarial": 0.60}
SPEED_FLOORS = {"autoregressive": 60.0, "masked": 30.0, "diffusion": 10.0, "adversarial": None}


def load(family: str) -> EmbeddedGenerator:
    """A family as its figures are measured."""
    return EmbeddedGenerator.load(family=family, control=Control(guidance=GUIDANCE[family]))


def fit_probe() -> Probe:
    """An occupation probe, fitted on drawings."""
    drawn = Corpus(4001, Rates.balanced(), PROBE_DRAWINGS).batch(range(PROBE_DRAWINGS), 64)
    inputs = np.stack([shrink(pixels).numpy().ravel() for pixels in drawn.pixels])
    return Probe.fit(inputs, [traits.occupation for traits in drawn.traits])


def occupation_requests(replicates: int, *, seed: int) -> list[Request]:
    """Requests of the shipped occupation prompts, replicate by replicate; seeds count up."""
    prompts = load_prompts("occupations").prompts
    return [
        Request(prompts[i % len(prompts)], i // len(prompts), seed + i)
        for i in range(replicates * len(prompts))
    ]


def measure_family(family: str, probe: Probe, clip: Clip, drawings: NDArray[np.float32]) -> Iterator[Figure]:
    """Prompted occupation read back, distance to held-out drawings, images per second.

    Args:
        family: its name.
        probe: of occupations.
        clip: embeds pictures for the two-sample measure.
        drawings: embeddings of the held-out drawings, (n, d); their captions are the prompts of the samples.
    """
    generator = load(family)
    requests = occupation_requests(REPLICATES, seed=10_000)
    list(generator.generate(requests[:BATCH]))
    started = time.perf_counter()
    made = np.stack([shrink(image.pixels).numpy().ravel() for image in generator.generate(requests)])
    rate = len(requests) / (time.perf_counter() - started)
    truth = [request.prompt.slots["occupation"] for request in requests]
    share = probe.accuracy(made, truth)
    interval = clopper_pearson(round(share * len(truth)), len(truth))
    floor = OCCUPATION_FLOORS[family]
    yield Figure(f"{family}.prompted_occupation_read", share, "share", floor=floor, interval=interval)
    samples = embed(clip, sample_captions(generator, held_out(COMPARED).captions, seed=20_000))
    distance = compute_kernel_distance(samples, drawings, rng=np.random.default_rng(1))
    yield Figure(
        f"{family}.kernel_distance",
        distance.value,
        "x 1000",
        interval=Interval(distance.low, distance.high, 0.95, "projections"),
        note="embedded CLIP, against held-out drawings with the same captions",
    )
    yield Figure(
        f"{family}.images_per_second",
        rate,
        "1/s",
        floor=SPEED_FLOORS[family],
        note="batch 32, 256 px, 480 images",
    )


def held_out(count: int, *, seed: int = 5001):  # noqa: ANN201 - the batch type of the corpus
    """Drawings that nothing was trained on, at the published size, with their captions."""
    return Corpus(seed, Rates.default(), count).batch(range(count), PUBLISHED_SIZE)


def sample_captions(
    generator: EmbeddedGenerator, captions: Sequence[str], *, seed: int
) -> list[NDArray[np.uint8]]:
    """One picture per caption."""
    requests = [Request(Prompt(str(i), text), 0, seed + i) for i, text in enumerate(captions)]
    return [image.pixels for image in generator.generate(requests)]


def embed(clip: Clip, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Embeddings, (n, d)."""
    return clip.embed_images(pictures)


def measure_families() -> Iterator[Figure]:
    """All families, and the held-out drawings against other drawings as the yardstick of the distance."""
    probe, clip = fit_probe(), load_clip()
    drawings = embed(clip, list(held_out(COMPARED).pixels))
    others = embed(clip, list(Corpus(5002, Rates.default(), COMPARED).batch(range(COMPARED), 256).pixels))
    distance = compute_kernel_distance(others, drawings, rng=np.random.default_rng(1))
    interval = Interval(distance.low, distance.high, 0.95, "projections")
    yield Figure(
        "drawings.kernel_distance", distance.value, "x 1000", interval=interval, note="the yardstick"
    )
    for family in shipped_families():
        yield from measure_family(family, probe, clip, drawings)


def shipped_families() -> list[str]:
    """Families with weights; what is missing is said, never assumed."""
    found = [family for family in FAMILIES if (WEIGHTS_FOLDER / f"{family}.safetensors").exists()]
    for family in sorted(set(FAMILIES) - set(found)):
        print(f"{family}: not measured, no weights ship (assay train {family})", file=sys.stderr)
    return found


def measure_sampling_speed() -> Iterator[Figure]:
    """The autoregressive sampler against itself without its cache, GPT-2 of the same size, and the processor."""
    model = load_family(load_weights("autoregressive", family="autoregressive"))
    texts, seeds = ["a portrait of a nurse"] * BATCH, range(BATCH)
    cached, uncached, peer = [], [], []
    gpt2 = _build_gpt2(model) if find_spec("transformers") else None
    for _ in range(3):  # interleaved: the machine's other work hits all alike
        cached.append(_time(lambda: model.sample(texts, seeds, key=b"0" * 16, control=Control())))
        uncached.append(_time(lambda: _sample_without_cache(model, texts)))
        if gpt2 is not None:
            peer.append(_time(lambda: _sample_gpt2(gpt2)))
    fast = float(np.median(cached))
    yield Figure("autoregressive.cache_speedup", float(np.median(uncached)) / fast, "x", floor=5)
    if gpt2 is not None:
        ratio = float(np.median(peer)) / fast
        note = f"{_count(gpt2) / 1e6:.1f} M parameters of the same width, ours {_count(model) / 1e6:.1f} M"
        yield Figure("autoregressive.times_as_fast_as_gpt2", ratio, "x", floor=1.5, note=note)
    used = (
        sum(p.numel() for n, p in model.named_parameters() if "transformer" in n)
        + CODES * model.config["width"]
    )
    yield Figure(
        "autoregressive.share_of_roofline",
        2 * used * TOKENS * BATCH / fast / _matmul_rate(),
        "share",
        note="multiply-adds of the blocks per second over those of a float32 matrix product",
    )


def _time(action) -> float:  # noqa: ANN001 - any callable
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


@torch.no_grad()
def _sample_without_cache(model, texts: Sequence[str]) -> None:  # noqa: ANN001 - the autoregressive family
    """The same number of tokens, each by a whole pass over those before it; the cheapest choice of a token."""
    ids = model.reader.encode(texts)
    tokens = torch.zeros(len(texts), 1, dtype=torch.int64)
    for _ in range(TOKENS):
        token = model(tokens, ids)[:, -1].argmax(1)
        tokens = torch.cat([tokens, token[:, None]], dim=1)


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _build_gpt2(model):  # noqa: ANN001, ANN202 - the autoregressive family, an optional library's model
    """A GPT-2 of our width with as many blocks as bring it to our number of parameters."""
    from transformers import GPT2Config, GPT2LMHeadModel

    width = model.config["width"]
    size = GPT2Config(
        vocab_size=CODES + 1,
        n_positions=TOKENS + 1,
        n_embd=width,
        n_layer=round((_count(model) - (CODES + TOKENS + 2) * width) / (12 * width**2)),
        n_head=model.config["heads"],
        bos_token_id=CODES,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(size).eval()


@torch.no_grad()
def _sample_gpt2(model) -> None:  # noqa: ANN001 - an optional library's model
    start = torch.full((BATCH, 1), CODES)
    drawn = model.generate(
        start, attention_mask=torch.ones_like(start), max_new_tokens=TOKENS, min_new_tokens=TOKENS,
        do_sample=True, top_k=0, use_cache=True, pad_token_id=CODES,
    )  # fmt: skip
    assert drawn.shape == (BATCH, TOKENS + 1)


def _matmul_rate(size: int = 2048) -> float:
    """Floating-point operations per second of a large float32 matrix product."""
    matrix = torch.randn(size, size)
    seconds = min(_time(lambda: matrix @ matrix) for _ in range(3))
    return 2 * size**3 / seconds
