"""The contract of every technique of the registry: ours, those of others, and marks that sampling leaves."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from scipy import stats
from watermark_models import texture, write_models

from generator.embedded import MARKED, EmbeddedGenerator
from generator.errors import InputError
from generator.interface import GeneratedImage, Generator, Prompt, Request
from generator.marking.payload import AssetId
from generator.marking.watermark import registry
from generator.marking.watermark.interface import InsufficientCapacityError, Pixels, Reader, Scheme
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.pictures import view
from generator.sampling_keys import BY_FAMILY, LATENTS, NOISE, SamplingDetection, SamplingKey

sys.path.append(str(Path(__file__).parents[1] / "adapters"))

SECRET, OTHER_SECRET = bytes(range(32)), bytes(range(1, 33))
PAYLOAD = AssetId.from_hex("0123456789abcdef")
PICTURE, SEED = texture(2), 1003
SEEDS = np.arange(1000, 1010, dtype=np.uint64)
ENTRIES = {entry.name: entry for entry in registry.list_entries(Path("nowhere"))}
EXPENSIVE = {"io.github.assay-audit.rivagan.1", NOISE, LATENTS}  # half a second a reading
SLOW = (  # importing diffusers takes minutes on a busy machine
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),
)


@dataclass(frozen=True)
class Case:
    """A technique, a picture with its mark and the same size without, its key, and one that it was not made with."""

    entry: registry.Entry
    reader: Reader
    marked: Pixels
    plain: Pixels
    key: WatermarkKey
    other: WatermarkKey
    payload: AssetId | None


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=SLOW if name == LATENTS else ()) for name in ENTRIES]
)
def case(request: pytest.FixtureRequest, models: Path) -> Case:
    if request.param == LATENTS:
        pytest.importorskip("diffusers")
        from tiny_pipelines import save_stable_diffusion

        save_stable_diffusion(models / "saved", legible=True).rename(models / "diffusers")
    (entry,) = (one for one in registry.list_entries(models) if one.name == request.param)
    if entry.missing:
        pytest.skip(f"{entry.title}: {entry.missing}")
    return _left_by_sampling(entry, models) if not entry.embeds else _embedded(entry)


def _embedded(entry: registry.Entry) -> Case:
    scheme, key = cast(Scheme, entry.load()), WatermarkKey(SECRET)
    marked = scheme.embed(PICTURE, PAYLOAD, key=key).pixels
    payload = PAYLOAD if scheme.capacity else None
    return Case(entry, scheme, marked, PICTURE, key, WatermarkKey(OTHER_SECRET), payload)


def _left_by_sampling(entry: registry.Entry, models: Path) -> Case:
    reader = entry.load()
    generator: Generator
    if entry.name == LATENTS:
        from generator.adapters.diffusers import DiffusersGenerator

        generator = DiffusersGenerator(str(models / "diffusers"), key=SECRET)
    else:
        family = next(family for family, name in BY_FAMILY.items() if name == entry.name)
        generator = EmbeddedGenerator.load(family=family, key=SECRET)
    (made,) = generator.generate([Request(Prompt("p", "a portrait of a nurse"), 0, SEED)])
    assert isinstance(made, GeneratedImage)
    height, width = made.pixels.shape[:2]
    key, other = (SamplingKey(secret, seeds=SEEDS) for secret in (SECRET, OTHER_SECRET))
    return Case(entry, reader, made.pixels, texture(2, height, width), key, other, None)


# Reading


def test_a_mark_is_found_with_its_key_only(case: Case) -> None:
    found = case.reader.detect(case.marked, key=case.key)
    assert (found.found, found.payload) == (True, case.payload)
    assert found.log10_p <= -6
    assert (found.scheme, found.key_id) == (case.entry.name, case.key.key_id)
    assert case.reader.name == case.entry.name
    assert found.reason
    for pixels, key in ((case.marked, case.other), (case.plain, case.key)):
        nothing = case.reader.detect(pixels, key=key)
        assert (nothing.found, nothing.payload, nothing.geometry) == (False, None, None)
        assert -6 < nothing.log10_p <= 0
        assert (nothing.scheme, nothing.key_id) == (case.entry.name, key.key_id)
        assert nothing.reason
        assert (
            nothing.candidates == found.candidates >= 1
        )  # what is paid for is fixed before the picture is seen


def test_p_values_are_uniform_or_larger_under_keys_that_made_nothing(case: Case) -> None:
    rng, count = np.random.default_rng(5), 4 if case.entry.name in EXPENSIVE else 30
    bounds = []
    for pixels in (case.marked, case.plain):
        for _ in range(count):
            key = WatermarkKey(rng.bytes(32))
            if not case.entry.embeds:
                key = SamplingKey(
                    key.secret, seeds=SEEDS[:1]
                )  # one seed: nothing is hidden by what seeds cost
            bounds.append(case.reader.detect(pixels, key=key, search="quick").log10_p)
    for level in (0.5, 0.1, 0.02):
        below = int(np.sum(np.array(bounds) <= math.log10(level)))
        assert stats.binomtest(below, 2 * count, level, alternative="greater").pvalue > 1e-4
    if not case.entry.embeds:  # exact, not only a bound
        assert min(bounds) < math.log10(0.75)


def test_the_level_decides(case: Case) -> None:
    found = case.reader.detect(case.marked, key=case.key)
    assert case.reader.detect(case.marked, key=case.key, alpha=10 ** max(found.log10_p + 1, -250)).found
    if found.log10_p > -300:
        assert not case.reader.detect(case.marked, key=case.key, alpha=10 ** (found.log10_p - 1)).found


def test_reading_is_deterministic_and_changes_nothing(case: Case) -> None:
    pixels = case.marked[:, ::-1][:, ::-1]  # not contiguous
    pixels.setflags(write=False)
    before = pixels.copy()
    one, other = (case.reader.detect(pixels, key=case.key) for _ in range(2))
    assert one == other
    assert np.array_equal(pixels, before)


def test_secrets_are_in_no_output(case: Case) -> None:
    said = repr(case.reader.detect(case.marked, key=case.key)) + repr(case.key)
    assert case.key.key_id in said
    for secret in (SECRET.hex(), repr(SECRET)[2:-1], str(list(SECRET))[1:-1]):
        assert secret not in said


def test_grey_and_transparent_pictures_are_read(case: Case) -> None:
    alpha = np.full((*case.marked.shape[:2], 1), 255, np.uint8)
    opaque = case.reader.detect(view(np.concatenate([case.marked, alpha], axis=2)), key=case.key)
    assert opaque == case.reader.detect(case.marked, key=case.key)
    for pixels in (case.plain[..., 1], np.concatenate([case.plain, alpha // 2], axis=2)):
        assert not case.reader.detect(view(pixels), key=case.key).found


def test_what_is_no_picture_is_refused(case: Case) -> None:
    for pixels in (
        None,
        [[1, 2, 3]],
        np.zeros((300, 300), np.uint8),
        np.zeros((300, 300, 4), np.uint8),
        np.zeros((300, 0, 3), np.uint8),
        np.zeros((300, 300, 3), np.uint16),
        np.full((300, 300, 3), np.nan),
    ):
        with pytest.raises(InputError, match="pixels"):
            case.reader.detect(pixels, key=case.key)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="search"):
        case.reader.detect(case.plain, key=case.key, search="slow")  # type: ignore[arg-type]
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(InputError, match="alpha"):
            case.reader.detect(case.plain, key=case.key, alpha=alpha)


def test_a_picture_that_is_too_small_is_not_read(case: Case) -> None:
    small = case.reader.detect(np.full((case.reader.min_side - 1, 400, 3), 90, np.uint8), key=case.key)
    tiny = case.reader.detect(np.zeros((1, 1, 3), np.uint8), key=case.key)
    for nothing in (small, tiny):
        assert (nothing.found, nothing.payload, nothing.log10_p) == (False, None, 0.0)
    assert "too small" in tiny.reason


def test_a_mark_of_sampling_names_its_seed_among_those_issued(case: Case) -> None:
    if case.entry.embeds:
        return
    found = case.reader.detect(case.marked, key=case.key)
    assert isinstance(found, SamplingDetection)
    assert (found.seed, found.tried, found.is_public) == (SEED, len(SEEDS), False)
    assert f"Seed {SEED} of " in found.reason
    others = SamplingKey(SECRET, seeds=SEEDS + np.uint64(1000))
    assert not case.reader.detect(case.marked, key=others).found
    without = case.reader.detect(case.marked, key=WatermarkKey(SECRET))
    assert (without.found, without.log10_p) == (False, 0.0)
    assert without.reason == "No seed is known that was issued under this key."


# Marking finished pixels


@pytest.fixture
def scheme(case: Case) -> Scheme:
    if not case.entry.embeds:
        pytest.skip(f"{case.entry.title}: is only read")
    return cast(Scheme, case.reader)


def test_a_marked_picture_says_how_it_was_marked(scheme: Scheme, case: Case) -> None:
    picture = PICTURE[:, ::-1]  # neither contiguous nor writable
    picture.setflags(write=False)
    before = picture.copy()
    marked = scheme.embed(picture, PAYLOAD, key=case.key)
    assert np.array_equal(picture, before)
    assert (marked.pixels.shape, marked.pixels.dtype) == (picture.shape, np.uint8)
    difference = np.mean((marked.pixels.astype(float) - picture) ** 2)
    assert marked.psnr == pytest.approx(10 * math.log10(255**2 / difference), abs=1e-6)
    assert marked.psnr > 38
    assert (marked.scheme, marked.key_id) == (scheme.name, case.key.key_id)
    assert np.array_equal(marked.pixels, scheme.embed(picture, PAYLOAD, key=case.key).pixels)
    found = scheme.detect(marked.pixels, key=case.key)
    assert (found.payload, found.log10_odds > 3) == (case.payload, bool(scheme.capacity))
    assert SECRET.hex() not in repr(marked)


def test_capacity_is_an_identifier_or_nothing(scheme: Scheme) -> None:
    expected = {"rivagan": 0, "wam": 0, "tile-fourier": 128}
    assert scheme.capacity == expected.get(scheme.name.split(".")[-2], 64)


def test_what_cannot_be_marked_is_refused(scheme: Scheme, case: Case) -> None:
    if scheme.capacity == 64:
        with pytest.raises(InputError, match="128 bits: the scheme carries at most 64"):
            scheme.embed(PICTURE, AssetId(1, 128), key=case.key)
    for shape in ((1, 1, 3), (scheme.min_side - 1, 400, 3)):
        with pytest.raises(InsufficientCapacityError, match="insufficient capacity"):
            scheme.embed(np.full(shape, 90, np.uint8), PAYLOAD, key=case.key)
    for pixels in (None, np.zeros((300, 0, 3), np.uint8), np.full((300, 300, 3), np.nan)):
        with pytest.raises(InputError, match="pixels"):
            scheme.embed(pixels, PAYLOAD, key=case.key)  # type: ignore[arg-type]
    for psnr in (29.0, 61.0, math.nan):
        with pytest.raises(InputError, match="PSNR"):
            scheme.embed(PICTURE, PAYLOAD, key=case.key, psnr=psnr)


def test_families_of_the_registry_are_those_that_leave_a_mark() -> None:
    assert tuple(BY_FAMILY) == MARKED
    assert {name for name, entry in ENTRIES.items() if not entry.embeds} == {*BY_FAMILY.values(), LATENTS}
