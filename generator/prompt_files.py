"""The files that prompt sets come in: CSV, JSONL and YAML -> rows. `generator.prompts` says what a row becomes.

CSV and JSONL hold one prompt a row: `prompt_id`, `text`, optionally `language` and `count`; a further column is a
slot, and a column `SLOT.KEY` says something about the value of that slot.

YAML holds `templates` and `slots`, and every template is filled with every combination of values. Templates are a
list, or one list for each language; a template is a text, or `{text: ..., count: ...}`. A value is a text, or a
mapping with `value` (a text, or one for each language), optionally `id` (for the prompt id), and any further keys,
which say something about it. `count` beside them holds for all templates.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from generator.errors import InputError

SLOT = re.compile(r"(?:\b(?P<article>[Aa])n? )?\{(?P<name>[^{}]*)\}")
"""A slot of a template, with the article before it."""

_OWN = ("prompt_id", "text", "language", "count")


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt before its slots are filled.

    Attributes:
        line: of the file; the template's number in YAML.
        prompt_id: as written.
        text: with slots in braces.
        slots: name -> value.
        metadata: "slot.key" -> text.
        language: of the text; empty when not said.
        count: images wanted; 0 when not said.
    """

    line: int
    prompt_id: str
    text: str
    slots: dict[str, str]
    metadata: dict[str, str] = field(default_factory=dict)
    language: str = ""
    count: int = 0


def read_csv(text: str, name: str) -> Iterator[Row]:
    """Rows of a CSV file.

    Raises:
        InputError: a column is missing, a line has too few or too many fields, or a quote stays open.
    """
    reader = csv.DictReader(io.StringIO(text), strict=True)
    columns = reader.fieldnames or []
    for needed in ("prompt_id", "text"):
        if needed not in columns:
            raise InputError(
                f"{name}, line 1: column {needed!r} is missing (found: {', '.join(columns) or 'nothing'}); "
                "the header must hold prompt_id and text"
            )
    try:
        for record in reader:
            if None in record or None in record.values():
                raise InputError(
                    f"{name}, line {reader.line_num}: expected {len(columns)} fields; quote text that holds commas"
                )
            yield _row(record, f"{name}, line {reader.line_num}", reader.line_num)
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.reader.line_num}: {error}; check the quotes") from error


def read_jsonl(text: str, name: str) -> Iterator[Row]:
    """Rows of a JSONL file; empty lines are passed over.

    Raises:
        InputError: a line is no JSON object, or misses something.
    """
    for line, raw in enumerate(text.splitlines(), 1):
        if not raw.strip():
            continue
        try:
            record = json.loads(raw)
        except ValueError as error:
            raise InputError(
                f"{name}, line {line}: not JSON ({error}); one object a line is expected"
            ) from error
        if not isinstance(record, dict):
            raise InputError(f"{name}, line {line}: expected a JSON object with prompt_id and text")
        yield _row(record, f"{name}, line {line}", line)


def _row(record: Mapping[str, Any], where: str, line: int) -> Row:
    for needed in ("prompt_id", "text"):
        if not str(record.get(needed) or "").strip():
            raise InputError(f"{where}: {needed} is missing or empty; every prompt needs one")
    others = {key: str(value) for key, value in record.items() if key not in _OWN}
    slots = {key: value for key, value in others.items() if "." not in key}
    metadata = {key: value for key, value in others.items() if "." in key}
    for key in metadata:
        if key.split(".", 1)[0] not in slots:
            raise InputError(
                f"{where}: {key!r} describes slot {key.split('.', 1)[0]!r}, which is no column; "
                f"slots: {', '.join(slots) or 'none'}"
            )
    return Row(
        line,
        str(record["prompt_id"]).strip(),
        str(record["text"]).strip(),
        slots,
        metadata,
        language=str(record.get("language") or "").strip(),
        count=_count(record.get("count"), where),
    )


def _count(value: object, where: str) -> int:
    """0 when not said."""
    if value is None or value == "":
        return 0
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if number < 1:
        raise InputError(
            f"{where}: count {value!r}, expected a whole number of images from 1; or leave it empty"
        )
    return number


@dataclass(frozen=True, slots=True)
class _Value:
    """One value of a slot of a YAML set."""

    key: str
    texts: Mapping[str, str]  # language -> text; "" holds for every language
    metadata: Mapping[str, str]

    def text(self, language: str, where: str) -> str:
        found = self.texts.get(language, self.texts.get(""))
        if found is None:
            raise InputError(
                f"{where}: value {self.key!r} has no text for language {language!r} "
                f"(it has {', '.join(self.texts)}); add one"
            )
        return found


def read_yaml(text: str, name: str) -> Iterator[Row]:
    """Rows of a YAML file: every template with every combination of values.

    Raises:
        InputError: not YAML, another structure, an unknown slot, or a value without a text for a language.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{name}: not YAML ({error})") from error
    if not isinstance(data, dict) or not data.get("templates"):
        raise InputError(f"{name}: expected `templates:` (a list) and `slots:` (name: list of values)")
    slots = data.get("slots") or {}
    if not isinstance(slots, dict) or not all(
        isinstance(values, list) and values for values in slots.values()
    ):
        raise InputError(f"{name}: `slots` must map each name to a list of at least one value")
    values = {str(slot): [_value(value, f"{name}, slot {slot}") for value in slots[slot]] for slot in slots}
    languages = data["templates"] if isinstance(data["templates"], dict) else {"": data["templates"]}
    for language, templates in languages.items():
        if not isinstance(templates, list) or not templates:
            raise InputError(
                f"{name}: `templates` of {language or 'the set'} must be a list of at least one text"
            )
        for number, template in enumerate(templates, 1):
            prefix = [str(language).lower()] if language else []
            prefix += [f"t{number}"] if len(templates) > 1 else []
            where = f"{name}, template {number}" + (f" of {language}" if language else "")
            yield from _combinations(
                _template(template, number, str(language), _count(data.get("count"), name), where),
                values,
                prefix=prefix,
                where=where,
            )


def _value(value: object, where: str) -> _Value:
    if not isinstance(value, dict):
        return _Value(_slug(str(value)), {"": str(value)}, {})
    if not value.get("value"):
        raise InputError(f"{where}: a value with keys needs `value:`; got {value!r}")
    given = value["value"]
    texts = (
        {str(language): str(text) for language, text in given.items()}
        if isinstance(given, dict)
        else {"": str(given)}
    )
    key = str(value["id"]) if "id" in value else _slug(next(iter(texts.values())))
    metadata = {str(name): str(said) for name, said in value.items() if name != "value"}
    return _Value(key, texts, {"id": key, **metadata} if len(texts) > 1 else metadata)


def _template(template: object, number: int, language: str, count: int, where: str) -> Row:
    if not isinstance(template, dict):
        return Row(number, "", str(template), {}, language=language, count=count)
    if not template.get("text"):
        raise InputError(f"{where}: a template with keys needs `text:`; got {template!r}")
    own = _count(template.get("count"), where)
    return Row(number, "", str(template["text"]), {}, language=language, count=own or count)


def _combinations(
    template: Row, values: Mapping[str, list[_Value]], *, prefix: list[str], where: str
) -> Iterable[Row]:
    named = list(dict.fromkeys(match["name"] for match in SLOT.finditer(template.text)))
    missing = [slot for slot in named if slot not in values]
    if missing:
        raise InputError(f"{where}: unknown slot {{{missing[0]}}}; known: {', '.join(values)}")
    for chosen in itertools.product(*(values[slot] for slot in named)):
        filled = dict(zip(named, chosen, strict=True))
        parts = [*prefix, *(value.key for value in chosen)] or [f"t{template.line}"]
        yield Row(
            template.line,
            "-".join(parts).strip("-"),
            template.text,
            {slot: value.text(template.language, where) for slot, value in filled.items()},
            {f"{slot}.{key}": said for slot, value in filled.items() for key, said in value.metadata.items()},
            language=template.language,
            count=template.count,
        )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


READERS = {".csv": read_csv, ".jsonl": read_jsonl, ".yaml": read_yaml, ".yml": read_yaml}
"""File name suffix -> reader."""
