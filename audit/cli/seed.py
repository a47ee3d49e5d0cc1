"""`assay seed`: which issued seed made these pictures, by the mark that sampling leaves in them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from audit.cli.common import add_json_option, format_check, write_json, write_out
from audit.evidence import Check, Evidence, Status, exit_code, worst
from generator.errors import CannotCheckError, InputError

if TYPE_CHECKING:
    from generator.marking.watermark.keyring import Keyring


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "seed",
        help="name the issued seed that made a picture",
        description=(
            "Tests pictures for the keyed randomness of the generator that made them, embedded or a diffusers "
            "pipeline, against the seeds of a run or a list. Works without any metadata; the p-value is exact and "
            "corrected for the seeds tried. What rotation, scaling or crop did is undone where the watermark of this "
            "machine tells it."
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
    listed = parser.add_argument_group("seeds of a text file")
    listed.add_argument(
        "--generator", default="embedded", metavar="SPEC", help="embedded (default) or diffusers:MODEL"
    )
    listed.add_argument("--family", default="", help="of the embedded generator (default: autoregressive)")
    listed.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the pipeline, as it was then, such as size=512x512",
    )
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help="sampling key, 16 to 64 bytes (default: public)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found, picture by picture."""
    from audit.collection import load_pixels
    from audit.issued import check_picture, load_issued
    from audit.provenance.checks_sampling import SAMPLING
    from generator.sampling_readers import load_mark
    from generator.sources import Source

    source = Source(args.generator, family=args.family, options=tuple(args.option))
    issued = load_issued(args.issued, source=source, secret=read_secret(args.key))
    mark, keyring = load_mark(issued), _keyring()
    found = []
    for path in args.paths:
        checks: tuple[Check, ...]
        try:
            checks = check_picture(load_pixels(path), issued, mark, keyring=keyring)
        except CannotCheckError as error:
            checks = (Check(name=SAMPLING, status=Status.ERROR, reason=str(error)),)
        found.append(Evidence(subject=str(path), checks=checks))
        if not args.json:
            write_out("\n".join([str(path), *(format_check(check) for check in checks)]))
    if args.json:
        write_json([evidence.to_json() for evidence in found])
    return exit_code(worst(evidence.status for evidence in found))


def read_secret(path: Path | None) -> bytes:
    """The sampling key in a file; the public one when none is named."""
    from generator.noise import PUBLIC_KEY

    if path is None:
        return PUBLIC_KEY
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the key cannot be read ({error.strerror})") from error


def _keyring() -> Keyring | None:
    """The watermark keys of this machine, if it has any; none is made here."""
    from generator.marking.identity import assay_home
    from generator.marking.watermark.keyring import load_keyring
    from generator.marking.watermark.keys import KEY_FILE

    home = assay_home()
    return load_keyring(home) if (home / KEY_FILE).is_file() else None
