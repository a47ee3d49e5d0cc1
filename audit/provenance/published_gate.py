"""The gate on every image that this project publishes: it is read back, and keeps every statement of the rubric."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from audit.evidence import Check, Status
from audit.provenance.codes import names
from audit.provenance.read import ManifestState, read_manifests
from audit.provenance.rubric_gate import check_rubric
from audit.provenance.text import clean_text
from audit.provenance.trust import TrustLists


def check_published(path: Path) -> Check:
    """Do the credentials of a file that was just written hold, and all statements of the C2PA asset rubric?

    Whom a reader trusts plays no part.

    Args:
        path: of the file.

    Returns:
        Check `c2pa.rubric` as `check_rubric` gives it; fail when the credentials themselves do not hold.
    """
    report = read_manifests(path, TrustLists())
    check = check_rubric(report.crjson)
    if report.is_present and report.state is not ManifestState.INVALID:
        return check
    said = ", ".join(names(report.codes.failure)) or report.reason
    reason = f"What was written does not verify ({clean_text(said, limit=200)})."
    step = "Keep the file and report this: it must not happen."
    return dataclasses.replace(check, status=Status.FAIL, reason=reason, next_step=step)
