"""`assay seed`: which issued seed made these pictures, by the mark that sampling leaves in them."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit.cli.common import add_json_option, format_check, write_json, write_out
from audit.evidence import Check, Evidence, Status, exit_code, worst
from generator.errors import CannotCheckError, InputError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "seed",
        help="name the issued seed that made a picture",
        description=(
            "Tests pictures for the keyed randomness of the embedded generator, against the seeds of a run or a "
            "list. Works without any metadata; the p-value is exact and corrected for the seeds tried."
        ),
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="IMAGE", help="pictures")
    parser.add_argument(
        "--issued",
        type=Path,
        required=True,
        metavar="RUN|FILE",
        help="run directory, or a text file with one seed a line",
    )
    parser.add_argument(
        "--family", default="autoregressive", help="of the seeds of a text file (default: autoregressive)"
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="sampling key, 16 to 64 bytes (default: public)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found, picture by picture."""
    from audit.collection import load_pixels
    from audit.issued import NAME, check_seed, load_issued
    from generator.embedded import EmbeddedGenerator
    from generator.noise import PUBLIC_KEY

    issued = load_issued(args.issued, family=args.family)
    key = PUBLIC_KEY if args.key is None else _read_key(args.key)
    generator = EmbeddedGenerator.load(family=issued.family)
    found = []
    for path in args.paths:
        try:
            check = check_seed(load_pixels(path), issued, generator, key=key)
        except CannotCheckError as error:
            check = Check(name=NAME, status=Status.ERROR, reason=str(error))
        found.append(Evidence(subject=str(path), checks=(check,)))
        if not args.json:
            write_out(f"{path}\n{format_check(check)}")
    if args.json:
        write_json([evidence.to_json() for evidence in found])
    return exit_code(worst(evidence.status for evidence in found))


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the key cannot be read ({error.strerror})") from error
