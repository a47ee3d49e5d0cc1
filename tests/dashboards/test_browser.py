"""The dashboard in a real browser, started the way `assay dashboard` starts it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sample_run import RUN_ID, build_sample_run

import dashboards

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--window-size=1400,1000"]  # fmt: skip
SECONDS = 120


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ask(url: str, body: dict[str, Any] | None = None, *, method: str = "GET") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return answer.read()


@contextmanager
def _process(command: list[str], url: str, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                _ask(url)
                break
            except OSError:
                assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
                assert time.monotonic() < deadline, f"{command[0]} did not answer"
                time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not installed")
def test_browser_shows_the_run_and_no_exception(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / RUN_ID, prompts=["nurse"])
    port, driver_port = _free_port(), _free_port()
    site, driver = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{driver_port}"
    root = Path(str(dashboards.__file__)).parent
    streamlit = [sys.executable, "-m", "streamlit", "run", str(root / "app.py"), "--server.address=127.0.0.1",
                 f"--server.port={port}", "--server.headless=true", "--browser.gatherUsageStats=false"]  # fmt: skip
    environment = os.environ | {"ASSAY_RUNS": str(run.path), "PYTHONPATH": str(root.parent)}
    options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]}
    with (
        _process(streamlit, site, environment),
        _process([str(DRIVER), f"--port={driver_port}"], f"{driver}/status", dict(os.environ)),
    ):
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = json.loads(_ask(f"{driver}/session", wanted, method="POST"))["value"]["sessionId"]
        browser = f"{driver}/session/{session}"
        try:
            _ask(f"{browser}/url", {"url": f"{site}/provenance?run={RUN_ID}"}, method="POST")
            text = _wait_for(browser, "provenance.layers")
            assert "✕ Finding" in text
            chosen = "document.querySelector('[data-testid=stSidebar] input').value"
            assert _evaluate(browser, chosen) == RUN_ID
            assert _evaluate(browser, "document.querySelectorAll('[data-testid=stException]').length") == 0
            side = "getComputedStyle(document.querySelector('[data-testid=stSidebar]')).backgroundColor"
            assert _evaluate(browser, side) == "rgb(243, 246, 250)"  # the theme beside app.py was loaded
        finally:
            _ask(browser, method="DELETE")


def _evaluate(browser: str, expression: str) -> Any:
    body = {"script": f"return {expression}", "args": []}
    return json.loads(_ask(f"{browser}/execute/sync", body, method="POST"))["value"]


def _wait_for(browser: str, words: str) -> str:
    """Text of the page once it holds these words."""
    deadline = time.monotonic() + SECONDS
    while True:
        text = str(_evaluate(browser, "document.body.innerText"))
        if words in text:
            return text
        assert time.monotonic() < deadline, f"{words!r} did not appear; the page says: {text[:500]}"
        time.sleep(0.5)
