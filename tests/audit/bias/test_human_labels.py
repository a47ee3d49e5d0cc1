"""Labels beside the run: the draw, the answers, what is refused; and how far annotators agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audit.bias.agreement import measure_agreement
from audit.bias.labels import COLUMNS, LabelStore, has_labels, labels_path, read_labels, write_labels
from generator.errors import CannotCheckError, InputError

SCHEMA = {"presentation": ("woman", "man"), "age": ("young", "old")}
IMAGES = [f"i{number:03d}" for number in range(60)]


def build_store(folder: Path, images: list[str] = IMAGES) -> LabelStore:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    return LabelStore(run, schema=SCHEMA, images=images)


def table(*rows: tuple[str, str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_the_draw_depends_on_seed_and_images_alone_and_grows_in_place(tmp_path: Path) -> None:
    first = build_store(tmp_path)
    first.draw(20, seed=3)
    drawn = first.sample()
    other = LabelStore(tmp_path / "other", schema=SCHEMA, images=IMAGES[::-1])
    other.draw(20, seed=3)
    assert other.sample() == drawn
    assert len(set(drawn)) == 20
    assert drawn != sorted(drawn)
    assert first.draw(35, seed=3) == 35
    assert first.sample()[:20] == drawn
    assert first.draw(10) == 35  # never smaller: labels would be lost
    assert first.draw(1000) == len(IMAGES)


def test_every_image_is_as_likely_to_be_drawn(tmp_path: Path) -> None:
    times = np.zeros(6)
    for seed in range(300):
        store = LabelStore(tmp_path / f"r{seed}", schema=SCHEMA, images=IMAGES[:6])
        store.draw(2, seed=seed)
        times[[IMAGES.index(image) for image in store.sample()]] += 1
    assert times.min() > 60  # 100 expected, standard deviation 8
    assert times.max() < 140


def test_labels_lie_beside_the_run_and_outlive_the_process(tmp_path: Path) -> None:
    store = build_store(tmp_path)
    store.draw(5)
    store.add(store.sample()[0], "age", value="old", annotator="ada")
    assert list((tmp_path / "run").iterdir()) == []
    assert labels_path(tmp_path / "run").parent == tmp_path
    assert has_labels(tmp_path / "run")
    again = build_store(tmp_path)
    assert again.frame().to_numpy().tolist() == [[store.sample()[0], "age", "old", "ada"]]


def test_tasks_follow_the_sample_and_end(tmp_path: Path) -> None:
    store = build_store(tmp_path)
    store.draw(3)
    seen = []
    while (task := store.next_task("ada", attributes=["presentation", "age"])) is not None:
        assert task.total == 6
        assert task.done == len(seen)
        assert task.answers[-1] == "undetermined"
        seen.append((task.image_id, task.attribute))
        store.add(task.image_id, task.attribute, value=task.answers[0], annotator="ada")
    assert seen == [(image, attribute) for image in store.sample() for attribute in ("presentation", "age")]
    assert store.next_task("bob", attributes=["age"]) is not None  # each annotator has the whole sample
    assert store.undo("ada")
    again = store.next_task("ada", attributes=["presentation", "age"])
    assert again is not None
    assert (again.image_id, again.attribute) == seen[-1]
    assert not store.undo("bob")


def test_a_second_answer_takes_the_place_of_the_first(tmp_path: Path) -> None:
    store = build_store(tmp_path)
    store.draw(2)
    image = store.sample()[0]
    store.add(image, "age", value="old", annotator="ada")
    store.add(image, "age", value="undetermined", annotator="ada")
    store.add(image, "age", value="young", annotator="bob")
    assert store.frame()["value"].tolist() == ["undetermined", "young"]


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (("stranger", "age", "old", "ada"), "'stranger'"),
        (("i000", "hair", "old", "ada"), "'hair'"),
        (("i000", "age", "ancient", "ada"), "'ancient'"),
        (("i000", "age", "old", ""), "empty cell"),
        (("i000", "age", None, "ada"), "empty cell"),
        (("i000", "age", "old", "a" * 81), "longer than"),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_none_is_kept(tmp_path: Path, row: tuple, word: str) -> None:
    store = build_store(tmp_path)
    store.draw(60)
    with pytest.raises(InputError, match=word):
        store.add_all(table(("i001", "age", "old", "ada"), row))
    assert store.frame().empty


def test_two_labels_of_one_annotator_are_refused(tmp_path: Path) -> None:
    store = build_store(tmp_path)
    store.draw(60)
    with pytest.raises(InputError, match="two labels"):
        store.add_all(table(("i001", "age", "old", "ada"), ("i001", "age", "young", "ada")))


def test_hand_picked_images_need_the_word_of_whoever_brings_them(tmp_path: Path) -> None:
    store = build_store(tmp_path)
    store.draw(5)
    outside = next(image for image in IMAGES if image not in store.sample())
    with pytest.raises(InputError, match="drawn-at-random"):
        store.add_all(table((outside, "age", "old", "ada")))
    assert store.add_all(table((outside, "age", "old", "ada")), drawn_at_random=True) == 1
    assert outside in store.sample()
    assert len(store.frame()) == 1


def test_labels_of_a_run_without_images_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        build_store(tmp_path, images=[]).draw(5)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_labels_come_back_from_a_file_as_they_were(tmp_path: Path, suffix: str) -> None:
    labels = table(("i001", "age", "old", "=cmd|' /C calc'!A0"), ("i002", "age", "undetermined", "Zoë, 'Z'"))
    path = tmp_path / f"labels{suffix}"
    write_labels(labels, path)
    assert b'\n"=' not in path.read_bytes()
    assert b",=" not in path.read_bytes()
    assert read_labels(path).astype(object).equals(labels.astype(object))


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="suffix"):
        write_labels(table(), tmp_path / "labels.xlsx")


def test_damaged_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    labels_path(tmp_path / "run").write_bytes(b"no database at all, but longer than a header" * 30)
    with pytest.raises(CannotCheckError, match="cannot be used"):
        build_store(tmp_path)


def labelled(first: list[str], second: list[str]) -> pd.DataFrame:
    rows = [(f"i{n}", "age", value, "ada") for n, value in enumerate(first)]
    rows += [(f"i{n}", "age", value, "bob") for n, value in enumerate(second)]
    return table(*rows)


def test_kappa_and_alpha_of_a_textbook_table() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: kappa 0.4 (the example of many textbooks)
    first = ["y"] * 25 + ["n"] * 25
    second = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    found = measure_agreement(labelled(first, second), attribute="age")
    assert found.kappa == pytest.approx(0.4)
    assert found.alike == pytest.approx(0.7)
    # observed disagreement 30 / 100 pairs; expected 2 * 55 * 45 / (100 * 99)
    assert found.alpha == pytest.approx(1 - (30 / 100) * 99 / (2 * 55 * 45 / 100), abs=1e-9)
    assert found.kappa_interval is not None
    assert found.kappa_interval.low < 0.4 < found.kappa_interval.high
    assert 0.3 < found.kappa_interval.high - found.kappa_interval.low < 0.7


def test_agreement_is_one_when_all_agree_and_none_by_chance() -> None:
    values = ["y", "n"] * 20
    perfect = measure_agreement(labelled(values, values), attribute="age")
    assert perfect.alpha == pytest.approx(1)
    assert perfect.kappa == pytest.approx(1)
    rng = np.random.default_rng(0)
    random = [list(rng.choice(["y", "n"], 400)) for _ in range(2)]
    by_chance = measure_agreement(labelled(*random), attribute="age")
    assert abs(by_chance.alpha or 1) < 0.15
    assert by_chance.alpha_interval is not None
    assert by_chance.alpha_interval.low < 0 < by_chance.alpha_interval.high


def test_three_annotators_with_gaps_have_alpha_only() -> None:
    values = ["y", "n", "undetermined"] * 8
    rows = [(f"i{n}", "age", value, who) for who in ("a", "b", "c") for n, value in enumerate(values)]
    found = measure_agreement(table(*rows[:-10]), attribute="age")
    assert found.kappa is None
    assert found.alpha == pytest.approx(1)
    assert len(found.annotators) == 3


def test_too_little_shared_says_why() -> None:
    few = measure_agreement(labelled(["y"] * 3, ["n"] * 3), attribute="age")
    assert few.alpha is None
    assert "10 are needed" in few.reason
    alone = measure_agreement(labelled(["y"] * 12, []), attribute="age")
    assert alone.alpha is None
    assert alone.alike == 0
    one_answer = measure_agreement(labelled(["y"] * 12, ["y"] * 12), attribute="age")
    assert one_answer.alpha is None
    assert "Only one answer" in one_answer.reason
