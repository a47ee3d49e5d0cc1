"""From counts to everything that is computed about one attribute, before any verdict.

Which estimator: human labels of audited images wherever there are enough of them (PPI++); else the reader corrected
by its error matrix (Rogan-Gladen), unless the shift check says that the matrix does not fit these images; else
nothing. Single prompts are always corrected by an error matrix: the one counted on the labelled audited images if it
tells the groups apart, since it cannot be out of place.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from audit.bias.clustering import Clustering, compute_clustering
from audit.bias.estimators import Contrast, assess_contrast, point_rates, worst_case_bounds
from audit.bias.intervals import (
    MIN_CLUSTERS,
    NEW_PROMPTS,
    THESE_PROMPTS,
    ShareEstimate,
    check_same_groups,
    estimate_shares,
)
from audit.bias.measures import Spread, compute_spread, prompt_shares
from audit.bias.melding import MeldedReader
from audit.bias.policy import Policy
from audit.bias.ppi import MIN_LABELS, LabelledEstimate, estimate_with_labels
from audit.bias.readings import ErrorMatrix, Floats
from audit.bias.reference import as_reference
from audit.bias.sampling import Sample
from audit.bias.shift import Shift, check_labelled_shift
from audit.bias.significance import bootstrap_p, can_enumerate, multinomial_p_values
from audit.bias.simultaneous import goodman_bounds
from audit.statistics import Bounds

_UNMEASURED = Contrast(
    False, -1.0, "The reader's errors were not measured, so its readings cannot be corrected."
)
_EXACT = Contrast(True, 1.0, "The readings are labels that were given and are taken as the truth.")
_UNTESTED = Shift(
    False, 1.0, 0.0, 1.0, "No labels of audited images: whether the error matrix fits was not tested."
)


@dataclass(frozen=True, slots=True, eq=False)
class PromptNumbers:
    """What needs an error matrix: single prompts and the spread over them.

    Attributes:
        shares: float64 (P, k), corrected; uniform where nothing was determined.
        bounds: intervals, jointly valid over the groups.
        method: of the intervals.
        p_values: float64 (P,), against the reference; 1 where nothing was determined.
        spread: over prompts.
    """

    shares: Floats
    bounds: Bounds
    method: str
    p_values: Floats
    spread: Spread


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Everything measured about one attribute; exists only where an estimate is possible.

    Attributes:
        these: over prompts, claim "these prompts".
        new: over prompts, claim "new prompts of this kind"; equal to `these` when there are fewer than 5
            prompts (then its claim says so).
        joint: `new` with intervals of all groups that hold together.
        overall_p: of "the mean shares are the reference" over new prompts.
        labelled: () or one: the estimate with labels that `new` is.
        corrected: () or one: the same by the error matrix alone, for comparison.
        prompts: () or one; empty when no error matrix tells the groups apart.
    """

    these: ShareEstimate
    new: ShareEstimate
    joint: ShareEstimate
    overall_p: float
    labelled: tuple[LabelledEstimate, ...]
    corrected: tuple[ShareEstimate, ...]
    prompts: tuple[PromptNumbers, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """A sample, what it may be compared with, and the numbers unless something forbids them.

    Attributes:
        sample: what was read.
        matrix: the error matrix that corrects single prompts; None when unknown, or when readings are the truth.
        calibration: the error matrix as it came with the reader; None when there is none.
        exact: the readings are the truth.
        contrast: whether the reader tells the groups apart.
        shift: whether the reader's errors are those of its error matrix.
        reference: float64 (k,), mean over prompts.
        references: float64 (P, k).
        reference_name: of the reference.
        clustering: of the readings over prompts.
        worst: per prompt worst-case bounds, unread images included.
        obstacle: why nothing may be concluded; "" when `numbers` hold.
        numbers: () or one.
    """

    sample: Sample
    matrix: ErrorMatrix | None
    calibration: ErrorMatrix | None
    exact: bool
    contrast: Contrast
    shift: Shift
    reference: Floats
    references: Floats
    reference_name: str
    clustering: Clustering
    worst: Bounds
    obstacle: str
    numbers: tuple[Numbers, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """What is known of the reader, after looking at the labels."""

    matrix: ErrorMatrix | None
    exact: bool
    contrast: Contrast
    shift: Shift

    @property
    def corrects(self) -> bool:
        return self.exact or (self.matrix is not None and self.contrast.usable)


def _judge_reader(
    sample: Sample, matrices: Mapping[str, ErrorMatrix | None], *, policy: Policy, rng: np.random.Generator
) -> _Reader:
    known = sample.attribute in matrices
    matrix = matrices.get(sample.attribute)
    check_same_groups(sample.readings, matrix)
    if known and matrix is None:
        return _Reader(None, True, _EXACT, _UNTESTED)
    contrast = _UNMEASURED if matrix is None else assess_contrast(matrix, level=policy.level, rng=rng)
    if not sample.labelled:
        return _Reader(matrix, False, contrast, _UNTESTED)
    labelled = sample.labelled[0]
    own = labelled.error_matrix()
    own_contrast = assess_contrast(own, level=policy.level, rng=rng)
    shift = _UNTESTED
    if matrix is not None:
        shift = check_labelled_shift(matrix, labelled, level=policy.level, rng=rng)
    shifted = shift.p_value <= 1 - policy.level
    if labelled.n_labels >= MIN_LABELS and (own_contrast.usable or shifted or matrix is None):
        return _Reader(own, False, own_contrast, shift)
    return _Reader(matrix, False, Contrast(False, -1.0, shift.reason) if shifted else contrast, shift)


def _with_labels(
    sample: Sample, references: Floats, *, claim: str, level: float, trials: Floats | None
) -> tuple[LabelledEstimate, ...]:
    """The estimate with labels, where there are enough for the claim."""
    if not sample.labelled or sample.labelled[0].n_labels < MIN_LABELS:
        return ()
    labelled = sample.labelled[0]
    if claim == NEW_PROMPTS and np.count_nonzero(labelled.per_prompt) < MIN_CLUSTERS:
        return ()
    if not labelled.counts[..., :-1].any():
        return ()
    return (
        estimate_with_labels(
            sample.readings, labelled, claim=claim, level=level, reference=references, reference_trials=trials
        ),
    )


def _compute_prompts(
    sample: Sample, reader: _Reader, references: Floats, *, policy: Policy, trials: Floats | None,
    rng: np.random.Generator,
) -> tuple[PromptNumbers, ...]:  # fmt: skip
    if not reader.corrects or not sample.readings.determined.any():
        return ()
    readings, k = sample.readings, references.shape[1]
    shares = prompt_shares(readings, reader.matrix)
    tails = MeldedReader.build(reader.matrix, k, rng=rng)
    several = reader.exact and k > 2  # categories of one multinomial, read without error
    if several:
        bounds, method = (
            goodman_bounds(readings.counts[:, :-1], level=policy.level),
            "Goodman, exact for empty cells",
        )
    else:
        joint = policy.level if k == 2 else 1 - (1 - policy.level) / k
        bounds, method = tails.bounds(readings.counts, level=joint), "melded Clopper-Pearson"
    if several and trials is None and can_enumerate(int(readings.determined.max()), k):
        p_values = multinomial_p_values(readings.counts[:, :-1], references, rng=rng)
    else:
        p_values = tails.p_values(readings.counts, references, trials=trials, rng=rng)
    return (
        PromptNumbers(
            shares=shares,
            bounds=Bounds(low=np.minimum(bounds.low, shares), high=np.maximum(bounds.high, shares)),
            method=method,
            p_values=p_values,
            spread=compute_spread(
                readings, reader.matrix, references, level=policy.level, draws=policy.draws // 2, rng=rng
            ),
        ),
    )


def _compute(
    sample: Sample, reader: _Reader, references: Floats, *, policy: Policy, trials: Floats | None,
    rng: np.random.Generator,
) -> tuple[Numbers, ...]:  # fmt: skip
    readings, k, level = sample.readings, references.shape[1], policy.level
    claims = (THESE_PROMPTS, NEW_PROMPTS) if len(readings.rates) >= MIN_CLUSTERS else (THESE_PROMPTS,)
    together = level if k == 2 else 1 - (1 - level) / k
    prompts = _compute_prompts(sample, reader, references, policy=policy, trials=trials, rng=rng)
    corrected: list[ShareEstimate] = []
    if prompts:
        for claim in claims:
            corrected.append(
                estimate_shares(
                    readings, reader.matrix, claim=claim, level=level, draws=policy.draws, rng=rng
                )
            )
        joint = corrected[-1]
        if k > 2:
            joint = estimate_shares(
                readings, reader.matrix, claim=claims[-1], level=together, draws=policy.draws, rng=rng
            )
    labelled = [
        found
        for claim in claims
        if not reader.exact
        for found in _with_labels(sample, references, claim=claim, level=level, trials=trials)
    ]
    if not corrected and not labelled:
        return ()
    if labelled:
        all_groups = _with_labels(
            sample, references, claim=labelled[-1].shares.claim, level=together, trials=trials
        )
        return (
            Numbers(
                labelled[0].shares, labelled[-1].shares, all_groups[0].shares, labelled[-1].p_value,
                (labelled[-1],), tuple(corrected[-1:]), prompts,
            ),
        )  # fmt: skip
    p_value = bootstrap_p(readings, reader.matrix, references, trials=trials, draws=policy.draws, rng=rng)
    return (Numbers(corrected[0], corrected[-1], joint, p_value, (), (), prompts),)


def _obstacle(sample: Sample, reader: _Reader) -> str:
    if not sample.readings.n_images.any():
        return "No image could be read."
    if not sample.readings.determined.any() and not sample.labelled:
        return "Every reading is undetermined."
    return "" if reader.corrects else reader.contrast.reason


def _worst_case(sample: Sample, matrix: ErrorMatrix | None) -> Bounds:
    """Corrected where the errors are known; else, and where they hold nothing, from the readings as they are."""
    counts, k = sample.readings.counts.copy(), len(sample.readings.groups)
    counts[:, -1] += sample.unread
    bounds = worst_case_bounds(counts, point_rates(matrix, k))
    return Bounds(low=bounds.low, high=bounds.high)


def analyse(sample: Sample, matrices: Mapping[str, ErrorMatrix | None], *, policy: Policy) -> Analysis:
    """Compute everything about one attribute.

    Args:
        sample: what was read and labelled.
        matrices: attribute -> the reader's errors; an attribute that is missing was not measured, None says that its
            readings are the truth.
        policy: level, reference, draws, seed.

    Raises:
        InputError: groups of readings, matrix and reference differ (the differing ones are named).
    """
    given = as_reference(policy.references.get(sample.attribute))
    references = given.table(sample.readings.groups, sample.readings.prompt_ids)
    rng = np.random.default_rng([policy.seed, zlib.crc32(sample.attribute.encode())])
    reader = _judge_reader(sample, matrices, policy=policy, rng=rng)
    obstacle = _obstacle(sample, reader)
    numbers: tuple[Numbers, ...] = ()
    if sample.readings.n_images.any():
        numbers = _compute(
            sample, reader, references, policy=policy, trials=given.sizes(sample.readings.prompt_ids), rng=rng
        )
    present = sample.readings.n_images > 0
    return Analysis(
        sample=sample,
        matrix=reader.matrix,
        calibration=matrices.get(sample.attribute),
        exact=reader.exact,
        contrast=reader.contrast,
        shift=reader.shift,
        reference=references[present].mean(axis=0) if present.any() else references.mean(axis=0),
        references=references,
        reference_name=given.name,
        clustering=compute_clustering(sample.readings.counts),
        worst=_worst_case(sample, reader.matrix if reader.corrects else None),
        obstacle="" if numbers else obstacle or "The labels are too few to estimate from.",
        numbers=numbers,
    )
