"""`assay report`: writes the report of a run again."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit.cli.common import add_json_option, overall, write_json, write_out
from audit.evidence import exit_code


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "report",
        help="write the report of a run",
        description="Writes report.html, one self-contained file, from what a run directory holds.",
    )
    parser.add_argument("path", type=Path, metavar="RUN", help="run directory")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render the report and print its path."""
    from audit.job import finish_report
    from audit.run import RunDirectory

    directory = RunDirectory.open(args.path)
    with directory.lock():
        report = finish_report(directory)
    evidence = directory.evidence()
    status = overall(evidence)
    if args.json:
        write_json({"run": str(directory.path), "status": status, "report": str(report)})
    else:
        write_out(str(report))
    return exit_code(status)
