"""One room over a run directory or a folder: what `bias`, `detect` and `trace` have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.cli.common import (
    add_run_options,
    format_check,
    model_options,
    note,
    resolve,
    write_json,
    write_out,
)
from audit.evidence import Evidence, exit_code
from generator.errors import InputError

if TYPE_CHECKING:
    from audit.plan import Plan
    from audit.run import RunDirectory


def add_room_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], verb: str, *, room: str, summary: str
) -> argparse.ArgumentParser:
    """Describe a verb that runs one room; the caller may add options of its own."""
    parser = subparsers.add_parser(
        verb, help=summary, description=f"{summary}. PATH is a run directory or a folder of images."
    )
    parser.add_argument("path", type=Path, metavar="PATH")
    add_run_options(parser)
    parser.set_defaults(run=run, room=room)
    return parser


def run(args: argparse.Namespace) -> int:
    """Audit one room and print its checks."""
    directory, plan = open_path(args)
    with directory.lock():
        evidence = audit_room(directory, plan, args)
    return print_room(directory, evidence, as_json=args.json)


def open_path(args: argparse.Namespace, **options: Any) -> tuple[RunDirectory, Plan]:  # noqa: ANN401 - fields of a plan
    """The run directory that PATH is, or a new run over the folder that PATH is.

    Args:
        args: of the verb.
        options: further fields of the plan of a new run.

    Raises:
        InputError: options that an existing run decides itself.
    """
    from audit.plan import Plan, open_run
    from audit.run import RunDirectory

    path: Path = args.path
    if not (path / "run.json").is_file():
        plan = Plan(images=resolve(path), rooms=(args.room,), **model_options(args), **options)
        return open_run(plan, out=args.out, argv=sys.argv), plan
    if args.out or args.clip or args.trust or any(options.values()):
        raise InputError(
            f"{path}: is a run directory and keeps its own results, model and trust lists; leave --out, --clip, "
            f"--trust and options of the reader away, or measure its pictures anew: {path / 'images'}"
        )
    directory = RunDirectory.open(path)
    return directory, Plan.from_json(directory.record()["config"])


def audit_room(directory: RunDirectory, plan: Plan, args: argparse.Namespace) -> Evidence:
    """Evidence of the verb's room; the run is locked by the caller. A run over a folder is finished with it."""
    from audit.job import audit_rooms, make_images
    from audit.plan import finish_run

    make_images(directory, plan)
    evidence = audit_rooms(directory, plan, [args.room], workers=args.workers)[args.room]
    if directory.path != args.path:
        finish_run(directory)
    return evidence


def print_room(directory: RunDirectory, evidence: Evidence, *, as_json: bool) -> int:
    """Print a room's checks; returns the exit code."""
    if as_json:
        document: Mapping[str, Any] = {"run": str(directory.path), **evidence.to_json()}
        write_json(document)
    else:
        write_out(f"{evidence.subject}: {evidence.status.upper()}")
        for check in evidence.checks:
            write_out(format_check(check))
    note(f"Run directory: {directory.path}")
    return exit_code(evidence.status)
