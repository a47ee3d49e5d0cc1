"""`assay mark`: every layer that a file can carry, parents and ingredients, policies, and what is refused."""

from __future__ import annotations

import hashlib
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from audit.cli.main import main
from audit.collection import load_pixels
from audit.provenance.read import ManifestState, read_manifests
from audit.provenance.trust import load_trust
from generator.marking.identity import assay_home, development_root
from generator.marking.issuing import Subject, make_development_chain
from generator.marking.labels import read_labels
from generator.marking.watermark.keys import load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.portraits import Corpus, Rates


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """An unmarked drawing on disk."""
    path = tmp_path / "drawing.png"
    Image.fromarray(Corpus(5, Rates.default(), 1).drawing(0, 256)).save(path)
    return path


Rows = list[dict[str, Any]]


def _mark(capsys: pytest.CaptureFixture[str], *words: Path | str, out: Path) -> tuple[int, Rows]:
    code = main(["mark", *map(str, words), "--out", str(out), "--generator", "Other model", "--json"])
    return code, json.loads(capsys.readouterr().out)["files"]


def _manifest(path: str | Path) -> dict[str, Any]:
    """The active manifest in crJSON; it verifies with this machine's development root."""
    found = read_manifests(Path(path), load_trust(None, development=development_root()))
    assert found.state is ManifestState.TRUSTED
    return found.crjson["manifests"][0]


def test_marked_copy_is_read_back_and_the_original_is_untouched(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    before = picture.read_bytes()
    code, rows = _mark(capsys, picture, out=tmp_path / "out")
    assert code == 0
    assert picture.read_bytes() == before
    found = DEFAULT.detect(
        load_pixels(Path(rows[0]["path"])), key=load_or_create_key(assay_home()), search="quick"
    )
    assert found.payload is not None
    assert found.payload.hex == rows[0]["asset_id"]
    assert rows[0]["rubric"] == 31.0
    assert rows[0]["layers"] == {
        "watermark": "pass",
        "labels": "pass",
        "credentials": "pass",
        "time": "skipped: no time-stamp authority was named (--tsa)",
    }


def test_marking_again_gives_the_same_file(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    for words in ((), ("--no-watermark",)):
        _, first = _mark(capsys, picture, *words, out=tmp_path / "out")
        data = Path(first[0]["path"]).read_bytes()
        _, second = _mark(capsys, picture, *words, out=tmp_path / "out")
        assert second == first
        assert Path(second[0]["path"]).read_bytes() == data


def test_our_watermark_and_unreadable_files_are_refused_by_name(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, rows = _mark(capsys, picture, out=tmp_path / "out")
    stripped, empty, text = (tmp_path / name for name in ("stripped.png", "empty.png", "text.xyz"))
    Image.open(rows[0]["path"]).save(stripped)
    empty.write_bytes(b"")
    text.write_bytes(b"what is this")
    code, rows = _mark(capsys, stripped, empty, text, tmp_path / "absent.png", out=tmp_path / "again")
    assert code == 4
    for row, said in zip(
        rows, ("watermark already", "empty", "can be signed", "cannot be read"), strict=True
    ):
        assert row["status"] == "error"
        assert said in row["reason"]
        assert Path(row["source"]).name in row["reason"]
    assert list((tmp_path / "again").iterdir()) == []


def test_what_cannot_carry_the_watermark_is_signed_and_the_row_says_so(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    clip, gif = tmp_path / "clip.wav", tmp_path / "a.gif"
    with wave.open(str(clip), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(800))
    Image.open(picture).save(gif)
    code, rows = _mark(capsys, clip, gif, out=tmp_path / "out")
    assert code == 0
    assert rows[0]["layers"]["watermark"].startswith("skipped: no picture that can be decoded")
    assert rows[1]["layers"]["watermark"].startswith("skipped: GIF")
    for row in rows:
        manifest = _manifest(row["path"])
        actions = manifest["assertions"]["c2pa.actions.v2"]["actions"]
        assert [action["action"] for action in actions] == ["c2pa.created"]
    code, rows = _mark(capsys, gif, "--format", "png", out=tmp_path / "out")
    assert (code, rows[0]["layers"]["watermark"], rows[0]["path"][-4:]) == (0, "pass", ".png")


def test_a_file_with_credentials_becomes_the_parent(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, rows = _mark(capsys, picture, "--no-watermark", out=tmp_path / "first")
    parent = _manifest(rows[0]["path"])["label"]
    code, rows = _mark(capsys, rows[0]["path"], "--format", "jpg", out=tmp_path / "second")
    assert code == 0, rows
    manifest = _manifest(rows[0]["path"])
    ingredient = manifest["assertions"]["c2pa.ingredient.v3"]
    assert ingredient["relationship"] == "parentOf"
    assert ingredient["activeManifest"]["url"].endswith(parent)
    actions = [action["action"] for action in manifest["assertions"]["c2pa.actions.v2"]["actions"]]
    assert actions == ["c2pa.opened", "c2pa.converted", "c2pa.watermarked.bound"]


def test_a_tampered_parent_is_not_laundered(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, rows = _mark(capsys, picture, "--no-watermark", out=tmp_path / "first")
    data = bytearray(Path(rows[0]["path"]).read_bytes())
    data[-30] ^= 1
    tampered = tmp_path / "tampered.png"
    tampered.write_bytes(data)
    out = tmp_path / "out"
    code, rows = _mark(capsys, tampered, "--no-watermark", out=out)
    assert code == 4
    assert "assertion.dataHash.mismatch" in rows[0]["reason"]
    assert list(out.iterdir()) == []
    # acknowledged, the failure stands in the manifest; and nobody can build on that unknowingly either
    _, rows = _mark(capsys, tampered, "--no-watermark", "--acknowledge-failures", out=out)
    recorded = _manifest(rows[0]["path"])["assertions"]["c2pa.ingredient.v3"]["validationResults"]
    assert [f["code"] for f in recorded["activeManifest"]["failure"]] == ["assertion.dataHash.mismatch"]
    code, rows = _mark(capsys, rows[0]["path"], "--no-watermark", out=tmp_path / "deeper")
    assert code == 4
    assert "would vouch for it" in rows[0]["reason"]


def test_everything_that_is_stated_stands_in_the_manifest(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    part, prompt = tmp_path / "part.png", tmp_path / "prompt.txt"
    Image.new("RGB", (16, 16), "blue").save(part)
    prompt.write_text("a blue square")
    words = ["--ingredient", f"{part}:componentOf", "--ingredient", f"{prompt}:inputTo"]
    words += ["--training-mining", "notAllowed", "--energy", "0.002", "measured at the socket"]
    words += ["--source-type", "compositeWithTrainedAlgorithmicMedia", "--visible-label", "AI"]
    words += ["--weights-digest", "sha256:" + "ab" * 32]
    code, rows = _mark(capsys, picture, *words, out=tmp_path / "out")
    assert code == 0, rows
    assertions = _manifest(rows[0]["path"])["assertions"]
    actions = assertions["c2pa.actions.v2"]["actions"]
    names = ["c2pa.created", "c2pa.placed", "c2pa.addedText", "c2pa.watermarked.bound"]
    assert [action["action"] for action in actions] == names
    assert actions[0]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert actions[0]["parameters"]["ingredients"][0]["url"].endswith("c2pa.ingredient.v3__1")
    assert actions[1]["parameters"]["ingredients"][0]["url"].endswith("c2pa.ingredient.v3")
    assert {e["use"] for e in assertions["cawg.training-mining"]["entries"].values()} == {"notAllowed"}
    assert len(assertions["cawg.training-mining"]["entries"]) == 4
    energy = assertions["c2pa.environmental-sustainability"]["energy_kwh"]
    assert energy == {"value": 0.002, "measurementMethod": "measured at the socket"}
    assert assertions["c2pa.ai-disclosure"]["modelIdentifier"] == "sha256:" + "ab" * 32
    assert assertions["c2pa.soft-binding__1"]["alg"] == "io.iscc.v0"
    assert rows[0]["layers"]["visible_label"] == "pass"
    margin = np.asarray(Image.open(rows[0]["path"]))[-20:, :4]
    assert margin.max() < 40  # of the label's black box, watermarked


def test_photographs_are_not_called_generated(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, rows = _mark(capsys, picture, "--source-type", "digitalCapture", out=tmp_path / "out")
    path = Path(rows[0]["path"])
    assert "c2pa.ai-disclosure" not in _manifest(path)["assertions"]
    labels = read_labels(path)
    assert labels.digital_source_type.endswith("/digitalCapture")
    assert b"trainedAlgorithmicMedia" not in path.read_bytes()
    assert "Label" not in labels.aigc
    assert labels.asset_id == rows[0]["asset_id"]


def test_time_stamp_by_this_machine(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, rows = _mark(capsys, picture, "--no-watermark", out=tmp_path / "out")
    code, rows = _mark(capsys, picture, "--no-watermark", "--tsa", "development", out=tmp_path / "out")
    assert (code, rows[0]["layers"]["time"]) == (0, "pass")
    results = _manifest(rows[0]["path"])["validationResults"]
    assert "timeStamp.validated" in [entry["code"] for entry in results["success"]]


def test_an_authority_that_is_down_refuses_or_is_skipped_by_policy(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    down, out = ("--no-watermark", "--tsa", "http://127.0.0.1:9/"), tmp_path / "out"
    code, rows = _mark(capsys, picture, *down, out=out)
    assert code == 4
    assert "time-stamp authority http://127.0.0.1:9/" in rows[0]["reason"]
    assert list(out.iterdir()) == []
    code, rows = _mark(capsys, picture, *down, "--without-time", out=out)
    assert code == 0
    assert rows[0]["layers"]["time"].startswith("skipped: time-stamp authority http://127.0.0.1:9/")
    _manifest(rows[0]["path"])


def test_sidecar_leaves_the_weights_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(range(256)))
    assert main(["mark", str(weights), "--sidecar", "--generator", "Model", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["files"][0]
    assert Path(row["path"]) == tmp_path / "model.safetensors.c2pa"
    assert row["digest"] == "sha256:" + hashlib.sha256(bytes(range(256))).hexdigest()
    assert weights.read_bytes() == bytes(range(256))


def test_a_wrong_password_of_a_key(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    make_development_chain(keys, algorithm="es256", subject=Subject("Me", "Org", "DE"), password="right")
    words = ["--no-watermark", "--certificate", str(keys / "chain.pem"), "--key", str(keys / "key.pem")]
    monkeypatch.setenv("KEY_PASSWORD", "wrong")
    command = ["mark", str(picture), "--out", str(tmp_path / "out"), "--generator", "x", *words]
    assert main([*command, "--password-env", "KEY_PASSWORD"]) == 2
    assert "wrong password" in capsys.readouterr().err
    assert main(command) == 2  # nobody there to type it
    assert "is encrypted" in capsys.readouterr().err
    (tmp_path / "password").write_text("right\n")
    code, rows = _mark(
        capsys, picture, *words, "--password-file", tmp_path / "password", out=tmp_path / "out"
    )
    assert (code, rows[0]["status"]) == (0, "pass")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--source-type", "painting"], "trainedAlgorithmicMedia"),
        (["--energy", "much", "guess"], "kilowatt hours"),
        (["--weights-digest", "md5:1"], "64 hex digits"),
        (["--tsa", "ftp://x"], "http"),
        (["--key-command", "true"], "--certificate"),
        (["--ingredient", "absent.png"], "absent.png"),
    ],
)
def test_usage_errors_say_what_is_expected(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    assert main(["mark", str(picture), "--out", str(tmp_path / "o"), "--generator", "x", *words]) in (2, 4)
    assert said in capsys.readouterr().err


def test_certificate_without_key_is_a_usage_error(picture: Path, tmp_path: Path) -> None:
    words = ["mark", str(picture), "--out", str(tmp_path / "o"), "--generator", "x", "--certificate", "c.pem"]
    assert main(words) == 2


def test_inspect_does_not_pass_a_development_identity_off_as_trusted(
    capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path
) -> None:
    _, rows = _mark(capsys, picture, out=tmp_path / "out")
    main(["inspect", rows[0]["path"]])
    out = capsys.readouterr().out
    assert "state rests on: this machine's own development root" in out
