"""A rubric as one check: what `assay verify --rubric` prints, and the gate on what this project publishes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.evidence import JSON, Check, Status
from audit.provenance.rubric import Rubric, Statement, evaluate_rubric
from audit.provenance.text import clean_text

NAME = "c2pa.rubric"
_TITLES = {
    Rubric.CONFORMANCE_2_4: "conformance 0.2 / spec 2.4",
    Rubric.CONFORMANCE_2_2: "conformance 0.2 / spec 2.2",
    Rubric.INTEGRITY: "integrity",
    Rubric.SIGNALS: "signals (local)",
}


def check_rubric(crjson: Mapping[str, Any], rubric: Rubric = Rubric.CONFORMANCE_2_4) -> Check:
    """Do all statements of a rubric hold? Of the signals: which are there?

    Args:
        crjson: the manifest store in crJSON; empty when there is none.
        rubric: which one.

    Returns:
        Check `c2pa.rubric`, or `c2pa.rubric.integrity` and the like for another than the default. Pass, fail, or
        skipped without crJSON; its details hold the identifier of every statement that does not hold, with its
        matches. Signals judge nothing: pass when the manifest says how the asset began, else inconclusive.
    """
    rubric = Rubric(rubric)
    name = NAME if rubric is Rubric.CONFORMANCE_2_4 else f"{NAME}.{rubric}"
    source = f'C2PA asset rubric 1.0 "{_TITLES[rubric]}"'
    if not crjson:
        reason = "Without readable Content Credentials there is no rubric to evaluate."
        return Check(name, Status.SKIPPED, reason, source=source)
    statements = evaluate_rubric(crjson, rubric)
    if rubric is Rubric.SIGNALS:
        return _check_signals(statements, name=name, source=source)
    failed = [statement for statement in statements if not statement.passed]
    passed = len(statements) - len(failed)
    details: dict[str, JSON] = {
        statement.id: [clean_text(match) for match in statement.matches] for statement in failed
    }
    reason = f"{passed} of {len(statements)} statements of the C2PA asset rubric hold."
    if failed:
        reason += f" These do not: {', '.join(statement.id for statement in failed)}."
    return Check(
        name,
        Status.FAIL if failed else Status.PASS,
        reason,
        value=float(passed),
        unit="statements",
        threshold=float(len(statements)),
        source=source,
        next_step="Correct the manifest that the publisher writes." if failed else "",
        details=details,
    )


def _check_signals(statements: tuple[Statement, ...], *, name: str, source: str) -> Check:
    found = [statement.id for statement in statements if statement.passed]
    begins = any(identifier.startswith("inception:") for identifier in found)
    reason = (
        f"Signals in the manifest: {', '.join(found)}."
        if found
        else "The manifest gives none of the signals."
    )
    if not begins:
        reason += " None says how the asset began."
    status = Status.PASS if begins else Status.INCONCLUSIVE
    return Check(name, status, reason, source=source, details={"signals": list(found)})
