"""A real browser for tests: Chromium through its driver, and the dashboard as `assay dashboard` starts it."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import dashboards

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--window-size=1400,1000"]  # fmt: skip
SECONDS = 120

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not installed"
)


@dataclass(frozen=True)
class Browser:
    """An open window."""

    address: str

    def visit(self, url: str) -> None:
        """Load a page."""
        _ask(f"{self.address}/url", {"url": url}, method="POST")

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression."""
        body = {"script": f"return {expression}", "args": []}
        return json.loads(_ask(f"{self.address}/execute/sync", body, method="POST"))["value"]

    def wait_for(self, words: str) -> str:
        """Text of the page once it holds these words."""
        deadline = time.monotonic() + SECONDS
        while True:
            text = str(self.evaluate("document.body.innerText"))
            if words in text:
                return text
            assert time.monotonic() < deadline, f"{words!r} did not appear; the page says: {text[:500]}"
            time.sleep(0.5)

    def settle(self, moving: str) -> str:
        """Text of the page once it stays the same and `moving`, an expression, is zero."""
        deadline, before = time.monotonic() + SECONDS, ""
        while time.monotonic() < deadline:
            text = str(self.evaluate("document.body.innerText"))
            if text == before and len(text) > 200 and self.evaluate(moving) == 0:
                return text
            before = text
            time.sleep(1)
        raise AssertionError(f"the page does not come to rest: {before[:500]}")


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """A window with a profile folder of its own."""
    port = _free_port()
    driver = f"http://127.0.0.1:{port}"
    options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={profile}"]}
    with _process([str(DRIVER), f"--port={port}"], f"{driver}/status", dict(os.environ)):
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = json.loads(_ask(f"{driver}/session", wanted, method="POST"))["value"]["sessionId"]
        browser = Browser(f"{driver}/session/{session}")
        try:
            yield browser
        finally:
            _ask(browser.address, method="DELETE")


@contextmanager
def serve_dashboard(runs: Path) -> Iterator[str]:
    """The dashboard over a run or a folder of runs; gives its address."""
    port = _free_port()
    site = f"http://127.0.0.1:{port}"
    root = Path(str(dashboards.__file__)).parent
    streamlit = [sys.executable, "-m", "streamlit", "run", str(root / "app.py"), "--server.address=127.0.0.1",
                 f"--server.port={port}", "--server.headless=true", "--browser.gatherUsageStats=false"]  # fmt: skip
    environment = os.environ | {"ASSAY_RUNS": str(runs), "PYTHONPATH": str(root.parent)}
    with _process(streamlit, site, environment):
        yield site


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
