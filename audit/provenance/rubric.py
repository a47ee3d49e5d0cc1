"""The official C2PA asset rubrics, evaluated by us over crJSON.

A statement is an official identifier with its answer for the active manifest: it holds, or it does not and these are
the matches. Pure.

Source: C2PA asset rubrics 1.0 (2026-08-06).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit.provenance.rubric_conformance import WARNS_ONLY, conformance_statements
from audit.provenance.rubric_reading import Manifest, as_objects
from audit.provenance.rubric_signals import INTEGRITY, SIGNALS


class Rubric(StrEnum):
    """Which rubric: conformance 0.2 for a specification, integrity, or signals."""

    CONFORMANCE_2_4 = "conformance-2.4"
    CONFORMANCE_2_2 = "conformance-2.2"
    INTEGRITY = "integrity"
    SIGNALS = "signals"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a rubric, evaluated.

    Attributes:
        id: official identifier, e.g. "validation:mandatory_spec_version".
        passed: True when the statement holds: nothing was found wrong, or it only warns; of a signal: it is there.
        matches: what was found wrong (or, for a statement that only warns, discouraged); from the file.
    """

    id: str
    passed: bool
    matches: tuple[str, ...] = ()


_FINDING_WRONG = {
    Rubric.CONFORMANCE_2_4: conformance_statements("2.4"),
    Rubric.CONFORMANCE_2_2: conformance_statements("2.2"),
    Rubric.INTEGRITY: INTEGRITY,
}
STATEMENT_IDS = {
    **{rubric: tuple(name for name, _ in statements) for rubric, statements in _FINDING_WRONG.items()},
    Rubric.SIGNALS: tuple(name for name, _ in SIGNALS),
}
"""Rubric -> identifiers of its statements, in order."""

IDS = STATEMENT_IDS[Rubric.CONFORMANCE_2_4]
"""Identifiers of the rubric that is asked by default."""

_MAX_MATCHES = 20  # kept of one statement


def evaluate_rubric(
    crjson: Mapping[str, Any], rubric: Rubric = Rubric.CONFORMANCE_2_4
) -> tuple[Statement, ...]:
    """Evaluate every statement of a rubric over a manifest store in crJSON.

    Args:
        crjson: as the C2PA engine gives it; its first manifest is the active one. An empty store fails the statements
            that ask for something to be there.
        rubric: which one, or its value as a word.

    Returns:
        One statement for each identifier of `STATEMENT_IDS[rubric]`, in that order.
    """
    rubric = Rubric(rubric)
    manifests = as_objects(crjson.get("manifests"))
    manifest: Manifest = manifests[0] if manifests else {}
    if rubric is Rubric.SIGNALS:
        return tuple(Statement(name, is_there(manifest)) for name, is_there in SIGNALS)
    results = []
    for name, find_wrong in _FINDING_WRONG[rubric]:
        matches = tuple(find_wrong(manifest))
        results.append(Statement(name, not matches or name in WARNS_ONLY, matches[:_MAX_MATCHES]))
    return tuple(results)
