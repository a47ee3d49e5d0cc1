"""The room over a run: rows with the fixed columns, and shares with intervals."""

from __future__ import annotations

import datetime as dt
import io
import json
import pickle  # noqa: TID251 - that the engine can send it to a worker is what is tested
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from provenance_making import picture

from audit.collection import Item
from audit.evidence import Evidence, Status
from audit.provenance.module import COLUMNS, build_module
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.identity import development_identity
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import publish
from generator.marking.watermark.keys import load_or_create_key
from generator.marking.watermark.registry import DEFAULT

MADE = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def _smooth(seed: int) -> np.ndarray:
    """A picture with soft structure, 256 px."""
    coarse = np.random.default_rng(seed).integers(40, 215, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC))


@pytest.fixture
def folder(assay_home: Path, tmp_path: Path) -> Path:
    """Two published images, one of them also stripped, one tampered, one foreign, one broken."""
    identity, key = development_identity(), load_or_create_key(assay_home)
    with Ledger(assay_home / LEDGER_FILE) as ledger:
        for number in (0, 1):
            request = Request(Prompt("nurse", "a nurse"), number, number)
            image = GeneratedImage(_smooth(number), request, "embedded", "1", "sha256:00", ())
            publish(
                image,
                tmp_path / f"own{number}.png",
                asset_id=AssetId(1000 + number),
                identity=identity,
                ledger=ledger,
                key=key,
                created=MADE,
            )
    Image.open(tmp_path / "own0.png").convert("RGB").save(tmp_path / "stripped.png")
    (tmp_path / "tampered.png").write_bytes((tmp_path / "own1.png").read_bytes() + b"x")
    (tmp_path / "foreign.jpg").write_bytes(picture("JPEG"))
    (tmp_path / "broken.png").write_bytes(b"")
    return tmp_path


def _item(path: Path) -> Item:
    own = path.stem.startswith("own")
    return Item(path.stem, path, prompt_id="nurse" if own else None)


def _measure(folder: Path, *names: str) -> tuple[pd.DataFrame, Evidence]:
    module = build_module()
    items = [_item(folder / name) for name in names]
    measure = pickle.loads(pickle.dumps(module.measure))
    rows = pd.DataFrame(measure(items))
    images = pd.DataFrame(
        [{"image_id": item.image_id, "path": str(item.path), "prompt_id": item.prompt_id} for item in items]
    )
    return rows, module.summarise(rows, images)


def test_rows_of_every_kind_of_file(folder: Path) -> None:
    names = ("own0.png", "stripped.png", "tampered.png", "foreign.jpg", "broken.png")
    rows, _ = _measure(folder, *names)
    assert tuple(rows.columns) == COLUMNS
    table = rows.set_index("image_id")
    assert table["verdict"].to_dict() == {
        "own0": "intact, development identity",
        "stripped": "watermark only",
        "tampered": "tampered",
        "foreign": "nothing found",
        "broken": "could not check",
    }
    assert table["status"].to_dict() == {
        "own0": "inconclusive",
        "stripped": "inconclusive",
        "tampered": "fail",
        "foreign": "inconclusive",
        "broken": "error",
    }
    own = table.loc["own0"]
    assert own["development_identity"]
    assert own["watermark_payload"] == own["ledger_asset_id"] == "00000000000003e8"
    assert own["watermark_log10_p"] < -6
    assert (own["integrity"], own["signature"], own["labels"], own["ledger"]) == ("pass",) * 4
    evidence = Evidence.from_json(json.loads(own["evidence"]))
    assert evidence.find("agreement.asset_id").details.keys() == {
        "soft binding",
        "manifest",
        "watermark",
        "label",
        "ledger",
    }
    assert evidence.find("c2pa.rubric").value == 31.0
    assert (
        table.loc["stripped"]["ledger_asset_id"] == "00000000000003e8"
    )  # how a stripped credential is found again


def test_a_run_of_own_images(folder: Path) -> None:
    _, evidence = _measure(folder, "own0.png", "own1.png")
    layers = evidence.find("provenance.layers")
    assert (layers.status, layers.value) == (Status.PASS, 1.0)
    assert layers.interval is not None
    assert layers.interval.high == 1.0
    assert 0.1 < layers.interval.low < 0.2  # two of two: exact 95 % interval from 0.158
    assert evidence.find("provenance.agreement").status is Status.PASS
    assert evidence.find("provenance.rubric").status is Status.PASS
    identity = evidence.find("provenance.identity")
    assert identity.status is Status.INCONCLUSIVE
    assert "development identity" in identity.reason
    assert evidence.status is Status.INCONCLUSIVE


def test_an_own_image_without_its_marks_is_a_finding(folder: Path) -> None:
    (folder / "own1.png").write_bytes((folder / "stripped.png").read_bytes())
    _, evidence = _measure(folder, "own0.png", "own1.png")
    layers = evidence.find("provenance.layers")
    assert (layers.status, layers.value) == (Status.FAIL, 0.5)
    assert layers.details["files"] == [str(folder / "own1.png")]


def test_a_mixed_folder_names_what_could_not_be_read(folder: Path) -> None:
    _, evidence = _measure(folder, "foreign.jpg", "broken.png", "tampered.png")
    readable = evidence.find("provenance.readable")
    assert readable.status is Status.ERROR
    assert "broken.png" in readable.reason
    assert evidence.find("provenance.verdict.tampered").status is Status.FAIL
    assert evidence.find("provenance.layers").status is Status.INCONCLUSIVE


def test_rows_that_the_engine_wrote_for_a_crash_are_counted(folder: Path) -> None:
    module = build_module()
    rows = pd.DataFrame([{"image_id": "a", "status": "error", "reason": "Boom: x"}])
    images = pd.DataFrame([{"image_id": "a", "path": "a.png", "prompt_id": None}])
    assert module.summarise(rows, images).find("provenance.readable").status is Status.ERROR


def test_an_empty_run_is_an_error() -> None:
    empty = pd.DataFrame({"image_id": pd.Series(dtype=str)})
    images = pd.DataFrame({"image_id": [], "path": [], "prompt_id": []}, dtype=object)
    assert build_module().summarise(empty, images).status is Status.ERROR


def test_a_watermark_copied_onto_a_file_of_another_identifier(folder: Path, assay_home: Path) -> None:
    """Pixels of one published image under the manifest and label of another."""
    key = load_or_create_key(assay_home)
    marked = DEFAULT.embed(_smooth(5), AssetId(1001), key=key).pixels
    request = Request(Prompt("nurse", "a nurse"), 5, 5)
    with Ledger(assay_home / LEDGER_FILE) as ledger:
        publish(
            GeneratedImage(marked, request, "embedded", "1", "sha256:00", ()),
            folder / "own5.png",
            asset_id=AssetId(1005),
            identity=development_identity(),
            ledger=ledger,
            key=key,
            created=MADE,
            scheme=_NoMark(),
        )
    rows, evidence = _measure(folder, "own5.png")
    assert rows["verdict"].tolist() == ["marks disagree"]
    assert evidence.find("provenance.agreement").status is Status.FAIL


class _NoMark:
    """A scheme that leaves the pixels as they are, so that a copied mark stays in them."""

    name = DEFAULT.name
    capacity = DEFAULT.capacity
    min_side = DEFAULT.min_side

    def embed(self, pixels, payload, *, key, psnr=None, nonce=b""):
        from generator.marking.watermark.interface import Embedding

        return Embedding(pixels, payload, 99.0, -10.0, self.name, key.key_id)

    def detect(self, pixels, *, key, search="full", alpha=1e-6):
        return DEFAULT.detect(pixels, key=key, search=search, alpha=alpha)


def test_a_jpeg_copy_is_found_again(folder: Path) -> None:
    target = io.BytesIO()
    Image.open(folder / "own0.png").convert("RGB").save(target, "JPEG", quality=85)
    (folder / "copy.jpg").write_bytes(target.getvalue())
    rows, _ = _measure(folder, "copy.jpg")
    assert rows.loc[0, "verdict"] == "watermark only"
    assert rows.loc[0, "ledger"] == "pass"
