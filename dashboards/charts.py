"""Altair charts of the pages: pure functions from tables to charts. Free of Streamlit.

Colours are told apart by people with any colour vision, fit light and dark pages, and never carry a meaning alone:
every bar and dot is also labelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.evidence import Check, Status
from audit.report.distributions import density
from audit.report.numbers import is_percent
from audit.report.rooms import label_of
from audit.report.shares import AttributeShares
from audit.report.words import LAYERS, STATUS_WORDS

BLUE = "#3f7fca"
ORANGE = "#d5652a"
STATUS_COLOURS = {
    Status.PASS: "#2f9e83",
    Status.FAIL: "#d5652a",
    Status.INCONCLUSIVE: "#e0b13c",
    Status.SKIPPED: "#9aa6b8",
    Status.ERROR: "#9a6fd0",
}
ROW = 24  # px a row of a chart
MAX_ROWS = 60
_LABEL = 260  # px kept for row labels
_BAND = alt.Scale(type="band", padding=0.1)  # keeps labels level with dots and lines


def _label_axis() -> alt.Axis:
    return alt.Axis(
        title=None, labelLimit=_LABEL, domain=False, ticks=False, labelPadding=8, labelOverlap=False
    )


def _percent_axis(title: str | None = None) -> alt.Axis:
    return alt.Axis(format=".0%", title=title, grid=True, tickCount=6)


def count_chart(counts: Mapping[str, int]) -> alt.Chart:
    """A bar a word, as long as its count, with the number in the label, where it has the page's own colour."""
    total = max(sum(counts.values()), 1)
    labels = [f"{word}: {number} ({100 * number / total:.1f} %)" for word, number in counts.items()]
    rows = pd.DataFrame({"said": labels, "count": list(counts.values())})
    return _bars(rows, labels=labels, value="count:Q", longest=max(counts.values(), default=1))


def _bars(rows: pd.DataFrame, *, labels: list[str], value: str, longest: float) -> alt.Chart:
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_bar(color=BLUE, height=15, cornerRadiusEnd=2)
        .encode(
            y=alt.Y("said:N", sort=labels, axis=_label_axis()),
            x=alt.X(value, axis=None, scale=alt.Scale(domain=[0, longest])),
            tooltip=["said:N"],
        )
        .properties(height=alt.Step(ROW + 2))
    )
    return chart


def layer_chart(rows: pd.DataFrame) -> alt.LayerChart:
    """For each layer of the provenance table: how many files have which status.

    Args:
        rows: with the columns of `audit.report.words.LAYERS`, each holding a status.
    """
    parts = []
    for column, title in LAYERS.items():
        start = 0
        for status in Status:
            number = int((rows[column] == str(status)).sum())
            if number:
                words = STATUS_WORDS[status]
                said = f"{words.symbol} {number}" if number >= 0.04 * len(rows) else ""
                parts.append((title, words.label, start, start + number, start + number / 2, said, number))
                start += number
    table = pd.DataFrame(parts, columns=["layer", "status", "start", "end", "middle", "said", "files"])
    seen = [status for status in Status if STATUS_WORDS[status].label in set(table["status"])]
    labels = [STATUS_WORDS[status].label for status in seen]
    colours = alt.Scale(domain=labels, range=[STATUS_COLOURS[status] for status in seen])
    base = alt.Chart(table).encode(y=alt.Y("layer:N", sort=list(LAYERS.values()), axis=_label_axis()))
    bars = base.mark_bar(height=20).encode(
        x=alt.X("start:Q", title="files", axis=alt.Axis(tickMinStep=1)),
        x2="end:Q",
        color=alt.Color("status:N", scale=colours, legend=alt.Legend(orient="top", title=None, columns=3)),
        tooltip=["layer:N", "status:N", "files:Q"],
    )
    text = base.mark_text(color="#14181f", fontWeight=600).encode(x="middle:Q", text="said:N")
    chart: alt.LayerChart = (bars + text).properties(height=alt.Step(ROW + 4))
    return chart


def interval_chart(checks: Sequence[Check], *, room: str, unit: str) -> alt.LayerChart:
    """Measured values of one unit: a dot with its interval, and an orange tick where the threshold is.

    Args:
        checks: with a numeric value and an interval; at most MAX_ROWS are drawn.
        room: its name is left out of the labels.
        unit: of all of them.
    """
    rows = pd.DataFrame(
        {
            "check": [label_of(check.name, room) for check in checks[:MAX_ROWS]],
            "value": [check.value for check in checks[:MAX_ROWS]],
            "low": [check.interval.low if check.interval else None for check in checks[:MAX_ROWS]],
            "high": [check.interval.high if check.interval else None for check in checks[:MAX_ROWS]],
            "threshold": pd.Series([check.threshold for check in checks[:MAX_ROWS]], dtype=float),
        }
    )
    percent = is_percent(unit)
    axis = _percent_axis() if percent else alt.Axis(title=unit or None)
    scale = alt.Scale(domain=[0, 1]) if percent else alt.Scale(zero=True)
    base = alt.Chart(rows).encode(
        y=alt.Y("check:N", sort=list(rows["check"]), axis=_label_axis(), scale=_BAND)
    )
    tip = [alt.Tooltip(f"{name}:Q", format=".1%" if percent else ".4g") for name in ("value", "low", "high")]
    bars = base.mark_rule(color=BLUE, strokeWidth=2.5).encode(
        x=alt.X("low:Q", axis=axis, scale=scale), x2="high:Q", tooltip=["check:N", *tip]
    )
    dots = base.mark_point(color=BLUE, filled=True, size=80, opacity=1).encode(
        x="value:Q", tooltip=["check:N", *tip]
    )
    marks = base.mark_tick(color=ORANGE, thickness=3, height=18).encode(
        x="threshold:Q", tooltip=["threshold:Q"]
    )
    chart: alt.LayerChart = (bars + dots + marks).properties(height=alt.Step(ROW + 2))
    return chart


def group_chart(shares: AttributeShares, *, width: int = 860) -> alt.FacetChart:
    """One column a group, one row a prompt: shares with intervals, and the reference as a dashed line.

    Args:
        shares: of one attribute.
        width: px of all columns together.
    """
    prompts = list(dict.fromkeys(shares.table["prompt_id"]))[:MAX_ROWS]
    rows = shares.table[shares.table["prompt_id"].isin(prompts) & (shares.table["of"] > 0)]
    base = alt.Chart(rows).encode(y=alt.Y("prompt_id:N", sort=prompts, axis=_label_axis(), scale=_BAND))
    tip = ["prompt_id:N", "group:N", "of:Q", alt.Tooltip("share:Q", format=".1%")]
    bars = base.mark_rule(color=BLUE, strokeWidth=2.5).encode(
        x=alt.X("low:Q", axis=_percent_axis(), scale=alt.Scale(domain=[0, 1])), x2="high:Q", tooltip=tip
    )
    dots = base.mark_point(color=BLUE, filled=True, size=60, opacity=1).encode(x="share:Q", tooltip=tip)
    line = alt.Chart(rows).mark_rule(color=ORANGE, strokeDash=[5, 4], strokeWidth=1.5).encode(x="reference:Q")
    if rows.groupby("group")["reference"].nunique().gt(1).any():  # each prompt has a reference of its own
        line = base.mark_tick(color=ORANGE, thickness=2.5, height=16).encode(x="reference:Q")
    each = max(width // max(len(shares.groups), 1) - 40, 120)
    header = alt.Header(title=None, labelFontWeight=600, labelFontSize=13)
    layers: alt.LayerChart = (line + bars + dots).properties(width=each, height=alt.Step(22))
    column = alt.Column("group:N", sort=list(shares.groups), header=header)
    return layers.facet(column=column, spacing=22)


def ridge_chart(
    shares: Mapping[str, NDArray[np.float64]], *, reference: Mapping[str, float]
) -> alt.FacetChart:
    """One ridge a group: how the shares of single prompts are spread, with the reference as a dashed line.

    Args:
        shares: group -> float64 (prompts,), 0 to 1.
        reference: group -> share.
    """
    grid = np.linspace(0.0, 1.0, 101)
    rows = pd.concat(
        pd.DataFrame(
            {"group": group, "share": grid, "density": density(values, grid), "reference": reference[group]}
        )
        for group, values in shares.items()
    )
    base = alt.Chart(rows)
    area = base.mark_area(color=BLUE, opacity=0.45, line={"color": BLUE}).encode(
        x=alt.X("share:Q", axis=_percent_axis(), scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("density:Q", axis=None),
    )
    line = base.mark_rule(color=ORANGE, strokeDash=[5, 4], strokeWidth=1.5).encode(x="reference:Q")
    layers: alt.LayerChart = (area + line).properties(width=700, height=56)
    header = alt.Header(title=None, labelAngle=0, labelAlign="left", labelFontWeight=600)
    return layers.facet(row=alt.Row("group:N", sort=list(shares), header=header), spacing=6)


def tone_chart(counts: Mapping[str, int], *, colours: Mapping[str, str]) -> alt.Chart:
    """One bar a tone of the Monk scale in its own colour, the number in the label; grey for what has no colour.

    Args:
        counts: tone -> faces, "undetermined" too.
        colours: tone -> "#rrggbb".
    """
    total = max(sum(counts.values()), 1)
    labels = [f"{tone}: {number} ({100 * number / total:.1f} %)" for tone, number in counts.items()]
    fills = [colours.get(tone, STATUS_COLOURS[Status.SKIPPED]) for tone in counts]
    rows = pd.DataFrame({"said": labels, "count": list(counts.values()), "fill": fills})
    chart = _bars(rows, labels=labels, value="count:Q", longest=max(counts.values(), default=1))
    return chart.encode(color=alt.Color("fill:N", scale=None)).configure_mark(stroke="#888888", strokeWidth=1)


def histogram(
    values: NDArray[np.float64], *, title: str, bounds: tuple[float, float] | None = None, bins: int = 24
) -> alt.Chart:
    """How many values lie where; counted here, so that a large run sends bars and not values.

    Args:
        values: float64 (n,), finite, at least one.
        title: of the axis.
        bounds: of the axis; None: from the values.
        bins: number of bars.
    """
    low, high = bounds or (float(values.min()), float(values.max()))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(values, bins=bins, range=(low, high))
    rows = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "images": counts})
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_rect(color=BLUE, stroke="#9fbfe6", strokeWidth=0.6)
        .encode(
            x=alt.X(
                "low:Q",
                axis=alt.Axis(title=title, tickCount=6),
                scale=alt.Scale(domain=[low, high], nice=False),
            ),
            x2="high:Q",
            y=alt.Y("images:Q", title="images", axis=alt.Axis(tickMinStep=1, tickCount=4)),
            y2=alt.datum(0),
            tooltip=["low:Q", "high:Q", "images:Q"],
        )
        .properties(height=220)
    )
    return chart


def probability_chart(probabilities: Mapping[str, float]) -> alt.Chart:
    """Probabilities of the groups of one attribute of one image."""
    labels = [f"{group}: {100 * p:.0f} %" for group, p in probabilities.items()]
    rows = pd.DataFrame({"said": labels, "p": list(probabilities.values())})
    return _bars(rows, labels=labels, value="p:Q", longest=1.0)
