"""Generates the images of a run: what is asked for, made in batches, published one by one, recorded.

Seeds and asset ids are derived from the run's own secrets, the prompt and the replicate, so that a run that was
killed makes the very same images under the very same names when it goes on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.engine import progress
from audit.evidence import Status
from audit.run import RunDirectory
from generator.interface import GeneratedImage, Generator, Request
from generator.marking.identity import Identity
from generator.marking.ledger import Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import Published, publish
from generator.marking.watermark.keys import WatermarkKey
from generator.prompts import PromptSet

BATCH = 32  # images committed together


@dataclass(frozen=True)
class Marking:
    """What every published image is marked with."""

    identity: Identity
    key: WatermarkKey
    ledger: Ledger


def image_seed(run_seed: int, *, prompt_id: str, replicate: int) -> int:
    """Seed of one image: 63 bits of a digest over the run's seed, the prompt id and the replicate."""
    text = f"{run_seed}/{prompt_id}/{replicate}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def plan_requests(prompts: PromptSet, *, count: int, seed: int) -> list[Request]:
    """`count` requests for each prompt, prompt by prompt."""
    return [
        Request(prompt, replicate, image_seed(seed, prompt_id=prompt.prompt_id, replicate=replicate))
        for prompt in prompts.prompts
        for replicate in range(count)
    ]


def _file_name(request: Request, suffix: str) -> str:
    return f"images/{request.prompt.prompt_id}-{request.replicate:04d}{suffix}"


def _image_row(image: GeneratedImage, published: Published, relative: str) -> dict[str, Any]:
    request = image.request
    height, width = image.pixels.shape[:2]
    return {
        "image_id": published.asset_id.hex,
        "path": relative,
        "sha256": published.sha256,
        "prompt_id": request.prompt.prompt_id,
        "prompt": request.prompt.text,
        "slots": json.dumps(request.prompt.slots, ensure_ascii=False),
        "replicate": request.replicate,
        "seed": str(request.seed),
        "generator": image.generator,
        "weights_digest": image.weights_digest,
        "unknown_words": " ".join(image.unknown_words),
        "width": width,
        "height": height,
        "format": published.format,
        "psnr": published.psnr,
        "pixels_sha256": hashlib.sha256(image.pixels.tobytes()).hexdigest(),
        "status": str(Status.PASS),
        "reason": "",
    }


def generate_images(
    run: RunDirectory,
    requests: Sequence[Request],
    *,
    generator: Generator,
    marking: Marking,
    suffix: str = ".png",
) -> None:
    """Make, mark, write and record every requested image that the run does not have yet.

    Args:
        run: where the images go; its record holds `asset_secret` (hex) and `created` (ISO time).
        requests: what to make.
        generator: makes the pixels.
        marking: what they are marked with.
        suffix: ".png", ".jpg" or ".webp".

    Raises:
        DiskFullError: no space; the batches committed before are kept.
    """
    started = time.monotonic()
    record = run.record()
    secret, created = bytes.fromhex(record["asset_secret"]), datetime.fromisoformat(record["created"])
    (run.path / "images").mkdir(exist_ok=True)
    done = run.done("images")
    planned = [
        (request, AssetId.derive(secret, f"{request.prompt.prompt_id}/{request.replicate}"))
        for request in requests
    ]
    waiting = [(request, asset_id) for request, asset_id in planned if asset_id.hex not in done]
    with progress(len(planned), label="Generate and mark", done=len(planned) - len(waiting)) as bar:
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            rows = []
            images = generator.generate([request for request, _ in batch])
            for (request, asset_id), image in zip(batch, images, strict=True):
                relative = _file_name(request, suffix)
                published = publish(
                    image,
                    run.path / relative,
                    asset_id=asset_id,
                    identity=marking.identity,
                    ledger=marking.ledger,
                    key=marking.key,
                    created=created,
                )
                rows.append(_image_row(image, published, relative))
                bar.update()
            run.append("images", rows)
    run.finish_table("images", order=[asset_id.hex for _, asset_id in planned])
    run.finish_stage("generate", seconds=time.monotonic() - started)
