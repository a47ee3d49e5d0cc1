"""Generates the images of a run: what is asked for, made in batches, published one by one, recorded.

Seeds and asset ids are derived from the run's own secrets, the prompt and the replicate, so that a run that was
killed makes the very same images under the very same names when it goes on.

Each image is read back once it is written, and its row says how many statements of the official rubric hold.

An image that arrives from another system with Content Credentials keeps them: its bytes stay in `originals/` as they
came, and the marked picture names them as its parent, in its own manifest.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from audit.engine import progress
from audit.evidence import Check, Status
from audit.run import RunDirectory, write_atomically
from generator.errors import InputError
from generator.interface import GeneratedImage, Generator, Refused, Request
from generator.marking.credentials import carries_credentials
from generator.marking.energy import Energy, core_watts, measure_energy
from generator.marking.formats import media_type, suffix_of
from generator.marking.identity import Identity
from generator.marking.ledger import Ledger
from generator.marking.manifest import PARENT, Disclosure, Ingredient
from generator.marking.payload import AssetId
from generator.marking.publish import FORMATS, Published, publish
from generator.marking.watermark.interface import InsufficientCapacityError
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT
from generator.prompts import PromptSet

BATCH = 32  # images committed together
ORIGINALS = "originals"
"""Folder of a run with what arrived from elsewhere, byte for byte."""

ANY_MODEL = "c2pa.types.model"
"""C2PA asset type of a model of which nothing more is known."""


@dataclass(frozen=True)
class Marking:
    """What every published image is marked with, and held against.

    Attributes:
        identity: who signs.
        key: of the watermark.
        ledger: open for writing.
        gate: judges a file that was written; its value is the number of statements that hold.
    """

    identity: Identity
    key: WatermarkKey
    ledger: Ledger
    gate: Callable[[Path], Check]


def image_seed(run_seed: int, *, prompt_id: str, replicate: int) -> int:
    """Seed of one image: 63 bits of a digest over the run's seed, the prompt id and the replicate."""
    text = f"{run_seed}/{prompt_id}/{replicate}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def plan_requests(prompts: PromptSet, *, count: int, seed: int) -> list[Request]:
    """As many requests for each prompt as it asks for, or else `count`, prompt by prompt."""
    return [
        Request(prompt, replicate, image_seed(seed, prompt_id=prompt.prompt_id, replicate=replicate))
        for prompt in prompts.prompts
        for replicate in range(prompt.count or count)
    ]


def _request_columns(request: Request, asset_id: AssetId) -> dict[str, Any]:
    prompt = request.prompt
    return {
        "image_id": asset_id.hex,
        "prompt_id": prompt.prompt_id,
        "prompt": prompt.text,
        "language": prompt.language,
        "slots": json.dumps(prompt.slots, ensure_ascii=False),
        "metadata": json.dumps(prompt.metadata, ensure_ascii=False),
        "replicate": request.replicate,
    }


def _image_row(
    image: GeneratedImage,
    published: Published,
    gate: Check,
    *,
    path: str,
    original: str,
    energy: Energy | None,
) -> dict[str, Any]:
    height, width = image.pixels.shape[:2]
    return {
        **_request_columns(image.request, published.asset_id),
        "path": path,
        "sha256": published.sha256,
        "steered_prompt": image.steered_prompt,
        "steering": json.dumps(image.steering, ensure_ascii=False),
        "seed": str(image.request.seed) if image.seeded else None,
        "generator": image.generator,
        "weights_digest": image.weights_digest,
        "unknown_words": " ".join(image.unknown_words),
        "original": original,
        "width": width,
        "height": height,
        "format": published.format,
        "psnr": published.psnr,
        "pixels_sha256": hashlib.sha256(image.pixels.tobytes()).hexdigest(),
        "energy_kwh": energy.kwh if energy else None,
        "rubric": gate.value,
        "status": str(gate.status),
        "reason": "" if gate.status is Status.PASS else gate.reason,
    }


def _refused_row(refused: Refused, asset_id: AssetId, *, path: str) -> dict[str, Any]:
    """The row of a request without an image; its path leads to no file."""
    return {
        **_request_columns(refused.request, asset_id),
        "path": path,
        "sha256": "",
        "steered_prompt": "",
        "steering": "{}",
        "seed": None,
        "generator": None,
        "weights_digest": None,
        "unknown_words": "",
        "original": "",
        "width": 0,
        "height": 0,
        "format": "",
        "psnr": None,
        "pixels_sha256": "",
        "energy_kwh": None,
        "rubric": None,
        "status": str(Status.ERROR),
        "reason": refused.reason,
    }


@dataclass(frozen=True)
class _Publisher:
    """Publishes the answers of one run's generator, one after another."""

    run: RunDirectory
    marking: Marking
    created: datetime
    suffix: str

    def enter(
        self, answer: GeneratedImage | Refused, asset_id: AssetId, energy: Energy | None
    ) -> dict[str, Any]:
        """Mark and write an image and return its row; a request without an image has a row that says why."""
        stem = f"{answer.request.prompt.prompt_id}-{answer.request.replicate:04d}"
        path = f"images/{stem}{self.suffix or '.png'}"
        if isinstance(answer, Refused):
            return _refused_row(answer, asset_id, path=path)
        try:
            if answer.original is not None:
                return self._enter_foreign(answer, answer.original, stem, asset_id)
            disclosure = Disclosure(energy=energy)
            published = self._publish(answer, path, asset_id, disclosure=disclosure)
            gate = self.marking.gate(published.path)
            return _image_row(answer, published, gate, path=path, original="", energy=energy)
        except InputError as error:
            if answer.original is None and not isinstance(error, InsufficientCapacityError):
                raise  # about the run; anything else is about this one picture
            return _refused_row(Refused(answer.request, str(error)), asset_id, path=path)

    def _enter_foreign(
        self, image: GeneratedImage, original: Path, stem: str, asset_id: AssetId
    ) -> dict[str, Any]:
        """Publish an image of another system; the credentials it came with become those of our parent."""
        if DEFAULT.detect(image.pixels, key=self.marking.key, search="quick").found:
            raise InputError(f"{original.name}: carries our watermark already; enter the unmarked original")
        mime = _media_type(original)
        own = suffix_of(mime) if mime else ""
        path = f"images/{stem}{self.suffix or (own if own in FORMATS else '.png')}"
        kept = original
        parents: tuple[Ingredient, ...] = ()
        if mime and carries_credentials(original, mime):
            kept = self._keep(original, stem)
            parents = (Ingredient(f"original{own}", kept, mime, PARENT),)
        disclosure = Disclosure(model_type=ANY_MODEL)
        published = self._publish(image, path, asset_id, disclosure=disclosure, ingredients=parents)
        where = kept.relative_to(self.run.path) if kept.is_relative_to(self.run.path) else kept
        gate = self.marking.gate(published.path)
        return _image_row(image, published, gate, path=path, original=where.as_posix(), energy=None)

    def _publish(
        self,
        image: GeneratedImage,
        path: str,
        asset_id: AssetId,
        *,
        disclosure: Disclosure,
        ingredients: tuple[Ingredient, ...] = (),
    ) -> Published:
        return publish(
            image,
            self.run.path / path,
            asset_id=asset_id,
            identity=self.marking.identity,
            ledger=self.marking.ledger,
            key=self.marking.key,
            created=self.created,
            disclosure=disclosure,
            ingredients=ingredients,
        )

    def _keep(self, original: Path, stem: str) -> Path:
        """The original's bytes inside the run, as they came."""
        folder = self.run.path / ORIGINALS
        if original.is_relative_to(folder):
            return original
        kept = folder / f"{stem}{original.suffix.lower()}"
        write_atomically(kept, original.read_bytes())
        return kept


def _media_type(path: Path) -> str:
    """Media type of a picture; empty for a kind that holds no credentials."""
    try:
        return media_type(path)
    except InputError:
        return ""


def _made(
    generator: Generator, requests: Sequence[Request]
) -> Iterator[tuple[GeneratedImage | Refused, Energy | None]]:
    """Answers, each with its equal part of the energy that all of them took.

    What a service draws cannot be known here; its answers are handed on one by one, so that each is kept at once.
    """
    if not generator.weights_digest:
        yield from ((answer, None) for answer in generator.generate(requests))
        return
    with measure_energy(watts=core_watts()) as meter:
        answers = list(generator.generate(requests))
    images = sum(isinstance(answer, GeneratedImage) for answer in answers)
    energy = meter.energy.share(images) if meter.energy and images else None
    yield from ((answer, energy) for answer in answers)


@dataclass(frozen=True)
class ImageMaker:
    """Makes, marks, writes and records the images of one run, batch by batch; `begin_images` builds it."""

    run: RunDirectory
    generator: Generator
    _publisher: _Publisher
    _secret: bytes
    _done: set[str]

    def asset_id(self, request: Request) -> AssetId:
        """Identifier of a request's image, the same whenever this run makes it."""
        return AssetId.derive(self._secret, f"{request.prompt.prompt_id}/{request.replicate}")

    def make(self, requests: Sequence[Request], bar: tqdm[Any]) -> list[dict[str, Any]]:
        """Make the requested images that the run does not have yet, and return their rows.

        Raises:
            InputError: the generator cannot be used; what is wrong with one picture becomes its row.
            DiskFullError: no space; the batches committed before are kept.
        """
        waiting = [request for request in requests if self.asset_id(request).hex not in self._done]
        bar.update(len(requests) - len(waiting))
        made: list[dict[str, Any]] = []
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            rows = []
            for request, (answer, energy) in zip(batch, _made(self.generator, batch), strict=True):
                rows.append(self._publisher.enter(answer, self.asset_id(request), energy))
                bar.update()
            self.run.append("images", rows)
            self._done.update(row["image_id"] for row in rows)
            made += rows
        return made

    def finish(self, requests: Sequence[Request], *, started: float) -> None:
        """Finish the images table, in the order of all requests; `started` is a monotonic time."""
        with suppress(OSError):  # nothing arrived from elsewhere
            (self.run.path / ORIGINALS).rmdir()
        self.run.finish_table("images", order=[self.asset_id(request).hex for request in requests])
        self.run.finish_stage("generate", seconds=time.monotonic() - started)


def begin_images(
    run: RunDirectory, *, generator: Generator, marking: Marking, suffix: str = ".png"
) -> ImageMaker:
    """What makes the images of a run.

    Args:
        run: where the images go; its record holds `asset_secret` (hex) and `created` (ISO time).
        generator: makes the pixels.
        marking: what they are marked with.
        suffix: ".png", ".jpg" or ".webp"; empty leaves images of another system in the format they arrive in.
    """
    record = run.record()
    (run.path / "images").mkdir(exist_ok=True)
    (run.path / ORIGINALS).mkdir(exist_ok=True)
    publisher = _Publisher(run, marking, datetime.fromisoformat(record["created"]), suffix)
    return ImageMaker(run, generator, publisher, bytes.fromhex(record["asset_secret"]), run.done("images"))


def generate_images(maker: ImageMaker, requests: Sequence[Request]) -> None:
    """Make, mark, write and record every requested image that the run does not have yet.

    Raises:
        InputError: the generator or the folder cannot be used; what is wrong with one picture becomes its row.
        DiskFullError: no space; the batches committed before are kept.
    """
    started = time.monotonic()
    with progress(len(requests), label="Generate and mark") as bar:
        maker.make(requests, bar)
    maker.finish(requests, started=started)
