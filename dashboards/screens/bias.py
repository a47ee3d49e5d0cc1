"""Bias: shares of perceived groups by prompt, and the checks."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from audit.bias.skin_tone import MONK_GROUPS
from audit.evidence import Evidence
from audit.report.bias_page import prompt_shares
from audit.report.plain import summarise_bias
from audit.report.shares import COLUMNS, UNDETERMINED, AttributeShares, find_shares
from dashboards.charts import MAX_ROWS, group_chart, ridge_chart, tone_chart
from dashboards.data import load_table
from dashboards.frame import (
    chip,
    current_run,
    open_room,
    plain,
    show_checks,
    show_measured,
    show_methods,
    show_problem,
)
from dashboards.view import load_picture
from generator.portraits.traits import MONK_TONES

EXAMPLES = 6  # images shown of one reading


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
        part = next((part for part in shares if part.attribute == chosen), shares[0])
        _show_words(evidence, part.attribute)
        _show_shares(part)
        _show_distributions(part, table.rows)
        _show_examples(part.attribute, table.rows)
    elif not table.problem:
        st.info("No picture was read in this room, so there is no share to show.")
    st.header("Measured values")
    show_measured(evidence, "bias")
    st.header("Checks")
    show_checks(evidence.checks, key="bias")
    show_methods("bias")


def _show_words(evidence: Evidence, attribute: str) -> None:
    """What the checks of one attribute say, a line each."""
    said = [sentence for sentence in summarise_bias(evidence) if f".{attribute}." in sentence.checks[0]]
    st.markdown(
        "\n\n".join(f"{chip(sentence.status)} {plain(sentence.text, limit=1000)}" for sentence in said)
    )


def _show_distributions(shares: AttributeShares, rows: pd.DataFrame) -> None:
    spread = prompt_shares(shares)
    if spread:
        st.subheader("Spread over prompts")
        st.altair_chart(
            ridge_chart(spread, reference=dict(shares.reference)),
            width="content",
            alt=f"Spread of perceived {shares.attribute} over prompts",
        )
    if shares.groups == MONK_GROUPS:
        values = rows.loc[rows["attribute"] == shares.attribute, "value"].value_counts()
        counts = {tone: int(values.get(tone, 0)) for tone in (*MONK_GROUPS, UNDETERMINED)}
        colours = dict(
            zip(MONK_GROUPS, (f"#{r:02x}{g:02x}{b:02x}" for r, g, b in MONK_TONES.values()), strict=True)
        )
        st.subheader("Skin tones on the Monk scale")
        st.altair_chart(tone_chart(counts, colours=colours), alt=f"Skin tones: {counts}")


def _show_examples(attribute: str, rows: pd.DataFrame) -> None:
    """A row of pictures for each reading of an attribute."""
    run = current_run()
    images = load_table(run, "images", columns=("image_id", "path")).rows
    mine = rows[(rows["attribute"] == attribute) & rows["value"].notna()].merge(images, on="image_id")
    with st.expander("Examples of each reading"):
        for value, part in mine.groupby("value", sort=False):
            st.markdown(f"**{plain(value)}**, {len(part)} images")
            for column, path in zip(st.columns(EXAMPLES), part["path"].head(EXAMPLES), strict=False):
                pixels = load_picture(run / str(path), side=160)
                if pixels is not None:
                    column.image(pixels, alt=f"Image read as {value}")


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
