"""One image: the picture, and everything that each room says about it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from audit.evidence import Status
from audit.report.shares import UNDETERMINED
from dashboards.charts import probability_chart
from dashboards.data import load_contents, load_table
from dashboards.frame import chip, current_run, plain, reference_folder, show_checks, show_problem
from dashboards.view import (
    ImageView,
    load_candidate,
    load_image,
    load_manifest_tree,
    load_picture,
    read_original,
)

_FACTS = {"image_id": "Image", "prompt": "Prompt", "prompt_id": "Prompt id", "replicate": "Replicate", "seed": "Seed",
          "generator": "Generator", "format": "Format", "path": "File"}  # fmt: skip
_ANSWERS = {"synthetic": "synthetic", "real": "real", "abstain": "no answer (it abstains)"}


def show() -> None:
    """Draw the page."""
    run = current_run()
    images = load_table(run, "images", columns=("image_id", "path"))
    if images.problem or images.rows.empty:
        st.title("One image")
        show_problem(images.problem)
        st.info("There is no image to show.")
        return
    view = load_image(run, _choose_image(images.rows))
    if view is None:
        st.title("One image")
        st.info("This run holds no such image. Choose one on the page Images.")
        return
    st.title(plain(view.file.name, limit=120))
    left, right = st.columns([2, 3], gap="large")
    with left:
        _show_picture(view)
    with right:
        _show_verdict(view)
    _show_rooms(view)
    _show_checks(view)


def _choose_image(images: pd.DataFrame) -> str:
    """The image that the address names, else the first of the run; written back into the address."""
    asked = st.query_params.get("image") or st.session_state.get("image_id")
    chosen = str(asked or images["image_id"].iloc[0])
    known = images["image_id"].tolist()
    back, forward, _ = st.columns([1, 1, 6])
    place = known.index(chosen) if chosen in known else None
    if place is not None:
        if back.button("← Previous", disabled=place == 0, width="stretch"):
            chosen = known[place - 1]
        if forward.button("Next →", disabled=place + 1 == len(known), width="stretch"):
            chosen = known[place + 1]
    st.query_params["image"] = chosen
    st.session_state["image_id"] = chosen
    return chosen


def _show_picture(view: ImageView) -> None:
    pixels = load_picture(view.file, side=768)
    if pixels is None:
        reason = view.image.get("reason") or "the file changed or is gone"
        st.error(f"The picture cannot be shown: {plain(reason)}.", icon=":material/warning:")
    else:
        st.image(pixels, width="stretch", alt=f"Image {view.file.name}")
    original = read_original(view)
    if original is None:
        st.caption(
            "The file is no longer the one that was audited, or it is gone; it is not offered for download."
        )
    else:
        st.download_button("Download the original", original, file_name=view.file.name, on_click="ignore")
    facts = {title: str(view.image[name]) for name, title in _FACTS.items() if name in view.image}
    if view.image.get("width"):
        facts["Size"] = f"{view.image['width']:.0f} × {view.image['height']:.0f} px"
    rows = pd.DataFrame({"What": list(facts), "Recorded": [plain(text) for text in facts.values()]})
    st.table(rows, border="horizontal", hide_index=True, hide_header=True, alt="Facts about the image")
    if "sha256" in view.image:
        st.caption("SHA-256 of the file that was audited")
        st.code(str(view.image["sha256"]), language=None, wrap_lines=True)


def _show_verdict(view: ImageView) -> None:
    for flag in view.flags:
        st.markdown(f":red-badge[⚑ {plain(flag, limit=120)}]")
    st.header("Provenance")
    row = view.provenance
    if not row:
        st.info("Provenance has not been audited for this image.")
        return
    st.markdown(f"{chip(Status(row['status']))} **{plain(row.get('verdict', 'could not check'))}**")
    st.markdown(plain(row.get("reason", "")))
    if row.get("development_identity") is True:
        st.caption("Signed with a development identity, which is on no trust list.")
    facts = {
        "Signer, as the certificate says": row.get("signer"),
        "Issued by": row.get("issuer"),
        "Manifest": row.get("manifest_id"),
        "Digital source type": str(row.get("digital_source_type", "")).rstrip("/").rpartition("/")[2],
        "Watermark payload": row.get("watermark_payload"),
        "Chance of reading it by accident": _chance(row.get("watermark_log10_p"), row.get("watermark")),
        "Ledger entry": row.get("ledger_asset_id"),
    }
    known = {title: str(text) for title, text in facts.items() if text}
    rows = pd.DataFrame({"What": list(known), "Found": [plain(text) for text in known.values()]})
    st.table(rows, border="horizontal", hide_index=True, hide_header=True, alt="What the marks say")


def _chance(log10_p: object, watermark: object) -> str:
    if watermark != "pass" or not isinstance(log10_p, float):
        return ""
    return f"p = 10^({log10_p:.1f})"


def _show_rooms(view: ImageView) -> None:
    perceived, detector = st.columns(2, gap="large")
    with perceived:
        st.header("Perceived by the classifier")
        if not view.perceived:
            st.info("Bias has not been audited for this image.")
        for attribute, value, probabilities, reason in view.perceived:
            why = f" ({plain(reason)})" if value == UNDETERMINED and reason else ""
            st.markdown(f"**{plain(attribute)}**: {plain(value)}{why}")
            if probabilities:
                st.altair_chart(probability_chart(probabilities), alt=f"{attribute}: {probabilities}")
        st.caption("What a classifier perceived in a picture; no statement about any person.")
    with detector:
        st.header("Detector")
        _show_detector(view)
        st.header("Closest references")
        _show_candidates(view)


def _show_detector(view: ImageView) -> None:
    row = view.detector
    if not row:
        st.info("The detector has not judged this image.")
        return
    answer = _ANSWERS.get(str(row.get("verdict")), "could not judge")
    st.markdown(f"{chip(Status(row['status']))} **{answer}**")
    st.markdown(plain(row.get("reason", "")))
    if "p_synthetic" in row:
        st.markdown(f"Calibrated probability of being synthetic: **{100 * row['p_synthetic']:.1f} %**")
    if "logit" in row:
        st.caption(f"Score (logit): {row['logit']:.3f}")


def _show_candidates(view: ImageView) -> None:
    if not view.candidates:
        st.info("This image has not been traced.")
        return
    folder = reference_folder(load_contents(current_run()))
    for column, row in zip(st.columns(3), view.candidates[:3], strict=False):
        pixels = load_candidate(str(row["candidate_id"]), side=256, folder=folder)
        with column:
            if pixels is None:
                st.caption("This reference cannot be shown.")
            else:
                st.image(pixels, width="stretch", alt=f"Reference {row['candidate_id']}")
            mark = "  :red-badge[⚑ match]" if row["match"] is True else ""
            st.caption(
                f"{plain(row['candidate_id'])}  \nsimilarity {row['similarity']:.3f}, p = {row['p_value']:.4f}{mark}"
            )
    st.caption("Leads to look at, no proof of copying.")


def _show_checks(view: ImageView) -> None:
    st.header("Checks of this file")
    if view.evidence is None:
        st.info("There are no checks of this file.")
    else:
        show_checks(view.evidence.checks, key="image")
    with st.expander("Content Credentials and labels, as they stand in the file"):
        tree = load_manifest_tree(view.file)
        if tree is None:
            st.info("The file cannot be read any more.")
        else:
            st.caption(
                "Read just now and unjudged; the checks above say what of it held when it was audited."
            )
            st.json(tree, expanded=2)


show()
