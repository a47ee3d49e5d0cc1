"""The dashboard and the report in a real browser: they show the run, and run nothing that a file brought."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser_session import needs_browser, open_browser, serve_dashboard
from sample_run import RUN_ID, build_sample_run

from audit.report.html import write_report
from audit.run import RunDirectory

PAGES = {
    "overview": "",
    "images": "images",
    "image": "image",
    "provenance": "provenance",
    "bias": "bias",
    "labelling": "labelling",
    "detector": "detector",
    "tracing": "tracing",
}
SCRIPT = (
    "<script>window.stolen=1</script><img src=x onerror='window.stolen=2'><svg onload='window.stolen=3'>"
    "[link](javascript:window.stolen=4) ![picture](https://example.org/x.png) $\\href{javascript:1}{x}$"
)
"""Markup, Markdown and mathematics: each would leave a trace in the page."""

TRACES = (
    "window.stolen === undefined",
    "document.querySelectorAll('script:not([src])').length",
    'document.querySelectorAll(\'img[src="x"], img[src*="example.org"], svg[onload]\').length',
    'document.querySelectorAll(\'a[href^="javascript"], a[href*="example.org"]\').length',
)
_MOVING = "document.querySelectorAll('[data-testid=stStatusWidget], [data-stale=true]').length"


@pytest.mark.slow
@pytest.mark.timeout(600)
@needs_browser
def test_browser_shows_the_run_and_no_exception(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / RUN_ID, prompts=["nurse"])
    with serve_dashboard(run.path) as site, open_browser(tmp_path / "profile") as browser:
        browser.visit(f"{site}/provenance?run={RUN_ID}")
        text = browser.wait_for("provenance.layers")
        assert "✕ Finding" in text
        chosen = "document.querySelector('[data-testid=stSidebar] input').value"
        assert browser.evaluate(chosen) == RUN_ID
        assert browser.evaluate("document.querySelectorAll('[data-testid=stException]').length") == 0
        side = "getComputedStyle(document.querySelector('[data-testid=stSidebar]')).backgroundColor"
        assert browser.evaluate(side) == "rgb(243, 246, 250)"  # the theme beside app.py was loaded


def _hostile_run(folder: Path) -> RunDirectory:
    """A run in which every text that comes from a file, a prompt or a service is hostile."""
    run = build_sample_run(folder, prompts=["nurse"], texts={"nurse": SCRIPT}, signer=SCRIPT, per_prompt=6)
    for table in ("images", "provenance", "detector"):
        path = run.path / f"{table}.parquet"
        rows = run.rows(table)
        for column in ("reason", "generator", "issuer", "manifest_id", "verdict"):
            if column in rows:
                rows[column] = SCRIPT
        rows.to_parquet(path, index=False)
    run.update({"generator": {"name": SCRIPT, "version": SCRIPT, "weights_digest": ""}})
    for path in (run.path / "evidence").glob("*.json"):
        document = json.loads(path.read_text())
        for check in document["checks"]:
            check["reason"] = check["next_step"] = check["source"] = SCRIPT
        path.write_text(json.dumps(document))
    return run


@pytest.mark.slow
@pytest.mark.timeout(600)
@needs_browser
def test_no_text_of_a_file_is_run_by_the_dashboard(tmp_path: Path) -> None:
    run = _hostile_run(tmp_path / RUN_ID)
    with serve_dashboard(run.path) as site, open_browser(tmp_path / "profile") as browser:
        browser.visit(site)
        browser.wait_for("Overview")
        own_scripts = browser.evaluate(TRACES[1])
        shown = 0
        for name, page in PAGES.items():
            browser.visit(f"{site}/{page}?run={RUN_ID}")
            browser.wait_for("Overview")
            shown += "window.stolen" in browser.settle(_MOVING)
            found = [browser.evaluate(trace) for trace in TRACES]
            assert found == [True, own_scripts, 0, 0], name
        assert shown >= 4  # the texts were there, as text


@pytest.mark.slow
@pytest.mark.timeout(600)
@needs_browser
def test_no_text_of_a_file_is_run_by_the_report(tmp_path: Path) -> None:
    report = write_report(_hostile_run(tmp_path / RUN_ID))
    with open_browser(tmp_path / "profile") as browser:
        browser.visit(report.as_uri())
        text = browser.wait_for("Provenance")
        assert "window.stolen" in text
        assert [browser.evaluate(trace) for trace in TRACES] == [True, 0, 0, 0]
