"""From rows and images to everything that is computed about one attribute, before any verdict.

Readings that fit no schema are refused by name. An image without a reading (it could not be decoded, or the
reader broke) counts as unread: it stays in the worst-case bounds and in the undetermined rate, and is left
out of the estimates, since the error matrix holds no damaged files.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from audit.bias.estimators import Contrast, assess_contrast, point_rates, worst_case_bounds
from audit.bias.intervals import (
    MIN_CLUSTERS,
    NEW_PROMPTS,
    THESE_PROMPTS,
    Clustering,
    ShareEstimate,
    check_same_groups,
    compute_clustering,
    estimate_shares,
)
from audit.bias.measures import Spread, compute_spread, prompt_shares
from audit.bias.melding import MeldedReader
from audit.bias.policy import Policy
from audit.bias.readings import (
    Counts,
    ErrorMatrix,
    Floats,
    Readings,
    check_reference,
    count_readings,
)
from audit.bias.significance import bootstrap_p
from audit.statistics import Bounds
from generator.errors import InputError

NO_PROMPT = "all images"
Schema = Mapping[str, tuple[str, ...]]
_UNMEASURED = Contrast(
    False, -1.0, "The reader's errors were not measured, so its readings cannot be corrected."
)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What was read of one attribute.

    Attributes:
        attribute: its name.
        readings: counts per prompt; one row "all images" when the images carry no prompts.
        unread: int64 (P,), images of each prompt without any reading.
        has_prompts: False for images of unknown origin.
        without_prompt: images left out because they carry no prompt while others do.
        texts: prompt_id -> prompt.
    """

    attribute: str
    readings: Readings
    unread: Counts
    has_prompts: bool
    without_prompt: int
    texts: Mapping[str, str]


def sample_attribute(rows: pd.DataFrame, images: pd.DataFrame, *, attribute: str, schema: Schema) -> Sample:
    """Count one attribute's readings per prompt.

    Args:
        rows: the bias table: image_id, attribute, value, status.
        images: the images table: image_id, prompt_id, prompt; not empty.
        attribute: in the schema.
        schema: attribute -> groups.

    Raises:
        InputError: an image is read twice, or a reading or an image is unknown.
    """
    mine = rows[(rows["attribute"] == attribute) & (rows["status"] != "error")]
    if mine["image_id"].duplicated().any():
        twice = mine.loc[mine["image_id"].duplicated(), "image_id"].iloc[0]
        raise InputError(f"bias table: image {twice} has two readings of {attribute!r}, expected one")
    strangers = sorted(set(mine["image_id"]) - set(images["image_id"]))
    if strangers:
        raise InputError(f"bias table: reads image {strangers[0]}, which is not in the images table")
    has_prompts = bool(images["prompt_id"].notna().any())
    known = images[images["prompt_id"].notna()] if has_prompts else images.assign(prompt_id=NO_PROMPT)
    joined = known.merge(mine[["image_id", "value"]], on="image_id", how="left")
    prompt_ids = list(dict.fromkeys(joined["prompt_id"].astype(str)))
    read = joined[joined["value"].notna()]
    readings = count_readings(
        read["value"].astype(str).tolist(),
        read["prompt_id"].astype(str).tolist(),
        groups=schema[attribute],
        prompt_ids=prompt_ids,
    )
    missing = joined.loc[joined["value"].isna(), "prompt_id"].astype(str).value_counts()
    unread = np.asarray([int(missing.get(prompt_id, 0)) for prompt_id in prompt_ids], dtype=np.int64)
    texts = known.drop_duplicates("prompt_id").set_index("prompt_id")["prompt"] if has_prompts else None
    named = {} if texts is None else {str(key): str(text) for key, text in texts.dropna().items()}
    return Sample(attribute, readings, unread, has_prompts, len(images) - len(known), named)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Everything measured about one attribute; exists only where a correction is possible.

    Attributes:
        shares: float64 (P, k), corrected, per prompt; uniform where nothing was determined.
        bounds: per prompt intervals, jointly valid over the groups.
        p_values: float64 (P,), against the reference; 1 where nothing was determined.
        these: over prompts, claim "these prompts".
        new: over prompts, claim "new prompts of this kind"; equal to `these` when there are fewer than 5
            prompts (then its claim says so).
        overall_p: bootstrap over prompts against the reference.
        spread: over prompts.
    """

    shares: Floats
    bounds: Bounds
    p_values: Floats
    these: ShareEstimate
    new: ShareEstimate
    overall_p: float
    spread: Spread


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """A sample, what it may be compared with, and the numbers unless something forbids them.

    Attributes:
        sample: what was read.
        matrix: the reader's errors; None when they were not measured.
        contrast: whether the reader tells the groups apart.
        reference: float64 (k,).
        clustering: of the readings over prompts.
        worst: per prompt worst-case bounds, unread images included.
        obstacle: why nothing may be concluded; "" when `numbers` hold.
        numbers: () or one.
    """

    sample: Sample
    matrix: ErrorMatrix | None
    contrast: Contrast
    reference: Floats
    clustering: Clustering
    worst: Bounds
    obstacle: str
    numbers: tuple[Numbers, ...]


def _obstacle(sample: Sample, contrast: Contrast) -> str:
    if not sample.readings.n_images.any():
        return "No image could be read."
    if not sample.readings.determined.any():
        return "Every reading is undetermined."
    return "" if contrast.usable else contrast.reason


def _compute(
    sample: Sample, matrix: ErrorMatrix, reference: Floats, *, policy: Policy, rng: np.random.Generator
) -> Numbers:
    readings, k, level, draws = sample.readings, len(reference), policy.level, policy.draws
    tails = MeldedReader.build(matrix, k, rng=rng)
    joint = level if k == 2 else 1 - (1 - level) / k
    shares, bounds = prompt_shares(readings, matrix), tails.bounds(readings.counts, level=joint)
    within = Bounds(low=np.minimum(bounds.low, shares), high=np.maximum(bounds.high, shares))
    these = estimate_shares(readings, matrix, claim=THESE_PROMPTS, level=level, draws=draws, rng=rng)
    new = these
    if len(readings.rates) >= MIN_CLUSTERS:
        new = estimate_shares(readings, matrix, claim=NEW_PROMPTS, level=level, draws=draws, rng=rng)
    return Numbers(
        shares=shares,
        bounds=within,
        p_values=tails.p_values(readings.counts, reference),
        these=these,
        new=new,
        overall_p=bootstrap_p(readings, matrix, reference, draws=draws, rng=rng),
        spread=compute_spread(readings, matrix, reference, level=level, draws=draws // 2, rng=rng),
    )


def _worst_case(sample: Sample, matrix: ErrorMatrix | None) -> Bounds:
    """Corrected where the errors are known; else, and where they hold nothing, from the readings as they are."""
    counts, k = sample.readings.counts.copy(), len(sample.readings.groups)
    counts[:, -1] += sample.unread
    bounds = worst_case_bounds(counts, point_rates(matrix, k))
    return Bounds(low=bounds.low, high=bounds.high)


def analyse(sample: Sample, matrix: ErrorMatrix | None, *, policy: Policy) -> Analysis:
    """Compute everything about one attribute.

    Args:
        sample: what was read.
        matrix: the reader's errors; None when unknown: then nothing is concluded.
        policy: level, reference, draws, seed.

    Raises:
        InputError: groups of readings, matrix and reference differ (the differing ones are named).
    """
    check_same_groups(sample.readings, matrix)
    reference = check_reference(policy.references.get(sample.attribute), sample.readings.groups)
    rng = np.random.default_rng([policy.seed, zlib.crc32(sample.attribute.encode())])
    contrast = _UNMEASURED if matrix is None else assess_contrast(matrix, level=policy.level, rng=rng)
    obstacle = _obstacle(sample, contrast)
    numbers: tuple[Numbers, ...] = ()
    if not obstacle and matrix is not None:
        numbers = (_compute(sample, matrix, reference, policy=policy, rng=rng),)
    return Analysis(
        sample=sample,
        matrix=matrix,
        contrast=contrast,
        reference=reference,
        clustering=compute_clustering(sample.readings.counts),
        worst=_worst_case(sample, matrix if numbers else None),
        obstacle=obstacle,
        numbers=numbers,
    )
