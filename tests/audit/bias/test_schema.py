"""A schema file says what is perceived; what it gets wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from audit.bias.perception import SCHEMA
from audit.bias.schema import groups_of, load_schema, parse_schema, shipped_schema
from generator.errors import InputError

GOOD = """
templates: ["a photo of {}", "{} seen from the front"]
attributes:
  presentation: built-in
  setting:
    of: picture
    groups:
      indoors: [a person in a room]
      outdoors: [a person under the sky, a person in the street]
  hat: {groups: {yes: [a person with a hat], no: [a person without a hat]}}
  monk: {measure: skin-tone}
  people: {measure: people}
  age: {groups: [young, old]}
"""


def test_a_schema_is_read(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text(GOOD)
    entries = {entry.attribute.name: entry for entry in load_schema(path)}
    assert entries["presentation"].attribute is SCHEMA[0]
    assert entries["setting"].attribute.groups["outdoors"] == (
        "a photo of a person under the sky", "a person under the sky seen from the front",
        "a photo of a person in the street", "a person in the street seen from the front",
    )  # fmt: skip
    assert not entries["setting"].of_person
    assert entries["hat"].of_person
    assert tuple(entries["hat"].attribute.groups) == ("yes", "no")  # not True and False
    assert len(entries["monk"].attribute.groups) == 10
    assert tuple(entries["people"].attribute.groups) == ("one", "several", "none")
    assert groups_of(load_schema(path))["age"] == ("young", "old")


def test_what_ships_is_what_the_reader_reads() -> None:
    assert tuple(entry.attribute for entry in shipped_schema()) == SCHEMA


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[]", "expected a mapping"),
        ("attributes: {}", "empty"),
        ("attributes: {a: built-in}", "not built in"),
        ("attributes: {Gender: {groups: [a, b]}}", "lower-case"),
        ("attributes: {'a.b': {groups: [a, b]}}", "lower-case"),
        ("attributes: {a: {groups: [one]}}", "2 to 40"),
        ("attributes: {a: {groups: [one, one]}}", "2 to 40"),
        ("attributes: {a: {groups: {x: [], y: [b]}}}", "phrases"),
        ("attributes: {a: {groups: [x, undetermined]}}", "cannot be called"),
        ("attributes: {a: {of: dog, groups: [x, y]}}", "person or picture"),
        ("attributes: {a: {measure: weight}}", "weight"),
        ("attributes: {a: {measure: people, groups: [x, y]}}", "no groups"),
        ("attributes: {a: {colour: red}}", "expected `built-in`"),
        ("{templates: [no place], attributes: {a: built-in}}", "templates"),
        ("attributes: {a: {groups: [x, y]}}\nextra: 1", "expected a mapping"),
    ],
)
def test_a_wrong_schema_names_what_is_wrong(text: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        parse_schema(yaml.safe_load(text))


def test_a_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("attributes: [")
    with pytest.raises(InputError, match="YAML"):
        load_schema(path)
    with pytest.raises(InputError, match="YAML"):
        load_schema(tmp_path / "none.yaml")
