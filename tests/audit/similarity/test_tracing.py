"""Traces against planted copies and against drawings that are in no reference set."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from audit.collection import Item
from audit.evidence import Status
from audit.similarity.descriptors import PixelDescriptor
from audit.similarity.edits import EDITS
from audit.similarity.module import build_module, candidate_image
from audit.similarity.references import CorpusReferences, FolderReferences, embedded_references
from audit.similarity.store import save_stored
from audit.similarity.tracing import ALPHA, Tracer, build_tracer
from generator.errors import InputError
from generator.portraits.corpus import Corpus, Rates

SMALL = {"null_size": 200, "planted": 4}
CORPUS, OTHERS = Corpus(41, Rates.default(), 600), Corpus(42, Rates.default(), 2000)
REFERENCES = CorpusReferences(CORPUS, 300, OTHERS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def tracer(cache: Path) -> Tracer:
    return build_tracer(REFERENCES, PixelDescriptor(), cache_folder=cache, **SMALL)


def write(folder: Path, name: str, pixels: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), pixels[..., ::-1])
    return folder / name


@pytest.mark.parametrize("name", EDITS)
def test_planted_copies_are_found_with_small_p(tracer: Tracer, name: str) -> None:
    for row in (3, 77, 299):
        (best, *rest) = tracer.trace([EDITS[name](CORPUS.drawing(row, 256))])[0]
        assert best.candidate_id == f"drawing-41-{row:06d}"
        assert best.match
        assert best.p_value <= ALPHA
        assert len(rest) == 2
        assert all(a.similarity >= b.similarity for a, b in zip([best, *rest], rest, strict=False))


def test_drawings_outside_the_set_match_no_more_than_promised(tracer: Tracer) -> None:
    outside = [OTHERS.drawing(i, 256) for i in range(1000, 1100)]
    p = np.array([found[0].p_value for found in tracer.trace(outside)])
    # P(Binomial(100, 0.01) > 6) < 0.001, the null's own chance aside; the mean of 100 has standard deviation 0.03
    assert (p <= ALPHA).sum() <= 6
    assert abs(p.mean() - 0.5) < 0.15


def test_a_trace_is_repeatable_and_ignores_company(tracer: Tracer) -> None:
    images = [OTHERS.drawing(i, 200) for i in range(1200, 1206)]
    together = tracer.trace(images)
    alone = [tracer.trace([pixels])[0] for pixels in images]
    for a, b in zip(together, alone, strict=True):
        assert [x.candidate_id for x in a] == [x.candidate_id for x in b]
        np.testing.assert_allclose([x.similarity for x in a], [x.similarity for x in b], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (2000, 3000, 3)])
def test_odd_shapes_do_not_match(tracer: Tracer, shape: tuple[int, int, int]) -> None:
    found = tracer.trace([np.full(shape, 127, np.uint8)])[0]
    assert found
    assert not any(candidate.match for candidate in found)


def test_the_cache_is_used_and_gives_the_same_answers(
    tracer: Tracer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr("audit.similarity.tracing.build_index", fail)
    again = build_tracer(REFERENCES, PixelDescriptor(), cache_folder=cache, **SMALL)
    images = [OTHERS.drawing(1300, 128), CORPUS.drawing(9, 128)]
    assert again.trace(images) == tracer.trace(images)
    assert again.stored.recall == tracer.stored.recall


def test_another_reference_set_never_uses_this_cache(cache: Path, tracer: Tracer) -> None:
    other = build_tracer(
        CorpusReferences(CORPUS, 60, OTHERS), PixelDescriptor(), cache_folder=cache, null_size=30, planted=2
    )
    assert len(other.stored.ids) == 60
    assert len(tracer.stored.ids) == 300


@pytest.mark.parametrize("damage", ["truncated", "flipped header", "empty", "other digest"])
def test_a_damaged_cache_is_rebuilt_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    references = CorpusReferences(CORPUS, 40, OTHERS)
    arguments = {"cache_folder": tmp_path, "null_size": 20, "planted": 2}
    first = build_tracer(references, PixelDescriptor(), **arguments)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    if damage == "other digest":
        save_stored(path, first.stored, digest="another")
    else:
        contents = {
            "truncated": data[: len(data) // 2],
            "flipped header": bytes([255]) + data[1:],
            "empty": b"",
        }
        path.write_bytes(contents[damage])
    with caplog.at_level(logging.WARNING, logger="assay"):
        again = build_tracer(references, PixelDescriptor(), **arguments)
    assert "built again" in caplog.text
    query = [CORPUS.drawing(5, 100)]
    assert again.trace(query) == first.trace(query)
    assert path.read_bytes() == data


def test_folder_references_leave_one_out_and_find_copies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "set"
    for i in range(60):
        write(folder / str(i % 3), f"{i}.png", CORPUS.drawing(i, 96))
    (folder / "broken.png").write_bytes(b"no image")
    references = FolderReferences(folder)
    with caplog.at_level(logging.WARNING, logger="assay"):
        tracer = build_tracer(references, PixelDescriptor(), cache_folder=None, null_size=60, planted=2)
    assert "broken.png" in caplog.text
    assert len(tracer.stored.ids) == 60
    assert len(tracer.null.scores) == 60
    best = tracer.trace([EDITS["jpeg50"](CORPUS.drawing(50, 256))])[0][0]
    assert best.candidate_id == "2/50.png"
    assert best.p_value <= 3 / 61
    assert tracer.candidate_image(best.candidate_id, 48).shape == (48, 48, 3)
    with pytest.raises(InputError, match="not among"):
        tracer.candidate_image("../outside.png", 48)


def test_folder_null_comes_from_the_second_folder(tmp_path: Path) -> None:
    for i in range(6):
        write(tmp_path / "set", f"{i}.png", CORPUS.drawing(i, 64))
        write(tmp_path / "others", f"{i}.png", OTHERS.drawing(i, 64))
    references = FolderReferences(tmp_path / "set", tmp_path / "others")
    tracer = build_tracer(references, PixelDescriptor(), cache_folder=None, planted=1)
    assert len(tracer.null.scores) == 6
    assert "others" in tracer.null.source


def test_unusable_reference_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        FolderReferences(tmp_path / "absent")
    with pytest.raises(InputError, match="no readable image"):
        build_tracer(FolderReferences(tmp_path), PixelDescriptor(), cache_folder=None)
    write(tmp_path, "one.png", CORPUS.drawing(0, 64))
    with pytest.raises(InputError, match="alone gives no null"):
        build_tracer(FolderReferences(tmp_path), PixelDescriptor(), cache_folder=None)
    with pytest.raises(InputError, match="both corpora"):
        CorpusReferences(CORPUS, 5, CORPUS)
    with pytest.raises(InputError, match="expected 1 to"):
        CorpusReferences(CORPUS, 601, OTHERS)


def images_table(ids: list[str], *, generator: str | None) -> pd.DataFrame:
    return pd.DataFrame({"image_id": ids, "generator": generator, "prompt_id": None})


def test_module_rows_and_evidence(cache: Path, tracer: Tracer, tmp_path: Path) -> None:
    module = build_module(references=REFERENCES, cache_folder=cache, **SMALL)
    pictures = [OTHERS.drawing(i, 256) for i in range(1400, 1420)] + [
        CORPUS.drawing(i, 256) for i in range(10)
    ]
    items = [Item(f"i{n}", write(tmp_path, f"{n}.png", pixels)) for n, pixels in enumerate(pictures)]
    rows = pd.DataFrame(module.measure(items))
    assert list(rows.columns) == [
        "image_id", "rank", "candidate_id", "similarity", "p_value", "match", "status", "reason",
    ]  # fmt: skip
    assert rows.groupby("image_id")["rank"].apply(list).tolist() == [[1, 2, 3]] * 30
    evidence = module.summarise(rows, images_table([item.image_id for item in items], generator="x"))
    rate = evidence.find("similarity.match_rate")
    assert rate.value >= 10 / 30
    assert rate.status is Status.INCONCLUSIVE
    assert rate.interval.low < rate.value < rate.interval.high
    assert evidence.find("similarity.expected_false_matches").value == pytest.approx(0.3)
    assert evidence.find("similarity.discoveries").value >= 10
    assert set(evidence.find("similarity.discoveries").details["image_ids"]) >= {
        f"i{n}" for n in range(20, 30)
    }
    assert evidence.find("similarity.null").value == 200
    test = evidence.find("similarity.self_test.crop90")
    assert test.interval.low <= test.value
    assert "stolen" not in str(evidence.to_json())
    assert not module.parallel


def test_no_match_states_an_upper_bound(cache: Path, tracer: Tracer, tmp_path: Path) -> None:
    module = build_module(references=REFERENCES, cache_folder=cache, **SMALL)
    flat = write(tmp_path, "flat.png", np.full((64, 64, 3), 90, np.uint8))
    items = [Item(f"i{n}", flat) for n in range(30)]
    rows = pd.DataFrame(module.measure(items))
    rate = module.summarise(rows, images_table([i.image_id for i in items], generator="x")).find(
        "similarity.match_rate"
    )
    assert rate.value == 0
    assert rate.status is Status.PASS
    assert rate.interval.high == pytest.approx(1 - 0.025 ** (1 / 30))
    assert "None found does not mean none exist" in rate.reason


def test_evidence_of_errors_and_of_nothing(cache: Path, tracer: Tracer) -> None:
    module = build_module(references=REFERENCES, cache_folder=cache, **SMALL)
    table = pd.DataFrame([{"image_id": "a", "status": "error", "reason": "damaged"}])
    evidence = module.summarise(table, images_table(["a"], generator=None))
    assert evidence.find("similarity.readable").status is Status.ERROR
    assert evidence.status is Status.ERROR
    assert module.summarise(table.iloc[:0], images_table([], generator=None)).status is Status.ERROR


def test_embedded_references_say_nothing_about_foreign_images(tmp_path: Path) -> None:
    from audit.similarity.summary import summarise

    references = embedded_references(count=30)
    tracer = build_tracer(references, PixelDescriptor(), cache_folder=None, null_size=20, planted=1)
    row = {"image_id": "a", "rank": 1, "candidate_id": "x", "similarity": 0.1, "p_value": 0.9, "match": False,
           "status": "pass", "reason": "r"}  # fmt: skip
    evidence = summarise(
        pd.DataFrame([row]), images_table(["a"], generator=None), tracer=tracer, embedded=True
    )
    check = evidence.find("similarity.match_rate")
    assert check.status is Status.INCONCLUSIVE
    assert "another generator" in check.reason


def test_candidate_image_without_an_index(tmp_path: Path) -> None:
    references = embedded_references()
    np.testing.assert_array_equal(
        candidate_image("drawing-2001-000012", 64), references.corpus.drawing(12, 64)
    )
    for wrong in ("drawing-2001-999999", "drawing-7-000001", "x", "drawing-2001--1"):
        with pytest.raises(InputError, match="not among"):
            candidate_image(wrong, 64)
    path = write(tmp_path, "a.png", CORPUS.drawing(0, 64))
    assert candidate_image(path.name, 32, reference_folder=tmp_path).shape == (32, 32, 3)
