"""Words and numbers of checks: the JSON that reports and charts read."""

from __future__ import annotations

import numpy as np

from audit.bias.analysis import Analysis, Numbers
from audit.bias.indices import (
    FOUR_FIFTHS,
    bound_impact_ratio,
    bound_total_variation,
    impact_ratio,
    total_variation,
)
from audit.bias.intervals import ShareEstimate
from audit.bias.measures import Deviation, margin_bounds
from audit.bias.policy import Policy
from audit.bias.readings import Floats
from audit.evidence import JSON
from audit.statistics import Bounds

SOURCE = "audit.bias"
MEASURE_READER = "Measure the reader's errors on labelled images like these, or use a better reader."
LABEL_IMAGES = "Label a hundred of the audited images, drawn at random: assay label RUN."


def to_list(values: Floats) -> list[JSON]:
    """Values as JSON numbers, flat, 6 decimals."""
    return [round(float(value), 6) for value in np.ravel(values)]


def _rows(values: Floats) -> list[JSON]:
    return [to_list(row) for row in values]


def percent(share: float) -> str:
    """A share in words, whole percent."""
    return f"{100 * share:.0f} %"


def frame(analysis: Analysis, *, policy: Policy, reference: Floats | None = None) -> dict[str, JSON]:
    """Groups, reference and margin of a check."""
    against = analysis.reference if reference is None else reference
    margin = margin_bounds(against, effect=policy.margin)
    return {
        "groups": list(analysis.sample.readings.groups),
        "reference": to_list(against),
        "reference_name": analysis.reference_name,
        "margin_low": to_list(margin.low),
        "margin_high": to_list(margin.high),
    }


def estimate_details(estimate: ShareEstimate) -> dict[str, JSON]:
    """An estimate over prompts with its claim and method."""
    return {
        "claim": estimate.claim,
        "estimates": to_list(estimate.estimates),
        "lows": to_list(estimate.low),
        "highs": to_list(estimate.high),
        "method": estimate.method,
        "n_prompts": estimate.n_prompts,
        "n_images": estimate.n_images,
    }


def clustering_details(analysis: Analysis) -> dict[str, JSON]:
    """ICC, design effect and effective n; None where they cannot be known."""
    found = analysis.clustering
    icc = round(found.icc, 4) if found.identified else None
    effect = round(found.design_effect, 3) if found.identified else None
    effective = round(found.effective_n, 1) if found.identified else None
    return {"icc": icc, "design_effect": effect, "effective_n": effective, "n_images": found.n_images}


def label_details(numbers: Numbers) -> dict[str, JSON]:
    """What the labels contributed, and what the error matrix alone would have said."""
    details: dict[str, JSON] = {}
    for found in numbers.labelled:
        details |= {
            "labelled_images": found.n_labels,
            "power_of_readings": round(found.power, 4),
            "effective_labels": to_list(found.effective_n),
        }
    for plain in numbers.corrected:
        details["by_error_matrix"] = estimate_details(plain)
    return details


def index_details(analysis: Analysis) -> dict[str, JSON]:
    """Indices of the mean share, from intervals that hold together."""
    joint, reference = analysis.numbers[0].joint, analysis.reference
    bounds = Bounds(low=joint.low, high=joint.high)
    ratio, variation = bound_impact_ratio(bounds, reference), bound_total_variation(bounds, reference)
    mean_ratio = float(impact_ratio(joint.estimates, reference))
    return {
        "impact_ratio": to_list(np.array([mean_ratio, ratio.low, ratio.high])),
        "four_fifths": _four_fifths(ratio),
        "mean_variation": to_list(
            np.array([total_variation(joint.estimates, reference), variation.low, variation.high])
        ),
        "joint_lows": to_list(joint.low),
        "joint_highs": to_list(joint.high),
    }


def _four_fifths(ratio: Bounds) -> str:
    if float(ratio.low) >= FOUR_FIFTHS:
        return "kept"
    return "broken" if float(ratio.high) < FOUR_FIFTHS else "undecided"


def prompt_table(analysis: Analysis) -> dict[str, JSON]:
    """What charts need of every prompt."""
    readings = analysis.sample.readings
    table: dict[str, JSON] = {
        "prompt_ids": list(readings.prompt_ids),
        "prompt_n": [int(n) for n in readings.n_images],
        "prompt_undetermined": [int(n) for n in readings.counts[:, -1]],
        "prompt_unread": [int(n) for n in analysis.sample.unread],
        "prompt_worst_low": _rows(analysis.worst.low),
        "prompt_worst_high": _rows(analysis.worst.high),
    }
    for numbers in analysis.numbers[0].prompts if analysis.numbers else ():
        seen = readings.determined > 0
        table["prompt_estimates"] = [
            to_list(row) if known else None for row, known in zip(numbers.shares, seen, strict=True)
        ]
        table["prompt_lows"], table["prompt_highs"] = _rows(numbers.bounds.low), _rows(numbers.bounds.high)
    return table


def deviation_details(deviation: Deviation) -> dict[str, JSON]:
    """An index with its null band."""
    return {
        "observed": round(deviation.observed, 6),
        "null_mean": round(deviation.null_mean, 6),
        "null_low": round(deviation.null_low, 6),
        "null_high": round(deviation.null_high, 6),
        "excess": round(deviation.excess, 6),
        "worst": round(deviation.worst, 6),
        "p_value": deviation.p_value,
    }
