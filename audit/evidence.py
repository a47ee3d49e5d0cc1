"""The evidence itself: statuses, intervals, checks, and their JSON form.

A check answers one question about one subject. Evidence is a list of checks about one subject. Nothing here
measures anything; the rooms do. Not found is `inconclusive`, an empty input is `error`, and `inconclusive` is
never `pass`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

SCHEMA_VERSION = 1

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


class Status(StrEnum):
    """What a check found."""

    PASS = "pass"  # noqa: S105 - a status, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    ERROR = "error"


# From best to worst. An error outranks a finding: what could not be checked may hide a worse finding.
_SEVERITY = (Status.PASS, Status.SKIPPED, Status.INCONCLUSIVE, Status.FAIL, Status.ERROR)

_EXIT_CODE = {Status.PASS: 0, Status.FAIL: 1, Status.INCONCLUSIVE: 3, Status.ERROR: 4, Status.SKIPPED: 3}


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of several statuses; `error` when there are none, since nothing was checked."""
    return max(statuses, key=_SEVERITY.index, default=Status.ERROR)


def exit_code(status: Status) -> int:
    """Process exit code of a status: 0 pass, 1 finding, 3 inconclusive or skipped, 4 could not check."""
    return _EXIT_CODE[status]


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: lower end, in the unit of the value it belongs to.
        high: upper end.
        level: two-sided confidence, in (0, 1).
        method: how it was computed, e.g. "Clopper-Pearson" or "cluster bootstrap over prompts".
    """

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"interval [{self.low}, {self.high}] is not an ordered pair of finite numbers")
        if not 0 < self.level < 1:
            raise ValueError(f"confidence level {self.level} is not in (0, 1)")


@dataclass(frozen=True, slots=True)
class Check:
    """One question, its answer and where the answer comes from.

    Attributes:
        name: dotted, lower case, e.g. "c2pa.signature".
        status: what was found.
        reason: a complete sentence in plain words.
        value: the measured value; None when nothing was measured.
        unit: unit of value, interval and threshold ("share", "dB", "percentage points"); "" for text.
        interval: of the value.
        threshold: what the value was compared with.
        source: the standard, paper or module that defines the check.
        next_step: what the reader can do about it.
        details: anything else, JSON only.
    """

    name: str
    status: Status
    reason: str
    value: float | str | None = None
    unit: str = ""
    interval: Interval | None = None
    threshold: float | None = None
    source: str = ""
    next_step: str = ""
    details: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or not self.reason:
            raise ValueError("a check needs a name and a reason")
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise ValueError(f"{self.name}: value {self.value} is not finite; say inconclusive instead")
        object.__setattr__(self, "details", MappingProxyType(dict(self.details)))

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field; `from_json` restores an equal check."""
        interval = self.interval
        return {
            "name": self.name,
            "status": str(self.status),
            "reason": self.reason,
            "value": self.value,
            "unit": self.unit,
            "interval": None
            if interval is None
            else {
                "low": interval.low,
                "high": interval.high,
                "level": interval.level,
                "method": interval.method,
            },
            "threshold": self.threshold,
            "source": self.source,
            "next_step": self.next_step,
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Check:
        """Restore a check from `to_json`.

        Raises:
            KeyError: a field is missing.
            ValueError: the status is unknown or a number is not finite.
        """
        interval = data["interval"]
        return cls(
            name=data["name"],
            status=Status(data["status"]),
            reason=data["reason"],
            value=data["value"],
            unit=data["unit"],
            interval=None if interval is None else Interval(**interval),
            threshold=data["threshold"],
            source=data["source"],
            next_step=data["next_step"],
            details=data["details"],
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """Checks about one subject.

    Attributes:
        subject: a file name, a run id or a room's name.
        checks: in reading order.
        schema_version: of the JSON form.
    """

    subject: str
    checks: tuple[Check, ...]
    schema_version: int = SCHEMA_VERSION

    @property
    def status(self) -> Status:
        """The worst status of all checks; `skipped` ones count only when nothing else was checked."""
        judged = [check.status for check in self.checks if check.status is not Status.SKIPPED]
        return worst(judged or [check.status for check in self.checks])

    def find(self, name: str) -> Check:
        """The check of that name.

        Raises:
            KeyError: there is none.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check {name!r} about {self.subject}")

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` restores equal evidence."""
        return {
            "schema_version": self.schema_version,
            "subject": self.subject,
            "status": str(self.status),
            "checks": [check.to_json() for check in self.checks],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Restore evidence from `to_json`.

        Raises:
            ValueError: the schema version is not one this version reads.
        """
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(
                f"evidence schema {data['schema_version']} is unknown (this version reads {SCHEMA_VERSION}); "
                "read it with the version of assay that wrote it"
            )
        return cls(data["subject"], tuple(Check.from_json(check) for check in data["checks"]))
