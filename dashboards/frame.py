"""What the pages share: the chosen run, statuses as text, tables of checks. The edge to Streamlit.

Text from files reaches Streamlit through `plain`, because labels, captions and tables there read Markdown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from audit.evidence import Check, Evidence, Status
from audit.report import numbers
from audit.report.contents import Contents
from audit.report.rooms import headline, sort_checks, summary_checks
from audit.report.words import ROOM_WORDS, STATUS_WORDS
from dashboards.charts import interval_chart
from dashboards.data import RunEntry, load_contents

BADGES = {
    Status.PASS: "green",
    Status.FAIL: "red",
    Status.INCONCLUSIVE: "yellow",
    Status.SKIPPED: "gray",
    Status.ERROR: "violet",
}
PAGE = 40  # checks shown at once
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&@=/\"'^])")
_LINK = re.compile(r"(?i:https?|ftp|www|xmpp|mailto)|(?=\\@)")  # what Markdown would make a link of
_JOINER = "\u2060"  # invisible; keeps an address from becoming a link
_RUN = "chosen_run"


def plain(text: object, *, limit: int = 400) -> str:
    """Text that Markdown shows as it is: every special character escaped, line breaks flattened."""
    words = " ".join(str(text).split())
    shown = words if len(words) <= limit else words[: limit - 1] + "…"
    return _LINK.sub(f"\\g<0>{_JOINER}", _SPECIAL.sub(r"\\\1", shown))


def chip(status: Status) -> str:
    """A status as Markdown: symbol, word and colour."""
    words = STATUS_WORDS[status]
    return f":{BADGES[status]}-badge[{words.symbol} {words.label}]"


def choose_run(entries: Sequence[RunEntry]) -> RunEntry | None:
    """The run chosen in the sidebar, kept in the address as `run`; None when there is none."""
    if not entries:
        return None
    names = [entry.name for entry in entries]
    asked = st.query_params.get("run")
    if asked is not None and asked != st.session_state.get("run_in_address"):
        if asked in names:
            st.session_state[_RUN] = asked
        else:
            st.sidebar.warning(f"The run {plain(asked, limit=80)} is not here; the newest one is shown.")
    if st.session_state.get(_RUN) not in names:
        st.session_state[_RUN] = names[0]
    name = st.sidebar.selectbox(
        "Run", names, key=_RUN, help="Newest first. The address of the page names it."
    )
    st.query_params["run"] = name
    st.session_state["run_in_address"] = name
    entry = entries[names.index(name)]
    st.session_state["run_path"] = str(entry.path)
    _show_summary(load_contents(entry.path))
    return entry


def _show_summary(contents: Contents) -> None:
    st.sidebar.markdown(chip(contents.status))
    created = numbers.format_time(str(contents.record.get("created", "")))
    if created:
        st.sidebar.caption(plain(created))
    if contents.in_progress:
        st.sidebar.caption("Not finished: some rooms have not been audited yet.")


def current_run() -> Path:
    """The run directory that the sidebar chose."""
    return Path(st.session_state["run_path"])


def show_problems(contents: Contents) -> None:
    """Say which files of a run are damaged, and that a run is not finished."""
    for file, problem in contents.problems.items():
        st.error(f"**{plain(file)} cannot be read.** {plain(problem)}", icon=":material/warning:")
    if contents.in_progress and contents.record:
        waiting = ", ".join(ROOM_WORDS[room].title for room in contents.rooms_waiting)
        st.info(
            f"This run is not finished: {waiting} not audited yet. If an audit is still writing it, load the page "
            "again later; if it was stopped, start the same command again and it goes on where it stopped."
        )


def open_room(room: str) -> Evidence | None:
    """Head of a room's page: title, question, status and reason; None when there is nothing more to show."""
    words = ROOM_WORDS[room]
    st.title(words.title)
    st.markdown(words.question)
    evidence = find_evidence(room)
    if evidence is not None:
        st.markdown(f"{chip(evidence.status)} {plain(headline(evidence))}")
    return evidence


def find_evidence(room: str) -> Evidence | None:
    """A room's checks; None, with the reason said on the page, when there are none."""
    words, contents = ROOM_WORDS[room], load_contents(current_run())
    file = f"evidence/{room}.json"
    if file in contents.problems:
        st.error(
            f"**{plain(file)} cannot be read.** {plain(contents.problems[file])}", icon=":material/warning:"
        )
        return None
    evidence = contents.evidence.get(room)
    if evidence is None:
        asked = room in contents.rooms_planned
        why = "has not been audited yet" if asked else "is not part of this run"
        step = (
            "Start the same command again to go on with the run."
            if asked
            else "Audit the images with this room."
        )
        st.info(f"{words.title} {why}. {step}")
    return evidence


def reference_folder(contents: Contents) -> str | None:
    """Folder of the reference set that the run was traced against; None: the embedded generator's drawings."""
    config = contents.record.get("config")
    folder = config.get("references") if isinstance(config, dict) else None
    return folder if isinstance(folder, str) else None


def show_problem(problem: str) -> None:
    """Say that a table is damaged; nothing when it is not."""
    if problem:
        st.error(f"**A table of this run cannot be read.** {plain(problem)}", icon=":material/warning:")


def show_measured(evidence: Evidence, room: str) -> None:
    """Interval charts of the checks that have an interval, one a unit."""
    by_unit: dict[str, list[Check]] = {}
    for check in summary_checks(evidence):
        if check.interval is not None and isinstance(check.value, int | float):
            by_unit.setdefault(check.unit, []).append(check)
    for unit, checks in by_unit.items():
        st.altair_chart(
            interval_chart(checks, room=room, unit=unit),
            alt="Measured values with intervals; see the checks below",
        )
    if by_unit:
        st.caption("Dots are measured values, lines their intervals, orange ticks the thresholds.")


def show_checks(checks: Sequence[Check], *, key: str) -> None:
    """A table of checks, findings first, a page at a time."""
    if not checks:
        st.info("There is no check to show.")
        return
    ordered = sort_checks(checks)
    pages = math.ceil(len(ordered) / PAGE)
    number = st.pagination(pages, key=f"{key}-page") if pages > 1 else 1
    shown = ordered[(number - 1) * PAGE : number * PAGE]
    rows = pd.DataFrame(
        [
            {
                "Status": chip(check.status),
                "Check": plain(check.name),
                "What was found": _found(check),
                "Measured": _measured(check),
            }
            for check in shown
        ]
    )
    st.table(
        rows, border="horizontal", hide_index=True, alt="Checks with status, reason, value and threshold"
    )


def _found(check: Check) -> str:
    step = f"  \n**Next step:** {plain(check.next_step)}" if check.next_step else ""
    source = f"  \n:small[:gray[Source: {plain(check.source)}]]" if check.source else ""
    return plain(check.reason, limit=1000) + step + source


def _measured(check: Check) -> str:
    """Value, interval and threshold, a line each."""
    lines = [f"**{plain(numbers.format_value(check))}**"] if check.value is not None else []
    if check.interval is not None:
        lines.append(plain(numbers.format_interval(check.interval, unit=check.unit)))
        lines.append(f":small[:gray[{plain(numbers.describe_interval(check.interval))}]]")
    if check.threshold is not None:
        lines.append(f"threshold {plain(numbers.format_threshold(check))}")
    return "  \n".join(lines)


def show_methods(room: str) -> None:
    """How the room answers, and what its answer does not mean."""
    words = ROOM_WORDS[room]
    with st.expander("Method and limits"):
        st.markdown(words.method)
        st.markdown("\n".join(f"- {limit}" for limit in words.limits))
