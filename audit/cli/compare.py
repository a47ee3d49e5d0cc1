"""`assay compare`: two runs side by side, before and after or model A and model B."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit.cli.common import add_json_option, format_check, note, write_json, write_out
from audit.evidence import exit_code


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "compare",
        help="differences of perceived shares between two runs, with intervals",
        description=(
            "Compares perceived attributes of two runs read with one schema: the mean over the prompts they share, "
            "each of those prompts, and whether the second run is nearer to equal shares. Differences are the second "
            "run's shares minus the first's. A difference that is shown is no finding against either run: the exit "
            "code is 0 when every attribute could be compared, 3 when some could not be decided."
        ),
    )
    parser.add_argument("before", type=Path, metavar="RUN_A", help="run directory: before, or model A")
    parser.add_argument("after", type=Path, metavar="RUN_B", help="run directory: after, or model B")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the comparison as a page (.html), a document (.pdf) or .json",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    from audit.report.comparison import compare_directories, write_comparison
    from audit.run import RunDirectory

    evidence = compare_directories(RunDirectory.open(args.before), RunDirectory.open(args.after))
    if args.out is not None:
        write_comparison(evidence, args.out)
        note(f"Comparison: {args.out}")
    if args.json:
        write_json(evidence.to_json())
    else:
        write_out(f"{evidence.subject}: {evidence.status.upper()}")
        for check in evidence.checks:
            write_out(format_check(check))
    return exit_code(evidence.status)
