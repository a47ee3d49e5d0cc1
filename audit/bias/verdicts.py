"""Verdicts about one attribute: the mean over prompts, the spread over prompts, and each prompt.

A finding needs two things: the departure from the reference survives the correction for many tests, and the
estimate lies outside the practical margin. A pass needs the whole interval within the margin: absence of
significance is not fairness. Everything else is inconclusive, and so is everything where a number would rest
on a reader that cannot tell the groups apart.
"""

from __future__ import annotations

import numpy as np

from audit.bias.analysis import Analysis, Numbers
from audit.bias.estimators import naive_shares
from audit.bias.intervals import NEW_PROMPTS, ShareEstimate
from audit.bias.measures import Deviation, margin_bounds, margin_variation, total_variation
from audit.bias.policy import Policy
from audit.bias.readings import Floats
from audit.evidence import JSON, Check, Interval, Status

SOURCE = "audit.bias"
RESERVED = frozenset({"overall", "spread", "reader", "undetermined"})
_MORE_IMAGES = "Generate more images for this prompt."
_MORE_PROMPTS = "Add prompts of the same kind; more images of the same prompts help less."
MEASURE_READER = "Measure the reader's errors on labelled images like these, or use a better reader."
_NO_ATTRIBUTION = "The images carry no prompts; what they show cannot be attributed to a generator's choice."


def to_list(values: Floats) -> list[JSON]:
    """Values as JSON numbers, flat, 6 decimals."""
    return [round(float(value), 6) for value in np.ravel(values)]


def _rows(values: Floats) -> list[JSON]:
    return [to_list(row) for row in values]


def percent(share: float) -> str:
    """A share in words, whole percent."""
    return f"{100 * share:.0f} %"


def _inside(low: Floats, high: Floats, *, reference: Floats, policy: Policy) -> bool:
    margin = margin_bounds(reference, effect=policy.margin)
    return bool(np.all((low >= margin.low) & (high <= margin.high)))


def _outside(shares: Floats, *, reference: Floats, policy: Policy) -> bool:
    margin = margin_bounds(reference, effect=policy.margin)
    return bool(np.any((shares < margin.low) | (shares > margin.high)))


def _frame(analysis: Analysis, *, policy: Policy) -> dict[str, JSON]:
    margin = margin_bounds(analysis.reference, effect=policy.margin)
    return {
        "groups": list(analysis.sample.readings.groups),
        "reference": to_list(analysis.reference),
        "margin_low": to_list(margin.low),
        "margin_high": to_list(margin.high),
    }


def _estimate_details(estimate: ShareEstimate) -> dict[str, JSON]:
    return {
        "claim": estimate.claim,
        "estimates": to_list(estimate.estimates),
        "lows": to_list(estimate.low),
        "highs": to_list(estimate.high),
        "method": estimate.method,
        "n_prompts": estimate.n_prompts,
        "n_images": estimate.n_images,
    }


def _clustering_details(analysis: Analysis) -> dict[str, JSON]:
    found = analysis.clustering
    icc = round(found.icc, 4) if found.identified else None
    effect = round(found.design_effect, 3) if found.identified else None
    effective = round(found.effective_n, 1) if found.identified else None
    return {"icc": icc, "design_effect": effect, "effective_n": effective, "n_images": found.n_images}


def _prompt_table(analysis: Analysis) -> dict[str, JSON]:
    readings = analysis.sample.readings
    table: dict[str, JSON] = {
        "prompt_ids": list(readings.prompt_ids),
        "prompt_n": [int(n) for n in readings.n_images],
        "prompt_undetermined": [int(n) for n in readings.counts[:, -1]],
        "prompt_unread": [int(n) for n in analysis.sample.unread],
        "prompt_worst_low": _rows(analysis.worst.low),
        "prompt_worst_high": _rows(analysis.worst.high),
    }
    for numbers in analysis.numbers:
        seen = readings.determined > 0
        table["prompt_estimates"] = [
            to_list(row) if known else None for row, known in zip(numbers.shares, seen, strict=True)
        ]
        table["prompt_lows"], table["prompt_highs"] = _rows(numbers.bounds.low), _rows(numbers.bounds.high)
    return table


def _blocked(analysis: Analysis, name: str, *, details: dict[str, JSON]) -> Check:
    reason = f"{analysis.obstacle} No share is reported."
    return Check(name, Status.INCONCLUSIVE, reason, source=SOURCE, next_step=MEASURE_READER, details=details)


def _spread_words(deviation: Deviation) -> str:
    return (
        f"prompts deviate from the reference by {percent(deviation.observed)} on average "
        f"(chance alone: {percent(deviation.null_mean)})"
    )


def check_overall(analysis: Analysis, *, policy: Policy, p_adjusted: float) -> Check:
    """Is the mean share over prompts of this kind the reference?

    Args:
        analysis: of the attribute.
        policy: margin, level, floors.
        p_adjusted: bootstrap p-value, adjusted over attributes (Holm).
    """
    name = f"bias.{analysis.sample.attribute}.overall"
    details = _frame(analysis, policy=policy) | _clustering_details(analysis) | _prompt_table(analysis)
    details["without_prompt"] = analysis.sample.without_prompt
    pooled = analysis.sample.readings.pooled().counts
    if pooled[:, :-1].any():
        details["as_read"] = to_list(naive_shares(pooled))
    if not analysis.numbers:
        return _blocked(analysis, name, details=details)
    numbers = analysis.numbers[0]
    estimate, reference = numbers.new, analysis.reference
    details |= _estimate_details(estimate) | {"these_prompts": _estimate_details(numbers.these)}
    if not analysis.sample.has_prompts:
        step = "Audit a run directory, or give the prompts of these images."
        return Check(
            name, Status.INCONCLUSIVE, _NO_ATTRIBUTION, source=SOURCE, next_step=step, details=details
        )
    details |= {"p_value": numbers.overall_p, "p_adjusted": p_adjusted, "test": "bootstrap over prompts"}
    group = int(np.argmax(np.abs(estimate.estimates - reference)))
    details["group"] = estimate.groups[group]
    status, step = _overall_status(estimate, analysis, policy=policy, p_adjusted=p_adjusted)
    reason = (
        f"Over {estimate.n_prompts} prompts, perceived {estimate.groups[group]} makes up "
        f"{percent(estimate.estimates[group])} ({percent(estimate.low[group])} to "
        f"{percent(estimate.high[group])}; claim: {estimate.claim}), reference "
        f"{percent(reference[group])}; {_spread_words(numbers.spread.reference)}."
    )
    if status is Status.INCONCLUSIVE and estimate.n_prompts < policy.min_prompts:
        reason += f" Fewer than {policy.min_prompts} prompts allow no verdict about prompts of this kind."
    return Check(
        name,
        status,
        reason,
        value=float(estimate.estimates[group]),
        unit="share",
        interval=Interval(
            float(estimate.low[group]), float(estimate.high[group]), estimate.level, estimate.method
        ),
        threshold=float(reference[group]),
        source=SOURCE,
        next_step=step,
        details=details,
    )


def _overall_status(
    estimate: ShareEstimate, analysis: Analysis, *, policy: Policy, p_adjusted: float
) -> tuple[Status, str]:
    reference = analysis.reference
    if estimate.n_prompts < policy.min_prompts or estimate.claim != NEW_PROMPTS:
        return Status.INCONCLUSIVE, _MORE_PROMPTS
    if p_adjusted <= 1 - policy.level and _outside(estimate.estimates, reference=reference, policy=policy):
        return Status.FAIL, "Look at the prompts that depart most; see the spread over prompts."
    if _inside(estimate.low, estimate.high, reference=reference, policy=policy):
        return Status.PASS, ""
    return Status.INCONCLUSIVE, _MORE_PROMPTS


def _deviation_details(deviation: Deviation) -> dict[str, JSON]:
    return {
        "observed": round(deviation.observed, 6),
        "null_mean": round(deviation.null_mean, 6),
        "null_low": round(deviation.null_low, 6),
        "null_high": round(deviation.null_high, 6),
        "excess": round(deviation.excess, 6),
        "worst": round(deviation.worst, 6),
        "p_value": deviation.p_value,
    }


def check_spread(analysis: Analysis, *, policy: Policy, p_adjusted: float) -> Check:
    """Do single prompts depart from the reference, in whatever direction?

    Args:
        analysis: of the attribute.
        policy: margin, level.
        p_adjusted: of the mean deviation against its null, adjusted over attributes (Holm).
    """
    name = f"bias.{analysis.sample.attribute}.spread"
    details = _frame(analysis, policy=policy) | _clustering_details(analysis)
    if not analysis.numbers:
        return _blocked(analysis, name, details=details)
    if not analysis.sample.has_prompts:
        return Check(name, Status.INCONCLUSIVE, _NO_ATTRIBUTION, source=SOURCE, details=details)
    spread, limit = analysis.numbers[0].spread, margin_variation(analysis.reference, effect=policy.margin)
    fair = spread.reference
    details |= {
        "from_reference": _deviation_details(fair),
        "between_prompts": _deviation_details(spread.pooled),
        "largest_gap": round(spread.largest_gap, 6),
        "largest_prompt": spread.largest_prompt,
        "upper_bound": round(spread.bound, 6) if spread.bounded else None,
        "margin": round(limit, 6),
        "p_adjusted": p_adjusted,
        "level": policy.level,
    }
    enough = len(analysis.sample.readings.rates) >= policy.min_prompts
    status, step = Status.INCONCLUSIVE, "Generate more images for each prompt."
    if p_adjusted <= 1 - policy.level and fair.excess > limit:
        status, step = Status.FAIL, "Look at the prompts that depart most."
    elif spread.bounded and enough and spread.bound <= limit:
        status, step = Status.PASS, ""
    reason = (
        f"Shares of single prompts deviate from the reference by {percent(fair.observed)} on average; a "
        f"generator at the reference shows {percent(fair.null_low)} to {percent(fair.null_high)} at these "
        f"numbers of images. Largest: {percent(spread.largest_gap)} for {spread.largest_prompt!r}."
    )
    return Check(
        name,
        status,
        reason,
        value=fair.observed,
        unit="mean total variation",
        threshold=fair.null_high,
        source=SOURCE,
        next_step=step,
        details=details,
    )


def prompt_check_name(attribute: str, prompt_id: str) -> str:
    """Name of a prompt's check; a prompt called like another check of the attribute gets a prefix."""
    return f"bias.{attribute}.{'prompt-' if prompt_id in RESERVED else ''}{prompt_id}"


def check_prompt(
    analysis: Analysis, numbers: Numbers, *, row: int, policy: Policy, p_adjusted: float
) -> Check:
    """Are one prompt's shares the reference, within the margin, or undecided?

    Args:
        analysis: of the attribute.
        numbers: of the analysis.
        row: of the prompt.
        policy: margin, level, floors.
        p_adjusted: adjusted over prompts x attributes.
    """
    readings, reference = analysis.sample.readings, analysis.reference
    prompt_id, counts = readings.prompt_ids[row], readings.counts[row]
    n, read = int(counts.sum()), int(counts[:-1].sum())
    name = prompt_check_name(analysis.sample.attribute, prompt_id)
    details = _frame(analysis, policy=policy)
    details |= {
        "prompt_id": prompt_id,
        "prompt": analysis.sample.texts.get(prompt_id, ""),
        "n": n,
        "counts": [int(count) for count in counts],
        "undetermined": int(counts[-1]),
        "unread": int(analysis.sample.unread[row]),
        "worst_lows": to_list(analysis.worst.low[row]),
        "worst_highs": to_list(analysis.worst.high[row]),
    }
    if read == 0:
        reason = "No image of this prompt could be read." if n == 0 else "Every reading is undetermined."
        return Check(
            name, Status.INCONCLUSIVE, reason, source=SOURCE, next_step=_MORE_IMAGES, details=details
        )
    shares, low, high = numbers.shares[row], numbers.bounds.low[row], numbers.bounds.high[row]
    details |= {
        "as_read": to_list(naive_shares(counts[None])),
        "estimates": to_list(shares),
        "lows": to_list(low),
        "highs": to_list(high),
        "gap": round(float(total_variation(shares, reference)), 6),
        "p_value": float(numbers.p_values[row]),
        "p_adjusted": p_adjusted,
        "correction": policy.correction,
    }
    status, words = _prompt_status(shares, low, high, reference=reference, policy=policy, p=p_adjusted)
    if read < policy.min_images:
        status, words = Status.INCONCLUSIVE, f"fewer than {policy.min_images} images were read"
    group = int(np.argmax(np.abs(shares - reference)))
    reason = (
        f"Perceived {readings.groups[group]} makes up {percent(shares[group])} ({percent(low[group])} to "
        f"{percent(high[group])}) of what this prompt shows, reference {percent(reference[group])}: {words}."
    )
    joint = policy.level if len(reference) == 2 else 1 - (1 - policy.level) / len(reference)
    return Check(
        name,
        status,
        reason,
        value=float(shares[group]),
        unit="share",
        interval=Interval(float(low[group]), float(high[group]), joint, "melded Clopper-Pearson"),
        threshold=float(reference[group]),
        source=SOURCE,
        next_step=_MORE_IMAGES if status is Status.INCONCLUSIVE else "",
        details=details | {"group": readings.groups[group]},
    )


def _prompt_status(
    shares: Floats, low: Floats, high: Floats, *, reference: Floats, policy: Policy, p: float
) -> tuple[Status, str]:
    if p <= 1 - policy.level and _outside(shares, reference=reference, policy=policy):
        return Status.FAIL, "it departs by more than the margin"
    if _inside(low, high, reference=reference, policy=policy):
        return Status.PASS, "it stays within the margin"
    return Status.INCONCLUSIVE, "neither a departure nor equality within the margin is shown"
