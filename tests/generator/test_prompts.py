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


def test_columns_with_a_dot_describe_a_slot_and_language_and_count_are_kept() -> None:
    prompts = parse_prompts(
        "prompt_id,text,language,count,job,job.isco\nn,a {job},en,8,nurse,2221\nk,eine {job},de,,Pflegerin,2221\n",
        name="p.csv",
        suffix=".csv",
    )
    first, second = prompts.prompts
    assert (first.slots, first.metadata, first.language, first.count) == (
        {"job": "nurse"},
        {"job.isco": "2221"},
        "en",
        8,
    )
    assert (second.text, second.language, second.count) == ("eine Pflegerin", "de", 0)


def test_yaml_has_languages_metadata_and_counts() -> None:
    prompts = parse_prompts(
        """
        count: 4
        templates:
          en: ["a portrait of a {job}", {text: "a {job}", count: 2}]
          de: ["ein Bild: {job}"]
        slots:
          job:
            - {value: {en: engineer, de: Ingenieurin}, isco: 2149}
            - {value: {en: judge, de: Richterin}, id: court}
        """,
        name="p.yaml",
        suffix=".yaml",
    ).prompts
    assert [prompt.prompt_id for prompt in prompts] == [
        "en-t1-engineer",
        "en-t1-court",
        "en-t2-engineer",
        "en-t2-court",
        "de-engineer",
        "de-court",
    ]
    assert prompts[0].text == "a portrait of an engineer"
    assert prompts[0].metadata == {"job.id": "engineer", "job.isco": "2149"}
    assert [prompt.count for prompt in prompts] == [4, 4, 2, 2, 4, 4]
    assert (prompts[4].text, prompts[4].language, prompts[4].slots) == (
        "ein Bild: Ingenieurin",
        "de",
        {"job": "Ingenieurin"},
    )


def test_articles_are_english_only() -> None:
    spanish = parse_prompts(
        '{"prompt_id": "a", "text": "viaje a {x}", "x": "Oslo", "language": "es"}', name="p", suffix=".jsonl"
    )
    assert spanish.prompts[0].text == "viaje a Oslo"


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [
        (
            "prompt_id,text,job.isco\na,b,1\n",
            ".csv",
            r"line 2: 'job.isco' describes slot 'job', which is no column",
        ),
        (
            "prompt_id,text,count\na,b,0\n",
            ".csv",
            r"line 2: count '0', expected a whole number of images from 1",
        ),
        ("templates: [a]\ncount: few", ".yaml", "count 'few'"),
        ("templates: {de: ['{x}']}\nslots: {x: [{value: {en: a}}]}", ".yaml", "no text for language 'de'"),
        ("templates: ['{x}']\nslots: {x: [{id: a}]}", ".yaml", "needs `value:`"),
        ("templates: [{count: 2}]", ".yaml", "needs `text:`"),
        ("templates: ['{x}']\nslots: {x: ['\u533b']}", ".yaml", "give the value an `id`"),
    ],
)
def test_errors_of_metadata_languages_and_counts(text: str, suffix: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_prompts(text, name=f"p{suffix}", suffix=suffix)


def test_shipped_sets_are_named_and_differ_from_the_embedded_vocabulary_in_their_slot_only() -> None:
    from generator.portraits import unknown_words, words
    from generator.prompts import shipped_sets

    assert shipped_sets() == ("activities", "adjectives", "occupations")
    for name, slot in (("adjectives", "adjective"), ("activities", "activity")):
        prompts = load_prompts(name).prompts
        assert len(prompts) >= 24
        assert len({prompt.metadata[f"{slot}.kind"] for prompt in prompts}) >= 4
        for prompt in prompts:
            assert set(unknown_words(prompt.text)) <= set(words(prompt.slots[slot]))
        assert any(not unknown_words(prompt.text) for prompt in prompts)
    with pytest.raises(InputError, match="shipped: activities, adjectives, occupations"):
        load_prompts("verbs")
