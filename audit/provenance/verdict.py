"""Judge one file: from what its layers say to separate checks, and from those to one word.

Pure: no file, no clock, no network.
"""

from __future__ import annotations

from audit.evidence import JSON, Check, Evidence, Status
from audit.provenance import checks_credentials as credentials
from audit.provenance import checks_marks as marks
from audit.provenance.layers import Layers
from audit.provenance.rubric import evaluate_rubric
from audit.provenance.text import clean_text
from audit.provenance.words import choose_row

VERDICT = "verdict"
RUBRIC = "c2pa.rubric"


def judge(layers: Layers, *, with_rubric: bool = False) -> Evidence:
    """Evidence about one file; its first check, `verdict`, holds the overall word as value.

    Args:
        layers: what each layer of the file says.
        with_rubric: also ask whether the manifest keeps the rules of the conformance programme. That is a demand on
            who writes manifests, and says nothing about authenticity; it changes the status, never the word.
    """
    checks = [
        credentials.check_integrity(layers),
        credentials.check_signature(layers),
        credentials.check_trust(layers),
        credentials.check_time(layers),
        credentials.check_chain(layers),
        *credentials.check_identity(layers),
        marks.check_watermark(layers),
        marks.check_aigc(layers),
        marks.check_iptc(layers),
        marks.check_ledger(layers),
        marks.check_agreement(layers),
    ]
    row = choose_row({check.name: str(check.value) for check in checks})
    if with_rubric:
        checks.append(check_rubric(layers))
    status = Evidence(layers.subject, tuple(checks)).status
    verdict = Check(VERDICT, status, row.meaning, value=row.word, source="audit.provenance.words")
    return Evidence(clean_text(layers.subject, limit=255), (verdict, *checks))


def check_rubric(layers: Layers) -> Check:
    """How many of the 31 statements of the official asset rubric hold? All of them pass; skipped without crJSON."""
    source = 'C2PA asset rubric "conformance 0.2 / spec 2.4"'
    if not layers.manifests.crjson:
        reason = "Without readable Content Credentials there is no rubric to evaluate."
        return Check(RUBRIC, Status.SKIPPED, reason, source=source)
    statements = evaluate_rubric(layers.manifests.crjson)
    failed = [statement for statement in statements if not statement.passed]
    passed = len(statements) - len(failed)
    details: dict[str, JSON] = {
        statement.id: [clean_text(match) for match in statement.matches] for statement in failed
    }
    status = Status.FAIL if failed else Status.PASS
    reason = f"{passed} of {len(statements)} statements of the C2PA asset rubric hold."
    if failed:
        reason += f" These do not: {', '.join(statement.id.partition(':')[2] for statement in failed)}."
    return Check(
        RUBRIC,
        status,
        reason,
        value=float(passed),
        unit="statements",
        threshold=float(len(statements)),
        source=source,
        next_step="Correct the manifest that the publisher writes." if failed else "",
        details=details,
    )
