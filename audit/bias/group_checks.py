"""Groups of prompts (science, care ...): between single prompts and the overall mean, described with intervals.

Not judged: how prompts are grouped is the user's choice, and whoever groups by what was found finds something.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audit.bias.analysis import Analysis
from audit.bias.details import SOURCE, percent, to_list
from audit.bias.indices import total_variation
from audit.bias.intervals import MIN_CLUSTERS, NEW_PROMPTS, THESE_PROMPTS, estimate_shares
from audit.bias.policy import Policy
from audit.bias.readings import Counts, Readings
from audit.evidence import JSON, Check, Status


def check_prompt_groups(analysis: Analysis, group_of: Mapping[str, str], *, policy: Policy) -> Check:
    """Mean share and mean deviation of every group of prompts.

    Args:
        analysis: of the attribute.
        group_of: prompt_id -> name of its group; prompts that are not named belong to none.
        policy: level, draws, seed.
    """
    name = f"bias.{analysis.sample.attribute}.prompt_groups"
    readings, numbers = analysis.sample.readings, analysis.numbers
    if not numbers or not numbers[0].prompts:
        reason = (
            f"{analysis.obstacle or analysis.contrast.reason} No share of a group of prompts is reported."
        )
        return Check(name, Status.INCONCLUSIVE, reason, source=SOURCE)
    rows: dict[str, list[int]] = {}
    for row, prompt_id in enumerate(readings.prompt_ids):
        if prompt_id in group_of and readings.determined[row]:
            rows.setdefault(group_of[prompt_id], []).append(row)
    described: dict[str, JSON] = {}
    words = []
    for group, mine in sorted(rows.items()):
        share, described[group] = _describe(analysis, np.array(mine), policy=policy)
        words.append(f"{group} {percent(share)}")
    if not described:
        return Check(name, Status.INCONCLUSIVE, "No prompt with a reading belongs to a group.", source=SOURCE)
    reason = (
        f"Perceived {readings.groups[0]} by group of prompts: {', '.join(words)}. "
        "Groups of prompts are described, not judged."
    )
    details: dict[str, JSON] = {"groups": list(readings.groups), "by_group": described}
    return Check(name, Status.SKIPPED, reason, source=SOURCE, details=details)


def _describe(analysis: Analysis, rows: Counts, *, policy: Policy) -> tuple[float, dict[str, JSON]]:
    """Share of the first group, and everything about these prompts (P',)."""
    readings, prompts = analysis.sample.readings, analysis.numbers[0].prompts[0]
    part = Readings(readings.counts[rows], readings.groups, tuple(readings.prompt_ids[row] for row in rows))
    claim = NEW_PROMPTS if len(rows) >= MIN_CLUSTERS else THESE_PROMPTS
    rng = np.random.default_rng([policy.seed, len(rows), int(rows[0])])
    found = estimate_shares(
        part, analysis.matrix, claim=claim, level=policy.level, draws=policy.draws, rng=rng
    )
    gaps = total_variation(prompts.shares[rows], analysis.references[rows])
    return float(found.estimates[0]), {
        "estimates": to_list(found.estimates),
        "lows": to_list(found.low),
        "highs": to_list(found.high),
        "claim": claim,
        "reference": to_list(analysis.references[rows].mean(axis=0)),
        "mean_gap": round(float(gaps.mean()), 6),
        "largest_gap": round(float(gaps.max()), 6),
        "n_prompts": len(rows),
        "n_images": found.n_images,
    }
