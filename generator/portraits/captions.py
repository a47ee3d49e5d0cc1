"""Captions of portraits from a small fixed vocabulary, and the words of any text.

A caption names a random part of the traits, so that whoever learns from captions meets every trait alone, in pairs
and in long descriptions. Headwear and tools are never named: they follow from the occupation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from generator.portraits.traits import (
    AGES,
    BACKGROUNDS,
    HAIR_COLOURS,
    HAIR_STYLES,
    OCCUPATIONS,
    PRESENTATIONS,
    TONE_GROUPS,
    Traits,
    tone_group,
)

CAPTION_VERSION: Final = 1
"""Raised whenever a caption changes; part of every corpus digest."""

SINGLE_SHARE: Final = 0.16  # captions that name one trait only
_OCCUPATION_SHARE = 0.88  # of the other captions; about 0.75 of all captions name the occupation
_MEDIA = ("portrait", "drawing", "picture")
_ADJECTIVE_FORM = MappingProxyType({"woman": "female", "man": "male"})
_GRAMMAR = (
    "a",
    "an",
    "of",
    "with",
    "and",
    "on",
    "who",
    "is",
    "in",
    "person",
    "hair",
    "background",
    "expression",
)
_FEATURES = ("glasses", "beard", "smiling", "neutral")

VOCABULARY: Final[tuple[str, ...]] = tuple(
    sorted(
        {
            *_GRAMMAR, *_MEDIA, *_FEATURES, *PRESENTATIONS, *_ADJECTIVE_FORM.values(), *AGES, *OCCUPATIONS,
            *HAIR_COLOURS, *HAIR_STYLES, *BACKGROUNDS, *(f"{group}-skinned" for group in TONE_GROUPS),
        }
    )
)  # fmt: skip
"""Every word that a caption can contain, sorted."""

_WORD = re.compile(r"[^\W_]+(?:[-'\u2019][^\W_]+)*")


def words(text: str) -> list[str]:
    """Words of a text in lower case, without punctuation; inner hyphens and apostrophes are kept.

    An empty text has no words. Not limited to `VOCABULARY`: what is not in it is an unknown word.
    """
    return _WORD.findall(text.lower())


def unknown_words(text: str) -> tuple[str, ...]:
    """Words of a text that are not in `VOCABULARY`, in order, without repeats."""
    return tuple(dict.fromkeys(word for word in words(text) if word not in _KNOWN))


_KNOWN = frozenset(VOCABULARY)


def describe(traits: Traits) -> str:
    """The full description: every trait that captions can name (for a bald person, not the hair colour)."""
    adjectives = [traits.age, f"{tone_group(traits.tone)}-skinned"]
    extras = _hair(traits)
    if traits.hair_style == "bald":
        adjectives.append("bald")
    if traits.glasses:
        extras.append("glasses")
    if traits.beard:
        extras.append("a beard")
    extras.append("a neutral expression") if traits.expression == "neutral" else adjectives.insert(
        0, "smiling"
    )
    noun = f"{traits.presentation} who is {_with_article(traits.occupation)}"
    return _sentence("a portrait of", adjectives, noun, extras=extras, background=traits.background)


def caption(traits: Traits, rng: np.random.Generator) -> str:
    """A caption that names a random, non-empty part of the traits.

    Args:
        traits: what is true of the drawing.
        rng: decides what is named and how.

    Returns:
        Lower-case text without punctuation, words from `VOCABULARY`.
    """
    draws: list[float] = rng.random(16).tolist()
    lead = _lead(draws[0])
    if draws[1] < SINGLE_SHARE:
        return _single(traits, lead, draws)
    adjectives = []
    if draws[2] < 0.25 and traits.expression == "smiling":
        adjectives.append("smiling")
    if draws[3] < 0.35:
        adjectives.append(traits.age)
    if draws[4] < 0.30:
        adjectives.append(f"{tone_group(traits.tone)}-skinned")
    if draws[5] < 0.4 and traits.hair_style == "bald":
        adjectives.append("bald")
    noun = _noun(traits, adjectives, draws)
    background = traits.background if draws[13] < 0.25 else ""
    return _sentence(lead, adjectives, noun, extras=_extras(traits, draws), background=background)


def _lead(draw: float) -> str:
    """How a caption begins; "a portrait of" is the most common, then no beginning at all."""
    if draw < 0.5:
        return "a portrait of"
    if draw < 0.65:
        return "a drawing of"
    return "a picture of" if draw < 0.75 else ""


def _noun(traits: Traits, adjectives: list[str], draws: Sequence[float]) -> str:
    if draws[6] >= _OCCUPATION_SHARE:
        if not adjectives and draws[7] < 0.9 or draws[7] < 0.7:
            return traits.presentation
        if not adjectives:
            adjectives.append(traits.age)
        return "person"
    if draws[8] < 0.6:
        return traits.occupation
    if draws[8] < 0.8:
        adjectives.append(_ADJECTIVE_FORM[traits.presentation])
        return traits.occupation
    return f"{traits.presentation} who is {_with_article(traits.occupation)}"


def _extras(traits: Traits, draws: Sequence[float]) -> list[str]:
    extras = _hair(traits) if draws[9] < 0.3 else []
    if traits.glasses and draws[10] < 0.5:
        extras.append("glasses")
    if traits.beard and draws[11] < 0.5:
        extras.append("a beard")
    if traits.expression == "neutral" and draws[12] < 0.15:
        extras.append("a neutral expression")
    return extras


def _single(traits: Traits, lead: str, draws: Sequence[float]) -> str:
    """One trait and nothing else, the trait chosen evenly among those that can be named."""
    choices = [
        ([], traits.occupation, [], ""),
        ([], traits.presentation, [], ""),
        ([traits.age], "person", [], ""),
        ([f"{tone_group(traits.tone)}-skinned"], "person", [], ""),
        ([], "person", [], traits.background),
        (["smiling"], "person", [], "")
        if traits.expression == "smiling"
        else ([], "person", ["a neutral expression"], ""),
    ]
    choices.append(
        (["bald"], "person", [], "") if traits.hair_style == "bald" else ([], "person", _hair(traits), "")
    )
    if traits.glasses:
        choices.append(([], "person", ["glasses"], ""))
    if traits.beard:
        choices.append(([], "person", ["a beard"], ""))
    adjectives, noun, extras, background = choices[int(draws[14] * len(choices))]
    return _sentence(lead, adjectives, noun, extras=extras, background=background)


def _hair(traits: Traits) -> list[str]:
    if traits.hair_style == "bald":
        return []
    if traits.hair_style == "bun":
        return [f"{traits.hair_colour} hair in a bun"]
    return [f"{traits.hair_style} {traits.hair_colour} hair"]


def _sentence(
    lead: str, adjectives: Sequence[str], noun: str, *, extras: Sequence[str], background: str
) -> str:
    parts = [lead] if lead else []
    parts.append(_with_article(" ".join((*adjectives, noun))))
    if extras:
        parts.append("with " + " and ".join(extras))
    if background:
        parts.append(f"on a {background} background")
    return " ".join(parts)


def _with_article(phrase: str) -> str:
    """The phrase after "a" or "an"; sound and spelling agree for every word of the vocabulary."""
    return f"an {phrase}" if phrase[0] in "aeiou" else f"a {phrase}"
