"""Numbers as a reader wants them: percentages, intervals, digests, dates."""

from __future__ import annotations

import math
from datetime import datetime

from audit.evidence import Check, Interval

_PERCENT_UNITS = frozenset({"share", "probability"})


def is_percent(unit: str) -> bool:
    """Whether values of this unit lie in 0..1 and are shown in percent."""
    return unit in _PERCENT_UNITS


def format_number(value: float, *, unit: str = "") -> str:
    """A number with its unit, to about three digits; whole numbers stay whole.

    Args:
        value: finite.
        unit: "share" and "probability" are shown in percent.
    """
    if is_percent(unit):
        return f"{100 * value:.1f} %"
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}".replace(",", "\u202f")
    elif 1e-4 <= abs(value) < 1e6:
        text = f"{value:.4g}"
    else:
        text = f"{value:.2e}"
    return f"{text} {unit}".strip()


def format_interval(interval: Interval, *, unit: str = "") -> str:
    """Both ends with the unit once."""
    low, high = (format_number(end, unit=unit) for end in (interval.low, interval.high))
    return f"{low.removesuffix(unit).strip() if unit and not is_percent(unit) else low} to {high}"


def describe_interval(interval: Interval) -> str:
    """Confidence and method."""
    method = {"clopper-pearson": "Clopper-Pearson", "wilson": "Wilson"}.get(interval.method, interval.method)
    return f"{100 * interval.level:.4g} % interval, {method}"


def format_value(check: Check) -> str:
    """The value of a check; "" when nothing was measured."""
    if check.value is None:
        return ""
    if isinstance(check.value, str):
        return check.value
    return format_number(float(check.value), unit=check.unit)


def format_threshold(check: Check) -> str:
    """The threshold of a check; "" when there is none."""
    return "" if check.threshold is None else format_number(check.threshold, unit=check.unit)


def format_probability(value: float) -> str:
    """A p-value: never rounded to zero."""
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def format_digest(digest: str) -> str:
    """The first 12 hex digits of a digest, with its algorithm."""
    name, colon, text = digest.rpartition(":")
    return f"{name}{colon}{text[:12]}…" if len(text) > 12 else digest


def format_time(text: str) -> str:
    """An ISO 8601 time as "24 November 2026, 08:46 UTC"; as it is when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = moment.tzname() or ""
    return f"{moment.day} {moment:%B %Y, %H:%M} {zone}".strip()


def format_duration(seconds: float) -> str:
    """Seconds as "12 s" or "3 min 20 s"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
