"""Does a stripped copy get its manifest back, and never a wrong one? `python -m benchmarks.recovery [--json]`.

200 portraits are published with all marks. Each copy is made from the decoded pixels, so nothing of the file is left.
A copy whose watermark can still be read must get its own manifest; whatever happens, nothing may get another one.
Also measured: the fingerprint alone, pictures that were never published, and watermarks transplanted onto others.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from audit.collection import load_pixels
from audit.provenance.recovery import Recovery, RecoveryState, recover
from audit.provenance.recovery_comparison import ALIKE, compare_pictures
from audit.provenance.recovery_sources import LedgerSource
from audit.statistics import clopper_pearson
from benchmarks.document import Figure, run_benchmark
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.identity import assay_home, development_identity
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import publish
from generator.marking.watermark.keys import WatermarkKey, load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.portraits import Corpus, Rates

COUNT = 200  # published images
STRANGERS = 50  # pictures that were never published, and as many transplanted watermarks
PAIRS = 200  # of different pictures, compared
SIDE = 256  # px
_SUFFIXES = (".png", ".jpg", ".webp")

Pixels = NDArray[np.uint8]


def _encode(pixels: Pixels, kind: str, **options: int) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind, **options)
    return target.getvalue()


def _resize(pixels: Pixels, factor: float) -> Pixels:
    size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def _crop(pixels: Pixels, part: float) -> Pixels:
    top, left = (round(side * (1 - part) / 2) for side in pixels.shape[:2])
    return pixels[top : pixels.shape[0] - top, left : pixels.shape[1] - left]


COPIES: Mapping[str, Callable[[Pixels], bytes]] = {
    "jpeg75": lambda pixels: _encode(pixels, "JPEG", quality=75),
    "webp80": lambda pixels: _encode(pixels, "WEBP", quality=80),
    "resize75": lambda pixels: _encode(_resize(pixels, 0.75), "PNG"),
    "crop80": lambda pixels: _encode(_crop(pixels, 0.8), "PNG"),
    "all_at_once": lambda pixels: _encode(_resize(_crop(pixels, 0.8), 0.75), "JPEG", quality=75),
}


@dataclass
class Tally:
    """Outcomes of one kind of copy.

    Attributes:
        survived: copies whose watermark was read.
        found: of those, copies that got their own manifest back.
        by_fingerprint: copies that got it back by the fingerprint alone.
        wrong: manifests of another picture.
        similarities: of copies and what was published.
        seconds: of each recovery, without reading the watermark.
    """

    survived: int = 0
    found: int = 0
    by_fingerprint: int = 0
    wrong: int = 0
    similarities: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class World:
    """Published portraits, and where their manifests are."""

    folder: Path
    key: WatermarkKey
    corpus: Corpus
    names: dict[int, str]

    @property
    def source(self) -> LedgerSource:
        """The ledger."""
        return LedgerSource(assay_home() / LEDGER_FILE)

    def recover(self, data: bytes, *, with_mark: bool = True) -> tuple[str, Recovery, float]:
        """(payload that was read, outcome, seconds of the recovery)."""
        path = self.folder / "copy"
        path.write_bytes(data)
        payload, geometry = "", None
        if with_mark:
            mark = DEFAULT.detect(load_pixels(path), key=self.key, search="full")
            payload, geometry = (mark.payload.hex if mark.payload is not None else ""), mark.geometry
        started = time.perf_counter()
        found = recover(path, [self.source], payload=payload, geometry=geometry)
        return payload, found, time.perf_counter() - started


def build_world(folder: Path, count: int) -> World:
    """Publish portraits 0 to count - 1, under asset ids 1 to count."""
    key = load_or_create_key(assay_home())
    corpus = Corpus(3, Rates.default(), count + 2 * STRANGERS)
    names = {}
    with Ledger(assay_home() / LEDGER_FILE) as ledger:
        for number in range(count):
            image = GeneratedImage(
                corpus.drawing(number, SIDE), Request(Prompt("p", "x"), 0, 0), "benchmark", "1", ""
            )
            done = publish(
                image,
                folder / f"{number}{_SUFFIXES[number % 3]}",
                asset_id=AssetId.from_int(number + 1),
                identity=development_identity(),
                ledger=ledger,
                key=key,
                created=datetime.now(UTC),
            )
            names[number] = done.manifest_id
    return World(folder, key, corpus, names)


def measure_copies(world: World, make: Callable[[Pixels], bytes]) -> Tally:
    """One copy of every published image, recovered by all means, and by the fingerprint alone."""
    tally = Tally()
    for number, name in world.names.items():
        data = make(load_pixels(world.folder / f"{number}{_SUFFIXES[number % 3]}"))
        payload, found, seconds = world.recover(data)
        _, bare, _ = world.recover(data, with_mark=False)
        survived = payload == AssetId.from_int(number + 1).hex
        tally.survived += survived
        tally.found += survived and found.manifest_id == name and found.state is RecoveryState.RECOVERED
        tally.by_fingerprint += bare.manifest_id == name and bare.state is RecoveryState.RECOVERED
        tally.wrong += sum(is_taken(each) and each.manifest_id != name for each in (found, bare))
        tally.seconds.append(seconds)
        if found.comparison is not None and found.manifest_id == name:
            tally.similarities.append(found.comparison.similarity)
    return tally


def is_taken(found: Recovery) -> bool:
    """Whether a reader would take the manifest for the picture's own."""
    return found.state in {RecoveryState.RECOVERED, RecoveryState.SAME_BYTES}


def measure_strangers(world: World) -> tuple[int, int]:
    """(pictures never published that got a manifest, transplanted watermarks that did)."""
    first = len(world.names)
    strangers = transplanted = 0
    for number in range(STRANGERS):
        pixels = world.corpus.drawing(first + number, SIDE)
        strangers += is_taken(world.recover(_encode(pixels, "PNG"), with_mark=False)[1])
        victim = AssetId.from_int(1 + number % len(world.names))
        forged = DEFAULT.embed(world.corpus.drawing(first + STRANGERS + number, SIDE), victim, key=world.key)
        transplanted += is_taken(world.recover(_encode(forged.pixels, "PNG"))[1])
    return strangers, transplanted


def measure_others(world: World) -> float:
    """Highest similarity of two different portraits, every second one cropped."""
    rng = np.random.default_rng(0)
    highest = -1.0
    for number in range(PAIRS):
        first, second = rng.choice(len(world.names) + 2 * STRANGERS, 2, replace=False)
        hand = world.corpus.drawing(int(first), SIDE)
        hand = _crop(hand, 0.8) if number % 2 else hand
        reference = world.corpus.drawing(int(second), SIDE)
        highest = max(highest, compare_pictures(np.ascontiguousarray(hand), reference).similarity)
    return highest


def measure(count: int = COUNT) -> Iterator[Figure]:
    """All figures, with keys and ledger of their own."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["ASSAY_HOME"] = f"{name}/home"
        (Path(name) / "home").mkdir()
        world = build_world(Path(name), count)
        wrong, lowest = 0, 1.0
        for kind, make in COPIES.items():
            tally = measure_copies(world, make)
            wrong += tally.wrong
            lowest = min([lowest, *tally.similarities])
            yield from _figures(kind, tally, count)
        strangers, transplanted = measure_strangers(world)
        yield Figure(
            "recovery.wrong", wrong, "manifests", ceiling=0, note=f"{2 * count * len(COPIES)} recoveries"
        )
        yield Figure(
            "recovery.strangers", strangers, "manifests", ceiling=0, note=f"{STRANGERS} not published"
        )
        yield Figure(
            "recovery.transplanted", transplanted, "manifests", ceiling=0, note=f"{STRANGERS} forgeries"
        )
        yield Figure(
            "recovery.similarity_same", lowest, "correlation", floor=ALIKE, note="lowest of all copies"
        )
        highest = measure_others(world)
        note = f"highest of {PAIRS} pairs"
        yield Figure("recovery.similarity_other", highest, "correlation", ceiling=ALIKE, note=note)


def _figures(kind: str, tally: Tally, count: int) -> Iterator[Figure]:
    yield Figure(
        f"recovery.{kind}.watermark", tally.survived / count, "share",
        interval=clopper_pearson(tally.survived, count), note=f"survives in {tally.survived} of {count}",
    )  # fmt: skip
    if tally.survived:
        yield Figure(
            f"recovery.{kind}.found", tally.found / tally.survived, "share", floor=1.0,
            interval=clopper_pearson(tally.found, tally.survived),
            note=f"{tally.found} of {tally.survived} whose watermark survives",
        )  # fmt: skip
    yield Figure(
        f"recovery.{kind}.fingerprint", tally.by_fingerprint / count, "share",
        interval=clopper_pearson(tally.by_fingerprint, count), note="without the watermark",
    )  # fmt: skip
    yield Figure(
        f"recovery.{kind}.seconds", float(np.median(tally.seconds)), "s", note="median, without the watermark"
    )


if __name__ == "__main__":
    raise SystemExit(run_benchmark("recovery", measure))
