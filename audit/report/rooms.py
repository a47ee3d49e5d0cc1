"""What the report says of each room: charts and tables, ready for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from markupsafe import Markup

from audit.evidence import Check, Evidence, Status
from audit.report.figures import (
    IntervalRow,
    count_chart,
    histogram,
    interval_chart,
    status_chart,
)
from audit.report.words import LAYERS

MAX_ROWS = 60  # rows of one chart
_FIRST = (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE, Status.PASS, Status.SKIPPED)


@dataclass(frozen=True)
class Figure:
    """A chart with its caption.

    Attributes:
        svg: inline SVG, already escaped.
        caption: what it shows and how to read it.
    """

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Listing:
    """A table.

    Attributes:
        caption: above it.
        head: column names.
        rows: cells as text.
        hidden: rows that are not shown.
    """

    caption: str
    head: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    hidden: int = 0


@dataclass(frozen=True)
class RoomFigures:
    """Charts, tables and remarks of a room."""

    figures: tuple[Figure, ...] = ()
    listings: tuple[Listing, ...] = ()
    remarks: tuple[str, ...] = field(default=())


def build_figure(svg: str, caption: str) -> Figure:
    """A figure from a chart of `figures`, which escapes all text itself."""
    return Figure(Markup(svg), caption)  # noqa: S704 - made by audit.report.figures, which escapes


def sort_checks(checks: Sequence[Check]) -> list[Check]:
    """Findings first, otherwise in the room's order."""
    return sorted(checks, key=lambda check: _FIRST.index(check.status))


def headline(evidence: Evidence) -> str:
    """The reason of the first check that gave the room its status; one about the whole run, if there is one."""
    decisive = [check for check in evidence.checks if check.status is evidence.status]
    overall = [check for check in decisive if "prompt_id" not in check.details]
    if overall:
        return overall[0].reason
    for check in decisive:
        more = f" ({len(decisive) - 1} more prompts are like this.)" if len(decisive) > 1 else ""
        return f"{check.details['prompt_id']}: {check.reason}{more}"
    return "Nothing was checked."


def label_of(name: str, room: str) -> str:
    """The name of a check in words: "similarity.match_rate" -> "match rate"."""
    return name.removeprefix(f"{room}.").replace("_", " ").replace(".", " · ")


def summary_checks(evidence: Evidence) -> list[Check]:
    """The checks about the whole run; those about one prompt have charts of their own."""
    return [check for check in evidence.checks if "prompt_id" not in check.details]


def measured_figures(evidence: Evidence, room: str) -> list[Figure]:
    """One interval chart for each unit that checks with an interval have."""
    by_unit: dict[str, list[IntervalRow]] = {}
    for check in summary_checks(evidence):
        if check.interval is not None and isinstance(check.value, int | float):
            interval = check.interval
            row = IntervalRow(
                label_of(check.name, room), float(check.value), interval.low, interval.high, check.threshold
            )
            by_unit.setdefault(check.unit, []).append(row)
    figures = []
    for unit, rows in by_unit.items():
        caption = "Measured values with their intervals. A dashed mark is the threshold that a value is held against."
        if len(rows) > MAX_ROWS:
            caption += f" The first {MAX_ROWS} of {len(rows)} are drawn; the table below has them all."
        chart = interval_chart(rows[:MAX_ROWS], title="Measured values with intervals", unit=unit)
        figures.append(build_figure(chart, caption))
    return figures


def provenance_figures(rows: pd.DataFrame) -> RoomFigures:
    """Verdicts, layers, watermark strengths and signers."""
    figures, remarks = [], []
    words = rows["verdict"].astype(object).fillna("could not check")
    counts = {str(word): int(number) for word, number in words.value_counts().items()}
    figures.append(
        build_figure(count_chart(counts, title="Overall word of each file"), "The overall word of each file.")
    )
    layers = {
        title: {Status(str(value)): int(number) for value, number in rows[column].value_counts().items()}
        for column, title in LAYERS.items()
        if rows[column].notna().any()
    }
    if layers:
        caption = (
            "What each layer of the files says. Each question is asked and answered apart from the others."
        )
        figures.append(build_figure(status_chart(layers, title="Answers by layer"), caption))
    strength = (
        -rows.loc[rows["watermark"] == str(Status.PASS), "watermark_log10_p"].dropna().to_numpy(np.float64)
    )
    if len(strength):
        label = "zeros after the decimal point of the probability that chance alone reads a watermark"
        chart = histogram(strength, title="Strength of the watermarks found", label=label)
        figures.append(
            build_figure(chart, f"How surely the watermark was read, in {len(strength)} files that carry it.")
        )
    else:
        remarks.append("Our watermark was found in no file.")
    return RoomFigures(tuple(figures), tuple(_signers(rows)), tuple(remarks))


def _signers(rows: pd.DataFrame) -> list[Listing]:
    signed = rows[rows["signer"].fillna("") != ""]
    if signed.empty:
        return []
    keys = ["signer", "issuer", "development_identity"]
    table = signed.groupby(keys, dropna=False, sort=False).size().rename("files").reset_index()
    table = table.sort_values("files", ascending=False)
    listed = [
        (str(signer), str(issuer or "not named"), "yes" if own is True else "no", str(number))
        for signer, issuer, own, number in table.head(20).itertuples(index=False)
    ]
    head = ("Signer", "Certificate issued by", "Development identity", "Files")
    return [Listing("Who signed, as the certificates say", head, listed, max(len(table) - 20, 0))]


def detector_figures(rows: pd.DataFrame) -> RoomFigures:
    """Answers and calibrated probabilities."""
    names = {"synthetic": "synthetic", "real": "real", "abstain": "no answer (abstains)"}
    verdicts = rows["verdict"].map(names).astype(object).fillna("could not judge")
    counts = {str(word): int(number) for word, number in verdicts.value_counts().items()}
    figures = [
        build_figure(count_chart(counts, title="Answers of the detector"), "What the detector answered.")
    ]
    scored = pd.to_numeric(rows["p_synthetic"]).dropna().to_numpy(np.float64)
    if len(scored):
        label = "calibrated probability of being synthetic"
        chart = histogram(scored, title="Calibrated probabilities", label=label, bounds=(0.0, 1.0), bins=20)
        figures.append(
            build_figure(chart, f"Probabilities of the {len(scored)} images within the detector's scope.")
        )
        return RoomFigures(tuple(figures))
    return RoomFigures(tuple(figures), (), ("No image lies within the detector's scope.",))


def similarity_figures(rows: pd.DataFrame) -> RoomFigures:
    """p-values of the best candidates, and how similar those are."""
    best = rows[rows["rank"] == 1]
    p_values = pd.to_numeric(best["p_value"]).dropna().to_numpy(np.float64)
    if not len(p_values):
        return RoomFigures(remarks=("No picture was traced, so there is no candidate to show.",))
    close = pd.to_numeric(best["similarity"]).dropna().to_numpy(np.float64)
    flat = (
        "Without any copying about the same number of images falls into each bar; copies pile up at the left."
    )
    by_chance = histogram(
        p_values, title="p-values of the best candidates", label="p-value", bounds=(0.0, 1.0), bins=20
    )
    figures = [
        build_figure(by_chance, f"How often chance comes as close as each image's best candidate. {flat}")
    ]
    chart = histogram(
        close, title="Similarity of the best candidates", label="similarity to the best candidate"
    )
    figures.append(build_figure(chart, "How similar the best candidate of each image is; 1 is a copy."))
    return RoomFigures(tuple(figures))
