"""Attacks on what stands beside the signature: sidecars, labels, soft bindings and watermarks copied from others."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from benchmarks.attack_case import OPEN, TAMPERED, Case, Kit, words
from benchmarks.forgeries import GENERATED, flip, picture, sign
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.identity import development_identity
from generator.marking.labels import build_xmp
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import publish
from generator.marking.watermark.interface import Pixels
from generator.marking.watermark.keys import WatermarkKey, load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.portraits import Corpus, Rates

DISAGREE = words("marks disagree")
AGREEMENT = "agreement.asset_id"
_SIDE = 256  # px
_OURS, _THEIRS = AssetId.from_int(0x00112233445566AA), AssetId.from_int(0x00112233445566BB)


def marks(kit: Kit) -> Iterator[Case]:
    """Marks that belong to something else, or say different things."""
    for group in (_sidecars, _labels, _watermarks):
        yield from group(kit)


def _sidecars(kit: Kit) -> Iterator[Case]:
    store = sign(kit.plain, kit.leaf, embed=False)
    good = words("trusted")
    yield Case("sidecar of this very file", kit.plain, good, beside=store, passes=True)
    weights = bytes(range(256)) * 64
    signed = sign(weights, kit.leaf, mime="application/octet-stream", embed=False)
    yield Case("sidecar of weights", weights, good, beside=signed, passes=True)
    yield Case("sidecar of other weights", flip(weights, 99), TAMPERED, beside=signed)
    yield Case("sidecar of another picture", picture(seed=3), TAMPERED, beside=store)
    yield Case("sidecar of a changed picture", flip(kit.plain, -60), TAMPERED, beside=store)
    yield Case("changed sidecar", kit.plain, TAMPERED, beside=flip(store, store.index(b"c2pa.created")))
    yield Case("half a sidecar", kit.plain, TAMPERED | OPEN, beside=store[: len(store) // 2])
    yield Case("text called sidecar", kit.plain, TAMPERED | OPEN, beside=b"no manifest store\n")
    altered = flip(kit.signed, -60)
    yield Case("good sidecar beside a tampered embedded manifest", altered, TAMPERED, beside=store)


def _labelled(source_type: str) -> bytes:
    xmp = build_xmp(
        asset_id=_OURS.hex,
        producer="maker",
        system="model",
        version="1",
        created=datetime(2026, 11, 1, tzinfo=UTC),
    )
    return picture("JPEG", xmp=xmp.replace(GENERATED, source_type).encode())


def _bound(value: str) -> dict[str, object]:
    blocks = [{"scope": {}, "value": value}]
    return {"label": "c2pa.soft-binding", "created": True, "data": {"alg": DEFAULT.name, "blocks": blocks}}


def _labels(kit: Kit) -> Iterator[Case]:
    camera = GENERATED.replace("trainedAlgorithmicMedia", "digitalCapture")
    contradiction = sign(_labelled(camera), kit.leaf, mime="image/jpeg")
    yield Case("XMP contradicts C2PA", contradiction, DISAGREE, "labels.iptc")
    other = sign(_labelled(GENERATED), kit.leaf, mime="image/jpeg", assertions=[_bound("f" * 16)])
    yield Case("soft binding names another picture", other, DISAGREE, AGREEMENT)
    yield Case("labels without a signature", _labelled(GENERATED), words("labels only (unsigned)"))


def _watermarks(kit: Kit) -> Iterator[Case]:
    """A watermark lifted off our published picture and laid onto another one."""
    key = load_or_create_key(kit.home)
    corpus = Corpus(3, Rates.default(), 2)
    own, foreign = (corpus.drawing(number, _SIDE) for number in range(2))
    marked = _publish(kit, own, key)
    moved = np.clip(foreign.astype(np.int16) + (marked.astype(np.int16) - own), 0, 255).astype(np.uint8)
    if not DEFAULT.detect(moved, key=key, search="quick").found:
        raise AssertionError("the watermark did not survive being copied, so the attack would test nothing")
    copied = _png(moved)
    yield Case("watermark copied, no manifest", copied, DISAGREE, "watermark.content", search="full")
    yield Case("watermark copied, ledger asked", copied, DISAGREE, "recovered", search="full")
    bound = sign(copied, kit.leaf, assertions=[_bound(_THEIRS.hex)])
    yield Case("watermark copied beside another id", bound, DISAGREE, AGREEMENT, search="full")
    posing = sign(copied, kit.leaf, assertions=[_bound(_OURS.hex)])
    yield Case("watermark and its id copied", posing, DISAGREE, "ledger.entry", search="full")


def _publish(kit: Kit, pixels: Pixels, key: WatermarkKey) -> Pixels:
    image = GeneratedImage(pixels, Request(Prompt("p", "a portrait"), 0, 0), "maker", "1", "")
    path = kit.home / "published.png"
    with Ledger(kit.home / LEDGER_FILE) as ledger:
        publish(
            image,
            path,
            asset_id=_OURS,
            identity=development_identity(kit.home / "identity"),
            ledger=ledger,
            key=key,
            created=datetime(2026, 11, 1, tzinfo=UTC),
        )
    return np.asarray(Image.open(path))


def _png(pixels: Pixels) -> bytes:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()
