"""What a recovered manifest says, as checks of their own beside those of the file itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from audit.evidence import JSON, Check, Status
from audit.provenance import checks_credentials as credentials
from audit.provenance.channels import find_channels
from audit.provenance.layers import Layers
from audit.provenance.recovery import Recovery, RecoveryState
from audit.provenance.text import clean_text

_STATUS = {
    RecoveryState.RECOVERED: Status.PASS,
    RecoveryState.SAME_BYTES: Status.PASS,
    RecoveryState.UNDECODABLE: Status.SKIPPED,
    RecoveryState.UNREACHABLE: Status.ERROR,
}
_NEXT_STEP = {
    RecoveryState.DIFFERS: "Look at both pictures; a watermark can be copied onto another picture.",
    RecoveryState.NOT_COMPARED: "Compare the picture with the published one by eye before you rely on the manifest.",
    RecoveryState.AMBIGUOUS: "Ask the publisher which of these manifests belongs to the picture.",
    RecoveryState.CONTRADICTS: "Tell whoever runs the ledger or server: its entry is wrong.",
    RecoveryState.DAMAGED: "Restore the ledger from a copy, or ask the publisher for the manifest.",
    RecoveryState.NOT_FOUND: "Name the publisher's ledger or resolution server.",
    RecoveryState.UNREACHABLE: "Try again, or name another source.",
}
_FOUND = (RecoveryState.RECOVERED, RecoveryState.SAME_BYTES)


def check_recovery(recovery: Recovery, layers: Layers) -> tuple[Check, ...]:
    """`recovered`, and for a manifest that was found also `recovered.signature`, `recovered.trust`, `recovered.time`.

    Args:
        recovery: of the file.
        layers: of the same file, for what the reader trusts.

    Returns:
        The first check's value is a `RecoveryState`; a recovery passes although bytes differ, which its reason says.
    """
    comparison = recovery.comparison
    details: dict[str, JSON] = {
        "found_by": recovery.found_by,
        "source": clean_text(recovery.source, limit=300),
        "manifest_id": clean_text(recovery.manifest_id),
        "candidates": [clean_text(name) for name in recovery.manifest_ids],
        "similarity": None if comparison is None else round(comparison.similarity, 4),
        "shown_part": None if comparison is None else round(comparison.part, 4),
    }
    first = Check(
        "recovered",
        _STATUS.get(recovery.state, Status.INCONCLUSIVE),
        clean_text(recovery.reason, limit=600),
        value=str(recovery.state),
        source="C2PA 2.4, soft binding resolution; audit.provenance.recovery",
        next_step=_NEXT_STEP.get(recovery.state, ""),
        details=details,
    )
    if recovery.state not in _FOUND or recovery.report is None:
        return (first,)
    found = dataclasses.replace(
        layers,
        manifests=recovery.report,
        claims=recovery.claims,
        channels=find_channels(recovery.manifest),
    )
    parts: dict[str, Callable[[Layers], Check]] = {
        "signature": credentials.check_signature,
        "trust": credentials.check_trust,
        "time": credentials.check_time,
    }
    return (
        first,
        *(dataclasses.replace(check(found), name=f"recovered.{part}") for part, check in parts.items()),
    )
