"""`assay verify`: what do a file's marks say, and do they hold?

Starts without torch, pandas or streamlit: a verifier is small. Heavier modules are imported where they are used.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit.evidence import Check, Evidence, Status, exit_code, worst
from generator.errors import CannotCheckError, InputError

_STDIN = "-"
_LABEL_WIDTH = 14  # columns of a check's name in the table
_STATUS_WIDTH = 14
_LINE = (60, 110)  # narrowest and widest table, columns
_SHORT = {"watermark.payload": "watermark", "ledger.entry": "ledger", "agreement.asset_id": "agreement"}


def add_mark_options(parser: argparse.ArgumentParser) -> None:
    """Options shared by the verbs that read marks."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="file or folder; - reads one file from stdin"
    )
    parser.add_argument(
        "--trust",
        type=Path,
        metavar="FOLDER",
        help="PEM trust lists; a file with tsa in its name is for time stamps",
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="ledger (default: the one of this machine)"
    )
    parser.add_argument(
        "--watermark",
        choices=("auto", "quick", "full", "off"),
        default="auto",
        help="how hard to look for the watermark; auto: full only where no intact manifest was found",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--jsonl", action="store_true", help="print one JSON line per file, as it is judged")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "verify",
        help="check Content Credentials, watermark, labels and ledger of files",
        description=(
            "Check Content Credentials, watermark, labels and ledger of files or folders. Every file is judged. "
            "No network is used."
        ),
        epilog="Exit code, by the worst file: 0 pass, 1 finding, 2 usage, 3 inconclusive, 4 could not check.",
    )
    add_mark_options(parser)
    parser.add_argument(
        "--rubric", action="store_true", help="also ask the 31 statements of the C2PA asset rubric"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge every file and print what was found."""
    from audit.provenance.gather import build_setup, examine
    from audit.provenance.verdict import judge

    setup = build_setup(trust=args.trust, ledger=args.ledger, search=args.watermark)
    statuses = []
    assets = []
    with contextlib.ExitStack() as stack:
        for shown, path in expand(args.paths, stack):
            evidence = judge(examine(path, setup), with_rubric=args.rubric)
            statuses.append(evidence.status)
            if args.json:
                assets.append(to_json(shown, evidence))
            elif args.jsonl:
                sys.stdout.write(json.dumps(to_json(shown, evidence)) + "\n")
                sys.stdout.flush()
            else:
                sys.stdout.write(format_evidence(shown, evidence))
    status = worst(statuses)
    if args.json:
        document = {"schema_version": 1, "status": status, "trust_list": setup.trust.digest, "assets": assets}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    elif len(statuses) > 1 and not args.jsonl:
        sys.stdout.write(format_total(statuses))
    return exit_code(status)


def expand(arguments: list[str], stack: contextlib.ExitStack) -> Iterator[tuple[str, Path]]:
    """(name as shown, path) of every file named, folders walked in sorted order.

    Args:
        arguments: paths; "-" is stdin, kept in a temporary file that `stack` removes.
        stack: closed by the caller when all files were judged.

    Raises:
        InputError: nothing of that name, a folder without files, or stdin named twice.
    """
    if arguments.count(_STDIN) > 1:
        raise InputError("- (stdin) can be read only once; name it once")
    for argument in arguments:
        path = Path(argument)
        if argument == _STDIN:
            yield "stdin", _spool(stack)
        elif path.is_dir():
            yield from _files(path)
        elif path.exists() or path.is_symlink():
            yield argument, path
        else:
            raise InputError(f"{argument}: no such file or folder; check the path")


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    from audit.collection import walk_files  # brings the image decoders along

    count = 0
    for path in walk_files(folder):
        count += 1
        yield str(path), path
    if not count:
        raise InputError(f"{folder}: holds no files; give a folder with images")


def _spool(stack: contextlib.ExitStack) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-")))
    target = folder / "stdin"
    try:
        with target.open("wb") as stream:
            shutil.copyfileobj(sys.stdin.buffer, stream)
    except OSError as error:
        raise CannotCheckError(f"stdin: cannot be kept in a temporary file ({error.strerror})") from error
    return target


def to_json(shown: str, evidence: Evidence) -> dict[str, Any]:
    """One asset as JSON: the evidence, its file and the overall word."""
    from audit.provenance.text import clean_text

    path = clean_text(shown, limit=4096)
    return {"path": path, "verdict": evidence.find("verdict").value, **evidence.to_json()}


def format_evidence(shown: str, evidence: Evidence) -> str:
    """One file as a table for a terminal."""
    from audit.provenance.text import clean_text

    verdict, *checks = evidence.checks
    lines = [
        f"{clean_text(shown, limit=4096)}: {verdict.value} [{evidence.status}]",
        *wrap(verdict.reason, indent=2),
    ]
    for _, group in itertools.groupby(checks, key=lambda check: (check.status, check.reason)):
        same = list(group)
        lines += _check_lines(same[0], ", ".join(_short_name(check) for check in same))
    return "\n".join(lines) + "\n\n"


def wrap(text: str, *, indent: int) -> list[str]:
    """Lines of a paragraph as wide as the terminal allows."""
    width = max(_LINE[0], min(_LINE[1], shutil.get_terminal_size((_LINE[1], 24)).columns))
    return [" " * indent + line for line in textwrap.wrap(text, width - indent)]


def _short_name(check: Check) -> str:
    return _SHORT.get(check.name, check.name.removeprefix("c2pa."))


def _check_lines(check: Check, name: str) -> list[str]:
    indent = 2 + _LABEL_WIDTH + _STATUS_WIDTH
    first, *rest = wrap(check.reason, indent=indent)
    lines = [f"  {name:<{_LABEL_WIDTH - 1}} {check.status:<{_STATUS_WIDTH}}{first.strip()}", *rest]
    if check.next_step and check.status is not Status.PASS:
        first, *rest = wrap(check.next_step, indent=indent + 3)
        lines += [" " * indent + "-> " + first.strip(), *rest]
    return lines


def format_total(statuses: list[Status]) -> str:
    """One line over all files."""
    counts = [(status, statuses.count(status)) for status in Status]
    return (
        f"{len(statuses)} files: "
        + ", ".join(f"{count} {status}" for status, count in counts if count)
        + "\n"
    )
