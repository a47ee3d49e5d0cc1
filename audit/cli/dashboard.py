"""`assay dashboard`: serves the dashboard on this machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from audit.cli.common import note
from generator.errors import CannotCheckError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "dashboard",
        help="show runs in the browser",
        description="Serves the dashboard on 127.0.0.1, read-only, over one run directory or a folder of runs.",
    )
    parser.add_argument(
        "path", type=Path, nargs="?", default=Path("runs"), metavar="PATH", help="run or runs"
    )
    parser.add_argument("--port", type=int, default=8501)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Start Streamlit and wait for it."""
    app = find_spec("dashboards.app")
    if app is None or app.origin is None:
        raise CannotCheckError(
            "the dashboards package is not installed; install assay-audit with its dashboards"
        )
    command = [sys.executable, "-m", "streamlit", "run", app.origin, "--server.address=127.0.0.1"]
    command += [f"--server.port={args.port}", "--server.headless=true", "--browser.gatherUsageStats=false"]
    note(f"Dashboard: http://127.0.0.1:{args.port} (stop with Ctrl-C)")
    environment = os.environ | {"ASSAY_RUNS": str(args.path.resolve())}
    return subprocess.call(command, env=environment)
