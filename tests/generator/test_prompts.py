"""Prompt sets from CSV, JSONL and YAML, and what each error says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.errors import InputError
from generator.prompts import fill_slots, load_prompts, parse_prompts


def _csv(text: str) -> object:
    return parse_prompts(text, name="p.csv", suffix=".csv")


def test_csv_columns_become_slots() -> None:
    prompts = parse_prompts(
        'prompt_id,text,occupation\nn,a portrait of a {occupation},nurse\ne,"a {occupation}, seated",engineer\n',
        name="set.csv",
        suffix=".csv",
    )
    assert prompts.name == "set"
    assert [prompt.text for prompt in prompts.prompts] == ["a portrait of a nurse", "an engineer, seated"]
    assert prompts.prompts[0].slots == {"occupation": "nurse"}


def test_jsonl_and_yaml_give_the_same_prompts() -> None:
    lines = '{"prompt_id": "nurse", "text": "a nurse", "job": "nurse"}\n\n'
    lines += '{"prompt_id": "x", "text": "an x", "job": "x"}'
    jsonl = parse_prompts(lines, name="p.jsonl", suffix=".jsonl")
    yaml = parse_prompts('templates: ["a {job}"]\nslots: {job: [nurse, x]}', name="p.yaml", suffix=".yaml")
    assert [p.prompt_id for p in jsonl.prompts] == [p.prompt_id for p in yaml.prompts] == ["nurse", "x"]
    assert [p.slots for p in yaml.prompts] == [{"job": "nurse"}, {"job": "x"}]


def test_yaml_fills_every_combination_of_every_template() -> None:
    prompts = parse_prompts(
        'templates: ["a {age} {job}", "the {job}"]\nslots: {age: [old, young], job: [nurse, chef, pilot]}',
        name="p.yml",
        suffix=".yml",
    )
    assert len(prompts.prompts) == 9
    assert prompts.prompts[0].prompt_id == "t1-old-nurse"
    assert prompts.prompts[0].text == "an old nurse"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,text\n1,a\n", r"p\.csv, line 1: column 'prompt_id' is missing \(found: id, text\)"),
        ("", r"line 1: column 'prompt_id' is missing \(found: nothing\)"),
        ("prompt_id,text\na,x\na,y\n", r"line 3: prompt_id 'a' was used on line 2"),
        ("prompt_id,text\na,a {job}\n", r"line 2: unknown slot \{job\}; known slots: none"),
        ("prompt_id,text\na,\n", r"line 2: text is missing or empty"),
        ("prompt_id,text\na,b,c\n", r"line 2: expected 2 fields"),
        ("prompt_id,text\n../a,b\n", r"prompt_id '\.\./a' cannot be a file name"),
        ("prompt_id,text\n", r"holds no prompts"),
        ('prompt_id,text\na,"open\n', r"line 2: .*check the quotes"),
    ],
)
def test_csv_errors_name_file_line_and_remedy(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _csv(text)


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        ("{", ".jsonl", "line 1: not JSON"),
        ("[1]", ".jsonl", "line 1: expected a JSON object"),
        ("- a", ".yaml", "expected `templates:`"),
        ("a: [", ".yaml", "not YAML"),
        ('templates: ["a {x}"]\nslots: {y: [1]}', ".yaml", r"template 1: unknown slot \{x\}; known: y"),
        ('templates: ["a"]\nslots: {y: []}', ".yaml", "at least one value"),
        ("a", ".txt", "unknown format"),
    ],
)
def test_other_formats_name_what_is_wrong(text: str, suffix: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_prompts(text, name=f"p{suffix}", suffix=suffix)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such prompt file"):
        load_prompts(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"prompt_id,text\na,\xe9\n")
    with pytest.raises(InputError, match="UTF-8"):
        load_prompts(tmp_path / "latin.csv")


def test_shipped_set_is_large_enough_and_within_the_vocabulary() -> None:
    from generator.portraits import VOCABULARY, words

    prompts = load_prompts("occupations").prompts
    assert len(prompts) >= 20
    assert {word for prompt in prompts for word in words(prompt.text)} <= set(VOCABULARY)
    assert all(prompt.slots["occupation"] in prompt.text for prompt in prompts)


@given(st.text(alphabet="abcdefghij", min_size=1, max_size=8))
def test_article_follows_the_value(value: str) -> None:
    filled = fill_slots("a {x}", {"x": value}, where="w")
    assert filled == ("an " if value[0] in "aei" else "a ") + value
