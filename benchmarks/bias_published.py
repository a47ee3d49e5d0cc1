"""Published audits and labelled faces run through the audit; only where the development data are present."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audit.bias.amplification import Amplification, AmplificationTable, compare_with_training
from audit.bias.intervals import THESE_PROMPTS
from audit.bias.labelled import LabelledReadings
from audit.bias.ppi import estimate_with_labels
from audit.bias.readings import Counts, Floats, Readings
from audit.bias.sequential import SequentialAudit, Verdict
from audit.bias.significance import adjust_benjamini_hochberg, prompt_p_values
from audit.statistics import clopper_pearson_bounds, wilson
from benchmarks.document import Figure

PARITY = np.array([0.5, 0.5])
GROUPS = ("woman", "man")
# Rows of the published file, 153 occupations in alphabetical order, as its authors group them.
FIELDS = {
    "science": (1, 18, 21, 25, 45, 128),
    "engineering": (1, 4, 17, 25, 26, 27, 45, 47, 67, 89, 116, 134),
    "arts": (5, 6, 38, 59, 69, 94, 102, 107, 131, 152),
    "care": (16, 22, 35, 36, 37, 43, 66, 82, 87, 91, 96, 97, 99, 108, 117, 132, 133, 138, 139, 141),
}
PUBLISHED_MEANS = {"science": 0.3420, "engineering": 0.1893, "arts": 0.5464, "care": 0.7557}
PUBLISHED_SPREADS = {"science": 0.1709, "engineering": 0.1479, "arts": 0.2406, "care": 0.2611}
PUBLISHED_VERDICTS = {
    Amplification.AMPLIFIED: 56.86,
    Amplification.REFLECTED: 21.57,
    Amplification.MITIGATED: 21.57,
}
FACES, LABELS = 240, 60


def shared_data() -> Path | None:
    """The folder of development data beside the checkout; None where there is none."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


def read_counts(path: Path) -> Counts:
    """int64 (occupations, 2): women and men of a published count file."""
    numbers = np.array([int(n) for n in re.findall(r"(?:woman|man): (\d+)", path.read_text())]).reshape(-1, 2)
    return np.asarray(numbers[:, ::-1], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class FairDiffusion:
    """Perceived women and men, int64 (153, 2) each."""

    training: Counts
    generated: Counts

    @classmethod
    def load(cls, folder: Path) -> FairDiffusion:
        """From the folder of published counts."""
        return cls(
            read_counts(folder / "results_fairface_laion.txt"),
            read_counts(folder / "results_fairface_generated_1-5.txt"),
        )

    def amplification(self) -> AmplificationTable:
        """Published verdicts and which of them stand, both sides with exact intervals."""
        women = [table[:, 0] for table in (self.training, self.generated)]
        totals = [table.sum(axis=1) for table in (self.training, self.generated)]
        exact = [clopper_pearson_bounds(k, n) for k, n in zip(women, totals, strict=True)]
        return compare_with_training(
            women[0] / totals[0], women[1] / totals[1], training_bounds=exact[0], generated_bounds=exact[1]
        )

    def rejected(self) -> int:
        """Occupations that differ from parity with all their images (exact binomial, BH at 5 %)."""
        names = tuple(map(str, range(len(self.generated))))
        counts = np.pad(self.generated, ((0, 0), (0, 1)))
        p_values = prompt_p_values(
            Readings(counts, GROUPS, names), None, PARITY, rng=np.random.default_rng(0)
        )
        return int((adjust_benjamini_hochberg(p_values) <= 0.05).sum())

    def run_sequentially(self, *, seed: int) -> tuple[int, int]:
        """Images spent and departures found when the real counts arrive in random order."""
        rng = np.random.default_rng(seed)
        totals = self.generated.sum(axis=1)
        streams = np.full((len(totals), int(totals.max())), -1)
        for row, (women, men) in enumerate(self.generated):
            streams[row, : women + men] = rng.permutation(np.repeat([1, 0], [women, men]))
        engine = SequentialAudit(tuple(map(str, range(len(totals)))), PARITY, margin=None)
        state = engine.progress()
        for column in streams.T:
            if not state.active.any():
                break
            state = engine.update(np.stack([column == 1, column == 0, column == 2], axis=1).astype(np.int64))
        return state.images, sum(verdict is Verdict.OUTSIDE for verdict in state.verdicts)


def measure_fair_diffusion(folder: Path, *, orders: int) -> Iterator[Figure]:
    """The published figures, how many stand, and what a sequential audit would have cost."""
    data = FairDiffusion.load(folder)
    shares = data.generated[:, 0] / data.generated.sum(axis=1)
    for field, rows in FIELDS.items():
        mean, spread = shares[list(rows)].mean(), shares[list(rows)].std(ddof=1)
        gap = max(abs(mean - PUBLISHED_MEANS[field]), abs(spread - PUBLISHED_SPREADS[field]))
        yield Figure(
            f"published.{field}", float(mean), "share",
            ceiling=PUBLISHED_MEANS[field] + 5e-5, floor=PUBLISHED_MEANS[field] - 5e-5,
            note=f"standard deviation {spread:.4f}; largest difference from the published figures {gap:.5f}",
        )  # fmt: skip
    table = data.amplification()
    for verdict, (count, stands) in table.counts().items():
        value = 100 * count / len(shares)
        yield Figure(
            f"published.{verdict}", round(value, 2), "%", floor=PUBLISHED_VERDICTS[verdict],
            ceiling=PUBLISHED_VERDICTS[verdict],
            note=f"{stands} of {count} stand with 95 % intervals of both sides",
        )  # fmt: skip
    fixed = data.rejected()
    runs = np.array([data.run_sequentially(seed=seed) for seed in range(orders)])
    yield Figure("sequential.images", float(runs[:, 0].mean() / data.generated.sum()), "of fixed n", ceiling=0.40,
                 note=f"{orders} random orders of the real counts, e-BH, looked at after every image")  # fmt: skip
    yield Figure("sequential.power", float(runs[:, 1].mean() / fixed), "of fixed n", floor=0.85,
                 note=f"{fixed} of 153 found with all images and BH")  # fmt: skip


Reader = Callable[[np.random.Generator], Counts]


def _readers(truth: Counts, folder: Path) -> dict[str, Reader]:
    """Readers as functions to int64 (n,) readings (0 woman, 1 man, 2 undetermined), from useless to good."""
    brightness = _brightness(folder)[: len(truth)]
    return {
        "always the same": lambda _: np.ones_like(truth),
        "a coin": lambda rng: rng.integers(0, 2, len(truth)),
        "wrong three times in four": lambda rng: np.where(rng.random(len(truth)) < 0.75, 1 - truth, truth),
        "brightness of the picture": lambda _: np.where(brightness > np.median(brightness), 0, 1),
        "half undetermined": lambda rng: np.where(rng.random(len(truth)) < 0.5, 2, truth),
        "recall .67 and .99": lambda rng: np.where(
            rng.random(len(truth)) < np.where(truth == 0, 0.67, 0.99), truth, 1 - truth
        ),
    }


def _brightness(folder: Path) -> Floats:
    from PIL import Image

    values = []
    for path in sorted((folder / "female").glob("*.png")) + sorted((folder / "male").glob("*.png")):
        with Image.open(path) as picture:
            values.append(float(np.asarray(picture.convert("L").resize((16, 16))).mean()))
    return np.array(values)


def _label_some(truth: Counts, read: Counts, rng: np.random.Generator) -> tuple[Readings, LabelledReadings]:
    counts = np.bincount(read, minlength=3)[None]
    chosen = rng.choice(len(truth), LABELS, replace=False)
    joint = np.zeros((1, 3, 3))
    np.add.at(joint[0], (read[chosen], truth[chosen]), 1)
    return Readings(counts, GROUPS, ("all images",)), LabelledReadings(joint, GROUPS)


def measure_faces(folder: Path, *, resamplings: int) -> Iterator[Figure]:
    """PPI++ from 60 labels of 240 generated faces, with readers of every kind."""
    truth = np.repeat([0, 1], FACES // 2)
    for number, (name, reader) in enumerate(_readers(truth, folder).items()):
        held = []
        for index in range(resamplings):
            rng = np.random.default_rng([21, number, index])
            readings, labelled = _label_some(truth, reader(rng), rng)
            found = estimate_with_labels(readings, labelled, claim=THESE_PROMPTS).shares
            held.append(bool(found.low[0] <= 0.5 <= found.high[0]))
        yield Figure(
            "faces.coverage with 60 labels", float(np.mean(held)), f"of {resamplings}", floor=0.93,
            interval=wilson(sum(held), len(held)), note=f"reader: {name}",
        )  # fmt: skip
