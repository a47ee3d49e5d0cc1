"""Prompt sets: what is asked of a generator, from CSV, JSONL or YAML (see `generator.prompt_files`).

A text may name slots in braces. In English the article before a slot follows its value: `a {occupation}` gives "an
engineer".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from generator.errors import InputError
from generator.interface import Prompt
from generator.prompt_files import READERS, SLOT

EMBEDDED = "occupations"
"""The shipped set that is the default."""

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


def fill_slots(template: str, slots: Mapping[str, str], *, where: str, language: str = "") -> str:
    """Put slot values into a template.

    Args:
        template: text with `{name}` slots.
        slots: name -> value.
        where: file and line for the error message.
        language: of the template; another than English keeps its articles as they are.

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
        if not match["article"]:
            return text
        if language and not language.lower().startswith("en"):
            return f"{match[0].split(' ')[0]} {text}"
        return with_article(match["article"], text)

    return SLOT.sub(value, template)


def with_article(article: str, phrase: str) -> str:
    """The phrase after "a" or "an", by its first letter; `article` is "a" or "A"."""
    return f"{article}{'n' if phrase[:1].lower() in 'aeiou' else ''} {phrase}"


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
    if suffix not in READERS:
        raise InputError(f"{name}: unknown format {suffix!r}; expected one of {', '.join(sorted(READERS))}")
    prompts: list[Prompt] = []
    lines: dict[str, int] = {}
    for row in READERS[suffix](text, name):
        where = f"{name}, line {row.line}"
        if not _ID.fullmatch(row.prompt_id):
            raise InputError(
                f"{where}: prompt_id {row.prompt_id!r} cannot be a file name; use a-z, 0-9, dot, dash, underscore "
                "(in YAML: give the value an `id`)"
            )
        if row.prompt_id in lines:
            raise InputError(
                f"{where}: prompt_id {row.prompt_id!r} was used on line {lines[row.prompt_id]}; make it unique"
            )
        lines[row.prompt_id] = row.line
        prompts.append(
            Prompt(
                row.prompt_id,
                fill_slots(row.text, row.slots, where=where, language=row.language),
                row.slots,
                row.metadata,
                language=row.language,
                count=row.count,
            )
        )
    if not prompts:
        raise InputError(f"{name}: holds no prompts; add at least one")
    return PromptSet(Path(name).stem, tuple(prompts))


def shipped_sets() -> tuple[str, ...]:
    """Names of the prompt sets in the package, sorted."""
    folder = resources.files("generator") / "prompt_sets"
    return tuple(
        sorted(file.name.removesuffix(".csv") for file in folder.iterdir() if file.name.endswith(".csv"))
    )


def load_prompts(source: str | Path = EMBEDDED) -> PromptSet:
    """Load a shipped prompt set by name or a file by path.

    Raises:
        InputError: there is no such set or file, or it cannot be used (see `parse_prompts`).
    """
    if source in shipped_sets():
        shipped = resources.files("generator") / "prompt_sets" / f"{source}.csv"
        return parse_prompts(shipped.read_text("utf-8"), name=f"{source}.csv", suffix=".csv")
    path = Path(source)
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such prompt file and no shipped set of that name; shipped: {', '.join(shipped_sets())}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    return parse_prompts(text, name=path.name, suffix=path.suffix.lower())
