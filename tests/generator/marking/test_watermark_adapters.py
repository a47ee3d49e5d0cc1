"""Schemes that are not ours: their own formats, and what is named when something is missing."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watermark_models import texture, write_models

from generator.errors import InputError, WeightsError
from generator.marking.payload import AssetId
from generator.marking.watermark import registry
from generator.marking.watermark.adapters.bch import BCH
from generator.marking.watermark.adapters.bit_scheme import BitScheme, add_at_psnr, choose_code
from generator.marking.watermark.adapters.invisible_watermark import BlockTechnique
from generator.marking.watermark.adapters.keyed_bits import Message
from generator.marking.watermark.adapters.public_marks import STAMPS, parse_trustmark, recognise
from generator.marking.watermark.interface import InsufficientCapacityError
from generator.marking.watermark.keys import WatermarkKey
from generator.sampling_keys import TOKENS
from generator.watermark_checkpoints import recognise_trustmark

KEY = WatermarkKey(bytes(range(32)))
PAYLOAD = AssetId.from_hex("0123456789abcdef")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


# The registry


def test_what_is_missing_is_absent_by_name_with_the_reason(tmp_path: Path) -> None:
    entries = {entry.name: entry for entry in registry.list_entries(tmp_path)}
    assert len(entries) == 11
    assert not entries[registry.DEFAULT.name].missing
    missing = entries["io.github.assay-audit.pixelseal.1"].missing
    assert missing == f"there is no file {tmp_path / 'pixelseal.pt'}"
    with pytest.raises(InputError, match=r"cannot be used here: there is no file .*trustmark_encoder\.pt"):
        registry.get_scheme("io.github.assay-audit.trustmark.1", folder=tmp_path)
    with pytest.raises(InputError, match=r"unknown; expected one of .*dwtdct.*tile-fourier"):
        registry.get_scheme("stegastamp", folder=tmp_path)


def test_a_mark_of_sampling_cannot_be_put_into_a_finished_picture() -> None:
    (entry,) = (one for one in registry.list_entries() if one.name == TOKENS)
    assert not entry.embeds
    with pytest.raises(InputError, match=r"sampling-tokens\.1': is left while a picture is made"):
        registry.get_scheme(entry.name)


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = {entry.title: entry.missing for entry in registry.list_entries(tmp_path)}
    assert missing["rivaGan of invisible-watermark"] == "the Python package onnxruntime is not installed"
    assert missing["TrustMark"] == "the Python package torch is not installed"
    assert missing["dwtDct of invisible-watermark"] == ""


def test_models_are_looked_for_in_the_assay_home(assay_home: Path) -> None:
    write_models(assay_home / registry.MODELS)
    scheme = registry.get_scheme("io.github.assay-audit.wam.1")
    assert scheme.detect(texture(1), key=KEY).found is False


def test_a_damaged_model_is_an_error_that_names_it(models: Path, tmp_path: Path) -> None:
    for name in ("pixelseal.pt", "wam_encoder.pt", "wam_decoder.pt"):
        (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(WeightsError, match=r"pixelseal\.pt: not a TorchScript file"):
        registry.get_scheme("io.github.assay-audit.pixelseal.1", folder=tmp_path).detect(texture(1), key=KEY)
    (tmp_path / "wam_decoder.pt").write_bytes((models / "trustmark_decoder.pt").read_bytes())
    with pytest.raises(WeightsError, match=r"wam_decoder\.pt: gave 100 values per picture, expected 32"):
        registry.get_scheme("io.github.assay-audit.wam.1", folder=tmp_path).detect(texture(1), key=KEY)
    (tmp_path / "pixelseal.pt").write_bytes((models / "wam_decoder.pt").read_bytes())
    with pytest.raises(WeightsError, match=r"pixelseal\.pt: cannot run"):
        registry.get_scheme("io.github.assay-audit.pixelseal.1", folder=tmp_path).detect(texture(1), key=KEY)


def test_marking_and_listing_schemes_import_no_torch() -> None:
    program = (
        "import sys, pkgutil, importlib, pathlib, generator.marking as room\n"
        "for module in pkgutil.walk_packages(room.__path__, 'generator.marking.'):\n"
        "    if module.name != 'generator.marking.ledger_postgres':\n"
        "        importlib.import_module(module.name)\n"
        "from generator.marking.watermark.registry import list_entries\n"
        "assert len(list_entries(pathlib.Path('nowhere'))) == 11\n"
        "import audit.cli.verify\n"
        "print(sorted({'torch', 'pandas', 'sklearn', 'onnxruntime', 'imwatermark'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Bits under a key


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([(7, 5), (7, 8), (8, 8), (8, 29)]), st.randoms(use_true_random=False), st.data())
def test_a_code_corrects_what_it_promises(
    shape: tuple[int, int], random: object, data: st.DataObject
) -> None:
    field, errors = shape
    code = BCH(field, errors, 40)
    bits = np.array(data.draw(st.lists(st.integers(0, 1), min_size=40, max_size=40)), np.uint8)
    wrong = data.draw(st.sets(st.integers(0, code.length - 1), max_size=errors))
    received = code.encode(bits)
    received[list(wrong)] ^= 1
    corrected = code.decode(received)
    assert corrected is not None
    assert (corrected.errors, corrected.data.tolist()) == (len(wrong), bits.tolist())


def test_a_code_says_when_nothing_is_near() -> None:
    code = BCH(8, 8, 64)
    rng = np.random.default_rng(0)
    assert sum(code.decode(rng.integers(0, 2, code.length, dtype=np.uint8)) is None for _ in range(50)) == 50


def test_the_bound_is_the_exact_union() -> None:
    message = Message("bound", 100, choose_code(100), readings=4)
    bits = message.write(PAYLOAD, KEY)
    bits[[3, 50]] ^= 1
    reading = message.read(bits, KEY)
    assert reading.payload == PAYLOAD
    expected = 4 * 2**64 * (1 + 100 + 4950) / 2**100
    assert reading.log10_p == pytest.approx(math.log10(expected), abs=1e-9)


def test_without_a_mark_the_bound_holds_whatever_bits_a_reader_gives() -> None:
    # A reader that always gives the same bits is as far from independent as can be; the key makes it uniform.
    message = Message("constant", 32, None)
    constant = np.zeros(32, np.uint8)
    bounds = [
        message.read(constant, WatermarkKey(seed.to_bytes(32, "big"))).log10_p for seed in range(20_000)
    ]
    for level in (0.1, 0.01, 0.001):
        assert np.mean(np.array(bounds) <= math.log10(level)) <= 1.3 * level
    assert np.mean(np.array(bounds) <= math.log10(0.1)) > 0.03


def test_schemes_do_not_share_a_mask() -> None:
    one, other = (Message(name, 64, None).write(PAYLOAD, KEY) for name in ("one", "other"))
    assert 10 < int(np.sum(one != other)) < 54


@pytest.mark.parametrize("psnr", [30.0, 42.0, 58.0])
def test_strength_is_at_least_the_asked_psnr(psnr: float) -> None:
    change = np.random.default_rng(0).normal(size=(200, 200, 1)).astype(np.float32)
    marked, measured = add_at_psnr(texture(3, 200), change, psnr=psnr)
    assert psnr <= measured < psnr + 1
    assert measured == pytest.approx(
        10 * math.log10(255**2 / np.mean((marked - texture(3, 200).astype(float)) ** 2))
    )


def test_a_fixed_strength_cannot_be_asked_to_be_weaker() -> None:
    with pytest.raises(InsufficientCapacityError, match="expected at least 55 dB"):
        BitScheme(BlockTechnique(svd=True)).embed(texture(2), PAYLOAD, key=KEY, psnr=55)


# Formats of others


@pytest.mark.parametrize(("method", "svd"), [("dwtDct", False), ("dwtDctSvd", True)])
def test_the_package_reads_ours_and_we_read_the_package(method: str, svd: bool) -> None:
    package = pytest.importorskip("imwatermark")
    technique = BlockTechnique(svd=svd)
    bits = np.random.default_rng(1).integers(0, 2, 128, dtype=np.uint8)
    picture = texture(2, 322, 270)  # sides that are no multiple of a block
    ours = np.clip(np.rint(picture + technique.change(picture, bits)), 0, 255).astype(np.uint8)
    decoder = package.WatermarkDecoder("bits", 128)
    read = technique.read(ours, search="quick")[0]
    decoded = decoder.decode(np.ascontiguousarray(ours[..., ::-1]), method)
    assert np.mean(decoded == read) > 0.97  # not all: the package's Haar values carry rounding errors
    assert np.mean(read == bits) > (0.99 if svd else 0.85)  # dwtDct loses bits by design
    encoder = package.WatermarkEncoder()
    encoder.set_watermark("bits", bits.tolist())
    theirs = encoder.encode(np.ascontiguousarray(picture[..., ::-1]), method)[..., ::-1].astype(np.uint8)
    decoded = decoder.decode(np.ascontiguousarray(theirs[..., ::-1]), method)
    assert np.mean(decoded == technique.read(theirs, search="quick")[0]) > 0.97


def test_the_upper_part_of_a_large_picture_says_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    technique = BlockTechnique(svd=True)
    bits = np.random.default_rng(1).integers(0, 2, 128, dtype=np.uint8)
    picture = texture(2, 512)
    marked = np.clip(np.rint(picture + technique.change(picture, bits)), 0, 255).astype(np.uint8)
    monkeypatch.setattr("generator.marking.watermark.adapters.invisible_watermark._MOST_BLOCKS", 2000)
    assert len(technique.read_blocks(marked)) == 64 * (2000 // 64)
    assert np.array_equal(technique.read(marked, search="quick")[0], bits)


@pytest.mark.parametrize(("says", "bits"), STAMPS)
def test_stamps_of_others_are_recognised(says: str, bits: np.ndarray) -> None:
    picture = texture(2)
    stamped = picture + BlockTechnique(svd=False, bits=len(bits)).change(picture, bits)
    (mark,) = recognise(np.clip(np.rint(stamped), 0, 255).astype(np.uint8))
    assert (mark.says, mark.length) == (says, len(bits))
    assert "anybody can write this mark" in str(mark)


def test_no_stamp_is_seen_where_there_is_none() -> None:
    pictures = [texture(seed) for seed in range(12)]
    pictures += [np.full((256, 256, 3), level, np.uint8) for level in (0, 90, 255)]
    assert not any(recognise(picture) for picture in pictures)
    assert recognise(np.zeros((255, 300, 3), np.uint8)) == ()


# Packets made by trustmark 0.9.2's own data layer from these payloads, as hexadecimal of 100 bits.
PACKETS = {
    "BCH_5": ("d0d0d100c365afb5ff700c371", "1101000011010000110100010000000011000011011001011010111110110"),
    "BCH_SUPER": ("5ba0fb4db8cc48a48c1f3eb30", "0101101110100000111110110100110110111000"),
}


@pytest.mark.parametrize("name", PACKETS)
def test_packets_of_trustmark_are_parsed_with_errors(name: str) -> None:
    packet, payload = PACKETS[name]
    bits = np.array(list(f"{int(packet, 16):0100b}"), np.uint8)
    bits[[0, 30, 70]] ^= 1
    mark = parse_trustmark(bits)
    assert mark is not None
    assert mark.says == f"a packet of schema {name}, payload {payload}"
    assert mark.errors == 3


def test_random_bits_are_no_packet() -> None:
    rng = np.random.default_rng(3)
    found = [parse_trustmark(rng.integers(0, 2, 100, dtype=np.uint8)) for _ in range(400)]
    assert not any(found)


def test_a_packet_is_read_from_pixels(models: Path, tmp_path: Path) -> None:
    from generator.watermark_checkpoints import TRUSTMARK, Checkpoint

    bits = np.array(list(f"{int(PACKETS['BCH_5'][0], 16):0100b}"), np.uint8)
    marked, _ = add_at_psnr(texture(2), Checkpoint(TRUSTMARK, models).change(texture(2), bits), psnr=42)
    mark = recognise_trustmark(marked, models)
    assert mark is not None
    assert PACKETS["BCH_5"][1] in mark.says
    assert recognise_trustmark(texture(2), models) is None
    assert recognise_trustmark(marked, tmp_path) is None
