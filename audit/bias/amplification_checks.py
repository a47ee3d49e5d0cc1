"""The check that says what the generator makes of its training data's shares.

Described, not judged: by what no chance explains over prompts, and by how many of the published kind of verdict an
interval bears out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audit.bias.amplification import BAND, Amplification, AmplificationTable, compare_with_training
from audit.bias.amplification_summary import AmplificationSummary, summarise_amplification
from audit.bias.analysis import Analysis, PromptNumbers
from audit.bias.details import SOURCE, percent, to_list
from audit.bias.intervals import MIN_CLUSTERS
from audit.bias.policy import Policy
from audit.bias.readings import Counts, Readings
from audit.bias.significance import HOLM
from audit.evidence import JSON, Check, Status
from audit.statistics import Bounds, clopper_pearson_bounds
from generator.errors import InputError


def check_amplification(
    analysis: Analysis, training: Mapping[str, Mapping[str, int]], *, policy: Policy, band: float = BAND
) -> Check:
    """Does the generator show prompts' groups less evenly than its training data do?

    Args:
        analysis: of the attribute.
        training: prompt_id -> group -> images of the training data; prompts that are not named are left out.
        policy: level, draws, seed.
        band: difference of shares that counts as the same.

    Raises:
        InputError: a prompt that is not in the run, or groups that differ (named).
    """
    name = f"bias.{analysis.sample.attribute}.amplification"
    readings = analysis.sample.readings
    counts = _training_counts(analysis, training)
    if not (analysis.numbers and analysis.numbers[0].prompts and analysis.sample.has_prompts):
        reason = f"{analysis.obstacle or analysis.contrast.reason} No share is compared."
        return Check(name, Status.INCONCLUSIVE, reason, source=SOURCE)
    rows = np.array([readings.prompt_ids.index(prompt) for prompt in training], dtype=np.int64)
    seen = (readings.determined[rows] > 0) & (counts.sum(axis=1) > 0)
    if not seen.any():
        return Check(name, Status.INCONCLUSIVE, "No prompt has images on both sides.", source=SOURCE)
    rows, counts = rows[seen], counts[seen]
    part = Readings(readings.counts[rows], readings.groups, tuple(readings.prompt_ids[row] for row in rows))
    found = summarise_amplification(
        part, counts, analysis.matrix, level=policy.level, draws=policy.draws // 2,
        rng=np.random.default_rng([policy.seed, len(rows), int(counts.sum())]),
    )  # fmt: skip
    table = _compare_prompts(analysis.numbers[0].prompts[0], rows, counts, level=policy.level, band=band)
    enough = len(rows) >= MIN_CLUSTERS
    return Check(
        name,
        Status.SKIPPED if enough else Status.INCONCLUSIVE,
        _amplification_words(found, table, policy=policy),
        value=found.amplified.observed if enough else None,
        unit="mean share of images farther from equal shares" if enough else "",
        threshold=found.amplified.null_high if enough else None,
        source="audit.bias.amplification",
        next_step="" if enough else f"Count training data for at least {MIN_CLUSTERS} prompts.",
        details=_amplification_details(found, table) | {"prompt_ids": list(part.prompt_ids)},
    )


def _compare_prompts(
    prompts: PromptNumbers, rows: Counts, counts: Counts, *, level: float, band: float
) -> AmplificationTable:
    """Every share, prompt by prompt and in each group by group; of two groups the first, which mirrors the other."""
    k = counts.shape[1]
    told = 1 if k == 2 else k
    totals = counts.sum(axis=1, keepdims=True)
    known = clopper_pearson_bounds(counts[:, :told], totals, level=1 - (1 - level) / told)
    return compare_with_training(
        (counts / totals)[:, :told].ravel(), prompts.shares[rows, :told].ravel(), band=band, equal=1 / k,
        training_bounds=Bounds(low=known.low.ravel(), high=known.high.ravel()),
        generated_bounds=Bounds(
            low=prompts.bounds.low[rows, :told].ravel(), high=prompts.bounds.high[rows, :told].ravel()
        ),
    )  # fmt: skip


def _amplification_words(found: AmplificationSummary, table: AmplificationTable, *, policy: Policy) -> str:
    farther, stand = table.counts()[Amplification.AMPLIFIED]
    singles = (
        f"{farther} of {len(table.published)} shares of single prompts are farther from an equal share than the "
        f"training data; {stand} of them beyond a {percent(policy.level)} interval, not corrected for the number of "
        "prompts."
    )
    if found.n_prompts < MIN_CLUSTERS:
        return f"Fewer than {MIN_CLUSTERS} prompts allow no verdict about amplification. {singles}"
    away, nearer = found.amplified, found.mitigated
    farther_groups, nearer_groups = (
        ", ".join(group for group, said in zip(found.groups, found.verdicts, strict=True) if said is verdict)
        for verdict in (Amplification.AMPLIFIED, Amplification.MITIGATED)
    )
    return (
        f"Over {found.n_prompts} prompts, {percent(away.observed)} of the images moved away from equal shares (at "
        f"its training data's shares a generator shows {percent(away.null_low)} to {percent(away.null_high)}) and "
        f"{percent(nearer.observed)} towards them ({percent(nearer.null_low)} to {percent(nearer.null_high)}). "
        f"Beyond intervals, farther from an equal share: {farther_groups or 'no group'}; nearer: "
        f"{nearer_groups or 'no group'}. {singles}"
    )


def _amplification_details(found: AmplificationSummary, table: AmplificationTable) -> dict[str, JSON]:
    details: dict[str, JSON] = {str(verdict): list(pair) for verdict, pair in table.counts().items()}
    for name, amount in (("moved_away", found.amplified), ("moved_nearer", found.mitigated)):
        details[name] = {
            "observed": round(amount.observed, 6),
            "null": [round(value, 6) for value in (amount.null_low, amount.null_mean, amount.null_high)],
            "p_value": amount.p_value,
        }
    return details | {
        "groups": list(found.groups),
        "group_verdicts": [None if verdict is None else str(verdict) for verdict in found.verdicts],
        "group_changes": to_list(found.changes),
        "group_lows": to_list(found.bounds.low),
        "group_highs": to_list(found.bounds.high),
        "group_p_adjusted": to_list(found.p_adjusted),
        "correction": HOLM,
        "verdicts": [str(verdict) for verdict in table.published],
        "stands": [bool(value) for value in table.stands],
        "changes": to_list(table.change),
        "lows": to_list(table.change_bounds.low),
        "highs": to_list(table.change_bounds.high),
    }


def _training_counts(analysis: Analysis, training: Mapping[str, Mapping[str, int]]) -> Counts:
    readings = analysis.sample.readings
    strangers = sorted(set(training) - set(readings.prompt_ids))
    if strangers or not training:
        raise InputError(
            f"training data of {analysis.sample.attribute!r}: {len(training)} prompts, expected one or more; "
            f"prompts that are not in the run: {strangers[:5]}"
        )
    for prompt, counts in training.items():
        if set(counts) != set(readings.groups):
            raise InputError(
                f"training data of {prompt!r}: groups {sorted(counts)}, expected {sorted(readings.groups)}"
            )
    return np.array(
        [[counts[group] for group in readings.groups] for counts in training.values()], dtype=np.int64
    )
