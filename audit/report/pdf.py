"""Reports as PDF, drawn with reportlab (BSD): no browser, no other program, no network.

The standard fonts know Latin characters only; others are shown by their code point. Text is escaped, since reportlab
reads markup in it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape

from audit.report.figures import IntervalRow
from audit.report.numbers import format_number, is_percent
from generator.errors import InputError

_MARGIN: Final = 48  # pt
_WIDTH: Final = 499  # pt, of A4 between the margins
_ROW: Final = 15  # pt
_LABEL, _VALUE = 150, 130  # pt, of a chart's labels and values
_LIMIT: Final = 1200  # characters of one text


@dataclass(frozen=True)
class Block:
    """A part of a document: a heading, then paragraphs, then a chart of intervals, then a table.

    Attributes:
        heading: "" for none.
        paragraphs: texts.
        intervals: drawn one below the other; all of one unit.
        unit: of the intervals.
        head: column names of the table.
        rows: cells as text.
        widths: of the columns, parts of the page's width; equal when empty.
    """

    heading: str = ""
    paragraphs: Sequence[str] = ()
    intervals: Sequence[IntervalRow] = ()
    unit: str = "share"
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    widths: Sequence[float] = ()


def render_document(title: str, blocks: Sequence[Block]) -> bytes:
    """A PDF; the same blocks give the same bytes.

    Raises:
        InputError: reportlab is not installed.
    """
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.styles import getSampleStyleSheet
        from reportlab.platypus import Paragraph, SimpleDocTemplate
    except ImportError as error:
        raise InputError("a PDF needs reportlab; run `pip install assay-audit[pdf]`") from error
    styles = getSampleStyleSheet()
    styles["Heading2"].keepWithNext = 1  # no heading at the foot of a page
    story: list[Any] = [Paragraph(latin(title), styles["Title"])]
    for block in blocks:
        if block.heading:
            story.append(Paragraph(latin(block.heading), styles["Heading2"]))
        story += [Paragraph(latin(text), styles["BodyText"]) for text in block.paragraphs]
        if block.intervals:
            story += _charts(block)
        if block.rows:
            story.append(_table(block, styles["BodyText"]))
    target = io.BytesIO()
    SimpleDocTemplate(
        target, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=_MARGIN,
        title=latin(title), author="Assay", invariant=1,
    ).build(story)  # fmt: skip
    return target.getvalue()


def latin(value: str) -> str:
    """Text as reportlab takes it: escaped, one line, characters beyond Latin-1 by code point."""
    words = " ".join(value.replace("\u202f", " ").split())
    words = words if len(words) <= _LIMIT else words[: _LIMIT - 3] + "..."
    plain = words.translate(_PLAIN)
    return escape("".join(c if c.isprintable() and ord(c) < 256 else f"\\u{{{ord(c):x}}}" for c in plain))


_PLAIN = str.maketrans({"“": '"', "”": '"', "’": "'", "–": "-", "—": "-", "…": "..."})


def _table(block: Block, style: Any) -> Any:  # noqa: ANN401 - reportlab has no types
    from reportlab.lib import colors
    from reportlab.platypus import Paragraph, Table

    small = style.clone("small", fontSize=8, leading=10)
    columns = len(block.head or block.rows[0])
    parts = list(block.widths) or [1 / columns] * columns
    head = [[Paragraph(f"<b>{latin(cell)}</b>", small) for cell in block.head]] if block.head else []
    cells = [[Paragraph(latin(cell), small) for cell in row] for row in block.rows]
    table = Table(head + cells, colWidths=[_WIDTH * part for part in parts], repeatRows=len(head))
    table.setStyle(
        [("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    )
    return table


def _charts(block: Block, *, per_page: int = 40) -> list[Any]:
    """Interval charts that fit a page each."""
    low, high = _ends(block.intervals, block.unit)
    starts = range(0, len(block.intervals), per_page)
    return [_chart(block.intervals[start : start + per_page], block.unit, low, high) for start in starts]


def _ends(rows: Sequence[IntervalRow], unit: str) -> tuple[float, float]:
    if is_percent(unit):
        return 0.0, 1.0
    low, high = min(0.0, *(row.low for row in rows)), max(0.0, *(row.high for row in rows))
    return (low, high) if high > low else (low, low + 1.0)


def _chart(rows: Sequence[IntervalRow], unit: str, low: float, high: float) -> Any:  # noqa: ANN401 - reportlab
    from reportlab.graphics.shapes import Circle, Drawing, Line, String
    from reportlab.lib.colors import HexColor

    blue, orange, grey = HexColor("#3f7fca"), HexColor("#d5652a"), HexColor("#cccccc")
    left, right, height = _LABEL, _WIDTH - _VALUE, _ROW * (len(rows) + 1) + 6
    drawing = Drawing(_WIDTH, height)

    def place(value: float) -> float:
        return left + (right - left) * (min(max(value, low), high) - low) / (high - low)

    for tick in (low, (low + high) / 2, high, *([0.0] if low < 0 < high else [])):
        drawing.add(Line(place(tick), 0, place(tick), height - _ROW, strokeColor=grey, strokeWidth=0.5))
        said = format_number(tick, unit=unit if is_percent(unit) else "")
        drawing.add(String(place(tick), height - 10, said, fontSize=7, textAnchor="middle"))
    for index, row in enumerate(rows):
        y = height - _ROW * (index + 1.6)
        drawing.add(String(0, y - 3, _cut(row.label), fontSize=8))
        if row.threshold is not None:
            x = place(row.threshold)
            drawing.add(Line(x, y - 6, x, y + 6, strokeColor=orange, strokeWidth=1.5))
        drawing.add(Line(place(row.low), y, place(row.high), y, strokeColor=blue, strokeWidth=1.5))
        drawing.add(Circle(place(row.value), y, 2.6, fillColor=blue, strokeColor=blue))
        ends = " to ".join(
            format_number(end, unit=unit if is_percent(unit) else "") for end in (row.low, row.high)
        )
        said = f"{format_number(row.value, unit=unit if is_percent(unit) else '')} [{ends}]"
        drawing.add(String(right + 8, y - 3, _drawn(said), fontSize=7))
    return drawing


def _cut(label: str, limit: int = 30) -> str:
    return _drawn(label if len(label) <= limit else label[: limit - 3] + "...")


def _drawn(text: str) -> str:
    """Text of a drawing, which reads no markup."""
    return "".join(
        c if c.isprintable() and ord(c) < 256 else "?" for c in text.translate(_PLAIN).replace("\u202f", " ")
    )
