"""The zero-shot reader: right on drawings, silent on anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit.bias.perception import (
    OCCUPATION,
    OUTSIDE,
    SCHEMA,
    TRUTH,
    UNDETERMINED,
    Attribute,
    Reader,
    compute_agreement,
    load_calibration,
    measure_errors,
)
from audit.bias.reader_calibration import Sample, fit_calibration, fit_gate, save_calibration
from audit.collection import load_pixels
from generator.clip import Clip, load_clip
from generator.errors import InputError
from generator.portraits.corpus import Corpus, Rates
from generator.recipes_clip import HELD_OUT_SEED

FLOOR = 0.93  # of the agreement on 300 drawings; the card gives the figure on more of them


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip()


@pytest.fixture(scope="module")
def reader(clip: Clip) -> Reader:
    return Reader(clip, (*SCHEMA, OCCUPATION))


def photographs(shared_data: Path) -> list[np.ndarray]:
    paths = sorted(path for path in (shared_data / "images" / "real").rglob("*") if path.is_file())
    assert len(paths) >= 50
    return [load_pixels(path, max_side=512) for path in paths[::3]]


def test_every_attribute_is_read_as_drawn(reader: Reader) -> None:
    matrices = measure_errors(reader, Corpus(HELD_OUT_SEED, Rates.balanced(), 1000), 300)
    assert set(matrices) == {"presentation", "age", "tone", "glasses", "occupation"}
    for name, matrix in matrices.items():
        assert matrix.counts.sum() == 300
        assert compute_agreement(matrix) >= FLOOR, name


def test_photographs_are_undetermined(reader: Reader, shared_data: Path) -> None:
    readings = reader.read(photographs(shared_data))
    outside = [all(OUTSIDE in reading.reason for reading in read.values()) for read in readings]
    assert np.mean(outside) >= 0.97
    refused = readings[outside.index(True)]["presentation"]
    assert refused.value == UNDETERMINED
    assert refused.probabilities == {}


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_and_tiny_pictures_are_undetermined(reader: Reader, level: int) -> None:
    pictures = [np.full(shape, level, np.uint8) for shape in ((1, 1, 3), (64, 64, 3), (700, 300, 3))]
    assert {reading.value for read in reader.read(pictures) for reading in read.values()} == {UNDETERMINED}


def test_noise_is_undetermined(reader: Reader) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 3), dtype=np.uint8)
    assert all(OUTSIDE in read["age"].reason for read in reader.read(list(noise)))


def test_drawings_of_any_size_are_inside_the_domain(reader: Reader) -> None:
    corpus = Corpus(HELD_OUT_SEED, Rates.default(), 1000)
    for size in (64, 128, 256):
        readings = reader.read([corpus.drawing(index, size) for index in range(40)])
        assert sum(OUTSIDE in read["age"].reason for read in readings) <= 3, size


def test_a_low_probability_is_undetermined_with_its_reason(clip: Clip) -> None:
    drawing = Corpus(HELD_OUT_SEED, Rates.balanced(), 10).drawing(0, 64)
    strict = Reader(clip, threshold=1.0).read([drawing])[0]["presentation"]
    assert strict.value == UNDETERMINED
    assert "below 1.00" in strict.reason
    assert sum(strict.probabilities.values()) == pytest.approx(1)
    assert Reader(clip).read([drawing])[0]["presentation"].value in ("woman", "man")


def test_no_pictures_no_readings(reader: Reader) -> None:
    assert reader.read([]) == []


def test_errors_are_counted_in_the_transformed_domain(reader: Reader) -> None:
    corpus = Corpus(HELD_OUT_SEED, Rates.balanced(), 60)
    seen: list[tuple[int, ...]] = []

    def blank(pictures: np.ndarray) -> np.ndarray:
        seen.append(pictures.shape)
        return np.zeros((len(pictures), 256, 256, 3), np.uint8)

    matrices = measure_errors(reader, corpus, 60, transform=blank)
    assert seen == [(60, 64, 64, 3)]
    for name, matrix in matrices.items():
        assert matrix.counts[:, -1].sum() == 60, name
        truth = [TRUTH[name](corpus.traits(index)) for index in range(60)]
        assert matrix.counts.sum(axis=1).tolist() == [truth.count(group) for group in matrix.groups]


@pytest.mark.parametrize("n", [0, 61])
def test_more_drawings_than_there_are_is_refused(reader: Reader, n: int) -> None:
    with pytest.raises(InputError, match="expected 1 to 60"):
        measure_errors(reader, Corpus(1, Rates.balanced(), 60), n)


def test_an_attribute_without_a_drawn_truth_can_be_read_but_not_measured(clip: Clip) -> None:
    mood = Attribute(
        "mood", {"smiling": ("a smiling person",), "neutral": ("a person with a neutral expression",)}
    )
    reader = Reader(clip, (mood,))
    corpus = Corpus(HELD_OUT_SEED, Rates.balanced(), 10)
    assert reader.read([corpus.drawing(1, 64)])[0]["mood"].value in ("smiling", "neutral", UNDETERMINED)
    with pytest.raises(InputError, match="'mood'"):
        measure_errors(reader, corpus, 5)


@pytest.mark.parametrize(
    "schema",
    [
        (),
        (SCHEMA[0], SCHEMA[0]),
        (Attribute("one", {"only": ("a person",)}),),
        (Attribute("e", {"a": (), "b": ("b",)}),),
    ],
)
def test_schemas_that_cannot_be_read_are_refused(clip: Clip, schema: tuple[Attribute, ...]) -> None:
    with pytest.raises(InputError, match="reader schema"):
        Reader(clip, schema)


def test_a_calibration_of_another_model_is_refused(clip: Clip) -> None:
    with pytest.raises(InputError, match="calibration is of model"):
        Reader(clip, calibration=replace(load_calibration(), clip_digest="sha256:0"))
    with pytest.raises(InputError, match="threshold"):
        Reader(clip, threshold=1.5)


def test_without_a_calibration_nothing_is_outside(clip: Clip) -> None:
    reading = Reader(clip, calibration=None).read([np.zeros((9, 9, 3), np.uint8)])[0]["age"]
    assert OUTSIDE not in reading.reason
    assert sum(reading.probabilities.values()) == pytest.approx(1)


def test_a_calibration_can_be_fitted_saved_and_loaded(clip: Clip, tmp_path: Path) -> None:
    batch = Corpus(77, Rates.balanced(), 400).batch(range(400), 64)
    embeddings = clip.embed_images(list(batch.pixels))
    sample = Sample(embeddings[:300], batch.traits[:300])
    fitted = fit_calibration(clip, sample, held_out=embeddings[300:], schema=SCHEMA)
    save_calibration(fitted, tmp_path, figures={"n": 300.0}, limits=("for a test",))
    loaded = load_calibration(tmp_path)
    assert loaded.scales == dict(fitted.scales)
    assert Reader(clip, calibration=loaded).read(list(batch.pixels[:1]))[0].keys() == {a.name for a in SCHEMA}


def test_the_gate_turns_away_one_percent_of_what_it_is_fitted_on_and_all_that_is_far() -> None:
    rng = np.random.default_rng(2)
    near = rng.normal(size=(4000, 8)).astype(np.float32) * np.arange(1, 9)
    gate = fit_gate(near[:2000], held_out=near[2000:])
    assert np.mean(gate.compute_distances(near[2000:]) > gate.limit) == pytest.approx(0.01, abs=0.002)
    far = near + np.float32(30) * np.eye(8, dtype=np.float32)[0]
    assert np.all(gate.compute_distances(far) > gate.limit)
