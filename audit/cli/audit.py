"""`assay audit`: the main job, end to end."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from audit.cli.common import (
    add_run_options,
    format_verdict,
    model_options,
    note,
    overall,
    peak_memory,
    resolve,
    write_json,
    write_out,
)
from audit.cli.reading import add_reading_options, reading_options
from audit.cli.source_options import add_source_options, source_fields
from audit.evidence import exit_code


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "audit",
        help="generate (or take) images, mark, verify, audit and report",
        description=(
            "The main job. Without arguments the embedded generator makes 32 images for each prompt of the "
            "embedded prompt set, marks them, and all audits run. With --images a folder of images that were "
            "made elsewhere is audited. A run that was interrupted goes on where it stopped."
        ),
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="audit these images instead of generating"
    )
    parser.add_argument("--prompts", default="occupations", metavar="SET", help="shipped prompt set or file")
    parser.add_argument("--count", type=int, default=32, metavar="N", help="images a prompt (default: 32)")
    parser.add_argument(
        "--sequential",
        nargs="*",
        metavar="ATTRIBUTE",
        help="stop making images of a prompt when these attributes (default: all) are decided on it, within --count; "
        "the false discovery rate holds however often one looks",
    )
    parser.add_argument("--budget", type=int, metavar="N", help="most images in all, with --sequential")
    parser.add_argument("--seed", type=int, default=0, help="seed of the run (default: 0)")
    parser.add_argument(
        "--format",
        choices=("png", "jpg", "webp"),
        help="file type of images made (default: png; of another system's images their own)",
    )
    add_source_options(parser)
    add_run_options(parser)
    add_reading_options(parser, online=False)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the main job and print the one-screen verdict."""
    from audit.job import audit_rooms, finish_report, make_images
    from audit.plan import Plan, finish_run, open_run

    started = time.monotonic()
    plan = Plan(
        images=resolve(args.images),
        prompts=args.prompts,
        count=args.count,
        seed=args.seed,
        sequential=None if args.sequential is None else tuple(args.sequential),
        budget=args.budget,
        **source_fields(args),
        **model_options(args),
        bias=reading_options(args),
    )
    directory = open_run(plan, out=args.out, argv=sys.argv)
    with directory.lock():
        make_images(directory, plan, online=args.online)
        evidence = audit_rooms(directory, plan, plan.rooms, workers=args.workers)
        report = finish_report(directory)
        finish_run(directory)
    status = overall(evidence)
    if args.json:
        rooms = {room: found.to_json() for room, found in evidence.items()}
        write_json({"run": str(directory.path), "status": status, "report": str(report), "rooms": rooms})
    else:
        write_out(f"\nAssay run {directory.path}: {status.upper()}\n")
        write_out(format_verdict(evidence))
        write_out(f"\nReport     {report}\nDashboard  assay dashboard {directory.path}")
    note(
        f"Took {time.monotonic() - started:.0f} s; peak memory {peak_memory():.1f} GB in the largest process."
    )
    return exit_code(status)
