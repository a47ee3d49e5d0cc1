"""Head, hair and features, drawn by a pen whose origin is the middle of the head (62 units to the top).

Evidence of age: the old have two wide lines on the forehead, and lines beside the eyes and down both cheeks; the
middle-aged have one narrow line on the forehead, two from nose to mouth and bags under the eyes; the young have none.
The forehead is what beard and glasses cannot hide. Evidence of presentation: lips, lashes, brows and jaw (and the
shoulders, drawn elsewhere).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from generator.portraits.headwear import LEAVES_CROWN_FREE
from generator.portraits.pen import Pen
from generator.portraits.traits import HAIR_COLOURS, MONK_TONES, Colour, Traits, colour, luma, mix

_WHITE = colour("ffffff")
_BLACK = colour("000000")
_INK = colour("1d1a20")
_DARK_SKIN = (
    90.0  # luma under which lines are drawn lighter than the skin, because darker ones would not be seen
)


@dataclass(frozen=True, slots=True)
class Look:
    """Colours of one face, derived from tone and hair colour."""

    skin: Colour
    shadow: Colour
    line: Colour
    hair: Colour
    sheen: Colour
    contour: Colour
    lips: Colour
    mouth: Colour
    frame: Colour
    lens: Colour


@lru_cache(maxsize=64)
def look(tone: int, hair_colour: str) -> Look:
    """Colours for a tone and a hair colour, chosen so that every line contrasts with the skin."""
    skin, hair = MONK_TONES[tone], HAIR_COLOURS[hair_colour]
    deep = luma(skin) < _DARK_SKIN
    return Look(
        skin=skin,
        shadow=mix(skin, _BLACK, share=0.18),
        line=_line(skin),
        hair=hair,
        sheen=mix(hair, _WHITE, share=0.2),
        contour=mix(hair, _WHITE, share=0.3)
        if deep and luma(hair) < _DARK_SKIN
        else mix(hair, _BLACK, share=0.25),
        lips=colour("d9304f") if not deep else colour("e0405c"),
        mouth=mix(skin, colour("5a1218"), share=0.7) if not deep else mix(skin, _WHITE, share=0.38),
        frame=colour("f0cf5a") if deep else _INK,
        lens=mix(skin, colour("d8f0ff"), share=0.35),
    )


def _line(skin: Colour) -> Colour:
    """Colour of wrinkles and nose: at least 70 luma levels away from each of the ten tones."""
    brightness = luma(skin)
    if brightness < _DARK_SKIN:
        return mix(skin, colour("f4cfa8"), share=0.5)
    return mix(skin, colour("240a04"), share=0.5 if brightness > 150.0 else 0.85)


def hair_behind(pen: Pen, traits: Traits, colours: Look, *, bun_side: int) -> None:
    """Hair behind head, neck and clothes."""
    style, hair = traits.hair_style, colours.hair
    if style == "bald":
        for side in (-1, 1):
            pen.ellipse(side * 46, 4, 13, 28, hair)
        return
    if style == "long":
        pen.ellipse(0, -10, 60, 62, hair)
        pen.rounded(-62, -10, 62, 92, radius=18, fill=hair)
    elif style == "curly":
        for x, y in _CURLS:
            pen.ellipse(x, y, 20, 20, hair)
    elif style == "bun":
        x, y = (0, -76) if traits.headwear in LEAVES_CROWN_FREE else (bun_side * 60, 20)
        pen.ellipse(x, y, 22, 20, hair)
        pen.arc(x, y, 14, 12, start=200, end=330, width=4, fill=colours.sheen)
    pen.ellipse(0, -16, 50, 52, hair)


_CURLS = (
    (-52, 22),
    (-60, -4),
    (-56, -30),
    (-40, -54),
    (-16, -68),
    (16, -68),
    (40, -54),
    (56, -30),
    (60, -4),
    (52, 22),
)


def head(pen: Pen, traits: Traits, colours: Look) -> None:
    """Ears, face and jaw."""
    old = traits.age == "old"
    man = traits.presentation == "man"
    for side in (-1, 1):
        pen.ellipse(side * 45, 5, 9, 15 if old else 12, colours.skin)
        pen.ellipse(side * 46, 5, 4, 7, colours.shadow)
    pen.ellipse(0, -4, 45, 58, colours.skin)
    if man:
        pen.rounded(-41, -6, 41, 58, radius=26, fill=colours.skin)
    else:
        pen.polygon([(-43, 8), (43, 8), (31, 42), (12, 60), (-12, 60), (-31, 42)], colours.skin)


def beard(pen: Pen, traits: Traits, colours: Look) -> None:
    """Beard and moustache, in hair colour with a contour that shows on similar skin."""
    if traits.presentation == "man":
        pen.rounded(-43, 8, 43, 64, radius=28, fill=colours.hair)
    else:
        pen.polygon([(-44, 8), (44, 8), (34, 44), (14, 65), (-14, 65), (-34, 44)], colours.hair)
    pen.ellipse(0, 4, 38, 27, colours.contour)
    pen.ellipse(0, 2, 38, 27, colours.skin)
    pen.ellipse(0, 27, 21, 6, colours.hair)


def hair_in_front(pen: Pen, traits: Traits, colours: Look) -> None:
    """Hairline, temples and, for long hair, the strands beside the face."""
    style, hair = traits.hair_style, colours.hair
    if style == "bald":
        return
    pen.chord(0, -4, 49, 62, start=214, end=326, fill=hair)
    pen.line([(-40, -39), (40, -39)], 3, colours.contour)
    if style == "short":
        for side in (-1, 1):
            pen.polygon(
                [(side * 34, -44), (side * 50, -36), (side * 49, -4), (side * 42, -6), (side * 40, -30)], hair
            )
        pen.polygon([(-36, -42), (-30, -58), (30, -46), (10, -35)], hair)
    elif style == "long":
        for side in (-1, 1):
            pen.polygon(
                [(side * 8, -50), (side * 30, -54), (side * 54, -30), (side * 60, 60), (side * 44, 74),
                 (side * 43, 10), (side * 38, -26)], hair
            )  # fmt: skip
            pen.line([(side * 49, -16), (side * 52, 56)], 4, colours.sheen)
    elif style == "curly":
        for x, y in ((-44, -26), (-34, -42), (-17, -48), (0, -50), (17, -48), (34, -42), (44, -26)):
            pen.ellipse(x, y, 12, 12, hair)
        for x, y in ((-58, -6), (-34, -50), (0, -64), (34, -50), (58, -6)):
            pen.arc(x, y, 11, 11, start=190, end=330, width=4, fill=colours.sheen)
    else:
        for side in (-1, 1):
            pen.polygon([(side * 30, -44), (side * 49, -32), (side * 47, -14), (side * 42, -22)], hair)
    if style != "curly":
        pen.arc(0, -4, 38, 50, start=232, end=272, width=4, fill=colours.sheen)


def features(pen: Pen, traits: Traits, colours: Look, *, gaze: float) -> None:
    """Lines of age, eyes, brows, nose, mouth, glasses."""
    if traits.age != "young":
        _age_lines(pen, colours.line, old=traits.age == "old")
    if traits.glasses:
        for side in (-1, 1):
            pen.ellipse(side * 20, -1, 18, 16, colours.frame)
            pen.ellipse(side * 20, -1, 14, 12, colours.lens)
            pen.line([(side * 37, -3), (side * 46, -5)], 4, colours.frame)
        pen.line([(-4, -3), (4, -3)], 5, colours.frame)
    _eyes(pen, traits, colours, gaze=gaze)
    pen.line([(1, 3), (-6, 20), (4, 21)], 4, colours.line)
    _mouth(pen, traits, colours)


def _age_lines(pen: Pen, fill: Colour, *, old: bool) -> None:
    for side in (-1, 1):
        pen.line([(side * 11, 19), (side * 21, 27), (side * 25, 42)], 4.4, fill)
        pen.arc(side * 20, 10, 13, 11, start=15, end=165, width=4, fill=fill)
        if old:
            pen.line([(side * 32, -6), (side * 43, -13)], 3.2, fill)
            pen.line([(side * 32, 1), (side * 43, 4)], 3.2, fill)
            pen.line([(side * 37, 20), (side * 32, 33), (side * 34, 46)], 4, fill)
    if old:
        pen.line([(-34, -31), (-14, -35), (14, -35), (34, -31)], 4, fill)
        pen.line([(-32, -23), (-12, -27), (12, -27), (32, -23)], 4, fill)
    else:
        pen.line([(-10, -27), (10, -27)], 4.4, fill)


def _eyes(pen: Pen, traits: Traits, colours: Look, *, gaze: float) -> None:
    woman = traits.presentation == "woman"
    height = 5.0 if traits.age == "old" else 6.5
    for side in (-1, 1):
        x = side * 20
        if woman:
            pen.polygon([(x - 11, -1), (x - 7, -9), (x + 7, -9), (x + 11, -1)], _INK)
            pen.line([(x + side * 7, -6), (x + side * 15, -11)], 4, _INK)
        pen.ellipse(x, 0, 10, height, _WHITE)
        pen.ellipse(x + gaze * 3, 0, 5, min(height, 5.5), _INK)
        if woman:
            pen.arc(x, -15, 13, 6, start=195, end=345, width=3.5, fill=colours.contour)
        else:
            pen.line([(x - side * 13, -16), (x, -19), (x + side * 13, -16)], 7, colours.contour)


def _mouth(pen: Pen, traits: Traits, colours: Look) -> None:
    woman, smiling = traits.presentation == "woman", traits.expression == "smiling"
    rim = colours.lips if woman else colours.mouth
    if smiling:
        pen.chord(0, 31, 20, 20, start=0, end=180, fill=rim)
        pen.chord(0, 33, 14, 12, start=0, end=180, fill=_WHITE)
    elif woman:
        pen.ellipse(0, 40, 14, 6.5, rim)
        pen.line([(-13, 40), (13, 40)], 2.4, mix(rim, _BLACK, share=0.45))
    else:
        pen.line([(-15, 40), (15, 40)], 5, rim)
