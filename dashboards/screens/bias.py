"""Bias: shares of perceived groups by prompt, and the checks."""

from __future__ import annotations

import streamlit as st

from audit.report.shares import COLUMNS, AttributeShares, find_shares
from dashboards.charts import MAX_ROWS, group_chart
from dashboards.data import load_table
from dashboards.frame import (
    current_run,
    open_room,
    plain,
    show_checks,
    show_measured,
    show_methods,
    show_problem,
)


def show() -> None:
    """Draw the page."""
    evidence = open_room("bias")
    if evidence is None:
        return
    table = load_table(current_run(), "bias", columns=COLUMNS)
    show_problem(table.problem)
    shares = find_shares(table.rows, evidence)
    if shares:
        chosen = st.segmented_control(
            "Perceived attribute",
            [part.attribute for part in shares],
            default=shares[0].attribute,
            format_func=plain,
            required=True,
            key="attribute",
        )
        _show_shares(next((part for part in shares if part.attribute == chosen), shares[0]))
    elif not table.problem:
        st.info("No picture was read in this room, so there is no share to show.")
    st.header("Measured values")
    show_measured(evidence, "bias")
    st.header("Checks")
    show_checks(evidence.checks, key="bias")
    show_methods("bias")


def _show_shares(shares: AttributeShares) -> None:
    st.altair_chart(
        group_chart(shares), width="content", alt=f"Shares of perceived {shares.attribute} by prompt"
    )
    prompts = shares.table["prompt_id"].nunique()
    note = f" The first {MAX_ROWS} of {prompts} rows are drawn." if prompts > MAX_ROWS else ""
    st.caption(plain(shares.caption) + note)
    part = 100 * shares.undetermined / shares.read
    st.markdown(
        f"{shares.undetermined} of {shares.read} images ({part:.1f} %) are undetermined and are in no share above."
    )
    with st.expander("The numbers"):
        st.dataframe(shares.table, hide_index=True, alt=f"Shares of perceived {shares.attribute}")


show()
