"""Gallery of all images of a run with filters; only the page that is shown is read from disk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboards.data import ImageFilter, load_gallery, load_table
from dashboards.frame import current_run, plain, show_problem
from dashboards.view import load_picture

PAGE = 30  # images shown at once
SIDE = 256  # px


def show() -> None:
    """Draw the page."""
    run = current_run()
    st.title("Images")
    table = load_gallery(run, _choose_filter())
    show_problem(table.problem)
    if table.rows.empty:
        if not table.problem:
            st.info("No image fits. Clear a filter to see more.")
        return
    pages = math.ceil(len(table.rows) / PAGE)
    head, pager = st.columns([2, 3], vertical_alignment="center")
    flagged = int(table.rows["flags"].map(bool).sum())
    head.markdown(f"**{len(table.rows)}** images, {flagged} of them flagged and shown first.")
    with pager:
        number = st.pagination(pages, key="images-page") if pages > 1 else 1
    grid = st.grid(6, min_column_width=150, gap="medium")
    for row in table.rows.iloc[(number - 1) * PAGE : number * PAGE].to_dict("records"):
        with grid.container(border=False):
            _show_card(row)


def _choose_filter() -> ImageFilter:
    run = current_run()
    prompts = load_table(run, "images", columns=("image_id", "prompt_id")).rows["prompt_id"].dropna().unique()
    verdicts = (
        load_table(run, "provenance", columns=("image_id", "verdict")).rows["verdict"].dropna().unique()
    )
    first, second, third, fourth = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    return ImageFilter(
        prompts=tuple(first.multiselect("Prompt", list(prompts), key="prompts", format_func=plain)),
        verdicts=tuple(second.multiselect("Overall word", list(verdicts), key="verdicts", format_func=plain)),
        text=third.text_input("Part of a name, prompt or id", key="text", max_chars=200),
        only_flagged=fourth.toggle("Only flagged", key="only-flagged"),
    )


def _show_card(row: Mapping[Any, Any]) -> None:
    run = current_run()
    name = str(row["path"]).rpartition("/")[2]
    pixels = load_picture(run / str(row["path"]), side=SIDE)
    if pixels is None:
        st.container(border=True, height=150, vertical_alignment="center").caption(
            f"Cannot be shown: {plain(row['reason'] or 'the file changed or is gone')}"
        )
    else:
        st.image(pixels, width="stretch", alt=f"Image {name}")
    st.page_link(
        "screens/image.py",
        label=plain(name, limit=60),
        query_params={"run": run.name, "image": str(row["image_id"])},
    )
    for flag in row["flags"]:
        st.markdown(f":small[:red[⚑ {plain(flag, limit=80)}]]")


show()
