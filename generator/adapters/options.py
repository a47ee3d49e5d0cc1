"""Options of adapters: `NAME=VALUE` texts -> the fields of a frozen dataclass, each checked by its type."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar, get_type_hints

from generator.errors import InputError

OptionsT = TypeVar("OptionsT")

_SWITCH = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}
_KINDS = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}


def parse_options(kind: type[OptionsT], texts: Sequence[str], *, where: str) -> OptionsT:
    """Build an adapter's options.

    Args:
        kind: a dataclass with defaults, its fields of type int, float, bool or str.
        texts: `NAME=VALUE` each.
        where: what they belong to, for messages.

    Raises:
        InputError: an unknown name (the known ones are listed), the same name twice, or a value of another kind.
    """
    types = get_type_hints(kind)
    given: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in types:
            raise InputError(f"{where}: unknown option {name!r}; it takes {', '.join(types)}")
        if not equals:
            raise InputError(f"{where}: option {name!r} has no value; write {name}=VALUE")
        if name in given:
            raise InputError(f"{where}: option {name!r} is given twice; give it once")
        try:
            given[name] = _SWITCH[value.lower()] if types[name] is bool else types[name](value)
        except (KeyError, ValueError) as error:
            raise InputError(f"{where}: option {name}={value}, expected {_KINDS[types[name]]}") from error
    return kind(**given)


def option_names(kind: type[object]) -> tuple[str, ...]:
    """Names that `parse_options` takes for a kind."""
    return tuple(field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]


def parse_size(text: str, *, where: str) -> tuple[int, int]:
    """Width and height of "640x480", or of "512", in pixels.

    Raises:
        InputError: another form.
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"{where}: size {text!r}, expected WIDTHxHEIGHT in pixels, such as 512x512")
    return int(parts[0]), int(parts[-1])
