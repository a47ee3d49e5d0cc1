"""Detector: answers, calibrated probabilities and checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboards.charts import count_chart, histogram
from dashboards.data import load_table
from dashboards.frame import current_run, open_room, show_checks, show_measured, show_methods, show_problem

_WORDS = {"synthetic": "synthetic", "real": "real", "abstain": "no answer (abstains)"}


def show() -> None:
    """Draw the page."""
    evidence = open_room("detector")
    if evidence is None:
        return
    table = load_table(current_run(), "detector", columns=("image_id", "status", "verdict", "p_synthetic"))
    show_problem(table.problem)
    if len(table.rows):
        _show_answers(table.rows)
    elif not table.problem:
        st.info("No picture was judged in this room.")
    st.header("Measured values")
    show_measured(evidence, "detector")
    st.header("Checks")
    show_checks(evidence.checks, key="detector")
    show_methods("detector")


def _show_answers(rows: pd.DataFrame) -> None:
    left, right = st.columns(2, gap="large")
    left.header("Answers")
    words = rows["verdict"].map(_WORDS).astype(object).fillna("could not judge").value_counts()
    counts = {str(word): int(number) for word, number in words.items()}
    left.altair_chart(count_chart(counts), alt=f"Answers of the detector: {counts}")
    right.header("Probabilities")
    scored = pd.to_numeric(rows["p_synthetic"]).dropna().to_numpy(np.float64)
    if not len(scored):
        right.info("No image lies within the detector's scope, so there is no probability.")
        return
    chart = histogram(scored, title="calibrated probability of being synthetic", bounds=(0.0, 1.0), bins=20)
    right.altair_chart(chart, alt=f"Calibrated probabilities of {len(scored)} images")


show()
