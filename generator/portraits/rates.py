"""The joint distribution of the traits of a corpus: a table that is stated, checked, dialled and written as JSON.

How the traits depend on each other:

    occupation -> presentation, age, skin tone
    (age, tone group) -> hair colour;  (presentation, age) -> hair style
    age -> glasses;  presentation -> beard, expression;  background depends on nothing

`Rates.default()` plants a bias on purpose: presentation, age and tone depend on the occupation. The numbers are
invented for this world, follow no labour statistics, and are what an audit of it has to recover.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from generator.errors import InputError
from generator.portraits.traits import (
    AGES,
    BACKGROUNDS,
    HAIR_COLOURS,
    HAIR_STYLES,
    OCCUPATIONS,
    PRESENTATIONS,
    TONE_GROUPS,
    TONES,
)

_TOLERANCE = 1e-6  # how far probabilities may be from 1 in sum

# Occupation -> P(woman), age lean (-1 younger .. 1 older), tone lean (-1 lighter .. 1 darker).
_PLANTED: Final = MappingProxyType(
    {
        "doctor": (0.36, 0.3, -0.5), "nurse": (0.88, -0.1, 0.1), "engineer": (0.14, 0.0, -0.3),
        "chef": (0.28, 0.0, 0.1), "judge": (0.25, 0.9, -0.7), "teacher": (0.78, 0.1, -0.1),
        "firefighter": (0.10, -0.3, 0.0), "farmer": (0.22, 0.5, 0.0), "executive": (0.12, 0.6, -0.8),
        "artist": (0.55, -0.2, 0.0), "pilot": (0.08, 0.1, -0.5), "soldier": (0.16, -0.6, 0.3),
        "mechanic": (0.06, 0.0, 0.2), "cleaner": (0.84, 0.2, 0.8), "librarian": (0.82, 0.6, -0.2),
        "scientist": (0.34, 0.2, -0.4), "builder": (0.05, -0.1, 0.5), "musician": (0.45, -0.4, 0.3),
        "athlete": (0.42, -0.9, 0.6), "gardener": (0.30, 0.5, 0.3), "sailor": (0.12, 0.0, 0.0),
        "cashier": (0.80, -0.5, 0.4), "lawyer": (0.38, 0.3, -0.6), "photographer": (0.48, -0.2, 0.0),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rates:
    """A joint distribution of traits. Every probability is 0 to 1; every distribution sums to 1 within 1e-6.

    Attributes:
        occupation: occupation -> share of the corpus; an occupation left out does not occur.
        presentation: occupation -> P(woman).
        age: occupation -> age -> probability.
        tone: occupation -> ten probabilities, Monk tones 1 to 10.
        hair_colour: age -> tone group -> colour -> probability.
        hair_style: presentation -> age -> style -> probability.
        glasses: age -> probability.
        beard: presentation -> probability.
        smiling: presentation -> probability.
        background: background -> probability.

    Raises:
        InputError: a name is unknown or missing, or probabilities are out of range or do not sum to 1.
    """

    occupation: Mapping[str, float]
    presentation: Mapping[str, float]
    age: Mapping[str, Mapping[str, float]]
    tone: Mapping[str, Sequence[float]]
    hair_colour: Mapping[str, Mapping[str, Mapping[str, float]]]
    hair_style: Mapping[str, Mapping[str, Mapping[str, float]]]
    glasses: Mapping[str, float]
    beard: Mapping[str, float]
    smiling: Mapping[str, float]
    background: Mapping[str, float]

    def __post_init__(self) -> None:
        _check_distribution("occupation", self.occupation, OCCUPATIONS)
        occupations = tuple(self.occupation)
        _check_keys("presentation", self.presentation, occupations)
        _check_keys("age", self.age, occupations)
        _check_keys("tone", self.tone, occupations)
        for name in occupations:
            _check_probability(f"presentation of {name}", self.presentation[name])
            _check_distribution(f"age of {name}", self.age[name], AGES)
            _check_tones(name, self.tone[name])
        _check_table("hair_colour", self.hair_colour, AGES, TONE_GROUPS, tuple(HAIR_COLOURS))
        _check_table("hair_style", self.hair_style, PRESENTATIONS, AGES, HAIR_STYLES)
        for field, table, keys in (
            ("glasses", self.glasses, AGES),
            ("beard", self.beard, PRESENTATIONS),
            ("smiling", self.smiling, PRESENTATIONS),
        ):
            _check_keys(field, table, keys)
            for key in keys:
                _check_probability(f"{field} of {key}", table[key])
        _check_distribution("background", self.background, tuple(BACKGROUNDS))

    @classmethod
    def default(cls) -> Rates:
        """The embedded world: 24 equally common occupations with a planted bias of presentation, age and tone."""
        return cls(
            occupation=_uniform(OCCUPATIONS),
            presentation={name: planted[0] for name, planted in _PLANTED.items()},
            age={name: _leaning_ages(planted[1]) for name, planted in _PLANTED.items()},
            tone={name: _leaning_tones(planted[2]) for name, planted in _PLANTED.items()},
            hair_colour=_HAIR_COLOUR,
            hair_style=_HAIR_STYLE,
            glasses={"young": 0.20, "middle-aged": 0.35, "old": 0.55},
            beard={"woman": 0.0, "man": 0.40},
            smiling={"woman": 0.60, "man": 0.45},
            background=_uniform(tuple(BACKGROUNDS)),
        )

    @classmethod
    def balanced(cls) -> Rates:
        """Every trait uniform and independent of the others: what classifiers of traits are trained on."""
        return cls(
            occupation=_uniform(OCCUPATIONS),
            presentation=dict.fromkeys(OCCUPATIONS, 0.5),
            age={name: _uniform(AGES) for name in OCCUPATIONS},
            tone={name: (0.1,) * len(TONES) for name in OCCUPATIONS},
            hair_colour={
                age: {group: _uniform(tuple(HAIR_COLOURS)) for group in TONE_GROUPS} for age in AGES
            },
            hair_style={who: {age: _uniform(HAIR_STYLES) for age in AGES} for who in PRESENTATIONS},
            glasses=dict.fromkeys(AGES, 0.5),
            beard=dict.fromkeys(PRESENTATIONS, 0.5),
            smiling=dict.fromkeys(PRESENTATIONS, 0.5),
            background=_uniform(tuple(BACKGROUNDS)),
        )

    def with_occupations(self, shares: Mapping[str, float]) -> Rates:
        """The same rates with only these occupations, in these shares (sum 1)."""
        shares = _dialled("occupation", dict.fromkeys(self.occupation, 0.0), shares)
        kept = {name: share for name, share in shares.items() if share != 0.0}
        return replace(
            self,
            occupation=kept,
            presentation={name: self.presentation[name] for name in kept},
            age={name: self.age[name] for name in kept},
            tone={name: self.tone[name] for name in kept},
        )

    def with_presentation(self, women: Mapping[str, float]) -> Rates:
        """The same rates with P(woman) of some occupations replaced; nothing else changes."""
        return replace(self, presentation=_dialled("presentation", self.presentation, women))

    def with_tone(self, tones: Mapping[str, Sequence[float]]) -> Rates:
        """The same rates with the tone distribution of some occupations replaced."""
        return replace(self, tone=_dialled("tone", self.tone, tones))

    def with_age(self, ages: Mapping[str, Mapping[str, float]]) -> Rates:
        """The same rates with the age distribution of some occupations replaced."""
        return replace(self, age=_dialled("age", self.age, ages))

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; `from_json` gives equal rates."""
        plain = asdict(self)
        plain["tone"] = {name: list(tones) for name, tones in self.tone.items()}
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rates:
        """Rates from what `to_json` wrote.

        Raises:
            InputError: a table is missing or unknown, or its content is wrong.
        """
        if not isinstance(data, Mapping):
            raise InputError(
                f"rates: got {type(data).__name__}, expected a JSON object with the tables of Rates"
            )
        _check_keys("tables", data, tuple(cls.__dataclass_fields__))
        tables = dict(data)
        if isinstance(tables["tone"], Mapping):
            tables["tone"] = {
                name: tuple(row) if isinstance(row, list | tuple) else row
                for name, row in tables["tone"].items()
            }
        return cls(**tables)


def _uniform(names: Sequence[str]) -> dict[str, float]:
    return dict.fromkeys(names, 1.0 / len(names))


def _leaning_ages(lean: float) -> dict[str, float]:
    """Ages around (0.40, 0.38, 0.22), moved by up to 0.18 from the young to the old."""
    young = round(0.40 - 0.18 * lean, 4)
    old = round(0.22 + 0.16 * lean, 4)
    return {"young": young, "middle-aged": round(1.0 - young - old, 4), "old": old}


def _leaning_tones(lean: float) -> tuple[float, ...]:
    """Tones 1 to 10, tilted linearly: at lean 1 the darkest is four times as likely as the lightest."""
    weights = [1.0 + 0.6 * lean * (tone - 5.5) / 4.5 for tone in TONES]
    return tuple(weight / sum(weights) for weight in weights)


def _colours(black: float, brown: float, blonde: float, red: float, grey: float) -> dict[str, float]:
    return {"black": black, "brown": brown, "blonde": blonde, "red": red, "grey": grey}


def _styles(bald: float, short: float, curly: float, long: float, bun: float) -> dict[str, float]:
    return {"bald": bald, "short": short, "curly": curly, "long": long, "bun": bun}


_HAIR_COLOUR: Final = {
    "young": {
        "light": _colours(0.15, 0.35, 0.32, 0.17, 0.01),
        "medium": _colours(0.42, 0.37, 0.12, 0.08, 0.01),
        "dark": _colours(0.68, 0.22, 0.05, 0.04, 0.01),
    },
    "middle-aged": {
        "light": _colours(0.14, 0.32, 0.26, 0.13, 0.15),
        "medium": _colours(0.37, 0.33, 0.09, 0.06, 0.15),
        "dark": _colours(0.58, 0.20, 0.04, 0.03, 0.15),
    },
    "old": {
        "light": _colours(0.04, 0.09, 0.08, 0.04, 0.75),
        "medium": _colours(0.10, 0.09, 0.03, 0.03, 0.75),
        "dark": _colours(0.16, 0.06, 0.02, 0.01, 0.75),
    },
}
_HAIR_STYLE: Final = {
    "woman": {
        "young": _styles(0.01, 0.14, 0.25, 0.40, 0.20),
        "middle-aged": _styles(0.01, 0.24, 0.27, 0.28, 0.20),
        "old": _styles(0.02, 0.30, 0.30, 0.13, 0.25),
    },
    "man": {
        "young": _styles(0.07, 0.55, 0.22, 0.12, 0.04),
        "middle-aged": _styles(0.25, 0.48, 0.17, 0.08, 0.02),
        "old": _styles(0.42, 0.38, 0.13, 0.06, 0.01),
    },
}


def _dialled(field: str, table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    unknown = [name for name in changes if name not in table]
    if unknown:
        raise InputError(
            f"rates {field}: unknown occupation {unknown[0]!r}, expected one of: {', '.join(table)}"
        )
    return {**table, **changes}


def _check_keys(field: str, table: object, expected: Sequence[str]) -> None:
    if not isinstance(table, Mapping):
        raise InputError(
            f"rates {field}: got {type(table).__name__}, expected a table of {', '.join(expected)}"
        )
    unknown = [name for name in table if name not in expected]
    if unknown:
        raise InputError(
            f"rates {field}: unknown name {unknown[0]!r}, expected one of: {', '.join(expected)}"
        )
    missing = [name for name in expected if name not in table]
    if missing:
        raise InputError(f"rates {field}: {missing[0]!r} is missing; give it a value")


def _check_probability(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise InputError(f"rates {field}: got {value!r}, expected a probability from 0 to 1")


def _check_sum(field: str, values: Sequence[float]) -> None:
    for value in values:
        _check_probability(field, value)
    total = math.fsum(values)
    if abs(total - 1.0) > _TOLERANCE:
        raise InputError(
            f"rates {field}: probabilities sum to {total:.6g}, expected 1; divide each by the sum"
        )


def _check_distribution(field: str, table: object, allowed: Sequence[str]) -> None:
    """A distribution may leave values out (probability 0) but names no unknown one."""
    if not isinstance(table, Mapping) or not table:
        raise InputError(f"rates {field}: got {table!r}, expected probabilities of: {', '.join(allowed)}")
    unknown = [name for name in table if name not in allowed]
    if unknown:
        raise InputError(f"rates {field}: unknown name {unknown[0]!r}, expected one of: {', '.join(allowed)}")
    _check_sum(field, tuple(table.values()))


def _check_tones(occupation: str, values: object) -> None:
    if not isinstance(values, list | tuple) or len(values) != len(TONES):
        raise InputError(
            f"rates tone of {occupation}: got {values!r}, expected ten probabilities (Monk tones 1 to 10)"
        )
    _check_sum(f"tone of {occupation}", values)


def _check_table(
    field: str, table: object, outer: Sequence[str], inner: Sequence[str], values: Sequence[str]
) -> None:
    _check_keys(field, table, outer)
    assert isinstance(table, Mapping)
    for first in outer:
        _check_keys(f"{field} of {first}", table[first], inner)
        for second in inner:
            _check_distribution(f"{field} of {first}, {second}", table[first][second], values)
