"""Labelling: one image after another, by key or click. Nothing is written before somebody draws a sample."""

from __future__ import annotations

import streamlit as st

from audit.bias.agreement import measure_agreement
from audit.bias.labels import SAMPLE, LabelStore, Task, has_labels
from audit.bias.resummary import open_labels, read_schema, summarise_again
from audit.run import RunDirectory
from dashboards.data import load_table
from dashboards.frame import current_run, find_evidence, plain, show_problem
from dashboards.view import load_picture
from generator.errors import AssayError

SIDE = 640  # px
KEYS = "1234567890"  # of the groups, in order; 0 is the tenth


def show() -> None:
    """Draw the page."""
    st.title("Labelling")
    st.markdown(
        "Say what you perceive in a random draw of this run's images. A hundred labels make shares right "
        "whatever the "
        "classifier does. You see neither prompts nor readings, and may stop at any time."
    )
    evidence = find_evidence("bias")
    if evidence is None:
        return
    try:
        _show_work(RunDirectory(current_run()), list(read_schema(evidence).groups))
    except AssayError as error:
        st.info(plain(error), icon=":material/info:")


def _show_work(run: RunDirectory, attributes: list[str]) -> None:
    first, second = st.columns([1, 2])
    annotator = first.text_input("Your name", key="annotator", max_chars=80).strip()
    chosen = second.multiselect(
        "Perceived attributes", attributes, default=attributes, key="labelled", format_func=plain
    )
    if not has_labels(run.path):
        _offer_draw(run)
        return
    store = open_labels(run)
    if not store.sample():
        _offer_draw(run)
        return
    if not annotator or not chosen:
        st.info(
            "Enter your name and choose an attribute. Two people who label apart show how well they agree."
        )
    else:
        _ask(run, store, annotator, chosen)
    _show_agreement(run, store)


def _offer_draw(run: RunDirectory) -> None:
    size = st.number_input("Images to draw at random", min_value=1, value=SAMPLE, key="sample-size")
    if st.button("Draw the sample", type="primary", key="draw"):
        open_labels(run).draw(int(size))
        st.rerun()


def _ask(run: RunDirectory, store: LabelStore, annotator: str, attributes: list[str]) -> None:
    task = store.next_task(annotator, attributes=attributes)
    if task is None:
        st.success(f"All {len(store.sample())} images of the sample are labelled by {plain(annotator)}.")
        return
    st.progress(task.done / task.total, text=f"{task.done} of {task.total} answers given")
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_picture(run, task)
    with right:
        _show_answers(store, task, annotator)


def _show_picture(run: RunDirectory, task: Task) -> None:
    table = load_table(run.path, "images", columns=("image_id", "path"))
    show_problem(table.problem)
    rows = table.rows[table.rows["image_id"] == task.image_id]
    pixels = load_picture(run.path / str(rows["path"].iloc[0]), side=SIDE) if len(rows) else None
    if pixels is None:
        st.error("The picture cannot be shown; answer undetermined.", icon=":material/warning:")
    else:
        st.image(pixels, width=480, alt="Image to label")


def _show_answers(store: LabelStore, task: Task, annotator: str) -> None:
    st.subheader(f"Perceived {plain(task.attribute)}?")
    keys = [*KEYS[: len(task.answers) - 1], *[None] * (len(task.answers) - 1 - len(KEYS)), "u"]
    for key, answer in zip(keys, task.answers, strict=True):
        pressed = st.button(
            plain(answer), key=f"answer-{task.attribute}-{answer}", shortcut=key, width="stretch"
        )
        if pressed:
            store.add(task.image_id, task.attribute, value=answer, annotator=annotator)
            st.rerun()
    if st.button("Take the last answer back", key="back", shortcut="b", type="tertiary"):
        store.undo(annotator)
        st.rerun()


def _show_agreement(run: RunDirectory, store: LabelStore) -> None:
    labels = store.frame()
    if labels.empty:
        return
    st.header("Labels so far")
    for attribute in dict.fromkeys(labels["attribute"]):
        st.markdown(plain(measure_agreement(labels, attribute=attribute).describe()))
    st.caption(
        f"{len(labels)} labels of {labels['image_id'].nunique()} images lie in {plain(store.path.name)}."
    )
    if st.button("Use these labels in the bias room", key="use", type="primary"):
        with st.spinner("Computing shares with the labels"), run.lock():
            summarise_again(run)
        st.success("The bias room now rests on these labels.")


show()
