"""The dashboard's entry: navigation and the choice of the run, nothing else.

Started by `assay dashboard`, which names the runs in ASSAY_RUNS. The theme is read from `.streamlit/config.toml`
beside this file, whichever folder it is started from. The pages lie in `screens`: if a folder called `pages` lay
here, Streamlit would run the page that a new visitor asks for without running this file first.
"""

from __future__ import annotations

import streamlit as st

from dashboards.data import find_runs, runs_folder
from dashboards.frame import choose_run, plain

LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 132 32">'
    '<rect x="1" y="3" width="26" height="26" rx="7" fill="#1f4e8c"/>'
    '<path d="M8 16.5l4.5 4.5L21 11.5" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" '
    'stroke-linejoin="round"/>'
    '<text x="36" y="24" font-family="Segoe UI, Noto Sans, Arial, sans-serif" font-size="23" font-weight="700" '
    'fill="#3f7fca">Assay</text></svg>'
)


def main() -> None:
    """Draw the navigation, choose the run, show the page."""
    st.set_page_config(page_title="Assay", page_icon=":material/verified:", layout="wide")
    st.logo(LOGO, size="large")
    page = st.navigation(
        {
            "This run": [
                st.Page("screens/overview.py", title="Overview", icon=":material/summarize:", default=True),
                st.Page("screens/images.py", title="Images", icon=":material/grid_view:"),
                st.Page("screens/image.py", title="One image", icon=":material/image:"),
            ],
            "Rooms": [
                st.Page("screens/provenance.py", title="Provenance", icon=":material/badge:"),
                st.Page("screens/bias.py", title="Bias", icon=":material/balance:"),
                st.Page("screens/labelling.py", title="Labelling", icon=":material/label:"),
                st.Page("screens/detector.py", title="Detector", icon=":material/troubleshoot:"),
                st.Page(
                    "screens/similarity.py", title="Tracing", icon=":material/compare:", url_path="tracing"
                ),
            ],
        }
    )
    folder = runs_folder()
    if choose_run(find_runs(folder)) is None:
        st.title("No run yet")
        st.markdown(f"There is no run directory in {plain(folder.absolute())}.")
        st.markdown("Make one, then load this page again:")
        st.code("assay audit", language="bash")
        st.markdown("Runs in another folder are shown by `assay dashboard FOLDER`.")
        return
    page.run()


main()
