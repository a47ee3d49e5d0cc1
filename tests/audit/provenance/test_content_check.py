"""A watermark on another picture than the one that it was given to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recovery_making import CORPUS, change, copy, publish_portrait

from audit.collection import load_pixels
from audit.evidence import Check, Status
from audit.inputs import Source
from audit.provenance.checks_content import check_content
from audit.provenance.gather import build_setup, examine
from audit.verification import Verification


def checks(path: Path) -> tuple[Check, ...]:
    return check_content(examine(path, build_setup(search="quick")), path)


def transplant(published: Path, number: int, target: Path) -> Path:
    """The attack without a key: what marking changed, added to another picture."""
    change_made = load_pixels(published).astype(int) - CORPUS.drawing(1, 256)
    forged = np.clip(CORPUS.drawing(number, 256) + change_made, 0, 255).astype(np.uint8)
    Image.fromarray(forged).save(target)
    return target


def test_copied_mark_is_a_mismatch(assay_home: Path, tmp_path: Path) -> None:
    forged = transplant(publish_portrait(assay_home, 1), 2, tmp_path / "forged.png")
    (check,) = checks(forged)
    assert (check.name, check.status, check.value) == ("watermark.content", Status.FAIL, "mismatch")
    assert check.details["code"] == "watermark.content.mismatch"
    assert check.next_step
    evidence = Verification(build_setup(search="quick"))(Source("forged.png", forged))
    assert evidence.find("watermark.content") == check
    assert (evidence.find("verdict").value, evidence.status) == ("marks disagree", Status.FAIL)


@pytest.mark.parametrize("crop", [1.0, 0.8])
def test_copies_of_the_marked_picture_pass(assay_home: Path, tmp_path: Path, crop: float) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.jpg", crop=crop, quality=90)
    (check,) = checks(path)
    assert (check.status, check.value) == (Status.PASS, "same")


def test_mismatch_is_not_claimed_where_another_picture_had_the_identifier_before(
    assay_home: Path, tmp_path: Path
) -> None:
    first = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    publish_portrait(assay_home, 2, asset=1)
    (check,) = checks(first)
    assert (check.status, check.value) == (Status.INCONCLUSIVE, "unclear")
    assert "earlier" in check.reason


def test_nothing_is_said_without_something_to_compare(assay_home: Path, tmp_path: Path) -> None:
    published = publish_portrait(assay_home, 1)
    assert checks(published) == ()  # the very file
    unmarked = tmp_path / "unmarked.png"
    Image.fromarray(CORPUS.drawing(3, 256)).save(unmarked)
    assert checks(unmarked) == ()
    path = copy(published, tmp_path / "copy.png")
    change(assay_home / "ledger.sqlite", 1, image_code=bytes(32), preview=b"")
    assert checks(path) == ()
    (assay_home / "ledger.sqlite").unlink()
    assert checks(path) == ()


def test_damaged_preview_is_an_error(assay_home: Path, tmp_path: Path) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    change(assay_home / "ledger.sqlite", 1, preview=b"no picture")
    (check,) = checks(path)
    assert (check.status, check.value) == (Status.ERROR, "not-compared")
