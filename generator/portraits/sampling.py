"""From uniform random numbers to traits and a pose; trait and number are tied by position."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Generic, TypeVar

from generator.portraits.draw import Pose
from generator.portraits.rates import Rates
from generator.portraits.traits import (
    AGES,
    BACKGROUNDS,
    HAIR_COLOURS,
    HAIR_STYLES,
    OCCUPATIONS,
    TONES,
    Traits,
    tone_group,
)

DRAWS: Final = 24
"""Uniform numbers per item: 10 for the traits, 7 for the pose, the rest free for later versions."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Choice(Generic[_Value]):
    """A distribution over values, sampled by inverting its cumulative sum."""

    values: tuple[_Value, ...]
    bounds: tuple[float, ...]  # cumulative; the last value needs no bound

    @classmethod
    def of(cls, values: Sequence[_Value], probabilities: Sequence[float]) -> _Choice[_Value]:
        kept = [(value, share) for value, share in zip(values, probabilities, strict=True) if share > 0.0]
        bounds = tuple(accumulate(share for _, share in kept))[:-1]
        return cls(tuple(value for value, _ in kept), bounds)

    @classmethod
    def of_table(cls, values: Sequence[_Value], table: Mapping[_Value, float]) -> _Choice[_Value]:
        """In the fixed order of `values`: the order of a table read from JSON must not change a corpus."""
        return cls.of(values, [table.get(value, 0.0) for value in values])

    def pick(self, draw: float) -> _Value:
        return self.values[bisect_right(self.bounds, draw)]


class Sampler:
    """Draws traits from rates; the cumulative tables are made once.

    Args:
        rates: the joint distribution.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._occupation = _Choice.of_table(OCCUPATIONS, rates.occupation)
        self._age = {name: _Choice.of_table(AGES, table) for name, table in rates.age.items()}
        self._tone = {name: _Choice.of(TONES, row) for name, row in rates.tone.items()}
        self._colour = {
            (age, group): _Choice.of_table(tuple(HAIR_COLOURS), table)
            for age, groups in rates.hair_colour.items()
            for group, table in groups.items()
        }
        self._style = {
            (who, age): _Choice.of_table(HAIR_STYLES, table)
            for who, ages in rates.hair_style.items()
            for age, table in ages.items()
        }
        self._background = _Choice.of_table(tuple(BACKGROUNDS), rates.background)

    def traits(self, draws: Sequence[float]) -> Traits:
        """Traits from numbers 0 to 9 of `draws`, each in [0, 1)."""
        rates = self._rates
        occupation = self._occupation.pick(draws[0])
        presentation = "woman" if draws[1] < rates.presentation[occupation] else "man"
        age = self._age[occupation].pick(draws[2])
        tone = self._tone[occupation].pick(draws[3])
        return Traits(
            occupation=occupation,
            presentation=presentation,
            age=age,
            tone=tone,
            hair_colour=self._colour[age, tone_group(tone)].pick(draws[4]),
            hair_style=self._style[presentation, age].pick(draws[5]),
            glasses=draws[6] < rates.glasses[age],
            beard=draws[7] < rates.beard[presentation],
            expression="smiling" if draws[8] < rates.smiling[presentation] else "neutral",
            background=self._background.pick(draws[9]),
        )

    def pose(self, draws: Sequence[float]) -> Pose:
        """A pose from numbers 10 to 16 of `draws`, each in [0, 1)."""
        return Pose(
            dx=16.0 * draws[10] - 8.0,
            dy=10.0 * draws[11] - 5.0,
            scale=0.94 + 0.11 * draws[12],
            side=1 if draws[13] < 0.5 else -1,
            lift=12.0 * draws[14] - 6.0,
            gaze=2.0 * draws[15] - 1.0,
            light=2.0 * draws[16] - 1.0,
        )
