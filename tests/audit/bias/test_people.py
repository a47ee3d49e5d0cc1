"""Faces first: one, several and none are outcomes, and nothing is read of a picture that is not one person's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from audit.bias.options import PersonSource, ReaderOptions, build_source
from audit.bias.people import Face, count_people, load_detector
from audit.bias.perception import Attribute, Reading
from audit.bias.schema import Entry, parse_schema
from audit.bias.sources import ClipSource
from audit.collection import load_pixels
from generator.errors import CannotCheckError, InputError, WeightsError

PICTURE = np.zeros((100, 80, 3), dtype=np.uint8)


@dataclass
class SizeSource:
    """Says how wide the picture is that it was given."""

    groups: dict = field(default_factory=lambda: {"hat": ("yes", "no"), "setting": ("in", "out")})
    description: str = ""
    seen: list = field(default_factory=list)

    def read(self, pictures: Sequence[np.ndarray]) -> list[dict[str, Reading]]:
        self.seen += [picture.shape[:2] for picture in pictures]
        return [
            {name: Reading(name, groups[0], {}) for name, groups in self.groups.items()} for _ in pictures
        ]

    def error_matrices(self) -> dict:
        return {}


ENTRIES = (
    Entry(Attribute("hat", {"yes": (), "no": ()})),
    Entry(Attribute("setting", {"in": (), "out": ()}), of_person=False),
    Entry(Attribute("people", dict.fromkeys(("one", "several", "none"), ())), "people"),
    *parse_schema({"attributes": {"monk": {"measure": "skin-tone"}}}),
)


@pytest.mark.parametrize(("number", "people"), [(0, "none"), (1, "one"), (2, "several"), (7, "several")])
def test_several_and_no_people_are_outcomes(number: int, people: str) -> None:
    base = SizeSource()
    source = PersonSource(base, ENTRIES, "unused")
    source._detector.append(lambda _: [Face(20, 30, 50, 70)] * number)
    (reading,) = source.read([PICTURE])
    assert reading["people"].value == people
    assert reading["setting"].value == "in"  # of the picture, whoever is in it
    assert (reading["hat"].value == "yes") == (number == 1)
    if number != 1:
        assert reading["hat"].value == reading["monk"].value == "undetermined"
        assert "face" in reading["hat"].reason
    assert base.seen[-1] == (100, 80)
    if number == 1:
        assert base.seen[0] == (64, 48)  # the head: 40 x 30 and 30 % of that on each side
        assert "underexposed" in reading["monk"].reason
    assert source.groups["monk"][0] == "monk-1"
    assert source.error_matrices() == {}


def test_faces_over_the_edge_are_cut_to_the_picture() -> None:
    assert Face(-20, -20, 500, 500).crop(PICTURE).shape == PICTURE.shape
    assert Face(79, 99, 90, 120).crop(PICTURE, margin=0.3).size > 0
    assert Face(200, 200, 220, 220).crop(PICTURE).shape == (1, 1, 3)


def test_counting() -> None:
    assert [count_people([Face(0, 0, 1, 1)] * number).value for number in range(3)] == [
        "none",
        "one",
        "several",
    ]


def test_the_middle_of_the_picture_can_be_taken_for_the_face() -> None:
    (face,) = load_detector("centre")(PICTURE)
    assert face == Face(26, 32, 54, 68)


@pytest.mark.parametrize("name", ["mtcnn", "/none/model.onnx", "model.txt"])
def test_unknown_detectors_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected dlib"):
        load_detector(name)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(WeightsError, match="YuNet"):
        load_detector(str(path))


def test_dlib_finds_the_one_face_of_a_portrait_and_none_on_a_wall(shared_data: Path) -> None:
    pytest.importorskip("dlib")
    find = load_detector("dlib")
    portrait = load_pixels(shared_data / "faces" / "female" / "001.png", max_side=400)
    assert len(find(portrait)) == 1
    assert list(find(PICTURE)) == []


def options(**chosen: object) -> ReaderOptions:
    return ReaderOptions(**chosen)  # type: ignore[arg-type]


def test_without_options_the_shipped_reader_reads_what_it_always_did() -> None:
    source = build_source(options())
    assert isinstance(source, ClipSource)
    assert list(source.groups) == ["presentation", "age", "tone", "glasses"]
    assert options().to_json() == {}


def schema(folder: Path, text: str) -> str:
    path = folder / "schema.yaml"
    path.write_text(text)
    return str(path)


def test_measured_attributes_need_a_detector(tmp_path: Path) -> None:
    path = schema(tmp_path, "attributes: {monk: {measure: skin-tone}, age: built-in}")
    with pytest.raises(InputError, match="--faces"):
        build_source(options(schema=path))
    source = build_source(options(schema=path, faces="centre"))
    assert isinstance(source, PersonSource)
    assert list(source.groups) == ["monk", "age"]
    assert ReaderOptions.from_json(options(schema=path, faces="centre").to_json()) == options(
        schema=path, faces="centre"
    )


def test_a_schema_of_measures_alone_needs_no_model(tmp_path: Path) -> None:
    path = schema(tmp_path, "attributes: {monk: {measure: skin-tone}, people: {measure: people}}")
    source = build_source(options(schema=path, faces="centre"))
    light = np.full((128, 128, 3), (160, 126, 86), dtype=np.uint8)
    (reading,) = source.read([light])  # type: ignore[union-attr]
    assert reading["monk"].value == "monk-6"
    assert reading["people"].value == "one"


@pytest.mark.parametrize(
    ("chosen", "word"),
    [({"readings": "r.csv", "faces": "dlib"}, "read already"), ({"classifier": "m"}, "belong together"),
     ({"trusted": True}, "--readings")],
)  # fmt: skip
def test_options_that_exclude_each_other(chosen: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        build_source(options(**chosen))


def test_groups_without_phrases_cannot_be_read_by_clip(tmp_path: Path) -> None:
    path = schema(tmp_path, "attributes: {hat: {groups: [yes, no]}}")
    with pytest.raises(InputError, match="phrases"):
        build_source(options(schema=path))


def test_options_of_another_version_are_said() -> None:
    with pytest.raises(CannotCheckError, match="version"):
        ReaderOptions.from_json({"colour": "red"})
