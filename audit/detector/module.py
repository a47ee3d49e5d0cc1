"""The detector as a room of the audit: one row per image, and evidence about the run."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.collection import Item, load_pixels
from audit.detector.calibration import Verdict
from audit.detector.evaluation import Share, compute_clustered_share
from audit.detector.processing import MEASURED_CHAINS
from audit.detector.scoring import Detector, load_detector
from audit.engine import Module
from audit.evidence import Check, Evidence, Interval, Status
from generator.weights import Card

RECALL_FLOOR = 0.7
"""Share of a run's own images that the detector has to recognise; below it, detectability is a finding."""

_SOURCE = "audit.detector"
_UNKNOWN = (
    "Who made these images is not recorded, so the detector's answers cannot be compared with the truth; they are no "
    "finding about any image."
)


@dataclass(frozen=True)
class Measure:
    """Items to rows; loads the detector once per process.

    Attributes:
        weights: name of shipped weights or path of a safetensors file.
    """

    weights: str | Path

    def __call__(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """One row per item.

        Raises:
            CannotCheckError: an image cannot be decoded.
            WeightsError: the weights cannot be used.
        """
        detector = _load(self.weights)
        return [_row(detector, item) for item in items]


@lru_cache(maxsize=2)
def _load(weights: str | Path) -> Detector:
    return load_detector(weights)


def _row(detector: Detector, item: Item) -> dict[str, Any]:
    reading = detector.read(load_pixels(item.path))
    status = Status.INCONCLUSIVE if reading.verdict is Verdict.ABSTAIN else Status.PASS
    return {
        "image_id": item.image_id,
        "status": str(status),
        "reason": reading.reason,
        "verdict": str(reading.verdict),
        "logit": reading.logit,
        "p_synthetic": reading.p_synthetic,
    }


def build_module(*, weights: str | Path = "detector") -> Module:
    """The detector room.

    Args:
        weights: name of shipped weights, or a path to a `.safetensors` file with its card beside it.

    Raises:
        WeightsError: the weights are missing, damaged or of another family.
    """
    card = _load(weights).card
    return Module(
        name="detector",
        title="Synthetic-image detector",
        measure=Measure(weights),
        summarise=lambda rows, images: summarise(rows, images, card=card),
    )


def summarise(rows: pd.DataFrame, images: pd.DataFrame, *, card: Card) -> Evidence:
    """Evidence about a run.

    Args:
        rows: the detector table: image_id, status, reason, verdict, logit, p_synthetic.
        images: the images table; images with a generator are known to be synthetic.
        card: of the detector, with its own measured error rates.
    """
    if rows.empty:
        empty = Check("detector.images", Status.ERROR, "There is no image to judge.", source=_SOURCE)
        return Evidence("detector", (empty,))
    origin = images.drop_duplicates("image_id").set_index("image_id").reindex(rows["image_id"])
    known = origin["generator"].notna().to_numpy()
    clusters = [
        prompt if isinstance(prompt, str) else f"image {image_id}"
        for prompt, image_id in zip(origin["prompt_id"], rows["image_id"], strict=True)
    ]
    table = pd.DataFrame(
        {
            "verdict": _column(rows, "verdict"),
            "p_synthetic": _column(rows, "p_synthetic").astype(np.float64),
            "judged": (rows["status"] != str(Status.ERROR)).to_numpy(),
            "known": known,
            "cluster": clusters,
        }
    )
    checks = [
        _check_readable(table),
        _check_recall(table),
        _check_abstention(table),
        _check_mean(table),
        *_check_card(card),
    ]
    return Evidence("detector", tuple(check for check in checks if check is not None))


def _column(rows: pd.DataFrame, name: str) -> NDArray[np.object_]:
    """A column that a table of errors alone may lack."""
    return rows[name].to_numpy(dtype=object) if name in rows else np.full(len(rows), None)


def _share(hits: pd.Series, clusters: pd.Series) -> Share:
    names: list[Hashable] = list(clusters)
    return compute_clustered_share([bool(hit) for hit in hits], names)


def _check_readable(table: pd.DataFrame) -> Check | None:
    broken = int((~table["judged"]).sum())
    if not broken:
        return None
    return Check(
        "detector.readable",
        Status.ERROR,
        f"{broken} of {len(table)} images could not be judged; their rows say why.",
        value=float(broken),
        unit="images",
        source=_SOURCE,
        next_step="Look at the rows with status error.",
    )


def _check_recall(table: pd.DataFrame) -> Check:
    """Of images known to be generated: how many does the detector call synthetic?"""
    known = table[table["known"] & table["judged"]]
    if known.empty:
        found = int((table["verdict"] == Verdict.SYNTHETIC).sum())
        return Check(
            "detector.recall",
            Status.INCONCLUSIVE,
            f"{_UNKNOWN} The detector called {found} of {len(table)} synthetic.",
            source=_SOURCE,
            next_step="Read the provenance room: a signed manifest can prove origin, a detector cannot.",
            details={"called_synthetic": found, "images": len(table)},
        )
    share = _share(known["verdict"] == Verdict.SYNTHETIC, known["cluster"])
    if share.interval.low >= RECALL_FLOOR:
        status, words = Status.PASS, "is above the floor with 95 % confidence"
    elif share.interval.high < RECALL_FLOOR:
        status, words = Status.FAIL, "is below the floor with 95 % confidence"
    else:
        status, words = Status.INCONCLUSIVE, "cannot be told from the floor with so few images or prompts"
    return Check(
        "detector.recall",
        status,
        f"The detector called {share.hits} of {share.n} images that are known to be generated synthetic; that share "
        f"{words} ({RECALL_FLOOR:.0%}).",
        value=share.value,
        unit="share",
        interval=share.interval,
        threshold=RECALL_FLOOR,
        source=_SOURCE,
        next_step=""
        if status is Status.PASS
        else "Audit more prompts, or train the detector on this generator.",
        details=_verdicts(known),
    )


def _verdicts(table: pd.DataFrame) -> dict[str, Any]:
    return {str(verdict): int((table["verdict"] == verdict).sum()) for verdict in Verdict}


def _check_abstention(table: pd.DataFrame) -> Check:
    judged = table[table["judged"]]
    share = _share(judged["verdict"] == Verdict.ABSTAIN, judged["cluster"])
    most = share.n == 0 or share.value > 0.5
    return Check(
        "detector.abstention",
        Status.INCONCLUSIVE if most else Status.PASS,
        f"The detector gave no answer for {share.hits} of {share.n} images: they are out of scope, or their "
        "score fits both classes or neither.",
        value=share.value,
        unit="share",
        interval=share.interval,
        threshold=0.5,
        source=_SOURCE,
        next_step="This detector knows drawings of the embedded world only." if most else "",
        details=_verdicts(judged),
    )


def _check_mean(table: pd.DataFrame) -> Check:
    """Mean calibrated probability, over prompts first and then over images."""
    scored = table[table["p_synthetic"].notna()]
    if scored.empty:
        return Check(
            "detector.mean_probability",
            Status.INCONCLUSIVE,
            "No image lies within the detector's scope, so there is no calibrated probability to average.",
            source=_SOURCE,
        )
    values = scored.groupby("cluster", sort=True)["p_synthetic"].mean().to_numpy(dtype=np.float64)
    rng = np.random.default_rng(len(values))  # the run's rows alone decide the interval
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    method = f"bootstrap over {len(values)} prompts or single images"
    return Check(
        "detector.mean_probability",
        Status.PASS,
        f"Mean calibrated probability of being synthetic over {len(scored)} images within the detector's scope.",
        value=float(values.mean()),
        unit="probability",
        interval=Interval(float(low), float(high), 0.95, method),
        source=_SOURCE,
    )


def _check_card(card: Card) -> list[Check]:
    """The detector's own error rates, as its card reports them."""
    words = {
        "fpr": "real drawings that the detector called synthetic",
        "fnr": "generated images that the detector called real",
    }
    return [check for name, text in words.items() if (check := _rate(card, name, text)) is not None]


def _rate(card: Card, name: str, words: str) -> Check | None:
    figures = card.figures
    keys = [name, f"{name}_low", f"{name}_high", f"{name}_n"]
    if any(key not in figures for key in keys):
        return None
    value, low, high, n = (float(figures[key]) for key in keys)
    alpha = float(card.config["calibration"]["alpha"])
    by_chain = {
        chain: figures[f"{chain}_{name}"] for chain in MEASURED_CHAINS if f"{chain}_{name}" in figures
    }
    worst = max(by_chain, key=lambda chain: by_chain[chain], default=None)
    reason = (
        f"When the detector was measured, {value:.1%} of {n:.0f} held-out images were {words}; this holds for images "
        "like those it was measured on and for no others."
    )
    if worst is not None and by_chain[worst] > alpha:
        reason += f" Worst measured processing: {worst}, {by_chain[worst]:.1%}."
    return Check(
        f"detector.measured_{name}",
        Status.FAIL if low > alpha else Status.PASS,
        reason,
        value=value,
        unit="share",
        interval=Interval(low, high, 0.95, "clopper-pearson"),
        threshold=alpha,
        source=f"detector card {card.digest[:19]}",
        details=dict(by_chain),
    )
