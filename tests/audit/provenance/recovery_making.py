"""Publishes pictures for the recovery tests, and makes copies of them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from audit.collection import load_pixels
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.identity import development_identity
from generator.marking.ledger import Entry, Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import publish
from generator.marking.watermark.keys import load_or_create_key
from generator.portraits import Corpus, Rates

CORPUS = Corpus(3, Rates.default(), 200)


def publish_portrait(home: Path, number: int, *, asset: int | None = None) -> Path:
    """Portrait `number`, under the asset id of the same number or another."""
    asset = number if asset is None else asset
    path = home / f"published-{asset}.png"
    image = GeneratedImage(CORPUS.drawing(number, 256), Request(Prompt("p", "x"), 0, 0), "test", "1", "")
    with Ledger(home / "ledger.sqlite") as ledger:
        publish(
            image,
            path,
            asset_id=AssetId.from_int(asset),
            identity=development_identity(),
            ledger=ledger,
            key=load_or_create_key(home),
            created=datetime(2026, 11, 24, tzinfo=UTC),
        )
    return path


def entry_of(location: Path | str, number: int) -> Entry:
    with Ledger(location, read_only=True) as ledger:
        found = ledger.find(AssetId.from_int(number).hex)
    assert found is not None
    return found


def change(location: Path | str, number: int, **fields: object) -> None:
    """The ledger's entry with other content."""
    entry = dataclasses.replace(entry_of(location, number), **fields)
    with Ledger(location) as ledger:
        ledger.record(entry)


def copy(path: Path, target: Path, *, crop: float = 1.0, scale: float = 1.0, **options: object) -> Path:
    """A stripped copy: decoded pixels written anew, centre-cropped and resized."""
    image = Image.fromarray(load_pixels(path))
    cut_w, cut_h = (int(side * (1 - crop) / 2) for side in image.size)
    image = image.crop((cut_w, cut_h, image.width - cut_w, image.height - cut_h))
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    image.save(target, **options)
    return target
