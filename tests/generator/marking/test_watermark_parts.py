"""The parts of the watermark: keys, code, carrier, bound, and what imports cost."""

from __future__ import annotations

import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.errors import CannotCheckError, InputError
from generator.marking.payload import AssetId
from generator.marking.watermark import convolutional, keys
from generator.marking.watermark.carrier import BAND, TILE, build_carrier
from generator.marking.watermark.decision import N_MAX, READINGS, log10_bound, read
from generator.marking.watermark.keys import WatermarkKey, load_key, load_or_create_key

KEY = WatermarkKey(bytes(range(32)))


# Keys


def test_key_is_made_once_private_and_found_again(tmp_path: Path) -> None:
    first = load_or_create_key(tmp_path / "home")
    assert load_or_create_key(tmp_path / "home") == first
    file = tmp_path / "home" / keys.KEY_FILE
    assert [path.name for path in file.parent.iterdir()] == [keys.KEY_FILE]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_or_create_key(tmp_path / "other") != first


def test_key_never_shows_its_secret() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
    assert KEY.key_id in repr(KEY)


def test_when_two_processes_start_together_the_first_key_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = WatermarkKey(bytes(32))
    link = os.link

    def link_too_late(source: Path, target: Path) -> None:
        keys_written = tmp_path / "rival"
        keys_written.write_text(
            json.dumps({"format": 1, "key_id": rival.key_id, "secret": rival.secret.hex()})
        )
        keys_written.chmod(0o600)
        keys_written.rename(target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_too_late)
    assert load_or_create_key(tmp_path) == rival
    assert [path.name for path in tmp_path.iterdir()] == [keys.KEY_FILE]


def test_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_or_create_key(tmp_path)
    (tmp_path / keys.KEY_FILE).chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        load_or_create_key(tmp_path)


@pytest.mark.parametrize("change", ["secret", "key_id", "format", "text"])
def test_damaged_key_file_is_named_and_kept_secret(tmp_path: Path, change: str) -> None:
    key = load_or_create_key(tmp_path)
    file = tmp_path / keys.KEY_FILE
    record = json.loads(file.read_text())
    record[change] = {"secret": record["secret"][:-2], "key_id": "0" * 12, "format": 2, "text": ""}[change]
    file.write_text(json.dumps(record) if change != "text" else json.dumps(record)[:-3])
    with pytest.raises(CannotCheckError, match="not a key file") as caught:
        load_key(file)
    assert key.secret.hex()[:8] not in str(caught.value)


def test_secret_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="32 secret bytes"):
        WatermarkKey(bytes(31))


def test_streams_are_frozen_and_differ_by_label_and_key() -> None:
    words = KEY.stream("a", 4)
    assert [int(word) for word in words[:2]] == [10524602611702891855, 18201392756426718985]
    assert not np.array_equal(words, KEY.stream("b", 4))
    assert not np.array_equal(words, WatermarkKey(bytes(32)).stream("a", 4))
    assert sorted(KEY.permutation("p", 50)) == list(range(50))


# Code


@settings(max_examples=40)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_code_corrects_heavy_noise(value: int, seed: int) -> None:
    sent = convolutional.encode(value, 64)
    assert sent.size == convolutional.coded_length(64) == 288
    noise = np.random.default_rng(seed).normal(0, 0.9, sent.size).astype(np.float32)
    # Amplitude 1, deviation 0.9: about 13 % of the coded bits arrive with the wrong sign.
    (decoded,) = convolutional.decode((sent + noise)[None])
    assert decoded.value == value


def test_decoder_finds_the_best_of_all_messages_and_its_lead() -> None:
    rng = np.random.default_rng(3)
    messages = np.stack([convolutional.encode(value, 8) for value in range(256)])
    soft = rng.normal(0, 1, (20, messages.shape[1])).astype(np.float32)
    for decoded, metrics in zip(convolutional.decode(soft), soft @ messages.T, strict=True):
        assert decoded.value == int(metrics.argmax())
        best, second = np.sort(metrics)[:-3:-1]
        assert decoded.lead == pytest.approx(best - second, abs=1e-3)


def test_free_distance_of_the_code_is_24() -> None:
    zero = convolutional.encode(0, 10)
    assert min(np.count_nonzero(convolutional.encode(value, 10) != zero) for value in range(1, 1024)) == 24


# Carrier


def test_carrier_is_frozen() -> None:
    carrier = build_carrier(KEY)
    assert carrier.pilots[:4].tolist() == [[-25, 4], [-22, 7], [-21, 3], [-20, 11]]
    assert carrier.channels[64].coded_index[:6].tolist() == [110, 103, 257, 2, 5, 26]
    assert float(carrier.pilot_phases[0]) == pytest.approx(5.904278576542772, abs=1e-12)


def test_carrier_uses_each_coefficient_once_and_each_coded_bit_often() -> None:
    carrier = build_carrier(KEY)
    both = np.concatenate([carrier.pilots, carrier.data])
    assert len(np.unique(both, axis=0)) == len(both)
    assert not {tuple(row) for row in both.tolist()} & {tuple(row) for row in (-both).tolist()}
    assert np.bincount(carrier.channels[64].coded_index, minlength=288).min() >= 3
    assert np.bincount(carrier.channels[128].coded_index, minlength=544).min() >= 2
    assert 30 <= len(carrier.pilots) <= 56


def test_tile_holds_exactly_the_band() -> None:
    tile = build_carrier(KEY).tile(AssetId(0x0123456789ABCDEF))
    assert tile.shape == (TILE, TILE)
    assert math.isclose(float(np.mean(tile**2)), 1.0, rel_tol=1e-5)
    power = np.abs(np.fft.fft2(tile)) ** 2
    rows, columns = np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE), indexing="ij")
    radius = np.hypot(rows, columns)
    assert power[(radius < BAND[0]) | (radius > BAND[1])].sum() < 1e-6 * power.sum()


# Bound


def test_bound_pays_for_messages_and_candidates() -> None:
    known = log10_bound(10, 1, message_bits=0, candidates=1)
    assert known == pytest.approx(-100 / math.log(10))
    blind = log10_bound(10, 1, message_bits=64, candidates=N_MAX)
    assert blind == pytest.approx(known + 64 * math.log10(2) + math.log10(N_MAX))


@pytest.mark.parametrize(("score", "energy"), [(0, 1), (-50, 1), (0, 0), (1, 0), (1, 100)])
def test_bound_is_never_above_one_and_nothing_proves_nothing(score: float, energy: float) -> None:
    assert log10_bound(score, energy, message_bits=64, candidates=N_MAX) == 0.0


@pytest.mark.parametrize("tail", [0.0, 1.0, 2.5])
def test_bound_holds_for_random_keys_whatever_the_magnitudes(tail: float) -> None:
    """Known message, fixed picture, 40,000 keys: the share of p <= alpha is never above alpha."""
    rng = np.random.default_rng(int(10 * tail))
    magnitude = np.exp(tail * rng.normal(size=60))  # tail 2.5: a handful of coefficients hold all energy
    energy = float(np.sum(magnitude**2))
    scores = np.cos(rng.uniform(0, 2 * np.pi, (40_000, 60))) @ magnitude
    bounds = np.array([log10_bound(score, energy, message_bits=0, candidates=1) for score in scores.tolist()])
    for level in (0.5, 0.1, 1e-2, 1e-3):
        assert np.mean(bounds <= math.log10(level)) <= level
    assert np.mean(bounds <= math.log10(0.5)) > 0.05  # and it is a bound worth having


def test_reading_pays_for_its_length() -> None:
    carrier = build_carrier(KEY)
    noise = np.random.default_rng(4).normal(size=(2, len(carrier.data))).astype(np.float32)
    for bits in (64, 128):
        channel = carrier.channels[bits]
        sent = 0.6 * channel.signs(5) * channel.phasors + noise[0] + 1j * noise[1]
        (reading,) = read([sent.astype(np.complex64)], carrier=carrier, bits=bits)
        assert reading.payload == AssetId(5, bits)
        assert reading.score == pytest.approx(np.sum(channel.signs(5) * channel.project(sent)), rel=1e-4)
        assert reading.log10_p == log10_bound(
            reading.score, reading.energy, message_bits=bits, candidates=2 * N_MAX
        )
    assert READINGS == 2 * N_MAX


# Cost


def test_import_needs_numpy_and_opencv_only() -> None:
    code = (
        "import sys, generator.marking.watermark.registry; "
        "print([m for m in ('torch', 'scipy', 'streamlit', 'pandas', 'pyarrow', 'sklearn', 'PIL', 'c2pa') "
        "if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
