"""What the verbs share: options, output of evidence, and the modules of the rooms."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audit.evidence import Check, Evidence, Status, worst

ROOM_TITLES = {
    "provenance": "Provenance",
    "bias": "Bias",
    "detector": "Detector",
    "similarity": "Similarity",
}
_LINE = 100  # characters of a verdict line on a terminal
_INDENT = " " * 13


def write_out(text: str) -> None:
    """Data for the user: to stdout."""
    sys.stdout.write(text + "\n")


def write_json(document: Any) -> None:  # noqa: ANN401 - any JSON document
    """One JSON document to stdout."""
    write_out(json.dumps(document, indent=2, ensure_ascii=False))


def note(text: str) -> None:
    """A remark that is no data: to stderr."""
    sys.stderr.write(text + "\n")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of every verb that measures: where the run goes, which model, how many processes."""
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="run directory (default: a new one under runs/)"
    )
    parser.add_argument(
        "--clip",
        metavar="NAME:PRETRAINED",
        help="open_clip model for perceived attributes and descriptors; PRETRAINED is a tag or a local file",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    parser.add_argument("--trust", type=Path, metavar="FOLDER", help="folder of PEM trust lists for signers")
    add_json_option(parser)


def format_check(check: Check) -> str:
    """One check as one line."""
    return f"  {check.status:<13} {check.name:<28} {check.reason}"


def resolve(path: Path | None) -> str | None:
    """An absolute path as a run record keeps it."""
    return None if path is None else str(path.resolve())


def model_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a plan that `add_run_options` offers."""
    return {"trust": resolve(args.trust)} | ({"clip": args.clip} if args.clip else {})


def peak_memory() -> float:
    """Gigabytes (10^9 bytes) that this process or the largest of its workers held at most."""
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    return max(resource.getrusage(user).ru_maxrss for user in users) * unit / 1e9


def _headline(evidence: Evidence) -> Check:
    return next(check for check in evidence.checks if check.status is evidence.status)


def format_verdict(evidence: Mapping[str, Evidence]) -> str:
    """One line a room: its status, how many checks stand behind it, and the reason of its worst check."""
    lines = []
    for room, found in evidence.items():
        counts = [(status, sum(check.status is status for check in found.checks)) for status in Status]
        tally = ", ".join(f"{count} {status}" for status, count in counts if count)
        head = f"{ROOM_TITLES.get(room, room):<12} {found.status.upper():<13}"
        lines.append(f"{head} {tally}")
        if found.checks:
            lines += textwrap.wrap(
                _headline(found).reason, _LINE, initial_indent=_INDENT, subsequent_indent=_INDENT
            )
    return "\n".join(lines)


def overall(evidence: Mapping[str, Evidence]) -> Status:
    """The worst status over rooms."""
    return worst(found.status for found in evidence.values())
