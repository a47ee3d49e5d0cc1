"""`assay report`: writes the report of a run again, or one over several runs."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

from audit.cli.common import add_json_option, write_json, write_out
from audit.evidence import exit_code, worst
from generator.errors import InputError

FORMATS = ("html", "pdf", "json", "parquet", "csv")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "report",
        help="write the report of a run, or of several",
        description=(
            "Writes report.html, one self-contained file, from what a run directory holds. Several runs (models, "
            "prompt sets) are put side by side in one batch report. Other formats: a PDF, one JSON document, or the "
            "tables checks and shares as Parquet or CSV."
        ),
    )
    parser.add_argument("paths", type=Path, nargs="+", metavar="RUN", help="run directory")
    parser.add_argument(
        "--format",
        default="html",
        metavar="LIST",
        help=f"comma-separated: {', '.join(FORMATS)} (default: html)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to write (default: into the run; needed for several runs)",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render the report and print the paths written."""
    from audit.report.contents import read_contents
    from audit.report.write import write_reports
    from audit.run import RunDirectory

    formats = args.format.split(",")
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise InputError(
            f"--format {args.format}: {unknown[0]!r} is unknown; expected some of {', '.join(FORMATS)}"
        )
    if args.out is None and len(args.paths) > 1:
        raise InputError(
            "a report over several runs belongs to none of them; say where to write it: --out FOLDER"
        )
    runs = [RunDirectory.open(path) for path in args.paths]
    with runs[0].lock() if args.out is None else nullcontext():
        written = write_reports(runs, formats=formats, out=args.out)
    status = worst(read_contents(directory.path).status for directory in runs)
    if args.json:
        document = {"runs": [str(directory.path) for directory in runs], "status": status,
                    "report": str(written[0]), "files": [str(path) for path in written]}  # fmt: skip
        write_json(document)
    else:
        for path in written:
            write_out(str(path))
    return exit_code(status)
