"""Charts as inline SVG: pure functions from numbers to text. Colours come from the style sheet by class.

Every text is escaped here; every chart has a title and a description for screen readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

from audit.evidence import Status
from audit.report.numbers import format_number, is_percent
from audit.report.svg import WIDTH, line, nice_ticks, svg, text, whisker
from audit.report.words import STATUS_WORDS

ROW = 24
_LABEL = 210  # width of the row labels
_VALUE = 150  # width of the values at the right
_TOP = 26


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A value with its interval.

    Attributes:
        label: of the row.
        value: measured.
        low: lower end of the interval.
        high: upper end.
        threshold: what it was compared with; None draws no mark.
    """

    label: str
    value: float
    low: float
    high: float
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Shares of the groups of one attribute in one prompt.

    Attributes:
        label: of the row.
        shares: group -> (share, low, high); a group that is missing draws nothing.
        references: group -> what this prompt is compared with, where it has a reference of its own.
    """

    label: str
    shares: Mapping[str, tuple[float, float, float]]
    references: Mapping[str, float] = field(default_factory=dict)


def _range(rows: Sequence[IntervalRow], *, unit: str) -> tuple[float, float]:
    if is_percent(unit):
        return 0.0, 1.0
    ends = [end for row in rows for end in (row.low, row.high, row.value, row.threshold) if end is not None]
    low, high = min(0.0, *ends), max(ends)
    return (low, high) if high > low else (low, low + 1.0)


def interval_chart(rows: Sequence[IntervalRow], *, title: str, unit: str = "share") -> str:
    """One row a value: a dot with its interval, and a dashed mark where a threshold is.

    Args:
        rows: at least one; all of one unit.
        title: said to screen readers.
        unit: of all values; shares and probabilities are drawn from 0 to 100 %.
    """
    low, high = _range(rows, unit=unit)
    left, right = _LABEL, WIDTH - _VALUE
    height = _TOP + ROW * len(rows) + 8

    def place(value: float) -> float:
        return left + (right - left) * (min(max(value, low), high) - low) / (high - low)

    parts = []
    for tick in nice_ticks(low, high):
        parts.append(line(place(tick), _TOP - 6, place(tick), height - 6, "grid"))
        label = f"{100 * tick:g} %" if is_percent(unit) else f"{tick:g}"
        parts.append(text(place(tick), 13, label, css="tick", anchor="middle"))
    for index, row in enumerate(rows):
        y = _TOP + ROW * (index + 0.5)
        parts.append(text(left - 12, y + 4, row.label, anchor="end", limit=32))
        if row.threshold is not None:
            x = place(row.threshold)
            parts.append(line(x, y - 10, x, y + 10, "threshold"))
        parts.append(whisker(place(row.value), place(row.low), place(row.high), y))
        ends = [format_number(end, unit=unit).removesuffix(" %") for end in (row.low, row.high)]
        value = f"{format_number(row.value, unit=unit)}  [{ends[0]}, {ends[1]}]"
        parts.append(text(right + 10, y + 4, value, css="number", limit=32))
    described = "; ".join(
        f"{row.label}: {format_number(row.value, unit=unit)} ({format_number(row.low, unit=unit)} to "
        f"{format_number(row.high, unit=unit)})"
        for row in rows[:40]
    )
    return svg(parts, height=height, title=title, description=described)


def status_chart(rows: Mapping[str, Mapping[Status, int]], *, title: str) -> str:
    """One bar a row, divided by status; each part that has room carries its symbol and its number.

    Args:
        rows: label -> status -> count.
        title: said to screen readers.
    """
    left, right = _LABEL, WIDTH - 90
    parts, described = [], []
    for index, (label, counts) in enumerate(rows.items()):
        y, x = 4 + 30 * index, float(left)
        total, beside = sum(counts.values()), []
        parts.append(text(left - 12, y + 17, label, anchor="end", limit=32))
        for status in Status:
            number = counts.get(status, 0)
            if not number:
                continue
            width = (right - left) * number / total
            said = f"{STATUS_WORDS[status].label}: {number} of {total}"
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{max(width - 1.5, 1):.1f}" height="24" rx="2" '
                f'class="bar {status}"><title>{escape(label)}: {said}</title></rect>'
            )
            inside = f"{STATUS_WORDS[status].symbol} {number}"
            if width > 9 * len(inside):
                parts.append(text(x + width / 2, y + 16.5, inside, css="on", anchor="middle"))
            else:
                beside.append(inside)
            described.append(f"{label}: {said}")
            x += width
        parts.append(text(right + 8, y + 16.5, "  ".join(beside), css="number"))
    return svg(parts, height=8 + 30 * len(rows), title=title, description="; ".join(described))


def count_chart(counts: Mapping[str, int], *, title: str) -> str:
    """One bar a word, its length the count.

    Args:
        counts: label -> count, at least one above zero.
        title: said to screen readers.
    """
    left, right, most = _LABEL, WIDTH - 110, max(counts.values())
    total, parts = sum(counts.values()), []
    for index, (label, number) in enumerate(counts.items()):
        y = 4 + 28 * index
        width = (right - left) * number / most
        parts.append(text(left - 12, y + 15, label, anchor="end", limit=32))
        parts.append(
            f'<rect x="{left}" y="{y}" width="{max(width, 1):.1f}" height="21" rx="2" class="plain"/>'
        )
        said = f"{number}  ({100 * number / total:.1f} %)"
        parts.append(text(left + width + 8, y + 15, said, css="number"))
    described = "; ".join(f"{label}: {number} of {total}" for label, number in counts.items())
    return svg(parts, height=8 + 28 * len(counts), title=title, description=described)


def histogram(
    values: NDArray[np.float64],
    *,
    title: str,
    label: str,
    bounds: tuple[float, float] | None = None,
    bins: int = 24,
) -> str:
    """How many values lie where.

    Args:
        values: float64 (n,), finite, at least one.
        title: said to screen readers.
        label: of the axis.
        bounds: of the axis; None: from the values.
        bins: number of bars.
    """
    low, high = bounds or (float(values.min()), float(values.max()))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    numbers, edges = np.histogram(values, bins=bins, range=(low, high))
    left, right, base, most = 56, WIDTH - 16, 150, int(max(numbers.max(), 1))
    width = (right - left) / bins
    parts = [line(left, base, right, base, "axis")]
    for tick in sorted({0, most // 2, most}):
        y = base - 126 * tick / most
        parts.append(line(left, y, right, y, "grid"))
        parts.append(text(left - 8, y + 4, str(tick), css="tick", anchor="end"))
    for index, number in enumerate(numbers):
        tall = 126 * number / most
        said = f"{edges[index]:.3g} to {edges[index + 1]:.3g}: {number}"
        parts.append(
            f'<rect x="{left + width * index + 0.5:.1f}" y="{base - tall:.1f}" width="{width - 1:.1f}" '
            f'height="{tall:.1f}" class="plain"><title>{said}</title></rect>'
        )
    for mark in nice_ticks(low, high):
        x = left + (right - left) * (mark - low) / (high - low)
        parts.append(text(x, base + 17, f"{mark:g}", css="tick", anchor="middle"))
    parts.append(text((left + right) / 2, base + 36, label, anchor="middle", limit=90))
    median = float(np.median(values))
    described = (
        f"{len(values)} values from {values.min():.3g} to {values.max():.3g}, half below {median:.3g}."
    )
    return svg(parts, height=base + 44, title=title, description=described)


def group_chart(
    rows: Sequence[GroupRow], *, groups: Sequence[str], title: str, reference: Mapping[str, float]
) -> str:
    """One column a group, one row a prompt: the share as a dot with its interval, the reference as a dashed line.

    Args:
        rows: at least one.
        groups: at least one, in column order.
        title: said to screen readers.
        reference: group -> share to compare with; no line for groups without one, or where rows have their own.
    """
    left, gap = 150, 44
    width = (WIDTH - left - gap * len(groups)) / len(groups)
    top, height = 46, 46 + 19 * len(rows) + 8
    parts = []
    for column, group in enumerate(groups):
        start = left + column * (width + gap) + 12
        parts.append(text(start + width / 2, 14, group, css="heading", anchor="middle", limit=24))
        for tick in (0.0, 0.5, 1.0):
            x = start + width * tick
            parts.append(line(x, top - 6, x, height - 4, "grid"))
            parts.append(text(x, 33, f"{100 * tick:g} %", css="tick", anchor="middle"))
        own = [row.references.get(group) for row in rows]
        if group in reference and not any(own):
            x = start + width * reference[group]
            parts.append(line(x, top - 8, x, height - 4, "threshold"))
        for index, row in enumerate(rows):
            against = own[index]
            if against is not None:
                x, y = start + width * against, top + 19 * (index + 0.5)
                parts.append(line(x, y - 9, x, y + 9, "threshold"))
            if group in row.shares:
                share, low, high = (start + width * part for part in row.shares[group])
                parts.append(whisker(share, low, high, top + 19 * (index + 0.5)))
    for index, row in enumerate(rows):
        parts.append(text(left - 8, top + 19 * (index + 0.5) + 4, row.label, anchor="end", limit=22))
    described = "; ".join(
        f"{row.label}: " + ", ".join(f"{group} {100 * share[0]:.0f} %" for group, share in row.shares.items())
        for row in rows[:60]
    )
    return svg(parts, height=height, title=title, description=described)
