"""Signing files as they are: every format the engine writes, labels put in without touching a pixel, sidecars."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image
from small_files import FILES, picture

from audit.evidence import Status
from audit.provenance.rubric_gate import check_rubric
from generator.errors import CannotCheckError, InputError
from generator.marking.credentials import signable_types
from generator.marking.formats import TYPES, media_type, suffix_of
from generator.marking.identity import Identity, development_identity
from generator.marking.labels import LabelStatus, read_labels
from generator.marking.ledger import Ledger
from generator.marking.manifest import ManifestFacts
from generator.marking.sign_file import SignedFile, sign_beside, sign_file
from generator.marking.xmp import DamagedFileError, insert_packet

FACTS = ManifestFacts(
    title="0123456789abcdef",
    asset_id="0123456789abcdef",
    created=datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC),
    generator="assay-test",
    version="1.2",
    weights_digest="sha256:" + "ab" * 32,
    soft_binding_alg="",
)


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return development_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def reader(data: bytes, mime: str, identity: Identity, sidecar: bytes | None = None) -> c2pa.Reader:
    context = c2pa.Context.from_dict({"trust": {"user_anchors": identity.root_pem}})
    return c2pa.Reader(mime, io.BytesIO(data), sidecar, context)


def put(suffix: str, folder: Path, identity: Identity, ledger: Ledger, data: bytes = b"") -> SignedFile:
    source = folder / f"plain{suffix}"
    source.write_bytes(data or FILES[suffix]())
    target = folder / f"signed{suffix}"
    mime = media_type(source)
    return sign_file(source, target, mime=mime, facts=FACTS, identity=identity, ledger=ledger)


def test_every_type_is_one_that_the_engine_writes() -> None:
    assert set(TYPES.values()) <= signable_types()
    # what the engine writes besides are other names of the same types, and office templates
    assert FILES.keys() == TYPES.keys() - {".jpeg", ".tif"}


@pytest.mark.parametrize("suffix", FILES)
def test_every_format_is_signed_and_read_back(
    suffix: str, tmp_path: Path, identity: Identity, ledger: Ledger
) -> None:
    done = put(suffix, tmp_path, identity, ledger)
    data, mime = done.path.read_bytes(), TYPES[suffix]
    with reader(data, mime, identity) as opened:
        assert opened.get_validation_state() == "Trusted"
        assert opened.get_active_manifest()["label"] == done.manifest_id
        check = check_rubric(json.loads(opened.crjson()))
    assert (check.status, check.value) == (Status.PASS, 31.0), check.reason
    assert (tmp_path / f"plain{suffix}").read_bytes() == FILES[suffix]()
    entry = ledger.find(FACTS.asset_id)
    assert entry.sha256 == hashlib.sha256(data).hexdigest()
    assert entry.manifest_id == done.manifest_id


@pytest.mark.parametrize("suffix", [".png", ".gif", ".tiff", ".avif", ".jxl", ".svg", ".pdf", ".mp4", ".wav"])
def test_changed_content_is_invalid(suffix: str, tmp_path: Path, identity: Identity, ledger: Ledger) -> None:
    done = put(suffix, tmp_path, identity, ledger)
    data, plain = bytearray(done.path.read_bytes()), FILES[suffix]()
    kept = [plain[at : at + 16] for at in range(0, len(plain) - 16, 4) if plain[at : at + 16] in data]
    data[data.index(kept[len(kept) // 2]) + 8] ^= 1  # amid what signing took over from the original
    with reader(bytes(data), TYPES[suffix], identity) as opened:
        assert opened.get_validation_state() == "Invalid"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_labels_are_put_in_without_touching_a_pixel(
    form: str, tmp_path: Path, identity: Identity, ledger: Ledger
) -> None:
    suffix = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}[form]
    done = put(suffix, tmp_path, identity, ledger)
    assert (done.labelled, done.reason) == (True, "")
    labels = read_labels(done.path)
    assert labels.status is LabelStatus.FOUND
    assert (labels.asset_id, labels.system) == (FACTS.asset_id, "assay-test")
    before, after = (np.asarray(Image.open(tmp_path / f"{name}{suffix}")) for name in ("plain", "signed"))
    assert np.array_equal(before, after)


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"lossless": False}, {"exact": True, "lossless": True}]
)
def test_labels_in_every_kind_of_webp(options: dict[str, bool]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (31, 57, 4), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "WEBP", **options)
    labelled = insert_packet(target.getvalue(), b"<x:xmpmeta/>")
    before, after = (np.asarray(Image.open(io.BytesIO(data))) for data in (target.getvalue(), labelled))
    assert np.array_equal(before, after)
    assert Image.open(io.BytesIO(labelled)).info["xmp"] == b"<x:xmpmeta/>"


def test_a_simple_lossy_webp_gets_its_size_into_the_header() -> None:
    labelled = insert_packet(picture("WEBP"), b"<x:xmpmeta/>")
    assert labelled[12:16] == b"VP8X"
    assert [int.from_bytes(labelled[at : at + 3], "little") + 1 for at in (24, 27)] == [40, 48]


def test_xmp_that_is_there_is_left_as_it_is(tmp_path: Path, identity: Identity, ledger: Ledger) -> None:
    own = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    done = put(".png", tmp_path, identity, ledger, insert_packet(picture("PNG"), own))
    assert not done.labelled
    assert "XMP of its own" in done.reason
    assert own in done.path.read_bytes()


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"\xff\xd8", b"RIFF\x10\x00\x00\x00WEBPVP8L\x00\x00\x00\x00"]
)
def test_insertion_into_broken_files_is_refused_or_harmless(data: bytes) -> None:
    with contextlib.suppress(DamagedFileError):
        assert b"packet" in insert_packet(data, b"packet")


def test_signing_again_changes_nothing(tmp_path: Path, identity: Identity, ledger: Ledger) -> None:
    first = put(".gif", tmp_path, identity, ledger)
    data = first.path.read_bytes()
    assert put(".gif", tmp_path, identity, ledger) == first
    assert first.path.read_bytes() == data
    assert ledger.replaced(FACTS.asset_id) == ()


def test_sidecar_of_weights(tmp_path: Path, identity: Identity) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(range(256)) * 40)
    done = sign_beside(weights, tmp_path / "model.safetensors.c2pa", facts=FACTS, identity=identity)
    store = done.path.read_bytes()
    kind = "application/octet-stream"
    with reader(weights.read_bytes(), kind, identity, store) as opened:
        assert opened.get_validation_state() == "Trusted"
        assert opened.get_active_manifest()["label"] == done.manifest_id
    assert len(weights.read_bytes()) == 10_240
    for tampered in (weights.read_bytes()[:-1] + b"x", weights.read_bytes() + b"x"):
        with reader(tampered, kind, identity, store) as opened:
            assert opened.get_validation_state() == "Invalid"


def test_refusals_name_the_file(tmp_path: Path) -> None:
    empty, unknown = tmp_path / "a.png", tmp_path / "a.xyz"
    empty.write_bytes(b"")
    unknown.write_bytes(b"what is this")
    with pytest.raises(InputError, match=r"a\.png: the file is empty"):
        media_type(empty)
    with pytest.raises(InputError, match=r"a\.xyz: neither its content nor '\.xyz'"):
        media_type(unknown)
    with pytest.raises(CannotCheckError, match="cannot be read"):
        media_type(tmp_path / "absent.png")


def test_content_decides_over_the_name(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture("JPEG"))
    assert media_type(path) == "image/jpeg"
    text = tmp_path / "photo.jpg"
    text.write_bytes(b"hello")
    with pytest.raises(InputError, match="can be signed"):
        media_type(text)
    assert all(re.fullmatch(r"\.[a-z0-9]+", suffix_of(kind)) for kind in TYPES.values())


def test_half_a_file_is_refused_and_leaves_nothing(
    tmp_path: Path, identity: Identity, ledger: Ledger
) -> None:
    with pytest.raises(InputError, match=r"signing .* failed"):
        put(".png", tmp_path, identity, ledger, FILES[".png"]()[:40])
    assert not (tmp_path / "signed.png").exists()
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".sqlite")[:1] != [".signed.png"]
    assert ledger.find(FACTS.asset_id) is None
