"""Charts: well-formed, escaped, and drawn where the numbers are."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from audit.evidence import Status
from audit.report.figures import (
    GroupRow,
    IntervalRow,
    count_chart,
    group_chart,
    histogram,
    interval_chart,
    status_chart,
)
from audit.report.svg import nice_ticks

HOSTILE = '<script>&"'


def _parse(chart: str) -> Element:
    return fromstring(chart)


def _dots(chart: str) -> list[float]:
    return [float(circle.get("cx") or 0) for circle in _parse(chart).iter("circle")]


def test_dots_lie_in_the_order_of_their_values() -> None:
    rows = [IntervalRow(str(value), value, value / 2, (1 + value) / 2, 0.5) for value in (0.1, 0.4, 0.9)]
    chart = interval_chart(rows, title="values")
    dots = _dots(chart)
    assert dots == sorted(dots)
    assert (dots[2] - dots[1]) / (dots[1] - dots[0]) == pytest.approx(5 / 3, rel=0.01)
    assert chart.count('class="threshold"') == 3
    assert "10.0 %  [5.0, 55.0]" in chart


def test_values_without_a_fixed_range_span_the_chart() -> None:
    rows = [IntervalRow("a", 40.0, 30.0, 50.0), IntervalRow("b", 45.0, 44.0, 60.0)]
    chart = interval_chart(rows, title="values", unit="dB")
    whiskers = [float(x) for x in re.findall(r'x2="([\d.]+)" y2="[\d.]+" class="whisker"', chart)]
    assert max(whiskers) == pytest.approx(720 - 150, abs=0.2)


def test_statuses_are_told_by_symbol_and_number_not_colour_alone() -> None:
    chart = status_chart({"trust": {Status.PASS: 97, Status.FAIL: 3}}, title="layers")
    words = [element.text for element in _parse(chart).iter("text")]
    assert "✓ 97" in words
    assert "✕ 3" in words


def test_group_chart_draws_one_dot_for_each_share() -> None:
    rows = [GroupRow("nurse", {"woman": (0.9, 0.7, 1.0), "man": (0.1, 0.0, 0.3)}), GroupRow("judge", {})]
    chart = group_chart(rows, groups=["woman", "man"], title="presentation", reference={"woman": 0.5})
    assert len(_dots(chart)) == 2
    assert chart.count('class="threshold"') == 1


def test_histogram_draws_every_value() -> None:
    values = np.array([0.1, 0.1, 0.9])
    chart = histogram(values, title="p", label="p-value", bounds=(0.0, 1.0), bins=10)
    said = [rect.find("title") for rect in _parse(chart).iter("rect")]
    counts = [int((title.text or "").rpartition(": ")[2]) for title in said if title is not None]
    assert sum(counts) == 3
    assert max(counts) == 2


def test_histogram_of_one_value_has_an_axis() -> None:
    assert _parse(histogram(np.array([2.0, 2.0]), title="t", label="l")).tag == "svg"


@pytest.mark.parametrize(
    "chart",
    [
        interval_chart([IntervalRow(HOSTILE, 0.5, 0.4, 0.6)], title=HOSTILE),
        status_chart({HOSTILE: {Status.ERROR: 1}}, title=HOSTILE),
        count_chart({HOSTILE: 3}, title=HOSTILE),
        histogram(np.array([1.0]), title=HOSTILE, label=HOSTILE),
        group_chart(
            [GroupRow(HOSTILE, {HOSTILE: (0.5, 0.4, 0.6)})], groups=[HOSTILE], title=HOSTILE, reference={}
        ),
    ],
    ids=["interval", "status", "count", "histogram", "group"],
)
def test_charts_are_well_formed_and_escape_labels(chart: str) -> None:
    root = _parse(chart)
    assert (root.get("aria-label") or "").startswith(HOSTILE)
    assert HOSTILE in "".join(root.itertext())
    assert "script" not in {element.tag for element in root.iter()}


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    high = low + span
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 7
    slack = 1e-6 * max(span, abs(low), 1)
    assert low - slack <= ticks[0]
    assert ticks[-1] <= high + slack


def test_rows_with_a_reference_of_their_own_have_a_mark_each() -> None:
    shares = {"a": (0.2, 0.1, 0.3), "b": (0.8, 0.7, 0.9)}
    rows = [GroupRow(name, shares, {"a": part, "b": 1 - part}) for name, part in (("x", 0.1), ("y", 0.6))]
    chart = group_chart(rows, groups=("a", "b"), title="t", reference={"a": 0.35, "b": 0.65})
    assert chart.count('class="threshold"') == 4
    assert (
        group_chart(
            [GroupRow("x", shares)], groups=("a", "b"), title="t", reference={"a": 0.35, "b": 0.65}
        ).count('class="threshold"')
        == 2
    )
