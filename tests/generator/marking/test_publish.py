"""Publishing: every layer is there and agrees, nothing half-written, a second run changes nothing."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image

from audit.provenance.rubric import evaluate_rubric
from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.identity import Identity, development_identity
from generator.marking.labels import LabelStatus, read_labels
from generator.marking.ledger import Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import FORMATS, Published, publish
from generator.marking.watermark.interface import InsufficientCapacityError
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

CREATED = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)
PROMPT = "a portrait of an astronaut named Zanzibar-Quux"
ASSET = AssetId.from_hex("0123456789abcdef")
KEY = WatermarkKey(bytes(range(32)))


def picture(side: int = 256, seed: int = 1) -> np.ndarray:
    """A drawing-like picture: gradient, shapes and a little texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    values = np.stack([60 + x * 120 // side, 80 + y * 100 // side, 120 + (x + y) * 40 // side], -1).astype(
        float
    )
    values[side // 4 : side // 2, side // 3 : side // 2] = [210, 160, 130]
    return (values + rng.normal(0, 3, (side, side, 1))).clip(0, 255).astype(np.uint8)


def image(seed: int = 1, side: int = 256) -> GeneratedImage:
    request = Request(Prompt("astronaut-0", PROMPT, {"occupation": "astronaut"}), 0, seed)
    return GeneratedImage(picture(side, seed), request, "assay-test", "1.2", "sha256:" + "ab" * 32, ("Quux",))


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return development_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    return made


def put(path: Path, identity: Identity, ledger: Ledger, **changes: object) -> Published:
    arguments = {"asset_id": ASSET, "identity": identity, "ledger": ledger, "key": KEY, "created": CREATED}
    made = changes.pop("image", None) or image()
    return publish(made, path, **(arguments | changes))


def crjson(data: bytes, mime: str, identity: Identity) -> dict:
    context = c2pa.Context.from_dict({"trust": {"user_anchors": identity.root_pem}})
    with c2pa.Reader(mime, io.BytesIO(data), context=context) as reader:
        assert reader.get_validation_state() == "Trusted"
        return json.loads(reader.crjson())


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_layer_agrees(suffix: str, folder: Path, identity: Identity, ledger: Ledger) -> None:
    path = folder / f"astronaut{suffix}"
    done = put(path, identity, ledger)
    data = path.read_bytes()
    assert done.sha256 == hashlib.sha256(data).hexdigest()
    assert (done.width, done.height, done.size, done.format) == (256, 256, len(data), FORMATS[suffix])
    assert done.development_identity
    assert not done.unchanged
    assert done.psnr > 38

    detection = DEFAULT.detect(np.asarray(Image.open(path).convert("RGB")), key=KEY, search="quick")
    assert detection.found
    assert detection.payload == ASSET

    labels = read_labels(path)
    assert labels.status is LabelStatus.FOUND
    assert (labels.asset_id, labels.system, labels.system_version) == (ASSET.hex, "assay-test", "1.2")

    store = crjson(data, f"image/{done.format.lower()}", identity)
    statements = evaluate_rubric(store)
    assert [s.id for s in statements if not s.passed] == []
    assert len(statements) == 31
    binding = store["manifests"][0]["assertions"]["c2pa.soft-binding"]
    assert (binding["alg"], binding["blocks"][0]["value"]) == (DEFAULT.name, ASSET.hex)

    entry = ledger.find(ASSET.hex)
    assert entry.sha256 == done.sha256
    assert entry.manifest_id == done.manifest_id == store["manifests"][0]["label"]
    assert entry.manifest in data
    assert (entry.format, entry.generator) == (done.format, "assay-test")


def test_png_holds_exactly_the_marked_pixels(folder: Path, identity: Identity, ledger: Ledger) -> None:
    path = folder / "a.png"
    put(path, identity, ledger)
    marked = DEFAULT.embed(picture(), ASSET, key=KEY).pixels
    assert np.array_equal(np.asarray(Image.open(path)), marked)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_no_word_of_the_prompt_by_default(
    suffix: str, folder: Path, identity: Identity, ledger: Ledger
) -> None:
    path = folder / f"astronaut-0-r0{suffix}"  # the file's own name may hold words; its content must not
    put(path, identity, ledger)
    content = path.read_bytes() + b"".join(f.read_bytes() for f in folder.parent.glob("ledger.sqlite*"))
    for word in (b"astronaut", b"Zanzibar", b"Quux", b"occupation"):
        assert word not in content
    put(path, identity, ledger, include_prompt=True)
    assert path.read_bytes().count(PROMPT.encode()) == 2  # label and manifest
    assert read_labels(path).prompt == PROMPT


def test_twice_is_once(folder: Path, identity: Identity, ledger: Ledger) -> None:
    path = folder / "a.png"
    first = put(path, identity, ledger)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    second = put(path, identity, ledger)
    assert second == dataclasses.replace(first, unchanged=True)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert len(ledger) == 1
    assert ledger.replaced(ASSET.hex) == ()


def test_other_content_under_the_same_id_is_recorded(
    folder: Path, identity: Identity, ledger: Ledger
) -> None:
    path = folder / "a.png"
    first = put(path, identity, ledger)
    second = put(path, identity, ledger, image=image(seed=2))
    assert len(ledger) == 1
    assert ledger.find(ASSET.hex).sha256 == second.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [earlier.sha256 for earlier in ledger.replaced(ASSET.hex)] == [first.sha256]


@pytest.mark.parametrize("loss", ["file", "damage", "ledger"])
def test_a_second_run_heals(loss: str, folder: Path, identity: Identity, ledger: Ledger) -> None:
    path = folder / "a.png"
    put(path, identity, ledger)
    if loss == "file":
        path.unlink()
    elif loss == "damage":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        ledger._store.run("DELETE FROM asset")
    healed = put(path, identity, ledger)
    assert not healed.unchanged
    assert ledger.find(ASSET.hex).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert put(path, identity, ledger).unchanged


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_interrupted_leaves_no_half_file(
    step: str, folder: Path, identity: Identity, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "a.png"
    put(path, identity, ledger)
    before = path.read_bytes()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            put(path, identity, ledger, image=image(seed=2))
    assert [f.name for f in folder.iterdir()] == ["a.png"]
    assert path.read_bytes() == before
    assert ledger.find(ASSET.hex).sha256 == hashlib.sha256(before).hexdigest()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full(
    code: int, folder: Path, identity: Identity, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "a.png", identity, ledger)
    other = AssetId(7)

    def full(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError, match=r"b\.png: disk full.*is kept"):
            put(folder / "b.png", identity, ledger, asset_id=other)
    assert [f.name for f in folder.iterdir()] == ["a.png"]
    assert ledger.find(other.hex) is None
    assert put(folder / "b.png", identity, ledger, asset_id=other).asset_id == other


@pytest.mark.parametrize("kind", [DiskFullError, CannotCheckError])
def test_ledger_fails_after_the_file(
    kind: type[CannotCheckError],
    folder: Path,
    identity: Identity,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise kind("ledger: no")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", fail)
        with pytest.raises(kind, match=r"a\.png: complete and signed, but not yet in the ledger"):
            put(folder / "a.png", identity, ledger)
    crjson((folder / "a.png").read_bytes(), "image/png", identity)
    put(folder / "a.png", identity, ledger)
    assert ledger.find(ASSET.hex).sha256 == hashlib.sha256((folder / "a.png").read_bytes()).hexdigest()


def test_refusals(folder: Path, identity: Identity, ledger: Ledger) -> None:
    with pytest.raises(InputError, match=r"\.png, \.jpg"):
        put(folder / "a.bmp", identity, ledger)
    with pytest.raises(InputError, match="does not exist"):
        put(folder / "deeper" / "a.png", identity, ledger)
    with pytest.raises(InsufficientCapacityError):
        put(folder / "a.png", identity, ledger, image=image(side=8))
    with pytest.raises(InputError, match="time zone"):
        put(folder / "a.png", identity, ledger, created=datetime(2026, 1, 1))  # noqa: DTZ001
    (folder / "b.png").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        put(folder / "b.png", identity, ledger)
    assert [f.name for f in folder.iterdir()] == ["b.png"]
    assert len(ledger) == 0
