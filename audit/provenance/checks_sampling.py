"""The check of the mark that sampling left: which issued seed made the picture."""

from __future__ import annotations

import math

from audit.evidence import Check, Status
from generator.marking.watermark.interface import ALPHA
from generator.sampling_keys import SamplingDetection

SAMPLING = "watermark.sampling"


def judge_sampling(
    found: SamplingDetection, *, level: float = ALPHA, absent: Status = Status.INCONCLUSIVE
) -> Check:
    """Whether a seed is named.

    Args:
        found: what the mark says.
        level: that the decision was held to.
        absent: status when no seed is named.
    """
    return Check(
        name=SAMPLING,
        status=Status.PASS if found.found else absent,
        reason=found.reason,
        value=found.log10_p,
        unit="log10 p",
        threshold=math.log10(level),
        source="generator.sampling_mark",
        next_step="" if found.found else "Undo a crop or rotation that the watermark does not tell.",
        details={
            "scheme": found.scheme,
            "key_id": found.key_id,
            "seed": None if found.seed is None else str(found.seed),
            "tried": found.tried,
            "public_key": found.is_public,
            "log10_p_as_is": found.as_is,
            "undone": found.undone or None,
        },
    )
