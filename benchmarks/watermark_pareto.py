"""A picture of the trade: PSNR against survival, and CPU time against survival, one dot per scheme and size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from benchmarks.watermark_survival import Survival

_SIDE, _GAP = 360, 70  # px, of a panel and around it
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")  # Okabe and Ito


@dataclass(frozen=True)
class _Panel:
    title: str
    low: float
    high: float
    value: Callable[[Survival], float]
    ticks: Sequence[float]
    label: Callable[[float], str]


def _survival(entry: Survival, attacks: Sequence[str]) -> float:
    return sum(entry.share(name) for name in attacks) / len(attacks)


def _cost(entry: Survival) -> float:
    """log10 of embedding plus reading, CPU milliseconds."""
    return math.log10(max(entry.embed_ms + entry.read_ms["none"], 0.1))


def draw_pareto(entries: Iterable[Survival], path: Path) -> None:
    """Write the two panels as one SVG file; survival is the mean share over the attacks that all entries met."""
    entries = list(entries)
    attacks = [name for name in entries[0].read if all(name in entry.read for entry in entries)]
    names = sorted({entry.name for entry in entries})
    panels = (
        _Panel("PSNR, dB", 36, 48, lambda entry: entry.psnr, range(36, 49, 2), lambda value: f"{value:g}"),
        _Panel("CPU ms, mark and read (log)", 0, 4.5, _cost, range(5), lambda value: f"{10**value:g}"),
    )
    width, height = 2 * (_SIDE + _GAP) + _GAP, _SIDE + 2 * _GAP + 18 * len(names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, panel in enumerate(panels):
        left = _GAP + number * (_SIDE + _GAP)
        parts += _axes(panel, left, len(attacks))
        for entry in entries:
            share = (panel.value(entry) - panel.low) / (panel.high - panel.low)
            x, y = left + _SIDE * min(max(share, 0), 1), _GAP + _SIDE * (1 - _survival(entry, attacks))
            title = escape(f"{entry.name}, {entry.side} px")
            parts.append(_dot(names.index(entry.name), x, y, radius=3 + entry.side / 256, title=title))
    for number, name in enumerate(names):
        y = _SIDE + _GAP + 50 + 18 * number
        parts.append(_dot(number, _GAP, y, radius=5))
        parts.append(f'<text x="{_GAP + 12}" y="{y + 4}">{escape(name)}</text>')
    path.write_text("".join([*parts, "</svg>"]), encoding="utf-8")


def _dot(number: int, x: float, y: float, *, radius: float, title: str = "") -> str:
    """The symbol of an entry: round, and square once the colours are used up."""
    colour, corner = _COLOURS[number % len(_COLOURS)], 0.0 if number >= len(_COLOURS) else radius
    return (
        f'<rect x="{x - radius:.1f}" y="{y - radius:.1f}" width="{2 * radius:.1f}" height="{2 * radius:.1f}" '
        f'rx="{corner:.1f}" fill="{colour}" fill-opacity="0.75"><title>{title}</title></rect>'
    )


def _axes(panel: _Panel, left: int, attacks: int) -> list[str]:
    bottom = _GAP + _SIDE
    parts = [
        f'<rect x="{left}" y="{_GAP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>',
        f'<text x="{left + _SIDE / 2}" y="{bottom + 34}" text-anchor="middle">{escape(panel.title)}</text>',
        f'<text x="{left}" y="{_GAP - 10}">identifiers read exactly, mean of {attacks} attacks</text>',
    ]
    for tick in panel.ticks:
        x = left + _SIDE * (tick - panel.low) / (panel.high - panel.low)
        parts.append(f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{panel.label(tick)}</text>')
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _GAP + _SIDE * (1 - tick)
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<path d="M{left} {y:.0f}h{_SIDE}" stroke="#ddd"/>')
    return parts
