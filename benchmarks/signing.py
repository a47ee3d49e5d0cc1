"""Signing: what all layers but the watermark cost beside a bare c2pa-python sign, and the rubric gate.

python -m benchmarks.signing [--json]
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import c2pa
import numpy as np
from PIL import Image

from audit.provenance.read import read_manifests
from audit.provenance.rubric_gate import check_rubric
from audit.provenance.trust import TrustLists, load_trust
from benchmarks.document import Figure, run_benchmark
from generator.marking.credentials import sign
from generator.marking.identity import Identity, development_identity
from generator.marking.labels import TRAINED_ALGORITHMIC_MEDIA, build_xmp
from generator.marking.manifest import ManifestFacts, build_manifest
from generator.marking.payload import AssetId
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT
from generator.marking.xmp import insert_packet
from generator.portraits import Corpus, Rates

SIDE = 1024  # px
ROUNDS = 100
MOST = 1.5  # times a bare sign
FACTS = ManifestFacts(
    title="0123456789abcdef.png",
    asset_id="0123456789abcdef",
    created=datetime(2026, 11, 24, 12, tzinfo=UTC),
    generator="benchmark",
    version="1",
    weights_digest="sha256:" + "ab" * 32,
    soft_binding_alg="io.github.assay-audit.benchmark",
    image_code=bytes(32),
)


def _bare(data: bytes, mime: str, identity: Identity, *, verified: bool) -> Callable[[], None]:
    """What the engine's own documentation shows, with the thumbnail off: one action, key from PEM.

    The engine verifies what it has signed unless it is told not to; we tell it so, and read back by ourselves.
    """
    created = {"action": "c2pa.created", "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA}
    actions = {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [created]}}
    definition = {"claim_version": 2, "claim_generator_info": [{"name": "bare"}], "assertions": [actions]}
    settings = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": verified}}
    context = c2pa.Context.from_dict(settings)
    texts = (identity.algorithm, identity.chain_pem, identity.key_pem)
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(*(text.encode() for text in texts), None))

    def run() -> None:
        with c2pa.Builder(definition, context=context) as builder:
            builder.sign(signer, mime, io.BytesIO(data), io.BytesIO())

    return run


def _ours(data: bytes, mime: str, identity: Identity) -> Callable[[], bytes]:
    """Labels, complete manifest, derived manifest id, signature."""

    def run() -> bytes:
        xmp = build_xmp(
            asset_id=FACTS.asset_id,
            producer=identity.name,
            system=FACTS.generator,
            version=FACTS.version,
            created=FACTS.created,
        )
        labelled = insert_packet(data, xmp.encode())
        return sign(labelled, mime, manifest=build_manifest(FACTS), identity=identity).data

    return run


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds: nothing here waits, and other programs on the machine do not count."""
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _pair(bare: Callable[[], object], ours: Callable[[], object], *, ours_first: bool) -> tuple[float, float]:
    """CPU seconds of both, in either order: the second finds warmer caches."""
    if ours_first:
        second = _seconds(ours)
        return _seconds(bare), second
    first = _seconds(bare)
    return first, _seconds(ours)


def _pictures() -> dict[str, Image.Image]:
    """A watermarked drawing, which compresses well, and the same with the grain of a photograph."""
    drawing = Corpus(3, Rates.default(), 1).drawing(0, SIDE)
    grain = np.random.default_rng(1).normal(0, 4, drawing.shape)
    grained = (drawing + grain).clip(0, 255).astype(np.uint8)
    key, asset_id = WatermarkKey(bytes(32)), AssetId.from_hex(FACTS.asset_id)
    return {
        name: Image.fromarray(DEFAULT.embed(pixels, asset_id, key=key).pixels)
        for name, pixels in (("drawing", drawing), ("grained", grained))
    }


def measure() -> Iterator[Figure]:
    """Interleaved rounds; the ratio is the median over the pairs, which a busy machine slows alike."""
    with tempfile.TemporaryDirectory() as folder:
        identity = development_identity(Path(folder))
    trust = load_trust(None, development=identity.root_pem)
    for kind, picture in _pictures().items():
        for form in ("PNG", "JPEG", "WEBP"):
            target, mime = io.BytesIO(), f"image/{form.lower()}"
            picture.save(target, form, quality=95)
            yield from _compare(
                f"{form.lower()}.{kind}", target.getvalue(), mime, identity=identity, trust=trust
            )


def _compare(name: str, data: bytes, mime: str, *, identity: Identity, trust: TrustLists) -> Iterator[Figure]:
    bare, ours = _bare(data, mime, identity, verified=False), _ours(data, mime, identity)
    default = _bare(data, mime, identity, verified=True)
    signed = ours()
    bare()
    pairs = [_pair(bare, ours, ours_first=bool(number % 2)) for number in range(ROUNDS)]
    defaults = [_pair(default, ours, ours_first=bool(number % 2)) for number in range(ROUNDS)]
    gate = [_seconds(lambda: check_rubric(read_manifests(signed, trust).crjson)) for _ in range(ROUNDS)]
    bare_ms, ours_ms = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    size = f"{len(data) / 1e6:.2f} MB"
    yield Figure(f"sign.{name}.bare", bare_ms, "CPU ms", note=size)
    yield Figure(f"sign.{name}.all_layers", ours_ms, "CPU ms", note=size)
    ratio = statistics.median(second / first for first, second in pairs)
    yield Figure(f"sign.{name}.ratio", ratio, "times", ceiling=MOST)
    usual = statistics.median(second / first for first, second in defaults)
    yield Figure(
        f"sign.{name}.ratio_to_default",
        usual,
        "times",
        note="the engine verifies after signing, as by default",
    )
    yield Figure(f"sign.{name}.rubric_gate", statistics.median(gate) * 1e3, "CPU ms", note="read back, judge")


if __name__ == "__main__":
    raise SystemExit(run_benchmark("signing", measure))
