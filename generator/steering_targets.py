"""What is steered: the words for each trait (a lexicon) and the shares wanted (targets), from command line and files.

The words of the embedded world are the lexicon unless the user brings one for another generator (YAML):

    template: "{prompt}, {words}"
    traits:
      age: {young: in her twenties, old: in her seventies}
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import yaml

from generator.errors import InputError
from generator.portraits.traits import AGES, EXPRESSIONS, TONE_GROUPS

_TOLERANCE = 1e-6  # of a sum of shares


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words that ask for a trait.

    Attributes:
        words: attribute -> value -> words; in the order in which they stand in a text.
        aliases: other names of values.
        template: where the words go, with `{prompt}` and `{words}`; empty puts them before the person.
    """

    words: Mapping[str, Mapping[str, str]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    template: str = ""

    def value(self, attribute: str, name: str, *, where: str) -> str:
        """The value of a name.

        Raises:
            InputError: unknown attribute or value; both are listed.
        """
        if attribute not in self.words:
            raise InputError(
                f"{where}: unknown attribute {attribute!r}; expected one of {', '.join(self.words)}"
            )
        value = self.aliases.get(name, name)
        if value not in self.words[attribute]:
            raise InputError(
                f"{where}: unknown value {name!r} of {attribute}; expected one of {', '.join(self.words[attribute])}"
            )
        return value


EMBEDDED: Final = Lexicon(
    words=MappingProxyType(
        {
            "expression": {
                EXPRESSIONS[0]: "smiling"
            },  # "neutral" has no adjective in the embedded vocabulary
            "age": {age: age for age in AGES},
            "tone": {group: f"{group}-skinned" for group in TONE_GROUPS},
            "presentation": {"woman": "female", "man": "male"},
        }
    ),
    aliases=MappingProxyType({"younger": "young", "older": "old", "female": "woman", "male": "man"}),
)
"""The words of the embedded world that stand before a person."""


@dataclass(frozen=True, slots=True)
class Target:
    """Shares wanted of one attribute.

    Attributes:
        attribute: of the lexicon.
        shares: value -> share of the images, each above 0, sum at most 1; the rest keeps its prompt.
        prompt_id: the prompt it holds for; empty for all.
    """

    attribute: str
    shares: Mapping[str, float]
    prompt_id: str = ""


def parse_steer(text: str, *, lexicon: Lexicon = EMBEDDED) -> Target:
    """One `--steer`: `age=older:0.7`; several values with commas; no share means all images.

    Raises:
        InputError: another form, unknown attribute or value, a share outside 0 to 1, or shares above 1 together.
    """
    target = _parse(text, where=f"--steer {text}", lexicon=lexicon)
    total = math.fsum(target.shares.values())
    if total > 1 + _TOLERANCE:
        raise InputError(f"--steer {text}: the shares sum to {total:g}, expected at most 1")
    return target


def parse_fair(text: str, *, lexicon: Lexicon = EMBEDDED) -> tuple[Target, ...]:
    """One `--fair`: `presentation=woman:0.5,man:0.5` for all prompts, or a CSV file with one share a row.

    The file has the columns prompt_id, attribute, value and share.

    Raises:
        InputError: as `parse_steer`; the file cannot be read; or the shares do not sum to 1.
    """
    targets = (
        (_parse(text, where=f"--fair {text}", lexicon=lexicon),)
        if "=" in text
        else _read(Path(text), lexicon)
    )
    whole = []
    for target in targets:
        total = math.fsum(target.shares.values())
        if abs(total - 1) > _TOLERANCE:
            of = f" of prompt {target.prompt_id}" if target.prompt_id else ""
            raise InputError(
                f"--fair {text}: the shares of {target.attribute}{of} sum to {total:g}, expected 1; "
                "name every value that shall appear"
            )
        whole.append(replace(target, shares={value: share / total for value, share in target.shares.items()}))
    return tuple(whole)


def _parse(text: str, *, where: str, lexicon: Lexicon) -> Target:
    attribute, _, parts = text.partition("=")
    if not parts:
        raise InputError(f"{where}: expected ATTRIBUTE=VALUE:SHARE, such as age=old:0.7")
    shares: dict[str, float] = {}
    for part in parts.split(","):
        name, _, share = part.partition(":")
        _enter(shares, lexicon.value(attribute.strip(), name.strip(), where=where), share or "1", where=where)
    return Target(attribute.strip(), shares)


def _enter(shares: dict[str, float], value: str, text: str, *, where: str) -> None:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise InputError(f"{where}: share {text!r} of {value}, expected a number from 0 to 1")
    if value in shares:
        raise InputError(f"{where}: {value} is named twice; give it one share")
    if share:
        shares[value] = share


def _read(path: Path, lexicon: Lexicon) -> tuple[Target, ...]:
    columns = ("prompt_id", "attribute", "value", "share")
    try:
        reader = csv.DictReader(io.StringIO(path.read_text("utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--fair {path}: neither ATTRIBUTE=VALUE:SHARE,... nor a CSV file that can be read ({error})"
        ) from error
    missing = [column for column in columns if column not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: column {missing[0]!r} is missing; expected {', '.join(columns)}")
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        value = lexicon.value(row["attribute"] or "", row["value"] or "", where=where)
        _enter(
            found.setdefault((row["prompt_id"], row["attribute"]), {}), value, row["share"] or "", where=where
        )
    if not found:
        raise InputError(f"{path}: holds no shares; give one row for each prompt, attribute and value")
    return tuple(Target(attribute, shares, prompt_id) for (prompt_id, attribute), shares in found.items())


def load_lexicon(path: Path) -> Lexicon:
    """A user's own words, from YAML: `traits`, and optionally `template`.

    Raises:
        InputError: it cannot be read, or has another structure.
    """
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({error})") from error
    traits = data.get("traits") if isinstance(data, dict) else None
    if not isinstance(traits, dict) or not all(
        isinstance(words, dict) and words for words in traits.values()
    ):
        raise InputError(f"{path}: expected `traits:` (attribute -> value -> words)")
    template = str(data.get("template") or "")
    if template and not ("{prompt}" in template and "{words}" in template):
        raise InputError(f"{path}: template {template!r} must hold {{prompt}} and {{words}}")
    words = {
        str(attribute): {str(value): str(text) for value, text in values.items()}
        for attribute, values in traits.items()
    }
    return Lexicon(words, template=template)


def check_targets(targets: Sequence[Target]) -> Sequence[Target]:
    """The targets, when no attribute has two for the same prompts.

    Raises:
        InputError: one has.
    """
    seen: set[tuple[str, str]] = set()
    for target in targets:
        if (target.attribute, target.prompt_id) in seen:
            raise InputError(
                f"{target.attribute} is steered twice; put all its values into one --steer or one --fair"
            )
        seen.add((target.attribute, target.prompt_id))
    return targets
