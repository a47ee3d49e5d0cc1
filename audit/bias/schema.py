"""What to perceive, as the user writes it: a YAML file of attributes, groups and the phrases that stand for them.

    templates: ["a photo of {}", "a picture of {}"]      # optional; each phrase is put into each of them
    attributes:
      presentation: built-in                             # or age, tone, glasses: as they ship
      setting:
        of: picture                                      # the whole picture, not the person in it
        groups:
          indoors: ["a person in a room", "an indoor portrait"]
          outdoors: ["a person under the open sky"]
      monk: {measure: skin-tone}                         # by colour, on the Monk scale; needs faces
      people: {measure: people}                          # how many faces: one, several, none; needs faces

Groups may also be a bare list where a classifier or a table reads them. Every value is perceived, never a fact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from audit.bias.perception import SCHEMA, Attribute
from audit.bias.readings import UNDETERMINED
from audit.bias.skin_tone import MONK_GROUPS
from generator.errors import InputError

BUILT_IN: Final = {attribute.name: attribute for attribute in SCHEMA}
MEASURES: Final = {"skin-tone": MONK_GROUPS, "people": ("one", "several", "none")}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_MAX_GROUPS = 40
_FIELDS = {"of", "groups", "measure"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One attribute of a schema.

    Attributes:
        attribute: its name and its groups; the phrases are empty where it is not read by a CLIP model.
        measure: "skin-tone", "people", or "" for what a model or a table says.
        of_person: False: the whole picture is read, whoever is in it.
    """

    attribute: Attribute
    measure: str = ""
    of_person: bool = True


def shipped_schema() -> tuple[Entry, ...]:
    """The attributes that ship: presentation, age, tone, glasses."""
    return tuple(Entry(attribute) for attribute in SCHEMA)


def load_schema(path: Path) -> tuple[Entry, ...]:
    """Read a schema file.

    Raises:
        InputError: it cannot be read, or something in it is unknown, repeated or missing (named).
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({error})") from error
    return parse_schema(document, where=str(path))


def parse_schema(document: Any, *, where: str = "schema") -> tuple[Entry, ...]:  # noqa: ANN401 - any YAML document
    """Check a schema document and make its entries; see the head of this module.

    Raises:
        InputError: as `load_schema`.
    """
    if not isinstance(document, dict) or set(document) - {"templates", "attributes"}:
        raise InputError(f"{where}: expected a mapping with `attributes` and perhaps `templates`")
    templates, attributes = document.get("templates") or ["{}"], document.get("attributes")
    if not _are_texts(templates) or not all(template.count("{}") == 1 for template in templates):
        raise InputError(f"{where}: templates are {templates!r}, expected texts with one {{}} each")
    if not isinstance(attributes, dict) or not attributes:
        raise InputError(f"{where}: `attributes` is empty; name at least one")
    return tuple(_entry(name, body, templates, where=where) for name, body in attributes.items())


def _entry(name: object, body: object, templates: Sequence[str], *, where: str) -> Entry:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: attribute {name!r}; expected a lower-case word such as glasses or hair-colour"
        )
    if body == "built-in":
        if name not in BUILT_IN:
            raise InputError(f"{where}: {name!r} is not built in; built in are {', '.join(BUILT_IN)}")
        return Entry(BUILT_IN[name])
    if not isinstance(body, dict) or set(body) - _FIELDS:
        raise InputError(f"{where}: {name}: expected `built-in` or a mapping of {', '.join(sorted(_FIELDS))}")
    of = body.get("of", "person")
    if of not in ("person", "picture"):
        raise InputError(f"{where}: {name}: of is {of!r}, expected person or picture")
    measure = body.get("measure")
    if measure is not None:
        if measure not in MEASURES or "groups" in body:
            raise InputError(
                f"{where}: {name}: measure is {measure!r}, expected one of {list(MEASURES)} and no groups"
            )
        return Entry(Attribute(name, dict.fromkeys(MEASURES[measure], ())), measure)
    groups = _groups(body.get("groups"), templates, where=f"{where}: {name}")
    return Entry(Attribute(name, groups), of_person=of == "person")


def _groups(body: object, templates: Sequence[str], *, where: str) -> Mapping[str, tuple[str, ...]]:
    if isinstance(body, list):
        body = dict.fromkeys(map(str, body)) if len(set(map(str, body))) == len(body) else None
    if not isinstance(body, dict) or not 2 <= len(body) <= _MAX_GROUPS:
        raise InputError(f"{where}: groups are {body!r}, expected 2 to {_MAX_GROUPS} different ones")
    groups = {}
    for key, phrases in body.items():
        name = (
            {True: "yes", False: "no"}.get(key, str(key)) if isinstance(key, bool) else str(key)
        )  # YAML's yes and no
        if name == UNDETERMINED or not name.strip():
            raise InputError(f"{where}: a group cannot be called {name!r}")
        if phrases is not None and (not _are_texts(phrases) or not phrases):
            raise InputError(f"{where}: {name}: phrases are {phrases!r}, expected a list of texts")
        groups[name] = tuple(template.format(phrase) for phrase in phrases or () for template in templates)
    return groups


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)


def groups_of(entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
    """Attribute -> groups."""
    return {entry.attribute.name: tuple(entry.attribute.groups) for entry in entries}
