"""Several keys: rotation on disk, reading with all of them, and what an averaging attacker gets."""

from __future__ import annotations

import math
import stat
from pathlib import Path

import numpy as np
import pytest

from benchmarks.watermark_averaging import add, average, estimate_tile
from generator.errors import CannotCheckError, InputError
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import Detection, Pixels, Search
from generator.marking.watermark.keyring import MOST_KEYS, Keyring, load_keyring, rotate_key
from generator.marking.watermark.keys import KEY_FILE, WatermarkKey, load_or_create_key
from generator.marking.watermark.registry import DEFAULT
from generator.marking.watermark.tile_fourier import TileFourier

KEYS = tuple(WatermarkKey(bytes([index]) * 32) for index in range(5))


def picture(seed: int, side: int = 256) -> Pixels:
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / (np.hypot(rows, columns) + 0.01) ** 2)
    grey = np.clip(128 + 40 * field / field.std() + rng.normal(size=(side, side)), 0, 255)
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)


def test_rotation_keeps_old_marks_readable(tmp_path: Path) -> None:
    old = load_or_create_key(tmp_path)
    marked = DEFAULT.embed(picture(1), AssetId(5), key=old).pixels
    ring = rotate_key(tmp_path)
    assert ring == load_keyring(tmp_path)
    assert ring.retired == (old,)
    assert ring.marking == (load_or_create_key(tmp_path),)
    assert ring.marking[0] != old
    found = ring.detect(DEFAULT, marked)
    assert (found.payload, found.key_id) == (AssetId(5), old.key_id)
    twice = rotate_key(tmp_path)
    assert set(twice.retired) == {old, ring.marking[0]}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 3


def test_interrupted_rotation_keeps_the_key_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = load_or_create_key(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("generator.marking.watermark.keyring.replace_key", fail)
    with pytest.raises(CannotCheckError, match="No space"):
        rotate_key(tmp_path)
    assert load_keyring(tmp_path) == Keyring((old,))
    monkeypatch.undo()
    assert rotate_key(tmp_path).retired == (old,)


def test_damaged_or_open_retired_key_is_an_error_that_shows_no_secret(tmp_path: Path) -> None:
    old = load_or_create_key(tmp_path)
    rotate_key(tmp_path)
    (retired,) = [path for path in tmp_path.iterdir() if path.name != KEY_FILE]
    assert old.secret.hex() not in repr(load_keyring(tmp_path))
    retired.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        load_keyring(tmp_path)
    retired.chmod(0o600)
    retired.write_text(retired.read_text().replace(old.key_id, "0" * 12))
    with pytest.raises(CannotCheckError, match="not a key file") as caught:
        load_keyring(tmp_path)
    assert old.secret.hex() not in str(caught.value)


def test_bound_pays_for_every_key() -> None:
    marked = DEFAULT.embed(picture(2), AssetId(6), key=KEYS[1]).pixels
    alone = DEFAULT.detect(marked, key=KEYS[1], search="quick")
    for ring in (Keyring(KEYS), Keyring(KEYS[:1], KEYS[1:])):
        found = ring.detect(DEFAULT, marked, search="quick")
        assert (found.payload, found.key_id) == (AssetId(6), KEYS[1].key_id)
        assert found.log10_p == pytest.approx(alone.log10_p + math.log10(5))
        assert found.candidates == 5 * alone.candidates


def test_level_is_shared_by_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    detect = TileFourier.detect

    def spy(
        self: TileFourier, pixels: Pixels, *, key: WatermarkKey, search: Search, alpha: float
    ) -> Detection:
        levels.append(alpha)
        return detect(self, pixels, key=key, search=search, alpha=alpha)

    monkeypatch.setattr(TileFourier, "detect", spy)
    Keyring(KEYS).detect(DEFAULT, picture(4, 128), search="quick", alpha=1e-3)
    assert levels == pytest.approx([1e-3 / 5] * 5)


def test_nothing_is_found_without_the_key() -> None:
    marked = DEFAULT.embed(picture(3), AssetId(7), key=WatermarkKey(bytes([99]) * 32)).pixels
    for pixels in (marked, picture(4)):
        found = Keyring(KEYS).detect(DEFAULT, pixels, search="quick")
        assert (found.found, found.payload) == (False, None)
        assert -6 < found.log10_p <= 0


def test_identifiers_choose_among_all_marking_keys_and_no_retired_one() -> None:
    ring = Keyring(KEYS[:4], KEYS[4:])
    chosen = [ring.choose(AssetId(value)) for value in range(80)]
    assert set(chosen) == set(KEYS[:4])
    assert max(chosen.count(key) for key in KEYS) < 40
    assert chosen == [ring.choose(AssetId(value)) for value in range(80)]


def test_unknown_key_id_is_refused_with_the_known_ones() -> None:
    ring = Keyring(KEYS[:1], KEYS[1:2])
    assert ring.get(KEYS[1].key_id) == KEYS[1]
    with pytest.raises(InputError, match=f"unknown.*{KEYS[0].key_id}"):
        ring.get("0" * 12)


@pytest.mark.parametrize(
    "marking", [(), (KEYS[0], KEYS[0]), tuple(map(WatermarkKey, (bytes([i]) * 32 for i in range(65))))]
)
def test_impossible_rings_are_refused(marking: tuple[WatermarkKey, ...]) -> None:
    with pytest.raises(InputError, match="watermark keys"):
        Keyring(marking)
    assert len(marking) <= MOST_KEYS + 1


def test_aligned_average_removes_the_mark_of_one_key_but_not_of_the_others() -> None:
    """The attack of `benchmarks.watermark_averaging` at its strongest: 24 pictures, aligned."""
    kept = []
    for ring in (Keyring(KEYS[:1]), Keyring(KEYS[:4])):
        ids = [AssetId(1000 + index) for index in range(30)]
        marked = [
            DEFAULT.embed(picture(index), each, key=ring.choose(each), psnr=42).pixels
            for index, each in enumerate(ids)
        ]
        estimate = average([estimate_tile(pixels) for pixels in marked[:24]], aligned=True)
        kept.append(
            sum(ring.detect(DEFAULT, add(pixels, -estimate), search="quick").found for pixels in marked[24:])
        )
    assert kept[0] <= 1
    assert kept[1] >= 3
