"""What a drawn person can be: the traits, their values, and the colours and clothes that show them.

Presentation is what the drawing shows (lips, lashes, jaw, shoulders, brows). It is no statement about the
gender of anybody: the people drawn here do not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from generator.errors import InputError

Colour = tuple[int, int, int]

PRESENTATIONS: Final = ("woman", "man")
AGES: Final = ("young", "middle-aged", "old")
TONES: Final = tuple(range(1, 11))
TONE_GROUPS: Final = ("light", "medium", "dark")
HAIR_STYLES: Final = ("bald", "short", "curly", "long", "bun")
EXPRESSIONS: Final = ("smiling", "neutral")


def colour(hexadecimal: str) -> Colour:
    """Six hexadecimal digits as an (r, g, b) tuple of 0 to 255."""
    return int(hexadecimal[0:2], 16), int(hexadecimal[2:4], 16), int(hexadecimal[4:6], 16)


def mix(first: Colour, second: Colour, *, share: float) -> Colour:
    """Blend two colours; `share` (0 to 1) is the part of `second`."""
    keep = 1.0 - share
    return (
        round(first[0] * keep + second[0] * share),
        round(first[1] * keep + second[1] * share),
        round(first[2] * keep + second[2] * share),
    )


def luma(value: Colour) -> float:
    """Perceived brightness of a colour, 0 to 255 (weights of ITU-R BT.601)."""
    return 0.299 * value[0] + 0.587 * value[1] + 0.114 * value[2]


# The ten swatches of the Monk Skin Tone scale, lightest first. Source: Ellis Monk, "Monk Skin Tone Scale" (2019),
# published at skintone.google with these sRGB values, CC BY 4.0.
MONK_TONES: Final = MappingProxyType(
    dict(
        zip(
            TONES,
            map(
                colour,
                [
                    "f6ede4",
                    "f3e7db",
                    "f7ead0",
                    "eadaba",
                    "d7bd96",
                    "a07e56",
                    "825c43",
                    "604134",
                    "3a312a",
                    "292420",
                ],
            ),
            strict=True,
        )
    )
)

HAIR_COLOURS: Final = MappingProxyType(
    {
        "black": colour("16151d"),
        "brown": colour("6a3d1e"),
        "blonde": colour("e2b94f"),
        "red": colour("c4501c"),
        "grey": colour("b4b6ba"),
    }
)

BACKGROUNDS: Final = MappingProxyType(
    {
        "blue": colour("86b4e0"),
        "green": colour("9bcf94"),
        "pink": colour("efb1c4"),
        "yellow": colour("f2df8c"),
        "grey": colour("bcc1c7"),
        "purple": colour("b9a3dc"),
    }
)

GarmentShape = Literal[
    "scrubs", "coat", "suit", "robe", "vest", "overalls", "apron", "double", "singlet", "stripes", "camouflage",
    "sweater", "uniform", "smock", "fireproof", "jacket",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outfit:
    """Clothes and tool of an occupation.

    Attributes:
        shape: cut of the garment.
        main: colour of the garment.
        second: colour of what is under it or on it (shirt, straps, stripes).
        accent: colour of the small parts (tie, buttons, badge).
        headwear: name of a drawing in `headwear.HEADWEAR`, or "none".
        headwear_colour: its main colour.
        tool: name of a drawing in `tools.TOOLS`.
    """

    shape: GarmentShape
    main: Colour
    second: Colour
    accent: Colour
    headwear: str
    headwear_colour: Colour
    tool: str


def _outfit(shape: GarmentShape, colours: str, headwear: str, tool: str) -> Outfit:
    main, second, accent, hat = (colour(part) for part in colours.split())
    return Outfit(shape, main, second, accent, headwear, hat, tool)


OUTFITS: Final = MappingProxyType(
    {
        "doctor": _outfit("coat", "fbfbfd 8fc1e8 39414f ffffff", "none", "first-aid kit"),
        "nurse": _outfit("scrubs", "2fa7a0 e8f6f5 1f7f7a ffffff", "nurse cap", "syringe"),
        "engineer": _outfit("vest", "cfe0f2 f08a24 f7f3c4 f7f7f7", "hard hat", "blueprint"),
        "chef": _outfit("double", "fdfdfd d8d8de 2b2b33 ffffff", "toque", "pan"),
        "judge": _outfit("robe", "17161f ffffff b8202e ffffff", "none", "gavel"),
        "teacher": _outfit("sweater", "7a9a3c f4ecd8 55702a ffffff", "none", "blackboard"),
        "firefighter": _outfit("fireproof", "b98a3a f3ee4e e8e8ea d2281e", "fire helmet", "extinguisher"),
        "farmer": _outfit("overalls", "c2463c 3d62a8 f0d060 e3bd62", "straw hat", "pitchfork"),
        "executive": _outfit("suit", "1f2f52 ffffff c0202c ffffff", "none", "briefcase"),
        "artist": _outfit("smock", "e9dcc6 d94f70 3f8fd0 6b2f8f", "beret", "palette"),
        "pilot": _outfit("uniform", "fbfbff 1b2340 e3b93c 1b2340", "peaked cap", "aeroplane"),
        "soldier": _outfit("camouflage", "6b7a45 3f4a2a a39a66 56633a", "army helmet", "radio"),
        "mechanic": _outfit("jacket", "3a6ea8 22456e e8e8ea 22456e", "baseball cap", "wrench"),
        "cleaner": _outfit("apron", "f7a6c2 f4f0fa 8d6ad0 f06aa0", "headscarf", "bucket"),
        "librarian": _outfit("sweater", "7d2f45 f6efe2 d8b25a ffffff", "none", "books"),
        "scientist": _outfit("coat", "fbfbfd 3e9b4f 39414f 45c0c8", "goggles", "flask"),
        "builder": _outfit("vest", "5a5d66 f4701e f7f06a f7c81e", "hard hat", "bricks"),
        "musician": _outfit("jacket", "26222c d13c8c d13c8c 30303a", "headphones", "guitar"),
        "athlete": _outfit("singlet", "f3c22c d8332e ffffff d8332e", "headband", "ball"),
        "gardener": _outfit("apron", "4f9a48 eef4d8 2f6a2f 88b04b", "sun hat", "flower"),
        "sailor": _outfit("stripes", "fafcff 2b4f9e d8332e fafcff", "sailor cap", "anchor"),
        "cashier": _outfit("uniform", "d93636 f7f7f7 f7d23c d93636", "visor", "register"),
        "lawyer": _outfit("suit", "6d717c ece6f4 6b3fa0 ffffff", "none", "scales"),
        "photographer": _outfit("jacket", "a58a5c 5c4a2c f0e6d0 8a6f45", "flat cap", "camera"),
    }
)
OCCUPATIONS: Final = tuple(OUTFITS)
HEADWEAR_NAMES: Final = tuple(sorted({outfit.headwear for outfit in OUTFITS.values()}))


def tone_group(tone: int) -> str:
    """Group of a Monk tone: "light" for 1 to 3, "medium" for 4 to 6, "dark" for 7 to 10.

    Raises:
        InputError: the tone is not 1 to 10.
    """
    if tone not in MONK_TONES:
        raise InputError(
            f"skin tone: got {tone!r}, expected a whole number from 1 to 10 (Monk Skin Tone scale)"
        )
    return "light" if tone <= 3 else "medium" if tone <= 6 else "dark"


@dataclass(frozen=True, slots=True)
class Traits:
    """Everything that is true of one drawn person; each trait is visible in the drawing from 64 px on.

    Attributes:
        occupation: one of `OCCUPATIONS`.
        presentation: "woman" or "man".
        age: "young", "middle-aged" or "old".
        tone: Monk Skin Tone, 1 (lightest) to 10.
        hair_colour: one of `HAIR_COLOURS`; also the colour of brows and beard, and of the fringe of a bald head.
        hair_style: "bald", "short", "curly", "long" or "bun".
        glasses: whether the person wears glasses.
        beard: whether the person has a beard.
        expression: "smiling" or "neutral".
        background: one of `BACKGROUNDS`.
    """

    occupation: str
    presentation: str
    age: str
    tone: int
    hair_colour: str
    hair_style: str
    glasses: bool
    beard: bool
    expression: str
    background: str

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED:
            value = getattr(self, name)
            if value not in allowed:
                expected = ", ".join(map(str, allowed))
                raise InputError(f"trait {name}: got {value!r}, expected one of: {expected}")

    @property
    def headwear(self) -> str:
        """Name of the headwear of the occupation, "none" for a bare head."""
        return OUTFITS[self.occupation].headwear


VALUES: Final = MappingProxyType(
    {
        "occupation": OCCUPATIONS,
        "presentation": PRESENTATIONS,
        "age": AGES,
        "tone": TONES,
        "hair_colour": tuple(HAIR_COLOURS),
        "hair_style": HAIR_STYLES,
        "glasses": (False, True),
        "beard": (False, True),
        "expression": EXPRESSIONS,
        "background": tuple(BACKGROUNDS),
    }
)
"""Trait name -> its values, in the order used for class indices."""

_ALLOWED: Final = tuple((name, MappingProxyType(dict.fromkeys(values))) for name, values in VALUES.items())
