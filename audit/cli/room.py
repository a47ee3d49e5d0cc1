"""One room over a run directory or a folder: what `bias`, `detect` and `trace` have in common."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from audit.cli.common import (
    add_run_options,
    format_check,
    model_options,
    note,
    resolve,
    write_json,
    write_out,
)
from audit.evidence import exit_code
from generator.errors import InputError


def add_room_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], verb: str, *, room: str, summary: str
) -> None:
    """Describe a verb that runs one room."""
    parser = subparsers.add_parser(
        verb, help=summary, description=f"{summary}. PATH is a run directory or a folder of images."
    )
    parser.add_argument("path", type=Path, metavar="PATH")
    add_run_options(parser)
    parser.set_defaults(run=run, room=room)


def run(args: argparse.Namespace) -> int:
    """Audit one room and print its checks."""
    from audit.job import audit_rooms, make_images
    from audit.plan import Plan, finish_run, open_run
    from audit.run import RunDirectory

    path: Path = args.path
    if (path / "run.json").is_file():
        if args.out or args.clip or args.trust:
            raise InputError(
                f"{path}: is a run directory and keeps its own results, model and trust lists; leave --out, --clip "
                f"and --trust away, or measure its pictures anew: {path / 'images'}"
            )
        directory = RunDirectory.open(path)
        plan = Plan.from_json(directory.record()["config"])
    else:
        plan = Plan(images=resolve(path), rooms=(args.room,), **model_options(args))
        directory = open_run(plan, out=args.out, argv=sys.argv)
    with directory.lock():
        make_images(directory, plan)
        evidence = audit_rooms(directory, plan, [args.room], workers=args.workers)[args.room]
        if not (path / "run.json").is_file():
            finish_run(directory)
    if args.json:
        write_json({"run": str(directory.path), **evidence.to_json()})
    else:
        write_out(f"{evidence.subject}: {evidence.status.upper()}")
        for check in evidence.checks:
            write_out(format_check(check))
    note(f"Run directory: {directory.path}")
    return exit_code(evidence.status)
