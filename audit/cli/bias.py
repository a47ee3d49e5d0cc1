"""`assay bias`: measure perceived attributes for each prompt."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit.cli.common import resolve
from audit.cli.reading import add_reading_options, reading_options
from audit.cli.room import add_room_parser, audit_room, open_path, print_room


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = add_room_parser(
        subparsers, "bias", room="bias", summary="Measure perceived attributes for each prompt"
    )
    parser.add_argument(
        "--reference",
        action="append",
        metavar="NAME|FILE",
        help="what shares are compared with: parity (default), bls-2021, or a CSV file with the columns attribute, "
        "prompt_id, group, share and perhaps n; may be given several times, and on a run that was read already",
    )
    parser.add_argument(
        "--training",
        type=Path,
        metavar="FILE",
        help="counts of groups in the training data, for amplification: attribute, prompt_id, group, count",
    )
    parser.add_argument(
        "--prompt-groups", type=Path, metavar="FILE", help="prompts to describe together: prompt_id, group"
    )
    add_reading_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read what is not read yet; summarise with what is held against and the labels there are."""
    from audit.bias.against import Against
    from audit.bias.labels import has_labels
    from audit.bias.resummary import summarise_again

    references = None if args.reference is None else tuple(_named(name) for name in args.reference)
    against = Against(references, resolve(args.training), resolve(args.prompt_groups))
    directory, plan = open_path(args, bias=reading_options(args))
    with directory.lock():
        evidence = audit_room(directory, plan, args)
        if against != Against() or has_labels(directory.path):
            evidence = summarise_again(directory, against)
    return print_room(directory, evidence, as_json=args.json)


def _named(reference: str) -> str:
    """A file by its absolute path, since the run keeps it; any other name as it is."""
    path = Path(reference)
    return str(path.resolve()) if path.is_file() else reference
