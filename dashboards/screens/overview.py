"""The run at a glance: what was audited, how it came out, and which run this is."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from audit.report.contents import Contents
from audit.report.facts import describe_record, describe_subject
from audit.report.flags import IMAGE_COLUMNS
from audit.report.rooms import headline
from audit.report.words import DEVELOPMENT, OVERALL_WORDS, ROOM_WORDS, STATUS_WORDS
from dashboards.data import Table, load_contents, load_flags, load_table
from dashboards.frame import BADGES, chip, current_run, plain, show_problem, show_problems


def show() -> None:
    """Draw the page."""
    run = current_run()
    contents = load_contents(run)
    images = load_table(run, "images", columns=(*IMAGE_COLUMNS, "prompt_id"))
    st.title("What this audit found")
    st.markdown(plain(describe_subject(contents, images.rows)))
    status = contents.status
    with st.container(border=True):
        st.header(
            f":{BADGES[status]}[{STATUS_WORDS[status].symbol} {STATUS_WORDS[status].label}]", anchor=False
        )
        st.markdown(OVERALL_WORDS[status])
    show_problems(contents)
    show_problem(images.problem)
    _show_identity(contents)
    _show_numbers(images, flagged=len(load_flags(run)))
    _show_rooms(contents)
    _show_record(contents)


def _show_identity(contents: Contents) -> None:
    identity = contents.record.get("identity")
    if isinstance(identity, dict) and identity.get("development") is True:
        st.warning(f"**Development identity.** {DEVELOPMENT}", icon=":material/key:")


def _show_numbers(images: Table, *, flagged: int) -> None:
    rows = images.rows
    broken = int((rows["status"] == "error").sum())
    cells = {
        "Images": len(rows),
        "Prompts": int(rows["prompt_id"].nunique()),
        "Flagged for a look": flagged,
        "Could not be read": broken,
    }
    for column, (label, number) in zip(st.columns(len(cells)), cells.items(), strict=True):
        column.metric(label, f"{number:,}".replace(",", "\u202f"), border=True)


def _show_rooms(contents: Contents) -> None:
    st.header("Room by room")
    for room in contents.rooms_planned:
        words, evidence = ROOM_WORDS[room], contents.evidence.get(room)
        with st.container(border=True):
            left, right = st.columns([1, 4], vertical_alignment="center")
            left.page_link(
                f"screens/{room}.py",
                label=f"**{words.title}**",
                icon=":material/arrow_forward:",
                icon_position="right",
                query_params={"run": contents.path.name},
            )
            if evidence is None:
                right.markdown("Not audited yet, or its checks cannot be read.")
                continue
            right.markdown(f"{chip(evidence.status)} {plain(headline(evidence))}")


def _show_record(contents: Contents) -> None:
    st.header("Which run this is")
    facts = describe_record(contents)
    if not facts:
        st.info("The run record is missing or damaged.")
        return
    rows = pd.DataFrame(
        {"What": [plain(fact.name) for fact in facts], "Recorded": [plain(fact.text) for fact in facts]}
    )
    with st.expander("Run record", expanded=False):
        st.table(rows, border="horizontal", hide_index=True, alt="Run record")


show()
