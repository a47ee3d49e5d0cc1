"""The parts that charts are drawn of: text, lines, intervals, ticks. Every text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np

WIDTH = 720  # user units of every chart; the page scales them


def svg(parts: Iterable[str], *, height: float, title: str, description: str) -> str:
    """A chart of parts; title and description are what a screen reader says."""
    said = escape(f"{title}. {description}"[:4000])
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{said}">'
    return head + "".join(parts) + "</svg>"


def text(x: float, y: float, words: str, *, css: str = "", anchor: str = "start", limit: int = 60) -> str:
    """Words at a place, cut to a length with the whole as tooltip."""
    shown = words if len(words) <= limit else words[: limit - 1] + "…"
    full = f"<title>{escape(words)}</title>" if shown != words else ""
    return f'<text x="{x:g}" y="{y:g}" class="{css}" text-anchor="{anchor}">{escape(shown)}{full}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A line between two points."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def whisker(x: float, low: float, high: float, y: float) -> str:
    """An interval with its end marks and the value as a dot; all x in user units."""
    bar = line(low, y, high, y, "whisker")
    ends = "".join(line(end, y - 4, end, y + 4, "whisker") for end in (low, high))
    return f'{bar}{ends}<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="dot"/>'


def nice_ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers from low to high, which is above low."""
    span = high - low
    power = 10.0 ** np.floor(np.log10(span))
    step = next(factor * power for factor in (0.2, 0.25, 0.5, 1.0, 2.0) if span / (factor * power) <= 6)
    first = np.ceil(low / step - 1e-9)
    ticks = (first + np.arange(int(np.floor(high / step + 1e-9) - first) + 1)) * step
    return [round(float(tick), 12) for tick in ticks]
