"""Tracing: p-values, the closest pairs and the checks."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import streamlit as st

from dashboards.charts import histogram
from dashboards.data import load_contents, load_table
from dashboards.frame import (
    current_run,
    open_room,
    plain,
    reference_folder,
    show_checks,
    show_measured,
    show_methods,
    show_problem,
)
from dashboards.view import load_candidate, load_picture

_COLUMNS = ("image_id", "rank", "candidate_id", "similarity", "p_value", "match", "status")
_PAIRS = 8  # pairs shown at once


def show() -> None:
    """Draw the page."""
    evidence = open_room("similarity")
    if evidence is None:
        return
    table = load_table(current_run(), "similarity", columns=_COLUMNS)
    show_problem(table.problem)
    best = table.rows[(table.rows["rank"] == 1) & table.rows["candidate_id"].notna()]
    if len(best):
        _show_distributions(best)
        _show_pairs(best)
    elif not table.problem:
        st.info("No picture was traced in this room.")
    st.header("Measured values")
    show_measured(evidence, "similarity")
    st.header("Checks")
    show_checks(evidence.checks, key="similarity")
    show_methods("similarity")


def _show_distributions(best: pd.DataFrame) -> None:
    left, right = st.columns(2, gap="large")
    left.header("How often chance comes as close")
    p_values = best["p_value"].dropna().to_numpy(np.float64)
    left.altair_chart(
        histogram(p_values, title="p-value of the best candidate", bounds=(0.0, 1.0), bins=20),
        alt=f"p-values of {len(p_values)} images",
    )
    left.caption(
        "Without copying, about the same number of images falls into each bar; copies pile up at the left."
    )
    right.header("How close")
    close = best["similarity"].dropna().to_numpy(np.float64)
    right.altair_chart(
        histogram(close, title="similarity to the best candidate"), alt=f"Similarities of {len(close)} images"
    )
    right.caption("1 is a copy.")


def _show_pairs(best: pd.DataFrame) -> None:
    run = current_run()
    st.header("Closest references")
    st.markdown(
        "Each picture of this run beside the reference that it resembles most, lowest p-value first. A pair is a "
        "lead to look at, no proof of copying."
    )
    images = load_table(run, "images", columns=("image_id", "path")).rows
    pairs = best.merge(images, on="image_id", how="inner").sort_values(
        ["p_value", "similarity"], ascending=[True, False]
    )
    pages = max(math.ceil(len(pairs) / _PAIRS), 1)
    number = st.pagination(pages, key="pairs-page") if pages > 1 else 1
    folder = reference_folder(load_contents(run))
    grid = st.grid(4, min_column_width=260, gap="medium")
    for row in pairs.iloc[(number - 1) * _PAIRS : number * _PAIRS].to_dict("records"):
        with grid.container(border=True):
            pictures = (
                (load_picture(run / str(row["path"]), side=256), "in this run"),
                (load_candidate(str(row["candidate_id"]), side=256, folder=folder), "reference"),
            )
            for column, (pixels, caption) in zip(st.columns(2), pictures, strict=True):
                if pixels is None:
                    column.caption(f"{caption}: cannot be shown")
                else:
                    column.image(pixels, caption=caption, width="stretch", alt=caption)
            match = "  :red-badge[⚑ match]" if row["match"] is True else ""
            st.caption(f"similarity {row['similarity']:.3f}, p = {row['p_value']:.4f}{match}")
            st.caption(plain(row["candidate_id"]))
            st.page_link(
                "screens/image.py",
                label="Open",
                query_params={"run": run.name, "image": str(row["image_id"])},
            )


show()
