"""Recovery: the right manifest comes back, and a wrong one never does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from recovery_making import CORPUS, change, copy, entry_of, publish_portrait

from audit.collection import load_pixels
from audit.evidence import Status
from audit.provenance.gather import Setup, build_setup, examine
from audit.provenance.recovery import NEARLY_EQUAL, Recovery, RecoveryState, recover
from audit.provenance.recovery_checks import check_recovery
from audit.provenance.recovery_comparison import (
    compare_pictures,
    compare_whole,
    decode_preview,
    render_comparison,
)
from audit.provenance.recovery_sources import Candidate, LedgerSource
from audit.provenance.trust import build_lists, load_trust
from benchmarks.attack_case import TIME_STAMPING
from benchmarks.forgeries import EMAIL, Authority, picture, sign
from generator.errors import CannotCheckError
from generator.marking.fingerprint import make_preview
from generator.marking.payload import AssetId
from generator.marking.watermark.keys import KEY_FILE, load_key
from generator.marking.watermark.registry import DEFAULT


@pytest.fixture
def ledger(assay_home: Path) -> Path:
    return assay_home / "ledger.sqlite"


def by_mark(path: Path, ledger: Path, number: int = 1) -> Recovery:
    return recover(path, [LedgerSource(ledger)], payload=AssetId.from_int(number).hex, trust=load_trust(None))


def test_stripped_copy_end_to_end(assay_home: Path, ledger: Path, tmp_path: Path) -> None:
    published = publish_portrait(assay_home, 1)
    path = copy(published, tmp_path / "copy.jpg", crop=0.9, quality=85)
    setup = build_setup(search="full")
    layers = examine(path, setup)
    assert layers.watermark.payload == AssetId.from_int(1).hex
    found = recover(path, [LedgerSource(ledger)], payload=layers.watermark.payload, trust=setup.trust)
    assert found.state is RecoveryState.RECOVERED
    assert found.manifest_id == entry_of(ledger, 1).manifest_id
    assert found.comparison is not None
    assert 0.5 < found.comparison.part < 1
    checks = {check.name: check for check in check_recovery(found, layers)}
    assert checks["recovered"].value == "recovered"
    assert "bytes differ" in checks["recovered"].reason
    assert checks["recovered.signature"].status is Status.PASS
    assert checks["recovered.trust"].value == "development"
    assert checks["recovered.trust"].status is not Status.PASS


@pytest.mark.parametrize("name", ["copy.webp", "copy.bmp", "copy.png"])
def test_every_kind_of_copy(assay_home: Path, ledger: Path, tmp_path: Path, name: str) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / name, scale=0.75)
    assert by_mark(path, ledger).state is RecoveryState.RECOVERED


def test_the_published_file_itself_differs_in_nothing(assay_home: Path, ledger: Path) -> None:
    path = publish_portrait(assay_home, 1)
    assert by_mark(path, ledger).state is RecoveryState.SAME_BYTES


def test_transplanted_watermark_recovers_nothing(assay_home: Path, ledger: Path, tmp_path: Path) -> None:
    publish_portrait(assay_home, 1)
    forged = DEFAULT.embed(CORPUS.drawing(2, 256), AssetId.from_int(1), key=load_key(assay_home / KEY_FILE))
    path = tmp_path / "forged.png"
    Image.fromarray(forged.pixels).save(path)
    found = by_mark(path, ledger)
    assert found.state is RecoveryState.DIFFERS
    layers = examine(path, build_setup(search="off"))
    (check,) = check_recovery(found, layers)
    assert check.status is Status.INCONCLUSIVE
    assert check.next_step


@dataclass(frozen=True)
class WithoutPreview:
    """A source that knows the manifest only, as a server does."""

    ledger: Path

    def by_watermark(self, payload: str) -> Sequence[Candidate]:
        return [Candidate("urn:c2pa:x", entry_of(self.ledger, 1).manifest, b"", "somewhere")]


def test_signed_fingerprint_stands_in_for_the_picture(assay_home: Path, ledger: Path, tmp_path: Path) -> None:
    published, source = publish_portrait(assay_home, 1), WithoutPreview(ledger)
    asked = {"payload": AssetId.from_int(1).hex}
    found = recover(copy(published, tmp_path / "copy.png"), [source], **asked)
    assert (found.state, found.comparison) == (RecoveryState.RECOVERED, None)
    assert "signed fingerprint" in found.reason
    crop = recover(copy(published, tmp_path / "crop.png", crop=0.7), [source], **asked)
    assert crop.state is RecoveryState.NOT_COMPARED  # a crop and a transplanted mark look the same to it
    other = tmp_path / "other.png"
    Image.fromarray(CORPUS.drawing(2, 256)).save(other)
    assert recover(other, [source], **asked).state is RecoveryState.NOT_COMPARED


@pytest.mark.parametrize(("purposes", "value"), [((EMAIL,), "trusted"), ((TIME_STAMPING,), "unacceptable")])
def test_a_recovered_signer_is_held_to_the_same_rules(
    assay_home: Path, ledger: Path, tmp_path: Path, purposes: tuple[str, ...], value: str
) -> None:
    """The engine alone calls both trusted."""
    root = Authority()
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    blocks = [{"scope": {}, "value": AssetId.from_int(1).hex}]
    binding = {"label": "c2pa.soft-binding", "created": True, "data": {"alg": DEFAULT.name, "blocks": blocks}}
    leaf = root.issue(purposes=purposes)
    change(ledger, 1, manifest=sign(picture(), leaf, assertions=[binding], embed=False))
    trust = build_lists([root.pem], [], [], source="test")
    found = recover(path, [LedgerSource(ledger)], payload=AssetId.from_int(1).hex, trust=trust)
    layers = examine(path, Setup(trust=trust, search="off"))
    checks = {check.name: check for check in check_recovery(found, layers)}
    assert (found.state, checks["recovered.trust"].value) == (RecoveryState.RECOVERED, value)


def test_damaged_and_swapped_entries(assay_home: Path, ledger: Path, tmp_path: Path) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    publish_portrait(assay_home, 2)
    good = entry_of(ledger, 1).manifest
    where = good.index(AssetId.from_int(1).hex.encode())
    change(ledger, 1, manifest=good[:where] + b"f" + good[where + 1 :])
    assert by_mark(path, ledger).state is RecoveryState.DAMAGED
    change(ledger, 1, manifest=b"not a manifest")
    assert by_mark(path, ledger).state is RecoveryState.DAMAGED
    change(ledger, 1, manifest=entry_of(ledger, 2).manifest)
    assert by_mark(path, ledger).state is RecoveryState.CONTRADICTS


def test_fingerprint_finds_the_picture_and_no_other(assay_home: Path, ledger: Path, tmp_path: Path) -> None:
    published = [publish_portrait(assay_home, number) for number in (1, 2, 3)]
    source = LedgerSource(ledger)
    small = recover(copy(published[1], tmp_path / "copy.jpg", scale=0.5, quality=80), [source])
    assert small.state is RecoveryState.RECOVERED
    assert (small.found_by, small.manifest_id) == ("fingerprint", entry_of(ledger, 2).manifest_id)
    other = tmp_path / "other.png"
    Image.fromarray(CORPUS.drawing(9, 256)).save(other)
    assert recover(other, [source]).state is RecoveryState.NOT_FOUND


def test_near_fingerprint_of_another_picture_is_not_taken(
    assay_home: Path, ledger: Path, tmp_path: Path
) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    change(ledger, 1, preview=make_preview(CORPUS.drawing(2, 256)))
    assert recover(path, [LedgerSource(ledger)]).state is RecoveryState.NOT_FOUND


def test_ledger_that_gives_one_picture_to_another_manifest(
    assay_home: Path, ledger: Path, tmp_path: Path
) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    publish_portrait(assay_home, 2)
    change(ledger, 1, manifest=entry_of(ledger, 2).manifest)
    assert recover(path, [LedgerSource(ledger)]).state is RecoveryState.CONTRADICTS


def test_two_that_fit_are_no_answer(assay_home: Path, ledger: Path, tmp_path: Path) -> None:
    first = publish_portrait(assay_home, 1)
    publish_portrait(assay_home, 1, asset=2)

    class KnowsOne:
        def by_fingerprint(self, code: bytes) -> Sequence[Candidate]:
            return LedgerSource(ledger).by_fingerprint(code)[:1]

    found = recover(copy(first, tmp_path / "copy.png"), [LedgerSource(ledger), KnowsOne()])
    assert found.state is RecoveryState.AMBIGUOUS  # a source that knows less makes it no clearer
    assert (found.manifest_id, found.manifest) == ("", b"")
    assert len(found.manifest_ids) == 2


def test_unknown_identifier_no_pixels_and_a_source_that_fails(
    assay_home: Path, ledger: Path, tmp_path: Path
) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    assert by_mark(path, ledger, number=7).state is RecoveryState.NOT_FOUND
    text = tmp_path / "text.png"
    text.write_text("no picture")
    assert by_mark(text, ledger).state is RecoveryState.UNDECODABLE

    class Down:
        def by_watermark(self, payload: str) -> Sequence[Candidate]:
            raise CannotCheckError("server down")

    assert recover(path, [Down()], payload="0" * 16).state is RecoveryState.UNREACHABLE
    both = recover(path, [Down(), LedgerSource(ledger)], payload=AssetId.from_int(1).hex)
    assert both.state is RecoveryState.RECOVERED


def test_a_bad_answer_does_not_hide_a_good_one(assay_home: Path, ledger: Path, tmp_path: Path) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")

    class Wrong:
        def by_watermark(self, payload: str) -> Sequence[Candidate]:
            return [Candidate("x", b"junk", b"", "elsewhere")]

    asked = {"payload": AssetId.from_int(1).hex}
    assert recover(path, [Wrong()], **asked).state is RecoveryState.DAMAGED
    assert recover(path, [Wrong(), LedgerSource(ledger)], **asked).state is RecoveryState.RECOVERED


@pytest.mark.parametrize(("turn", "mirror"), [(90, False), (-8, False), (0, True), (180, True)])
def test_turned_and_mirrored_copies(
    assay_home: Path, ledger: Path, tmp_path: Path, turn: int, mirror: bool
) -> None:
    """The watermark tells what happened to the picture, and the comparison undoes it."""
    image = Image.open(publish_portrait(assay_home, 1))
    image = ImageOps.mirror(image) if mirror else image
    image.rotate(turn, Image.Resampling.BICUBIC).save(tmp_path / "copy.png")
    layers = examine(tmp_path / "copy.png", build_setup(search="full"))
    asked = {"payload": layers.watermark.payload, "geometry": layers.watermark.geometry}
    assert asked["payload"] == AssetId.from_int(1).hex
    assert recover(tmp_path / "copy.png", [LedgerSource(ledger)], **asked).state is RecoveryState.RECOVERED


def screenshot(pixels: np.ndarray) -> np.ndarray:
    canvas = np.full((400, 460, 3), 235, np.uint8)
    canvas[50:306, 90:346] = pixels
    return canvas


@pytest.mark.parametrize(
    "edit",
    [lambda p: p[26:230, 26:230], lambda p: p[:180, :190], screenshot, lambda p: p],
    ids=["centre", "corner", "screenshot", "same"],
)
def test_comparison_tells_same_from_other(edit: object) -> None:
    preview = decode_preview(make_preview(CORPUS.drawing(1, 256)))
    assert compare_pictures(edit(CORPUS.drawing(1, 256)), preview).alike
    assert not compare_pictures(edit(CORPUS.drawing(2, 256)), preview).alike


@pytest.mark.parametrize("value", [0, 128, 255])
def test_plain_pictures_are_never_alike(value: int) -> None:
    plain = np.full((64, 64, 3), value, np.uint8)
    assert not compare_pictures(plain, plain).alike
    assert not compare_pictures(plain, CORPUS.drawing(1, 256)).alike
    assert not compare_pictures(np.zeros((1, 1, 3), np.uint8), CORPUS.drawing(1, 256)).alike


def test_whole_pictures_are_laid_on_each_other() -> None:
    published = CORPUS.drawing(1, 256)
    framed = np.full((300, 280, 3), 255, np.uint8)
    framed[20:276, 12:268] = np.clip(published, 0, 254)
    assert compare_whole(published[::2, ::2], published).similarity > NEARLY_EQUAL
    assert compare_whole(framed, published).similarity > NEARLY_EQUAL
    assert (
        compare_whole(published[26:230, 26:230], published).similarity < NEARLY_EQUAL
    )  # a crop is another whole
    assert compare_whole(published[:, 40:], published).similarity == -1.0  # of another shape
    assert compare_whole(CORPUS.drawing(2, 256), published).similarity < 0.85


def test_side_by_side(tmp_path: Path) -> None:
    left, right = CORPUS.drawing(1, 256), CORPUS.drawing(2, 128)
    (tmp_path / "both.png").write_bytes(render_comparison(left, right))
    both = load_pixels(tmp_path / "both.png")
    assert both.shape[1] > 2 * both.shape[0] * 0.9
    with pytest.raises(CannotCheckError, match="damaged"):
        decode_preview(b"no picture")
