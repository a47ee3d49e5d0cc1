"""`assay audit`: the main job, end to end."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from audit.cli.common import add_run_options, format_verdict, note, overall, write_json, write_out
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
    parser.add_argument("--seed", type=int, default=0, help="seed of the run (default: 0)")
    parser.add_argument(
        "--format", choices=("png", "jpg", "webp"), default="png", help="file type of images made"
    )
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the main job and print the one-screen verdict."""
    from audit.job import Plan, audit_rooms, finish_report, make_images, open_run
    from audit.rooms import RoomOptions

    started = time.monotonic()
    images = str(args.images.resolve()) if args.images else None
    plan = Plan(images, args.prompts, args.count, args.seed, f".{args.format}", args.clip)
    directory = open_run(plan, out=args.out, argv=sys.argv)
    with directory.lock():
        make_images(directory, plan)
        evidence = audit_rooms(
            directory, plan.rooms, RoomOptions(plan.clip, args.trust), workers=args.workers
        )
        report = finish_report(directory)
    status = overall(evidence)
    if args.json:
        rooms = {room: found.to_json() for room, found in evidence.items()}
        write_json({"run": str(directory.path), "status": status, "report": str(report), "rooms": rooms})
    else:
        write_out(f"\nAssay run {directory.path}: {status.upper()}\n")
        write_out(format_verdict(evidence))
        write_out(f"\nReport     {report}\nDashboard  assay dashboard {directory.path}")
    note(f"Took {time.monotonic() - started:.0f} s.")
    return exit_code(status)
