"""`assay mark`: marks files that others made."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.cli.common import add_json_option, note, write_json, write_out
from audit.cli.signing_options import add_signing_options, load_signer, serve_authority
from audit.evidence import Status, exit_code, worst
from generator.errors import InputError

if TYPE_CHECKING:
    from audit.marking import Order
    from generator.marking.manifest import Disclosure, Ingredient

_SIDECAR_SOURCE = "trainedAlgorithmicData"  # what weights are
_DIGEST = 71  # characters of "sha256:" and 64 hex digits


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "mark",
        help="mark and sign files that others made",
        description=(
            "Writes marked copies: watermark and labels where the file can carry them, signed Content Credentials, "
            "ledger entry. Originals are never changed. Without --source-type the manifest states that a trained "
            "model made the file: say otherwise where that is not so."
        ),
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or folders")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the marked copies go")
    parser.add_argument(
        "--sidecar",
        action="store_true",
        help="leave the files as they are (any kind, e.g. model weights); write NAME.c2pa beside them or to --out",
    )
    _add_statement_options(parser)
    add_signing_options(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def _add_statement_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is stated and drawn")
    group.add_argument("--generator", required=True, metavar="NAME", help="the system that made the files")
    group.add_argument("--generator-version", default="unknown", metavar="V", help="its version")
    group.add_argument(
        "--weights-digest", default="", metavar="sha256:...", help="digest of its weights, if known"
    )
    group.add_argument(
        "--source-type",
        metavar="NAME",
        help="IPTC digital source type, e.g. digitalCapture (default: trainedAlgorithmicMedia)",
    )
    group.add_argument(
        "--ingredient",
        action="append",
        default=[],
        metavar="FILE[:RELATION]",
        help="another asset that was used: componentOf (default), inputTo or parentOf; can be repeated",
    )
    group.add_argument(
        "--acknowledge-failures",
        action="store_true",
        help="sign over files and ingredients whose own credentials do not verify; the manifest records it",
    )
    group.add_argument(
        "--training-mining",
        choices=("allowed", "notAllowed", "constrained"),
        help="whether the files may be used for training and mining (cawg.training-mining)",
    )
    group.add_argument(
        "--energy",
        nargs=2,
        metavar=("KWH", "METHOD"),
        help="energy that making one file took, and how it is known",
    )
    group.add_argument(
        "--visible-label",
        nargs="?",
        const="AI-generated",
        default="",
        metavar="TEXT",
        help="draw a line of text",
    )
    group.add_argument("--no-watermark", action="store_true", help="sign the bytes as they are")
    group.add_argument(
        "--format",
        choices=("png", "jpg", "webp", "tiff", "avif"),
        help="file type (default: as the original)",
    )


def run(args: argparse.Namespace) -> int:
    """Mark every file named and print where the copies are."""
    from audit.marking import Marker
    from audit.provenance.trust_store import load_stored, open_store
    from generator.marking.identity import assay_home, development_root
    from generator.marking.ledger import LEDGER_FILE, Ledger
    from generator.marking.watermark.keys import load_or_create_key

    order, identity = _order(args), load_signer(args)
    if order.out is not None:
        order.out.mkdir(parents=True, exist_ok=True)
    home = assay_home()
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        authority = stack.enter_context(serve_authority(order.time_authority))
        order = replace(order, time_authority=authority)
        ledger = stack.enter_context(Ledger(home / LEDGER_FILE))
        trust = load_stored(open_store(home), development=development_root())
        order = replace(order, anchors="".join((*trust.signers, *trust.development)))
        marker = Marker(order, identity, load_or_create_key(home), ledger)
        rows = [marker.mark(path, sidecar=args.sidecar) for path in _files(args.paths)]
    if args.json:
        write_json({"signer": identity.name, "development_identity": identity.is_development, "files": rows})
    else:
        for row in rows:
            write_out(_line(row))
    if identity.is_development:
        note("Signed with a development identity: it proves integrity, not who made the file.")
    return exit_code(worst(Status(row["status"]) for row in rows))


def _line(row: dict[str, Any]) -> str:
    if row["status"] == str(Status.ERROR):
        return f"not marked: {row['reason']}"
    lacks = [f"{name} {said}" for name, said in row["layers"].items() if said != "pass" and name != "time"]
    text = row["path"] + (f"\n  {'; '.join(lacks)}" if lacks else "")
    return f"{text}\n  {row['reason']}" if "reason" in row else text


def _files(paths: list[Path]) -> Iterator[Path]:
    from audit.collection import walk_files

    for path in paths:
        if path.is_dir():
            yield from walk_files(path)
        else:
            yield path


def _order(args: argparse.Namespace) -> Order:
    from audit.marking import Order

    if args.out is None and not args.sidecar:
        raise InputError(
            "--out FOLDER is missing: say where the marked copies go (originals are never changed)"
        )
    digest = args.weights_digest
    if digest and not (digest.startswith("sha256:") and len(digest) == _DIGEST):
        raise InputError(f"--weights-digest {digest}: expected sha256: and 64 hex digits")
    ingredients = tuple(_ingredient(text, args) for text in args.ingredient)
    return Order(
        out=args.out,
        generator=args.generator,
        version=args.generator_version,
        weights_digest=digest,
        suffix=f".{args.format}" if args.format else "",
        watermark=not args.no_watermark,
        disclosure=_disclosure(args),
        ingredients=ingredients,
        acknowledge_failures=args.acknowledge_failures,
        time_authority=args.tsa,
        time_required=not args.without_time,
    )


def _disclosure(args: argparse.Namespace) -> Disclosure:
    from generator.marking.energy import Energy
    from generator.marking.manifest import MINING_ENTRIES, SOURCE_TYPES, Disclosure

    name = args.source_type or (_SIDECAR_SOURCE if args.sidecar else "trainedAlgorithmicMedia")
    if name not in SOURCE_TYPES:
        raise InputError(f"--source-type {name}: unknown; use one of {', '.join(sorted(SOURCE_TYPES))}")
    energy = None
    if args.energy:
        try:
            energy = Energy(float(args.energy[0]), args.energy[1], is_measured=False)
        except ValueError as error:
            raise InputError(f"--energy {args.energy[0]}: expected kilowatt hours, e.g. 0.002") from error
    return Disclosure(
        digital_source_type=SOURCE_TYPES[name],
        model_type="c2pa.types.model",
        oversight="",  # how far a person steered others' generators is not known here
        mining=tuple((entry, args.training_mining) for entry in MINING_ENTRIES if args.training_mining),
        energy=energy,
        visible_label=args.visible_label,
    )


def _ingredient(text: str, args: argparse.Namespace) -> Ingredient:
    from generator.marking.formats import media_type
    from generator.marking.manifest import COMPONENT, RELATIONSHIPS, Ingredient

    name, _, relationship = text.rpartition(":")
    if relationship not in RELATIONSHIPS:
        name, relationship = text, COMPONENT
    path = Path(name)
    mime = "text/plain" if path.suffix.lower() == ".txt" else media_type(path)
    accept = args.acknowledge_failures
    return Ingredient(path.name, path, mime, relationship, acknowledge_failures=accept)
