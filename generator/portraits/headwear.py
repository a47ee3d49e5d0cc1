"""Headwear, drawn by a pen whose origin is the middle of the head; the top of the head is at y = -62.

Nothing reaches below y = -44, so that hairline, temples and forehead stay visible; what is worn round the head
(headband, headphones, goggles, visor) leaves the hair above it visible too.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from generator.portraits.pen import Pen
from generator.portraits.traits import Colour, colour, mix

_WHITE = colour("ffffff")
_BLACK = colour("000000")
_RED = colour("d01f2e")
_GOLD = colour("e3b93c")
_INK = colour("2b2b35")


def _dark(value: Colour) -> Colour:
    return mix(value, _BLACK, share=0.25)


def _nurse_cap(pen: Pen, fill: Colour) -> None:
    pen.polygon([(-38, -46), (38, -46), (46, -84), (-46, -84)], mix(fill, _BLACK, share=0.2))
    pen.polygon([(-36, -48), (36, -48), (43, -82), (-43, -82)], fill)
    pen.box(-4.5, -79, 4.5, -53, _RED)
    pen.box(-13, -70.5, 13, -61.5, _RED)


def _hard_hat(pen: Pen, fill: Colour) -> None:
    pen.chord(0, -48, 52, 42, start=180, end=360, fill=fill)
    pen.box(-6, -92, 6, -50, _dark(fill))
    pen.rounded(-60, -54, 60, -44, radius=5, fill=_dark(fill))


def _toque(pen: Pen, fill: Colour) -> None:
    shadow = mix(fill, _BLACK, share=0.14)
    for x, y in ((-28, -84), (28, -84), (0, -92)):
        pen.ellipse(x, y, 27, 23, shadow)
    for x, y in ((-28, -86), (28, -86), (0, -94)):
        pen.ellipse(x, y, 24, 20, fill)
    pen.box(-42, -82, 42, -46, shadow)
    pen.box(-39, -82, 39, -50, fill)


def _fire_helmet(pen: Pen, fill: Colour) -> None:
    pen.chord(0, -50, 52, 44, start=180, end=360, fill=fill)
    pen.ellipse(0, -50, 66, 8, _dark(fill))
    pen.polygon([(-15, -88), (15, -88), (15, -66), (0, -54), (-15, -66)], _GOLD)
    pen.ellipse(0, -75, 6, 6, fill)


def _straw_hat(pen: Pen, fill: Colour) -> None:
    pen.ellipse(0, -52, 82, 11, _dark(fill))
    pen.ellipse(0, -54, 80, 9, fill)
    pen.chord(0, -54, 44, 40, start=180, end=360, fill=fill)
    pen.box(-44, -66, 44, -56, colour("a8442e"))


def _beret(pen: Pen, fill: Colour) -> None:
    pen.box(-40, -56, 40, -46, _dark(fill))
    pen.ellipse(8, -66, 58, 20, fill)
    pen.line([(10, -84), (14, -94)], 6, fill)


def _peaked_cap(pen: Pen, fill: Colour) -> None:
    pen.polygon([(-44, -56), (44, -56), (60, -86), (0, -96), (-60, -86)], fill)
    pen.box(-45, -64, 45, -54, _GOLD)
    pen.ellipse(0, -50, 44, 8, colour("0c0d14"))
    pen.ellipse(0, -74, 9, 9, _GOLD)


def _army_helmet(pen: Pen, fill: Colour) -> None:
    pen.chord(0, -46, 56, 46, start=180, end=360, fill=fill)
    for x, y, rx in ((-30, -62, 13), (4, -78, 15), (32, -58, 11)):
        pen.ellipse(x, y, rx, 7, mix(fill, _BLACK, share=0.35))
    pen.box(-58, -52, 58, -45, mix(fill, _BLACK, share=0.4))


def _baseball_cap(pen: Pen, fill: Colour) -> None:
    pen.chord(0, -50, 48, 38, start=180, end=360, fill=fill)
    pen.ellipse(28, -50, 46, 7, _dark(fill))
    pen.ellipse(0, -70, 11, 10, _WHITE)


def _headscarf(pen: Pen, fill: Colour) -> None:
    pen.polygon([(44, -58), (74, -78), (66, -56), (76, -40), (48, -48)], _dark(fill))
    pen.chord(0, -40, 53, 50, start=192, end=348, fill=fill)
    for x, y in ((-28, -64), (-8, -78), (12, -62), (30, -72)):
        pen.ellipse(x, y, 5, 5, _WHITE)


def _goggles(pen: Pen, fill: Colour) -> None:
    pen.box(-49, -58, 49, -50, _INK)
    for x in (-19, 19):
        pen.ellipse(x, -56, 19, 13, _INK)
        pen.ellipse(x, -56, 14, 9, fill)
        pen.ellipse(x - 4, -59, 5, 3, _WHITE)


def _headphones(pen: Pen, fill: Colour) -> None:
    pen.arc(0, -6, 62, 70, start=188, end=352, width=9, fill=fill)
    for side in (-1, 1):
        pen.rounded(side * 56 - 10, -16, side * 56 + 10, 26, radius=8, fill=colour("d13c8c"))


def _headband(pen: Pen, fill: Colour) -> None:
    pen.polygon([(-47, -56), (0, -62), (47, -56), (49, -43), (0, -48), (-49, -43)], fill)
    pen.polygon([(-47, -51), (0, -57), (47, -51), (48, -48), (0, -53), (-48, -48)], _WHITE)


def _sun_hat(pen: Pen, fill: Colour) -> None:
    pen.polygon([(-38, -60), (-30, -92), (30, -92), (38, -60)], fill)
    pen.polygon([(-42, -62), (42, -62), (66, -44), (-66, -44)], _dark(fill))
    pen.box(-38, -68, 38, -60, colour("f3e9b0"))


def _sailor_cap(pen: Pen, fill: Colour) -> None:
    pen.ellipse(0, -76, 40, 20, mix(fill, _BLACK, share=0.12))
    pen.polygon([(-44, -46), (44, -46), (50, -72), (-50, -72)], colour("2b4f9e"))
    pen.polygon([(-42, -54), (42, -54), (47, -70), (-47, -70)], fill)


def _visor(pen: Pen, fill: Colour) -> None:
    pen.polygon([(-48, -56), (48, -56), (49, -46), (-49, -46)], _dark(fill))
    pen.chord(0, -48, 52, 22, start=180, end=360, fill=fill)
    pen.box(-52, -50, 52, -45, _dark(fill))


def _flat_cap(pen: Pen, fill: Colour) -> None:
    pen.ellipse(0, -62, 52, 17, fill)
    pen.ellipse(0, -50, 40, 6, _dark(fill))
    pen.line([(-40, -64), (40, -64)], 3, _dark(fill))
    pen.line([(-16, -76), (-16, -52)], 3, _dark(fill))
    pen.line([(16, -76), (16, -52)], 3, _dark(fill))


def _nothing(_: Pen, __: Colour) -> None:
    """A bare head."""


HEADWEAR: Final = MappingProxyType(
    {
        "none": _nothing, "nurse cap": _nurse_cap, "hard hat": _hard_hat, "toque": _toque,
        "fire helmet": _fire_helmet, "straw hat": _straw_hat, "beret": _beret, "peaked cap": _peaked_cap,
        "army helmet": _army_helmet, "baseball cap": _baseball_cap, "headscarf": _headscarf,
        "goggles": _goggles, "headphones": _headphones, "headband": _headband, "sun hat": _sun_hat,
        "sailor cap": _sailor_cap, "visor": _visor, "flat cap": _flat_cap,
    }
)  # fmt: skip
"""Name of the headwear -> its drawing, taking a pen at the middle of the head and the main colour."""

LEAVES_CROWN_FREE: Final = frozenset({"none", "goggles", "headphones", "headband", "visor", "nurse cap"})
"""Headwear under which a bun on top of the head stays visible."""
