"""Do the bias audit's intervals cover, do its tests keep their level, do published audits reproduce, does it scale?

    python -m benchmarks.bias [--json] [--quick]

Every simulated audit draws prompts whose shares hang together (ICC 0.45), images within prompts, readings by a reader
that finds one group in 67 % and the other in 99 % of cases, an error matrix from 500 labelled images (counted, in the
shifted settings, where the reader was better), and labels of 100 audited images. What other tools print is beside it,
on the same audits. Exit 1 when a floor is missed. `--quick` simulates a tenth and leaves the million images out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from audit.bias.intervals import NEW_PROMPTS, THESE_PROMPTS
from audit.bias.measures import compute_spread
from audit.bias.planning import Expectation, plan
from audit.bias.readings import Readings
from audit.bias.significance import adjust_benjamini_hochberg
from audit.evidence import Status
from audit.statistics import wilson
from benchmarks import bias_coverage as simulated
from benchmarks import bias_published as published
from benchmarks.bias_audits import AUDIT_LABELS, DEEPFACE, ICC, Setting
from benchmarks.bias_scale import run_in_process
from benchmarks.bias_skin import measure_skin_tone
from benchmarks.document import Figure, print_figures

LEVEL, LOW, HIGH = 0.95, 0.93, 0.97
PEERS = ("naive", "CLEAM", "plain bootstrap")
_PLANNED = Expectation(0.5, ICC, (float(DEEPFACE[0, 0]), float(DEEPFACE[1, 1])))


@dataclass(frozen=True)
class Effort:
    """How many simulated audits."""

    audits: int = 2000
    others: int = 1000
    quick: bool = False


def _rate(
    name: str,
    hits: Sequence[bool],
    *,
    floor: float | None = None,
    ceiling: float | None = None,
    note: str = "",
) -> Figure:
    interval = wilson(int(sum(hits)), len(hits))
    unit = f"of {len(hits)}"
    return Figure(
        name, float(np.mean(hits)), unit, floor=floor, ceiling=ceiling, interval=interval, note=note
    )


def _level(audits: int, effort: Effort) -> float:
    """Largest share of rejections that agrees with a 5 % test: two standard errors of the simulation above.

    A quick run makes so few that two would be missed by chance; it allows four.
    """
    return round(0.05 + (4 if effort.quick else 2) * float(np.sqrt(0.05 * 0.95 / audits)), 4)


def _slack(audits: int) -> float:
    """Nothing at the full size; two standard errors of the simulation in a quick run."""
    return 0.0 if audits >= Effort().others else 2 * float(np.sqrt(HIGH * (1 - HIGH) / audits)) + 0.01


def measure_coverage(effort: Effort) -> Iterator[Figure]:
    """Every estimator in every setting, on the same audits."""
    slack = _slack(effort.audits)
    for shifted in (False, True):
        for setting in (Setting(p, n, shifted=shifted) for p in (20, 150) for n in (8, 30, 250)):
            found = simulated.cover_all(setting, audits=effort.audits)
            floors = {"floor": LOW - slack, "ceiling": HIGH + slack}
            width = f", mean width {np.mean(found['PPI++'].widths):.3f}"
            yield _rate("coverage.PPI++", found["PPI++"].held, **floors, note=f"{setting}{width}")
            bounds = {} if shifted else floors
            width = f", mean width {np.mean(found['Rogan-Gladen'].widths):.3f}"
            yield _rate(
                "coverage.Rogan-Gladen", found["Rogan-Gladen"].held, **bounds, note=f"{setting}{width}"
            )
            for peer in PEERS:
                yield _rate(f"peer.{peer}", found[peer].held, note=str(setting))
            if shifted:
                yield _rate("shift flagged", found["flagged"].held, floor=0.9 - slack, note=str(setting))
            else:
                yield _rate("type 1 error.shift check", found["flagged"].held, ceiling=_level(effort.audits, effort),
                            note=str(setting))  # fmt: skip
                planned = plan(
                    setting.prompts, setting.images, labels=AUDIT_LABELS, expect=_PLANNED
                ).half_width
                yield Figure("planner.half width", planned / (np.mean(found["PPI++"].widths) / 2), "of simulated",
                             floor=0.85, ceiling=1.15, note=str(setting))  # fmt: skip


def measure_more_coverage(effort: Effort) -> Iterator[Figure]:
    """Other shares and sizes, the claim about these prompts, scarce groups, single prompts."""
    slack, audits = _slack(effort.others), effort.others
    for claim in (NEW_PROMPTS, THESE_PROMPTS):
        for setting in (Setting(p, n, s) for p in (20, 50, 150) for n in (8, 32) for s in (0.5, 0.3)):
            if claim == NEW_PROMPTS and setting.share == 0.5 and setting.prompts != 50:
                continue  # measured above
            hits = simulated.covers_overall(setting, claim=claim, audits=audits)
            ceiling = HIGH + slack + 2 * float(np.sqrt(HIGH * (1 - HIGH) / audits))
            yield _rate(
                f"coverage.Rogan-Gladen, {claim}", hits, floor=LOW - slack, ceiling=ceiling, note=str(setting)
            )
    sizes = [Setting(p, n) for p in (20, 150) for n in (8, 30, 250)]
    for setting in (*sizes, Setting(20, 30, 0.3), Setting(150, 250, 0.3)):
        hits = simulated.cover_with_labels(setting, claim=THESE_PROMPTS, audits=effort.audits).held
        margin = _slack(effort.audits)
        yield _rate(
            "coverage.PPI++, these prompts",
            hits,
            floor=LOW - margin,
            ceiling=HIGH + margin,
            note=str(setting),
        )
    scarce = Setting(20, 8, 0.1)
    hits = simulated.covers_overall(scarce, claim=NEW_PROMPTS, audits=audits)
    yield _rate("coverage.Rogan-Gladen, scarce group", hits, floor=LOW - slack, note=str(scarce))
    hits = simulated.cover_with_labels(scarce, claim=NEW_PROMPTS, audits=audits).held
    yield _rate("coverage.PPI++, scarce group", hits, floor=LOW - slack, note=str(scarce))
    for setting in (Setting(50, 8), Setting(50, 32)):
        hits = simulated.covers_prompts(setting, audits=max(audits // 40, 5))
        yield _rate("coverage.single prompts, exact", hits, floor=LEVEL - slack, note=str(setting))


def measure_tests(effort: Effort) -> Iterator[Figure]:
    """Type 1 error of every test, false discovery rate, sequential audits under continuous peeking."""
    some = effort.others
    for setting in (Setting(20, 8), Setting(50, 32)):
        for name, hits in (
            ("bootstrap over prompts", simulated.rejects_overall(setting, audits=some)),
            ("PPI++ score test", simulated.rejects_with_labels(setting, audits=some)),
        ):
            yield _rate(f"type 1 error.{name}", hits, ceiling=_level(len(hits), effort), note=str(setting))
    for setting in (Setting(20, 8, icc=0.0), Setting(50, 32, icc=0.0)):
        for name, hits in (
            ("any prompt, BH", simulated.rejects_any_prompt(setting, audits=some // 4)),
            ("spread", simulated.rejects_spread(setting, audits=some // 2)),
        ):
            yield _rate(f"type 1 error.{name}", hits, ceiling=_level(len(hits), effort), note=str(setting))
    for name, hits in (
        ("exact multinomial", simulated.rejects_exact(audits=some)),
        ("prompt permutation", simulated.rejects_permuted(audits=some)),
        ("sign flips", simulated.rejects_flipped(audits=some)),
        ("sequential, after every image", simulated.peeks(audits=some // 2)),
        ("sequential, uncertain reader", simulated.peeks(audits=some // 5, with_reader=True)),
    ):
        yield _rate(f"type 1 error.{name}", hits, ceiling=_level(len(hits), effort))
    rates = simulated.false_discovery_rate(audits=some // 10, adjust=adjust_benjamini_hochberg)
    error = float(np.std(rates) / np.sqrt(len(rates)))
    yield Figure("false discovery rate.150 prompts, BH", float(np.mean(rates)), "share", ceiling=0.05 + 2 * error,
                 note=f"half of the prompts at parity, {len(rates)} audits")  # fmt: skip


def measure_planted(effort: Effort) -> Iterator[Figure]:
    """Planted bias through the whole audit, tables to verdict: fair and biased, reader shifted and not."""
    count = max(effort.others // 10, 20)
    for shifted in (False, True):
        for with_labels in (True,) if shifted else (True, False):
            fair = Setting(60, 16, icc=0.1, shifted=shifted)
            biased = Setting(60, 16, share=0.2, icc=0.1, shifted=shifted)
            how = "with 400 labels" if with_labels else "without labels"
            found = simulated.verdicts(fair, audits=count, with_labels=with_labels)
            hits = [status is Status.FAIL for status in found]
            yield _rate(
                "planted.fair taken for biased", hits, ceiling=_level(count, effort), note=f"{fair}, {how}"
            )
            found = simulated.verdicts(biased, audits=count, with_labels=with_labels)
            hits = [status is Status.FAIL for status in found]
            yield _rate("planted.bias found", hits, floor=0.9, note=f"{biased}, {how}")


def measure_one_group() -> Iterator[Figure]:
    """A model that shows one group only must get the worst score of every index."""
    for k in (2, 7):
        counts = np.zeros((24, k + 1), dtype=np.int64)
        counts[:, 0] = 12
        readings = Readings(counts, tuple("abcdefg"[:k]), tuple(map(str, range(24))))
        spread = compute_spread(readings, None, np.full(k, 1 / k), draws=400, rng=np.random.default_rng(0))
        for name, found in spread.indices.items():
            yield Figure(f"one group only.{name}", found.observed / found.worst, "of worst", floor=1 - 1e-9,
                         note=f"{k} groups")  # fmt: skip


def measure_scale() -> Iterator[Figure]:
    """A million images, a thousand prompts, four attributes; time must not grow faster than images."""
    small, large = run_in_process(10_000), run_in_process(1_000_000)
    note = "1,000,000 images, 1,000 prompts, 4 attributes, tables in memory"
    yield Figure(
        "scale.seconds",
        large["seconds"],
        "s",
        ceiling=60,
        note=f"{note}; {large['cpu_seconds']:.0f} s of CPU",
    )
    yield Figure("scale.memory", large["gigabytes"], "GB", ceiling=3, note=f"{note}; whole process")
    growth = large["cpu_seconds"] / small["cpu_seconds"] / 100
    yield Figure(
        "scale.growth", growth, "of linear", ceiling=1, note="CPU time from 10,000 to 1,000,000 images"
    )


def measure(effort: Effort) -> Iterator[Figure]:
    """All figures, one by one."""
    yield from measure_one_group()
    yield from measure_skin_tone()
    folder = published.shared_data()
    if folder is not None:
        yield from published.measure_fair_diffusion(
            folder / "bias" / "fair_diffusion", orders=2 if effort.quick else 10
        )
        yield from published.measure_faces(folder / "faces", resamplings=500)
    yield from measure_coverage(effort)
    yield from measure_more_coverage(effort)
    yield from measure_tests(effort)
    yield from measure_planted(effort)
    if not effort.quick:
        yield from measure_scale()


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bias")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="a tenth of the simulations, no million images")
    chosen = parser.parse_args()
    effort = Effort(audits=200, others=100, quick=True) if chosen.quick else Effort()
    return print_figures("bias", measure(effort), as_json=chosen.json)


if __name__ == "__main__":
    sys.exit(main())
