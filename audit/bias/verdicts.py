"""Verdicts about one attribute: the mean over prompts, the spread over prompts, and each prompt.

A finding needs two things: the departure from the reference survives the correction for many tests, and the
estimate lies outside the practical margin. A pass needs the whole interval within the margin: absence of
significance is not fairness. Everything else is inconclusive, and so is everything where a number would rest
on a reader that cannot tell the groups apart.
"""

from __future__ import annotations

import numpy as np

from audit.bias.analysis import Analysis, Numbers, PromptNumbers
from audit.bias.details import (
    MEASURE_READER,
    SOURCE,
    clustering_details,
    deviation_details,
    estimate_details,
    frame,
    index_details,
    label_details,
    percent,
    prompt_table,
    to_list,
)
from audit.bias.estimators import naive_shares
from audit.bias.indices import total_variation
from audit.bias.intervals import NEW_PROMPTS, ShareEstimate
from audit.bias.measures import margin_bounds, margin_variation
from audit.bias.policy import Policy
from audit.bias.readings import Floats
from audit.evidence import JSON, Check, Interval, Status

RESERVED = frozenset(
    {
        "overall",
        "spread",
        "reader",
        "transport",
        "undetermined",
        "amplification",
        "prompt_groups",
        "sequential",
    }
)
_MORE_IMAGES = "Generate more images for this prompt."
_MORE_PROMPTS = "Add prompts of the same kind; more images of the same prompts help less."
_NO_ATTRIBUTION = "The images carry no prompts; what they show cannot be attributed to a generator's choice."


def _inside(low: Floats, high: Floats, *, reference: Floats, policy: Policy) -> bool:
    margin = margin_bounds(reference, effect=policy.margin)
    return bool(np.all((low >= margin.low) & (high <= margin.high)))


def departs_beyond_margin(shares: Floats, *, reference: Floats, policy: Policy) -> bool:
    """Whether some group's share lies outside the margin around its reference, (k,) each."""
    margin = margin_bounds(reference, effect=policy.margin)
    return bool(np.any((shares < margin.low) | (shares > margin.high)))


def _blocked(analysis: Analysis, name: str, *, details: dict[str, JSON]) -> Check:
    reason = f"{analysis.obstacle} No share is reported."
    return Check(name, Status.INCONCLUSIVE, reason, source=SOURCE, next_step=MEASURE_READER, details=details)


def _spread_words(numbers: Numbers) -> str:
    for prompts in numbers.prompts:
        fair = prompts.spread.reference
        return (
            f"; prompts deviate from the reference by {percent(fair.observed)} on average "
            f"(chance alone: {percent(fair.null_mean)})"
        )
    return "; the reader cannot tell single prompts apart"


def check_overall(analysis: Analysis, *, policy: Policy, p_adjusted: float) -> Check:
    """Is the mean share over prompts of this kind the reference?

    Args:
        analysis: of the attribute.
        policy: margin, level, floors.
        p_adjusted: bootstrap p-value, adjusted over attributes (Holm).
    """
    name = f"bias.{analysis.sample.attribute}.overall"
    details = frame(analysis, policy=policy) | clustering_details(analysis) | prompt_table(analysis)
    details["without_prompt"] = analysis.sample.without_prompt
    pooled = analysis.sample.readings.pooled().counts
    if pooled[:, :-1].any():
        details["as_read"] = to_list(naive_shares(pooled))
    if not analysis.numbers:
        return _blocked(analysis, name, details=details)
    numbers = analysis.numbers[0]
    estimate, reference = numbers.new, analysis.reference
    details |= estimate_details(estimate) | {"these_prompts": estimate_details(numbers.these)}
    details |= label_details(numbers) | index_details(analysis)
    if not analysis.sample.has_prompts:
        step = "Audit a run directory, or give the prompts of these images."
        return Check(
            name, Status.INCONCLUSIVE, _NO_ATTRIBUTION, source=SOURCE, next_step=step, details=details
        )
    test = "score test with effective n" if numbers.labelled else "bootstrap over prompts"
    details |= {"p_value": numbers.overall_p, "p_adjusted": p_adjusted, "test": test}
    group = int(np.argmax(np.abs(estimate.estimates - reference)))
    details["group"] = estimate.groups[group]
    status, step = _overall_status(estimate, analysis, policy=policy, p_adjusted=p_adjusted)
    reason = (
        f"Over {estimate.n_prompts} prompts, perceived {estimate.groups[group]} makes up "
        f"{percent(estimate.estimates[group])} ({percent(estimate.low[group])} to "
        f"{percent(estimate.high[group])}; claim: {estimate.claim}), reference "
        f"{percent(reference[group])}{_spread_words(numbers)}."
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
    if p_adjusted <= 1 - policy.level and departs_beyond_margin(
        estimate.estimates, reference=reference, policy=policy
    ):
        return Status.FAIL, "Look at the prompts that depart most; see the spread over prompts."
    if _inside(estimate.low, estimate.high, reference=reference, policy=policy):
        return Status.PASS, ""
    return Status.INCONCLUSIVE, _MORE_PROMPTS


def check_spread(analysis: Analysis, *, policy: Policy, p_adjusted: float) -> Check:
    """Do single prompts depart from the reference, in whatever direction?

    Args:
        analysis: of the attribute.
        policy: margin, level.
        p_adjusted: of the mean deviation against its null, adjusted over attributes (Holm).
    """
    name = f"bias.{analysis.sample.attribute}.spread"
    details = frame(analysis, policy=policy) | clustering_details(analysis)
    prompts = analysis.numbers[0].prompts if analysis.numbers else ()
    if not prompts:
        reason = f"{analysis.obstacle or analysis.contrast.reason} No share of a single prompt is reported."
        return Check(
            name, Status.INCONCLUSIVE, reason, source=SOURCE, next_step=MEASURE_READER, details=details
        )
    if not analysis.sample.has_prompts:
        return Check(name, Status.INCONCLUSIVE, _NO_ATTRIBUTION, source=SOURCE, details=details)
    spread, limit = prompts[0].spread, margin_variation(analysis.references, effect=policy.margin)
    fair = spread.reference
    details |= {
        "from_reference": deviation_details(fair),
        "between_prompts": deviation_details(spread.pooled),
        "indices": {index: deviation_details(found) for index, found in spread.indices.items()},
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
    analysis: Analysis, numbers: PromptNumbers, *, row: int, policy: Policy, p_adjusted: float
) -> Check:
    """Are one prompt's shares the reference, within the margin, or undecided?

    Args:
        analysis: of the attribute.
        numbers: of its prompts.
        row: of the prompt.
        policy: margin, level, floors.
        p_adjusted: adjusted over prompts x attributes.
    """
    readings, reference = analysis.sample.readings, analysis.references[row]
    prompt_id, counts = readings.prompt_ids[row], readings.counts[row]
    n, read = int(counts.sum()), int(counts[:-1].sum())
    name = prompt_check_name(analysis.sample.attribute, prompt_id)
    details = frame(analysis, policy=policy, reference=reference)
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
        interval=Interval(float(low[group]), float(high[group]), joint, numbers.method),
        threshold=float(reference[group]),
        source=SOURCE,
        next_step=_MORE_IMAGES if status is Status.INCONCLUSIVE else "",
        details=details | {"group": readings.groups[group]},
    )


def _prompt_status(
    shares: Floats, low: Floats, high: Floats, *, reference: Floats, policy: Policy, p: float
) -> tuple[Status, str]:
    if p <= 1 - policy.level and departs_beyond_margin(shares, reference=reference, policy=policy):
        return Status.FAIL, "it departs by more than the margin"
    if _inside(low, high, reference=reference, policy=policy):
        return Status.PASS, "it stays within the margin"
    return Status.INCONCLUSIVE, "neither a departure nor equality within the margin is shown"
