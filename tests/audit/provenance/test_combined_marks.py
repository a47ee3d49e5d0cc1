"""`marks.combined`: said where several techniques were asked, and silent where nothing is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.cli.main import main
from audit.evidence import Status
from audit.provenance.checks_marks import check_all_watermarks
from audit.provenance.gather import build_setup, examine
from generator.marking.payload import AssetId
from generator.marking.watermark.keys import load_or_create_key
from generator.marking.watermark.registry import DEFAULT


@pytest.fixture
def pictures(assay_home: Path, tmp_path: Path) -> dict[str, Path]:
    """With our watermark and without."""
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(60, 200, (8, 8, 3), dtype=np.uint8))
    plain = np.asarray(coarse.resize((256, 256), Image.Resampling.BICUBIC))
    marked = DEFAULT.embed(plain, AssetId(5), key=load_or_create_key(assay_home)).pixels
    found = {"plain": plain, "marked": marked}
    for name, pixels in found.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return {name: tmp_path / f"{name}.png" for name in found}


def test_all_techniques_together_pay_for_their_number(pictures: dict[str, Path]) -> None:
    layers = examine(pictures["marked"], build_setup(search="full"))
    (check,) = check_all_watermarks(layers)
    searched = dict(layers.watermark.searched)
    assert len(searched) >= 3
    assert check.status is Status.PASS
    assert check.value == pytest.approx(min(searched.values()) + np.log10(len(searched)))
    assert check.details == {"rule": "any", **searched}
    (check,) = check_all_watermarks(examine(pictures["plain"], build_setup(search="full")))
    assert check.status is Status.INCONCLUSIVE
    assert isinstance(check.value, float)
    assert check.value > -6


def test_verify_shows_it_when_the_full_search_is_asked_for(
    pictures: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(pictures["marked"]), "--watermark", "full", "--jsonl"]) in (0, 3)
    names = [check["name"] for check in json.loads(capsys.readouterr().out)["checks"]]
    assert names.count("marks.combined") == 1
    main(["verify", str(pictures["marked"]), "--jsonl"])
    names = [check["name"] for check in json.loads(capsys.readouterr().out)["checks"]]
    assert "marks.combined" not in names
