"""`--watermark full` asks every technique and says which one found what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from audit.cli.main import main
from audit.provenance.checks_marks import check_watermark
from audit.provenance.gather import Search, build_setup, examine
from audit.provenance.layers import Others, WatermarkState
from audit.provenance.techniques import ask_others
from generator.marking.payload import AssetId
from generator.marking.watermark.adapters.invisible_watermark import BlockTechnique
from generator.marking.watermark.adapters.public_marks import STAMPS
from generator.marking.watermark.interface import ALPHA, Detection, Pixels
from generator.marking.watermark.keyring import Keyring, rotate_key
from generator.marking.watermark.keys import KEY_FILE, WatermarkKey, load_or_create_key
from generator.marking.watermark.registry import DEFAULT, MODELS, Entry, get_scheme
from generator.marking.watermark.tile_fourier import TileFourier

SVD = "io.github.assay-audit.dwtdctsvd.1"
PAYLOAD = AssetId.from_hex("0123456789abcdef")


def texture(seed: int) -> Pixels:
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(256), np.fft.rfftfreq(256), indexing="ij")
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(256, 256))) / (np.hypot(rows, columns) + 0.01) ** 2)
    tinted = 128 + 30 * (field / field.std())[..., None] * np.array([1, 0.9, 1.2])
    return np.clip(tinted + rng.normal(0, 2, (256, 256, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def key(assay_home: Path) -> WatermarkKey:
    return load_or_create_key(assay_home)


def save(pixels: Pixels, path: Path) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("search", ["quick", "full", "auto"])
def test_marks_of_a_retired_key_are_still_found(
    search: Search, key: WatermarkKey, assay_home: Path, tmp_path: Path
) -> None:
    old = save(DEFAULT.embed(texture(1), PAYLOAD, key=key).pixels, tmp_path / "old.png")
    (new_key,) = rotate_key(assay_home).marking
    new = save(DEFAULT.embed(texture(2), PAYLOAD, key=new_key).pixels, tmp_path / "new.png")
    setup = build_setup(search=search)
    found = [examine(path, setup).watermark for path in (old, new)]
    assert [(mark.state, mark.payload, mark.key_id) for mark in found] == [
        (WatermarkState.FOUND, PAYLOAD.hex, each.key_id) for each in (key, new_key)
    ]


def test_a_mark_by_another_technique_is_found_and_named(key: WatermarkKey, tmp_path: Path) -> None:
    path = save(get_scheme(SVD).embed(texture(1), PAYLOAD, key=key).pixels, tmp_path / "a.png")
    layers = examine(path, build_setup(search="full"))
    mark = layers.watermark
    assert (mark.state, mark.scheme, mark.payload) == (WatermarkState.FOUND, SVD, PAYLOAD.hex)
    assert mark.log10_p <= -6
    assert [name for name, _ in mark.searched][:2] == [DEFAULT.name, "io.github.assay-audit.dwtdct.1"]
    assert dict(mark.searched)[SVD] == mark.log10_p
    check = check_watermark(layers)
    assert check.value == "found"
    assert f"identifier {PAYLOAD.hex}, by the technique {SVD};" in check.reason
    assert "Of 2 other techniques, dwtDctSvd of invisible-watermark found a mark. How many" in check.reason
    assert "each was held to p <= 5e-07" in check.reason
    said = check.details["other_techniques"]
    assert isinstance(said, list)
    assert any(
        str(line).startswith("dwtDctSvd of invisible-watermark: A watermark of this key") for line in said
    )
    assert any(str(line).startswith("Pixel Seal: not looked for, there is no file") for line in said)
    assert any(
        str(line).startswith(
            "token mark of the autoregressive and masked families: not looked for, no issued seeds are known"
        )
        for line in said
    )


def test_other_techniques_are_asked_only_when_the_user_says_full(key: WatermarkKey, tmp_path: Path) -> None:
    path = save(get_scheme(SVD).embed(texture(1), PAYLOAD, key=key).pixels, tmp_path / "a.png")
    for search in ("auto", "quick"):
        mark = examine(path, build_setup(search=search)).watermark
        assert (mark.state, mark.searched, mark.others) == (WatermarkState.ABSENT, (), Others())
    assert examine(path, build_setup(search="off")).watermark.state is WatermarkState.OFF


def test_ours_counts_first_where_both_are_there(key: WatermarkKey, tmp_path: Path) -> None:
    both = get_scheme(SVD).embed(texture(2), AssetId(7), key=key).pixels
    both = DEFAULT.embed(both, PAYLOAD, key=key).pixels
    mark = examine(save(both, tmp_path / "a.png"), build_setup(search="full")).watermark
    assert (mark.scheme, mark.payload) == (DEFAULT.name, PAYLOAD.hex)
    assert any(
        "dwtDctSvd of invisible-watermark: A watermark of this key" in str(one) for one in mark.others.asked
    )


def test_public_stamps_are_named_with_and_without_a_key(assay_home: Path, tmp_path: Path) -> None:
    says, bits = STAMPS[1]
    stamped = texture(3) + BlockTechnique(svd=False, bits=len(bits)).change(texture(3), bits)
    path = save(np.clip(np.rint(stamped), 0, 255).astype(np.uint8), tmp_path / "a.png")
    layers = examine(path, build_setup(search="full"))
    assert layers.watermark.state is WatermarkState.NO_KEY
    (line,) = layers.watermark.others.public
    assert says in line
    check = check_watermark(layers)
    assert check.details["public_marks"] == [line]
    assert check.reason.endswith(f" A mark of others: {line}.")
    load_or_create_key(assay_home)
    layers = examine(path, build_setup(search="full"))
    assert layers.watermark.state is WatermarkState.ABSENT
    assert layers.watermark.others.public == (line,)
    check = check_watermark(layers)
    assert check.value == "absent"
    assert check.reason.endswith(f" A mark of others: {line}.")


def test_a_mark_without_room_for_an_identifier_says_so(key: WatermarkKey, tmp_path: Path) -> None:
    path = save(DEFAULT.embed(texture(4), PAYLOAD, key=key).pixels, tmp_path / "a.png")
    layers = examine(path, build_setup(search="quick"))
    object.__setattr__(layers.watermark, "payload", "")
    assert "no identifier that could be read" in check_watermark(layers).reason


def test_all_others_together_are_held_to_one_level(
    key: WatermarkKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = []

    class Spy(TileFourier):
        def detect(self, pixels: Pixels, *, alpha: float, **options: Any) -> Detection:
            levels.append(alpha)
            return super().detect(pixels, alpha=alpha, **options)

    entries = tuple(Entry(name, name, missing, Spy) for name, missing in (("a", ""), ("b", "it"), ("c", "")))
    monkeypatch.setattr("audit.provenance.techniques.list_entries", lambda *_: entries)
    others = ask_others(texture(5), Keyring((key,)))
    assert str(others.asked[1]) == "b: not looked for, it."
    assert others.level == ALPHA / 2
    assert levels == [ALPHA / 2] * 2


def test_a_damaged_model_does_not_stop_the_verification(key: WatermarkKey, assay_home: Path) -> None:
    folder = assay_home / MODELS
    folder.mkdir()
    for name in ("trustmark_encoder.pt", "trustmark_decoder.pt"):
        (folder / name).write_bytes(b"no model")
    said = [str(one) for one in ask_others(texture(6), Keyring((key,))).asked]
    assert any(
        line.startswith("TrustMark: could not be asked,") and "not a TorchScript file" in line
        for line in said
    )


def test_verify_reports_them(key: WatermarkKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(get_scheme(SVD).embed(texture(1), PAYLOAD, key=key).pixels, tmp_path / "a.png")
    assert (Path(build_setup().key_file or "")).name == KEY_FILE
    main(["verify", str(path), "--watermark", "full", "--json"])
    text = capsys.readouterr().out
    assert "dwtDctSvd of invisible-watermark: A watermark of this key was found" in text
    assert json.loads(text)
