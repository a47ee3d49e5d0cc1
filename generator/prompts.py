"""Prompt sets: what is asked of a generator, from CSV, JSONL or YAML.

CSV and JSONL hold one prompt a row: `prompt_id`, `text`, and any further columns, which are slots that `text` may
name in braces. YAML holds `templates` and `slots`; every template is filled with every combination of values. The
article before a slot follows its value: `a {occupation}` gives "an engineer".
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from generator.errors import InputError
from generator.interface import Prompt

EMBEDDED = "occupations"
_SLOT = re.compile(r"(?:\b(?P<article>[Aa])n? )?\{(?P<name>[^{}]*)\}")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Prompts with unique ids, in order.

    Attributes:
        name: of the set; the file's stem or the name of a shipped set.
        prompts: at least one.
    """

    name: str
    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    prompt_id: str
    text: str
    slots: dict[str, str]


def fill_slots(template: str, slots: Mapping[str, str], *, where: str) -> str:
    """Put slot values into a template.

    Args:
        template: text with `{name}` slots.
        slots: name -> value.
        where: file and line for the error message.

    Raises:
        InputError: the template names a slot that has no value.
    """

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in slots:
            known = ", ".join(sorted(slots)) or "none"
            raise InputError(
                f"{where}: unknown slot {{{name}}}; known slots: {known}. Add a column or value for it"
            )
        text = slots[name]
        article = match["article"]
        if not article:
            return text
        return f"{article}{'n' if text[:1].lower() in 'aeiou' else ''} {text}"

    return _SLOT.sub(value, template)


def _csv_rows(text: str, name: str) -> Iterable[_Row]:
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
            yield _row(record, name, reader.line_num)
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.reader.line_num}: {error}; check the quotes") from error


def _jsonl_rows(text: str, name: str) -> Iterable[_Row]:
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
        yield _row(record, name, line)


def _row(record: Mapping[str, Any], name: str, line: int) -> _Row:
    for needed in ("prompt_id", "text"):
        if not str(record.get(needed) or "").strip():
            raise InputError(f"{name}, line {line}: {needed} is missing or empty; every prompt needs one")
    slots = {key: str(value) for key, value in record.items() if key not in {"prompt_id", "text"}}
    return _Row(line, str(record["prompt_id"]).strip(), str(record["text"]).strip(), slots)


def _yaml_rows(text: str, name: str) -> Iterable[_Row]:
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
    for number, template in enumerate(data["templates"], 1):
        named = list(dict.fromkeys(match["name"] for match in _SLOT.finditer(str(template))))
        missing = [slot for slot in named if slot not in slots]
        if missing:
            raise InputError(
                f"{name}, template {number}: unknown slot {{{missing[0]}}}; known: {', '.join(slots)}"
            )
        for values in itertools.product(*(slots[slot] for slot in named)):
            filled = dict(zip(named, map(str, values), strict=True))
            prefix = [f"t{number}"] if len(data["templates"]) > 1 or not filled else []
            slug = "-".join([*prefix, *(re.sub(r"[^a-z0-9]+", "-", v.lower()) for v in filled.values())])
            yield _Row(number, slug.strip("-"), str(template), filled)


_READERS = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".yaml": _yaml_rows, ".yml": _yaml_rows}


def parse_prompts(text: str, *, name: str, suffix: str) -> PromptSet:
    """Parse a prompt set.

    Args:
        text: content of the file.
        name: file name for messages.
        suffix: ".csv", ".jsonl", ".yaml" or ".yml".

    Raises:
        InputError: unknown format, missing column, duplicate or unusable id, unknown slot, no prompt at all; names
            file and line and what to do.
    """
    if suffix not in _READERS:
        raise InputError(f"{name}: unknown format {suffix!r}; expected one of {', '.join(sorted(_READERS))}")
    prompts: list[Prompt] = []
    lines: dict[str, int] = {}
    for row in _READERS[suffix](text, name):
        where = f"{name}, line {row.line}"
        if not _ID.fullmatch(row.prompt_id):
            raise InputError(
                f"{where}: prompt_id {row.prompt_id!r} cannot be a file name; use a-z, 0-9, dot, dash, underscore"
            )
        if row.prompt_id in lines:
            raise InputError(
                f"{where}: prompt_id {row.prompt_id!r} was used on line {lines[row.prompt_id]}; make it unique"
            )
        lines[row.prompt_id] = row.line
        prompts.append(Prompt(row.prompt_id, fill_slots(row.text, row.slots, where=where), row.slots))
    if not prompts:
        raise InputError(f"{name}: holds no prompts; add at least one")
    return PromptSet(Path(name).stem, tuple(prompts))


def load_prompts(source: str | Path = EMBEDDED) -> PromptSet:
    """Load a shipped prompt set by name or a file by path.

    Raises:
        InputError: there is no such set or file, or it cannot be used (see `parse_prompts`).
    """
    shipped = resources.files("generator") / "prompt_sets" / f"{source}.csv"
    if isinstance(source, str) and "/" not in source and shipped.is_file():
        return parse_prompts(shipped.read_text("utf-8"), name=f"{source}.csv", suffix=".csv")
    path = Path(source)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such prompt file and no shipped set of that name; shipped: {EMBEDDED}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    return parse_prompts(text, name=path.name, suffix=path.suffix.lower())
