"""Do the intervals of the bias audit cover, and do its tests keep their level? Simulated audits with known truth.

    python -m benchmarks.bias --json

Every audit draws prompts whose shares hang together (ICC 0.45), images within prompts, readings by a reader that
finds one group in 67 % and the other in 99 % of cases, and the error matrix from 500 labelled images. Prints a
table, or with --json one document; exit 1 when a floor is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from audit.bias.intervals import NEW_PROMPTS, THESE_PROMPTS, estimate_shares
from audit.bias.measures import compute_spread
from audit.bias.melding import MeldedReader
from audit.bias.readings import ErrorMatrix, Floats, Readings
from audit.bias.significance import adjust_benjamini_hochberg, bootstrap_p
from audit.statistics import clopper_pearson, wilson
from benchmarks.document import Figure, run_benchmark

GROUPS = ("woman", "man")
TRUE_RATES = np.array([[0.67, 0.33, 0.0], [0.01, 0.99, 0.0]])
ICC = 0.45
LABELS = 250  # per group
PARITY = np.array([0.5, 0.5])
LEVEL, LOW, HIGH = 0.95, 0.93, 0.97
AUDITS = 1000  # per setting
HIGHEST = round(HIGH + 2 * float(np.sqrt(HIGH * (1 - HIGH) / AUDITS)), 4)  # HIGH, simulated
DRAWS = 1000


@dataclass(frozen=True)
class Setting:
    """One kind of audit: prompts, images a prompt, mean share of women, ICC (0: all prompts alike)."""

    prompts: int
    images: int
    share: float = 0.5
    icc: float = ICC

    def __str__(self) -> str:
        return f"{self.prompts} prompts x {self.images} images, share {self.share}, ICC {self.icc}"


@dataclass(frozen=True, eq=False)
class Audit:
    """One simulated audit and its truth: float64 (P,) shares of women."""

    readings: Readings
    matrix: ErrorMatrix
    shares: Floats


def simulate(setting: Setting, *, audits: int, seed: int = 2) -> Iterator[tuple[Audit, np.random.Generator]]:
    """Simulated audits, each with the generator that goes on."""
    names = tuple(f"prompt {index}" for index in range(setting.prompts))
    for index in range(audits):
        rng = np.random.default_rng(
            [seed, setting.prompts, setting.images, round(setting.share * 1000), index]
        )
        shares = np.full(setting.prompts, setting.share)
        if setting.icc > 0:
            mass = (1 - setting.icc) / setting.icc
            shares = rng.beta(setting.share * mass, (1 - setting.share) * mass, size=setting.prompts)
        counts = rng.multinomial(setting.images, np.stack([shares, 1 - shares], axis=1) @ TRUE_RATES)
        matrix = ErrorMatrix(np.array([rng.multinomial(LABELS, row) for row in TRUE_RATES]), GROUPS)
        yield Audit(Readings(counts, GROUPS, names), matrix, shares), rng


def covers_overall(setting: Setting, *, claim: str, audits: int, draws: int = DRAWS) -> list[bool]:
    """Whether the interval of each simulated audit holds the truth that its claim is about."""
    found = []
    for audit, rng in simulate(setting, audits=audits):
        estimate = estimate_shares(audit.readings, audit.matrix, claim=claim, draws=draws, rng=rng)
        truth = setting.share if claim == NEW_PROMPTS else float(audit.shares.mean())
        found.append(bool(estimate.low[0] <= truth <= estimate.high[0]))
    return found


def covers_naive(setting: Setting, *, audits: int) -> list[bool]:
    """The interval other tools print: readings as they are, images taken as independent."""
    found = []
    for audit, _ in simulate(setting, audits=audits):
        women, total = int(audit.readings.counts[:, 0].sum()), int(audit.readings.counts.sum())
        interval = clopper_pearson(women, total)
        found.append(interval.low <= setting.share <= interval.high)
    return found


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
        bootstrap_p(audit.readings, audit.matrix, PARITY, draws=draws, rng=rng) <= 0.05
        for audit, rng in simulate(setting, audits=audits)
    ]


def rejects_any_prompt(setting: Setting, *, audits: int) -> list[bool]:
    """Whether any prompt is found, after Benjamini-Hochberg, when every prompt is at parity."""
    found = []
    for audit, rng in simulate(setting, audits=audits):
        tails = MeldedReader.build(audit.matrix, 2, rng=rng)
        adjusted = adjust_benjamini_hochberg(tails.p_values(audit.readings.counts, PARITY))
        found.append(bool(adjusted.min() <= 0.05))
    return found


def rejects_spread(setting: Setting, *, audits: int, draws: int = 400) -> list[bool]:
    """Whether the mean deviation is found to exceed its null, when every prompt is at parity."""
    return [
        compute_spread(audit.readings, audit.matrix, PARITY, draws=draws, rng=rng).reference.p_value <= 0.05
        for audit, rng in simulate(setting, audits=audits)
    ]


def _figure(
    name: str, hits: list[bool], *, floor: float | None = None, ceiling: float | None = None, note: str = ""
) -> Figure:
    interval = wilson(sum(hits), len(hits))
    unit = f"of {len(hits)}"
    return Figure(
        name, float(np.mean(hits)), unit, floor=floor, ceiling=ceiling, interval=interval, note=note
    )


def _level(audits: int) -> float:
    """Largest share of rejections that agrees with a 5 % test: two standard errors of the simulation above."""
    return round(0.05 + 2 * float(np.sqrt(0.05 * 0.95 / audits)), 4)


def measure(*, audits: int = AUDITS) -> Iterator[Figure]:
    """All figures, one by one."""
    for claim in (NEW_PROMPTS, THESE_PROMPTS):
        for setting in (Setting(p, n, s) for p in (20, 50, 150) for n in (8, 32) for s in (0.5, 0.3)):
            hits = covers_overall(setting, claim=claim, audits=audits)
            yield _figure(f"coverage.{claim}", hits, floor=LOW, ceiling=HIGHEST, note=str(setting))
    scarce, plain = Setting(20, 8, 0.1), Setting(50, 32)
    hits = covers_overall(scarce, claim=NEW_PROMPTS, audits=audits)
    yield _figure("coverage.scarce group", hits, floor=LOW, note=str(scarce))
    hits = covers_naive(plain, audits=audits)
    yield _figure("peer.naive", hits, note=f"coverage as read, images independent: {plain}")
    for setting in (Setting(50, 8), plain):
        hits = covers_prompts(setting, audits=audits // 20)
        yield _figure("coverage.single prompts, exact", hits, floor=LEVEL, note=str(setting))
    tests: tuple[tuple[str, Callable[..., list[bool]], float, int], ...] = (
        ("type 1 error.bootstrap over prompts", rejects_overall, ICC, audits),
        ("type 1 error.any prompt, BH", rejects_any_prompt, 0.0, audits // 4),
        ("type 1 error.spread", rejects_spread, 0.0, audits // 2),
    )
    for name, test, icc, count in tests:
        for setting in (Setting(20, 8, icc=icc), Setting(50, 32, icc=icc)):
            yield _figure(name, test(setting, audits=count), ceiling=_level(count), note=str(setting))


if __name__ == "__main__":
    sys.exit(run_benchmark("bias", measure))
