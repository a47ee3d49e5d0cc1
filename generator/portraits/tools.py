"""The tool of each occupation, drawn beside the person within 34 units left and right, 42 up and down."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from generator.portraits.pen import Pen
from generator.portraits.traits import colour

_WHITE = colour("ffffff")
_INK = colour("2b2b35")
_STEEL = colour("8d95a1")
_STEEL_DARK = colour("5b626e")
_WOOD = colour("9a6232")
_WOOD_DARK = colour("6e421e")
_GOLD = colour("d9a520")
_RED = colour("cf2a2a")
_GREEN = colour("3f9b46")
_BLUE = colour("2f6fd0")
_SKY = colour("bfe6f7")


def _first_aid_kit(pen: Pen) -> None:
    pen.ring(0, -22, 14, 12, width=5, fill=_INK)
    pen.rounded(-33, -20, 33, 34, radius=7, fill=_RED)
    pen.box(-7, -12, 7, 26, _WHITE)
    pen.box(-19, 0, 19, 14, _WHITE)


def _syringe(pen: Pen) -> None:
    pen.line([(0, 20), (0, 42)], 4, _STEEL_DARK)
    pen.box(-13, -26, 13, 20, _INK)
    pen.box(-9, -24, 9, 16, _SKY)
    pen.box(-9, -6, 9, 16, colour("3fb6e8"))
    pen.line([(0, -26), (0, -40)], 6, _INK)
    pen.box(-14, -44, 14, -38, _INK)


def _blueprint(pen: Pen) -> None:
    pen.box(-32, -34, 32, 36, colour("1f56b5"))
    for offset in (-18, 1, 20):
        pen.line([(-27, offset), (27, offset)], 2, colour("7fa9ea"))
    for offset in (-14, 12):
        pen.line([(offset, -30), (offset, 32)], 2, colour("7fa9ea"))
    pen.polygon([(-22, 24), (0, -24), (22, 24)], _WHITE)
    pen.polygon([(-13, 19), (0, -11), (13, 19)], colour("1f56b5"))


def _pan(pen: Pen) -> None:
    pen.line([(0, 0), (0, -44)], 9, _WOOD_DARK)
    pen.ellipse(0, 10, 32, 30, _INK)
    pen.ellipse(0, 10, 25, 23, colour("4a4d58"))
    pen.ellipse(-1, 9, 17, 14, _WHITE)
    pen.ellipse(2, 8, 8, 8, colour("f6b21b"))


def _gavel(pen: Pen) -> None:
    pen.line([(-6, -8), (26, 26)], 9, _WOOD)
    pen.polygon([(-32, -8), (-2, -38), (14, -22), (-16, 8)], _WOOD_DARK)
    pen.polygon([(-27, -13), (-7, -33), (9, -17), (-11, 3)], _WOOD)
    pen.box(-30, 29, 22, 40, _WOOD_DARK)


def _blackboard(pen: Pen) -> None:
    pen.box(-34, -34, 34, 34, _WOOD)
    pen.box(-29, -29, 29, 29, colour("204c3a"))
    pen.line([(-16, 20), (0, -20), (16, 20)], 6, _WHITE)
    pen.line([(-9, 7), (9, 7)], 5, _WHITE)


def _extinguisher(pen: Pen) -> None:
    pen.arc(8, -20, 18, 18, start=180, end=360, width=5, fill=_INK)
    pen.line([(26, -20), (26, 14)], 5, _INK)
    pen.box(-7, -36, 5, -20, _INK)
    pen.rounded(-20, -22, 18, 42, radius=12, fill=_RED)
    pen.box(-14, 0, 12, 16, _WHITE)


def _pitchfork(pen: Pen) -> None:
    pen.line([(0, -10), (0, 62)], 7, _WOOD_DARK)
    pen.line([(-22, -12), (22, -12)], 6, _STEEL_DARK)
    for x in (-20, 0, 20):
        pen.line([(x, -12), (x, -46)], 6, _STEEL_DARK)


def _briefcase(pen: Pen) -> None:
    pen.ring(0, -20, 15, 13, width=5, fill=_INK)
    pen.rounded(-34, -18, 34, 34, radius=6, fill=_WOOD_DARK)
    pen.box(-34, 0, 34, 6, colour("3f2410"))
    pen.box(-7, -3, 7, 11, _GOLD)


def _palette(pen: Pen) -> None:
    pen.ellipse(0, 4, 34, 28, colour("dba765"))
    pen.ellipse(14, 16, 8, 7, colour("7b4d22"))
    for x, y, paint in (
        (-20, 2, _RED),
        (-8, -12, _BLUE),
        (10, -13, _GOLD),
        (23, -1, _GREEN),
        (-12, 18, _WHITE),
    ):
        pen.ellipse(x, y, 7.5, 6.5, paint)


def _aeroplane(pen: Pen) -> None:
    body = colour("f4f6fb")
    pen.polygon([(-6, -8), (-36, 14), (-36, 22), (0, 10), (36, 22), (36, 14), (6, -8)], colour("3a63b8"))
    pen.polygon([(-5, 26), (-18, 40), (18, 40), (5, 26)], colour("3a63b8"))
    pen.ellipse(0, 0, 9, 44, _INK)
    pen.ellipse(0, 0, 7, 42, body)
    pen.box(-4, -30, 4, -24, _INK)


def _radio(pen: Pen) -> None:
    pen.line([(12, -14), (12, -50)], 5, _INK)
    pen.rounded(-20, -18, 20, 42, radius=5, fill=_INK)
    pen.box(-14, -11, 14, 6, colour("86d070"))
    for y in (14, 22, 30):
        pen.line([(-12, y), (12, y)], 3, _STEEL)


def _wrench(pen: Pen) -> None:
    pen.line([(0, -16), (0, 44)], 13, _STEEL_DARK)
    pen.ellipse(0, -22, 21, 21, _STEEL_DARK)
    pen.polygon([(-8, -46), (8, -46), (8, -20), (-8, -20)], colour("e9edf2"))
    pen.ellipse(0, 36, 5, 5, colour("e9edf2"))


def _bucket(pen: Pen) -> None:
    pen.line([(-22, -6), (20, -56)], 6, _WOOD)
    for x, y, radius in ((-18, -10, 12), (0, -16, 13), (17, -10, 12)):
        pen.ellipse(x, y, radius, radius, _WHITE)
    pen.polygon([(-32, -8), (32, -8), (23, 40), (-23, 40)], colour("2aa9d6"))
    pen.box(-33, -9, 33, -1, colour("1a7fa6"))


def _books(pen: Pen) -> None:
    for index, (shift, cover) in enumerate(((-1, _BLUE), (3, _GOLD), (-3, _GREEN), (2, _RED))):
        top = 24 - 19 * index
        pen.box(-31 + shift, top, 31 + shift, top + 17, cover)
        pen.box(-26 + shift, top + 4, 31 + shift, top + 13, colour("f6efdc"))


def _flask(pen: Pen) -> None:
    pen.polygon([(-10, -40), (10, -40), (10, -12), (34, 38), (-34, 38), (-10, -12)], _INK)
    pen.polygon([(-6, -36), (6, -36), (6, -11), (28, 34), (-28, 34), (-6, -11)], colour("e8f7fa"))
    pen.polygon([(-14, 6), (14, 6), (28, 34), (-28, 34)], colour("4fd05a"))
    pen.box(-14, -44, 14, -37, _INK)
    pen.ellipse(-6, 24, 5, 5, colour("c4f5c4"))
    pen.ellipse(9, 18, 4, 4, colour("c4f5c4"))


def _bricks(pen: Pen) -> None:
    pen.box(-34, -18, 34, 40, colour("d9d4cc"))
    for row, starts in enumerate(((-34, 2), (-34, -14, 20), (-34, 2))):
        top = -16 + row * 19
        ends = (*(start - 4 for start in starts[1:]), 34)
        for left, right in zip(starts, ends, strict=True):
            pen.box(left, top, right, top + 15, colour("b5452f"))


def _guitar(pen: Pen) -> None:
    pen.line([(0, -2), (0, -52)], 8, _WOOD_DARK)
    pen.box(-8, -60, 8, -46, _INK)
    pen.ellipse(0, -2, 19, 17, colour("e0862a"))
    pen.ellipse(0, 22, 27, 23, colour("e0862a"))
    pen.ellipse(0, 8, 9, 9, colour("3b2412"))
    pen.box(-12, 27, 12, 32, colour("3b2412"))


def _ball(pen: Pen) -> None:
    pen.ellipse(0, 6, 33, 33, _INK)
    pen.ellipse(0, 6, 31, 31, colour("ea7a25"))
    pen.line([(-31, 6), (31, 6)], 3, _INK)
    pen.line([(0, -25), (0, 37)], 3, _INK)
    pen.arc(-36, 6, 22, 28, start=-60, end=60, width=3, fill=_INK)
    pen.arc(36, 6, 22, 28, start=120, end=240, width=3, fill=_INK)


def _flower(pen: Pen) -> None:
    pen.line([(0, 14), (0, -26)], 5, _GREEN)
    pen.ellipse(-13, 2, 12, 6, _GREEN)
    pen.ellipse(13, -4, 12, 6, _GREEN)
    for x, y in ((-12, -32), (12, -32), (0, -44), (0, -20)):
        pen.ellipse(x, y, 11, 11, colour("e63a78"))
    pen.ellipse(0, -32, 8, 8, colour("fbd43c"))
    pen.polygon([(-24, 12), (24, 12), (17, 42), (-17, 42)], colour("c4683a"))
    pen.box(-27, 10, 27, 19, colour("a8522a"))


def _anchor(pen: Pen) -> None:
    iron = colour("24365e")
    pen.ring(0, -34, 11, 11, width=6, fill=iron)
    pen.box(-4, -26, 4, 38, iron)
    pen.box(-20, -18, 20, -11, iron)
    pen.arc(0, 8, 32, 32, start=8, end=172, width=8, fill=iron)
    pen.polygon([(-36, 14), (-20, 12), (-32, 0)], iron)
    pen.polygon([(36, 14), (20, 12), (32, 0)], iron)


def _register(pen: Pen) -> None:
    pen.box(-6, -24, 6, -8, _STEEL_DARK)
    pen.rounded(-24, -44, 24, -18, radius=4, fill=_INK)
    pen.box(-19, -39, 19, -24, colour("7fe08a"))
    pen.polygon([(-26, -10), (26, -10), (34, 22), (-34, 22)], colour("dfe3ea"))
    for y in (-3, 6, 15):
        for x in (-15, 0, 15):
            pen.box(x - 5, y - 2.5, x + 5, y + 2.5, _STEEL_DARK)
    pen.box(-34, 22, 34, 40, _STEEL_DARK)
    pen.box(-10, 29, 10, 33, _WHITE)


def _scales(pen: Pen) -> None:
    gold = colour("c98a12")
    pen.box(-4, -36, 4, 36, gold)
    pen.box(-20, 34, 20, 42, gold)
    pen.box(-31, -34, 31, -27, gold)
    for x in (-24, 24):
        pen.line([(x - 11, 8), (x, -30), (x + 11, 8)], 3, _INK)
        pen.chord(x, 6, 14, 13, start=0, end=180, fill=gold)


def _camera(pen: Pen) -> None:
    pen.box(-14, -30, 14, -18, _INK)
    pen.rounded(-35, -21, 35, 30, radius=7, fill=_INK)
    pen.box(-35, -11, 35, -6, _STEEL)
    pen.ellipse(0, 7, 20, 20, _STEEL)
    pen.ellipse(0, 7, 14, 14, colour("2d4a8a"))
    pen.ellipse(-4, 2, 5, 5, _SKY)
    pen.box(20, -18, 30, -13, colour("f2d13c"))


TOOLS: Final = MappingProxyType(
    {
        "first-aid kit": _first_aid_kit, "syringe": _syringe, "blueprint": _blueprint, "pan": _pan,
        "gavel": _gavel, "blackboard": _blackboard, "extinguisher": _extinguisher, "pitchfork": _pitchfork,
        "briefcase": _briefcase, "palette": _palette, "aeroplane": _aeroplane, "radio": _radio,
        "wrench": _wrench, "bucket": _bucket, "books": _books, "flask": _flask, "bricks": _bricks,
        "guitar": _guitar, "ball": _ball, "flower": _flower, "anchor": _anchor, "register": _register,
        "scales": _scales, "camera": _camera,
    }
)  # fmt: skip
"""Name of a tool -> its drawing, taking a pen whose origin is the middle of the tool."""

ToolDrawing = Callable[[Pen], None]
