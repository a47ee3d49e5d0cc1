"""Coverage and error rates of the bias audit over simulated audits, with what other tools print beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from audit.bias.estimators import correct
from audit.bias.intervals import NEW_PROMPTS, estimate_shares
from audit.bias.measures import compute_spread
from audit.bias.melding import MeldedReader
from audit.bias.policy import Policy
from audit.bias.ppi import estimate_with_labels
from audit.bias.readings import ErrorMatrix, Floats, Readings
from audit.bias.sequential import SequentialAudit, Verdict
from audit.bias.shift import check_labelled_shift
from audit.bias.significance import (
    adjust_benjamini_hochberg,
    bootstrap_p,
    multinomial_p,
    permute_prompts,
    sign_flip_p,
)
from audit.bias.summary import Summarise
from audit.evidence import Status
from audit.statistics import clopper_pearson
from benchmarks.bias_audits import CALIBRATION_LABELS, DEEPFACE, GROUPS, Audit, Setting, simulate

PARITY = np.array([0.5, 0.5])
DRAWS = 1000
LEVEL = 0.95
ALPHA = 0.05


@dataclass
class Hits:
    """Outcomes of one method over simulated audits: whether each held (or rejected), and interval widths."""

    held: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def add(self, low: float, high: float, truth: float) -> None:
        """One interval."""
        self.held.append(bool(low <= truth <= high))
        self.widths.append(high - low)


def covers_overall(
    setting: Setting, *, claim: str, audits: int, draws: int = DRAWS, seed: int = 2
) -> list[bool]:
    """Whether Rogan-Gladen's interval of each simulated audit holds the truth that its claim is about."""
    hits = Hits()
    for audit, rng in simulate(setting, audits=audits, seed=seed):
        _add_corrected(hits, audit, setting, claim=claim, draws=draws, rng=rng)
    return hits.held


def _truth(audit: Audit, setting: Setting, claim: str) -> float:
    return setting.share if claim == NEW_PROMPTS else float(audit.shares.mean())


def _add_corrected(
    hits: Hits, audit: Audit, setting: Setting, *, claim: str, draws: int, rng: np.random.Generator
) -> None:
    found = estimate_shares(audit.readings, audit.matrix, claim=claim, draws=draws, rng=rng)
    hits.add(float(found.low[0]), float(found.high[0]), _truth(audit, setting, claim))


def cover_with_labels(setting: Setting, *, claim: str, audits: int, seed: int = 2) -> Hits:
    """Whether the PPI++ interval of each simulated audit holds the truth that its claim is about."""
    hits = Hits()
    for audit, _ in simulate(setting, audits=audits, seed=seed):
        found = estimate_with_labels(audit.readings, audit.labelled, claim=claim).shares
        hits.add(float(found.low[0]), float(found.high[0]), _truth(audit, setting, claim))
    return hits


def cover_all(setting: Setting, *, audits: int, draws: int = DRAWS, seed: int = 2) -> dict[str, Hits]:
    """Every estimator on the same audits, claim: new prompts; and "flagged", the shift check."""
    names = ("PPI++", "Rogan-Gladen", "naive", "CLEAM", "plain bootstrap", "flagged")
    found = {name: Hits() for name in names}
    for audit, rng in simulate(setting, audits=audits, seed=seed):
        labelled = estimate_with_labels(audit.readings, audit.labelled).shares
        found["PPI++"].add(float(labelled.low[0]), float(labelled.high[0]), setting.share)
        _add_corrected(found["Rogan-Gladen"], audit, setting, claim=NEW_PROMPTS, draws=draws, rng=rng)
        women, total = int(audit.readings.counts[:, 0].sum()), int(audit.readings.counts.sum())
        exact = clopper_pearson(women, total)
        found["naive"].add(exact.low, exact.high, setting.share)
        found["CLEAM"].add(*_cleam(audit, rng=rng), setting.share)
        resampled = rng.binomial(total, women / total, size=draws) / total
        found["plain bootstrap"].add(*map(float, np.quantile(resampled, [0.025, 0.975])), setting.share)
        shift = check_labelled_shift(audit.matrix, audit.labelled, rng=rng)
        found["flagged"].held.append(shift.p_value <= ALPHA)
    return found


def _cleam(audit: Audit, *, rng: np.random.Generator) -> tuple[float, float]:
    """CLEAM as released: error rates taken as known, 1.96 standard errors over 30 resamples of the one pool.

    Source: Teo, Abdollahzadeh and Cheung 2023, NeurIPS; formula restated, not its code.
    """
    counts = audit.readings.counts.sum(axis=0)
    pool = min(1000, int(counts.sum()))
    samples = rng.multinomial(pool, counts / counts.sum(), size=30) / pool
    shares = correct(samples, audit.matrix.rates)[:, 0]
    half = 1.96 * float(shares.std(ddof=1)) / np.sqrt(30)
    return float(shares.mean()) - half, float(shares.mean()) + half


def covers_naive(setting: Setting, *, audits: int) -> list[bool]:
    """The interval other tools print: readings as they are, images taken as independent."""
    hits = Hits()
    for audit, _ in simulate(setting, audits=audits):
        women, total = int(audit.readings.counts[:, 0].sum()), int(audit.readings.counts.sum())
        interval = clopper_pearson(women, total)
        hits.add(interval.low, interval.high, setting.share)
    return hits.held


def covers_prompts(setting: Setting, *, audits: int) -> list[bool]:
    """Whether each single prompt's exact interval holds that prompt's own share."""
    found: list[bool] = []
    for audit, rng in simulate(setting, audits=audits):
        bounds = MeldedReader.build(audit.matrix, 2, rng=rng).bounds(audit.readings.counts)
        found += list((bounds.low[:, 0] <= audit.shares) & (audit.shares <= bounds.high[:, 0]))
    return found


def rejects_overall(setting: Setting, *, audits: int, draws: int = DRAWS) -> list[bool]:
    """Whether the bootstrap over prompts rejects parity at 5 %, where parity holds on average."""
    return [
        bootstrap_p(audit.readings, audit.matrix, PARITY, draws=draws, rng=rng) <= ALPHA
        for audit, rng in simulate(setting, audits=audits)
    ]


def rejects_with_labels(setting: Setting, *, audits: int) -> list[bool]:
    """Whether the score test with labels rejects parity at 5 %, where parity holds on average."""
    return [
        estimate_with_labels(audit.readings, audit.labelled, reference=PARITY).p_value <= ALPHA
        for audit, _ in simulate(setting, audits=audits)
    ]


def rejects_any_prompt(setting: Setting, *, audits: int) -> list[bool]:
    """Whether any prompt is found, after Benjamini-Hochberg, when every prompt is at parity."""
    found = []
    for audit, rng in simulate(setting, audits=audits):
        tails = MeldedReader.build(audit.matrix, 2, rng=rng)
        adjusted = adjust_benjamini_hochberg(tails.p_values(audit.readings.counts, PARITY))
        found.append(bool(adjusted.min() <= ALPHA))
    return found


def rejects_spread(setting: Setting, *, audits: int, draws: int = 400) -> list[bool]:
    """Whether the mean deviation is found to exceed its null, when every prompt is at parity."""
    return [
        compute_spread(audit.readings, audit.matrix, PARITY, draws=draws, rng=rng).reference.p_value <= ALPHA
        for audit, rng in simulate(setting, audits=audits)
    ]


def flags_no_shift(setting: Setting, *, audits: int) -> list[bool]:
    """Whether the shift check finds a shift where the error matrix is the audited images' own."""
    return [
        check_labelled_shift(audit.matrix, audit.labelled, rng=rng).p_value <= ALPHA
        for audit, rng in simulate(setting, audits=audits)
    ]


def rejects_exact(*, audits: int, images: int = 20) -> list[bool]:
    """Exact multinomial test of three groups at parity."""
    rng, reference = np.random.default_rng(12), np.full(3, 1 / 3)
    return [
        multinomial_p(rng.multinomial(images, reference), reference, rng=rng) <= ALPHA for _ in range(audits)
    ]


def rejects_permuted(*, audits: int, prompts: int = 40) -> list[bool]:
    """Permutation of whole prompts: shares that hang together and a property that has nothing to do with them."""
    rng, found = np.random.default_rng(13), []
    for _ in range(audits):
        shares = rng.binomial(8, rng.beta(0.6, 0.6, size=prompts)) / 8
        found.append(permute_prompts(shares, rng.normal(size=prompts), draws=400, rng=rng).p_value <= ALPHA)
    return found


def rejects_flipped(*, audits: int, prompts: int = 40) -> list[bool]:
    """Sign flips of prompts, readings being the truth."""
    rng, found = np.random.default_rng(14), []
    for _ in range(audits):
        women = rng.binomial(8, rng.beta(0.6, 0.6, size=prompts)) / 8
        found.append(sign_flip_p(np.stack([women, 1 - women], axis=1), PARITY, draws=400, rng=rng) <= ALPHA)
    return found


def false_discovery_rate(
    *, audits: int, prompts: int = 150, images: int = 30, adjust: Callable[[Floats], Floats]
) -> list[float]:
    """Share of false findings among all findings; half of the prompts at parity, the others stereotyped."""
    fair, found = np.arange(prompts) < prompts // 2, []
    names = tuple(map(str, range(prompts)))
    for index in range(audits):
        rng = np.random.default_rng([15, index])
        shares = np.where(fair, 0.5, rng.beta(0.6, 0.6, size=prompts))
        counts = rng.multinomial(images, np.stack([shares, 1 - shares], axis=1) @ DEEPFACE)
        matrix = ErrorMatrix(np.array([rng.multinomial(CALIBRATION_LABELS, row) for row in DEEPFACE]), GROUPS)
        tails = MeldedReader.build(matrix, 2, rng=rng)
        findings = adjust(tails.p_values(Readings(counts, GROUPS, names).counts, PARITY)) <= ALPHA
        found.append(float((findings & fair).sum() / max(findings.sum(), 1)))
    return found


def verdicts(setting: Setting, *, audits: int, with_labels: bool, labels: int = 400) -> list[Status]:
    """The whole audit, tables to evidence: status of the overall check of every simulated audit."""
    found = []
    for audit, _ in simulate(setting, audits=audits, labels=labels):
        rows, images, said = audit.tables()
        summarise = Summarise(
            {"presentation": GROUPS}, {"presentation": audit.matrix}, Policy(draws=600),
            labels=said if with_labels else None,
        )  # fmt: skip
        found.append(summarise(rows, images).find("bias.presentation.overall").status)
    return found


def peeks(*, audits: int, images: int = 250, with_reader: bool = False, batch: int = 1) -> list[bool]:
    """Whether a sequential audit of one prompt at parity, looked at after every image, ever finds a departure."""
    found = []
    for index in range(audits):
        rng = np.random.default_rng([16, with_reader, index])
        matrix, rates = None, np.eye(2, 3)
        if with_reader:
            rates = DEEPFACE
            matrix = ErrorMatrix(
                np.array([rng.multinomial(CALIBRATION_LABELS, row) for row in DEEPFACE]), GROUPS
            )
        engine = SequentialAudit(("prompt",), PARITY, matrix=matrix, margin=None, per_prompt=images)
        state = engine.progress()
        while not state.finished:
            state = engine.update(rng.multinomial(batch, PARITY @ rates)[None])
        found.append(state.verdicts[0] is Verdict.OUTSIDE)
    return found
