"""Provenance: overall words, layers, watermark strength, signers and checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from audit.report.words import LAYERS
from dashboards.charts import count_chart, histogram, layer_chart
from dashboards.data import load_table
from dashboards.frame import current_run, open_room, plain, show_checks, show_methods, show_problem

_COLUMNS = (
    "image_id",
    "status",
    "verdict",
    *LAYERS,
    "signer",
    "issuer",
    "development_identity",
    "watermark_log10_p",
)


def show() -> None:
    """Draw the page."""
    evidence = open_room("provenance")
    if evidence is None:
        return
    table = load_table(current_run(), "provenance", columns=_COLUMNS)
    show_problem(table.problem)
    if len(table.rows):
        _show_words(table.rows)
        _show_watermarks(table.rows)
        _show_signers(table.rows)
    elif not table.problem:
        st.info("No file was looked at in this room.")
    st.header("Checks")
    show_checks(evidence.checks, key="provenance")
    show_methods("provenance")


def _show_words(rows: pd.DataFrame) -> None:
    left, right = st.columns(2, gap="large")
    words = rows["verdict"].astype(object).fillna("could not check").value_counts()
    left.header("Overall word of each file")
    counts = {str(word): int(number) for word, number in words.items()}
    left.altair_chart(count_chart(counts), alt=f"Files by overall word: {counts}")
    right.header("Layer by layer")
    right.altair_chart(layer_chart(rows), alt="Files by status, for each layer of provenance")


def _show_watermarks(rows: pd.DataFrame) -> None:
    st.header("Watermarks")
    found = rows[rows["watermark"] == "pass"]
    strength = -found["watermark_log10_p"].dropna().to_numpy(np.float64)
    if not len(strength):
        st.info("Our watermark was found in no file.")
        return
    st.markdown(f"Found in {len(found)} of {len(rows)} files.")
    title = "zeros after the decimal point of the probability that chance alone reads it"
    st.altair_chart(histogram(strength, title=title), alt=f"Strength of {len(strength)} watermarks")


def _show_signers(rows: pd.DataFrame) -> None:
    st.header("Signers")
    signed = rows[rows["signer"].fillna("") != ""]
    if signed.empty:
        st.info("No file names a signer.")
        return
    keys = ["signer", "issuer", "development_identity"]
    table = signed.groupby(keys, dropna=False, sort=False).size().rename("files").reset_index()
    table = table.sort_values("files", ascending=False).head(30)
    shown = pd.DataFrame(
        {
            "Signer, as the certificate says": table["signer"].map(plain),
            "Issued by": table["issuer"].fillna("").map(plain),
            "Development identity": table["development_identity"].map(
                lambda own: "yes" if own is True else "no"
            ),
            "Files": table["files"],
        }
    )
    st.table(shown, border="horizontal", hide_index=True, alt="Signers and how many files they signed")


show()
