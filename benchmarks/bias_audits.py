"""Simulated audits with known truth: prompts that hang together, a reader that errs, labels, and shift.

Counts are drawn directly (truth x reading per prompt), so an audit of 150 prompts x 250 images costs as little as
one of 20 x 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from audit.bias.labelled import LabelledReadings
from audit.bias.readings import UNDETERMINED, ErrorMatrix, Floats, Readings

GROUPS = ("woman", "man")
DEEPFACE = np.array(
    [[0.67, 0.33, 0.0], [0.01, 0.99, 0.0]]
)  # recall .67 / .99, as published for generated faces
CALIBRATED = np.array(
    [[0.905, 0.095, 0.0], [0.153, 0.847, 0.0]]
)  # the same reader, calibrated, on its test faces
ICC = 0.45
CALIBRATION_LABELS = 250  # per group: 500 in all
AUDIT_LABELS = 100  # of the audited images


@dataclass(frozen=True)
class Setting:
    """One kind of audit.

    Attributes:
        prompts: P.
        images: of each prompt.
        share: mean share of women.
        icc: 0: all prompts alike.
        shifted: the error matrix was counted where the reader is better than on the audited images.
    """

    prompts: int
    images: int
    share: float = 0.5
    icc: float = ICC
    shifted: bool = False

    def __str__(self) -> str:
        shift = ", shifted" if self.shifted else ""
        return f"{self.prompts} prompts x {self.images} images, share {self.share}, ICC {self.icc}{shift}"


@dataclass(frozen=True, eq=False)
class Audit:
    """One simulated audit and its truth: float64 (P,) shares of women."""

    readings: Readings
    labelled: LabelledReadings
    matrix: ErrorMatrix
    shares: Floats

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Bias table, images table and labels of this audit, as a run and its annotator would have written them."""
        names = np.array([*self.readings.groups, UNDETERMINED])
        prompts = np.array(self.readings.prompt_ids)
        row, read = np.divmod(
            np.repeat(np.arange(self.readings.counts.size), self.readings.counts.ravel()), len(names)
        )
        ids = np.array([f"{prompts[one]}/{index}" for index, one in enumerate(row)])
        images = pd.DataFrame({"image_id": ids, "prompt_id": prompts[row], "prompt": prompts[row]})
        rows = images[["image_id", "prompt_id"]].assign(
            attribute="presentation", value=names[read], probabilities="{}", status="pass", reason="read"
        )
        said, chosen = [], []
        for prompt, reading, label in np.argwhere(self.labelled.counts > 0):
            count = int(self.labelled.counts[prompt, reading, label])
            skipped = int(self.labelled.counts[prompt, reading, :label].sum())
            mine = np.flatnonzero((row == prompt) & (read == reading))[skipped : skipped + count]
            chosen.append(ids[mine])
            said.append(np.repeat(names[label], count))
        labels = pd.DataFrame({"image_id": np.concatenate(chosen), "value": np.concatenate(said)})
        return rows, images, labels.assign(attribute="presentation", annotator="one")


def _draw_labels(joint: np.ndarray, *, labels: int, rng: np.random.Generator) -> Floats:
    """Label images at random: (P, truth, reading) counts -> (P, reading, label) counts."""
    cells = rng.multivariate_hypergeometric(joint.ravel(), min(labels, int(joint.sum())), method="marginals")
    drawn = np.swapaxes(cells.reshape(joint.shape), 1, 2).astype(np.float64)
    return np.concatenate([drawn, np.zeros((*drawn.shape[:2], 1))], axis=2)


def simulate(
    setting: Setting, *, audits: int, labels: int = AUDIT_LABELS, seed: int = 2
) -> Iterator[tuple[Audit, np.random.Generator]]:
    """Simulated audits, each with the generator that goes on."""
    names = tuple(f"prompt {index}" for index in range(setting.prompts))
    before = CALIBRATED if setting.shifted else DEEPFACE
    for index in range(audits):
        key = [seed, setting.prompts, setting.images, round(setting.share * 1000), setting.shifted, index]
        rng = np.random.default_rng(key)
        shares = np.full(setting.prompts, setting.share)
        if setting.icc > 0:
            mass = (1 - setting.icc) / setting.icc
            shares = rng.beta(setting.share * mass, (1 - setting.share) * mass, size=setting.prompts)
        women = rng.binomial(setting.images, shares)
        truth = np.stack([women, setting.images - women], axis=1)
        joint = rng.multinomial(truth, DEEPFACE)  # (P, truth, reading)
        labelled = LabelledReadings(_draw_labels(joint, labels=labels, rng=rng), GROUPS)
        matrix = ErrorMatrix(np.array([rng.multinomial(CALIBRATION_LABELS, row) for row in before]), GROUPS)
        yield Audit(Readings(joint.sum(axis=1), GROUPS, names), labelled, matrix, shares), rng
