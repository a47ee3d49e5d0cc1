"""Options of the verbs that generate: which generator, how it is controlled, and what is steered."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audit.cli.common import resolve
from generator.errors import InputError


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """The options; `source_fields` reads them."""
    source = parser.add_argument_group("generator")
    source.add_argument(
        "--generator",
        default="embedded",
        metavar="SPEC",
        help="embedded, diffusers:MODEL (name or folder), openai:URL (a server of /v1/images/generations; naming it "
        "allows the connection) or folder:PATH (images made elsewhere, with a table of their prompts)",
    )
    source.add_argument(
        "--family",
        default="",
        metavar="NAME",
        help="of the embedded generator: autoregressive (default), masked, diffusion or adversarial",
    )
    source.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of an adapter, such as steps=30, size=512x512, model=NAME; an unknown one lists them all",
    )
    source.add_argument("--online", action="store_true", help="allow diffusers to download a model")
    control = parser.add_argument_group("control")
    control.add_argument("--guidance", type=float, metavar="N", help="how hard the prompt is followed")
    control.add_argument("--negative", default="", metavar="TEXT", help="what to move away from")
    control.add_argument("--init", type=Path, metavar="FILE", help="square picture to inpaint, with --mask")
    control.add_argument("--mask", type=Path, metavar="FILE", help="white where --init is drawn anew")
    control.add_argument(
        "--steer",
        action="append",
        default=[],
        metavar="TRAIT=VALUE:SHARE",
        help="put words for a trait into this share of the prompts, such as age=older:0.7",
    )
    control.add_argument(
        "--fair",
        action="append",
        default=[],
        metavar="TARGET",
        help="steer every prompt toward a distribution: presentation=woman:0.5,man:0.5, or a CSV file with "
        "prompt_id,attribute,value,share",
    )
    control.add_argument(
        "--traits", type=Path, metavar="FILE", help="YAML with the words of --steer and --fair"
    )


def source_fields(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a plan that the options give, paths made absolute.

    Raises:
        InputError: an unknown generator, or options that do not belong together.
    """
    from generator.sources import Source

    source = Source(
        _absolute(args.generator),
        family=args.family,
        options=tuple(args.option),
        guidance=args.guidance,
        negative=args.negative,
        init=resolve(args.init) or "",
        mask=resolve(args.mask) or "",
    )
    if getattr(args, "images", None) is not None and (source != Source() or args.steer or args.fair):
        raise InputError("--images takes images as they are; leave the options of a generator out")
    if args.traits is not None and not (args.steer or args.fair):
        raise InputError(f"--traits {args.traits}: nothing is steered; add --steer or --fair")
    fair = tuple(text if "=" in text else str(Path(text).resolve()) for text in args.fair)
    return {
        "source": source,
        "suffix": f".{args.format}" if args.format else "" if source.is_foreign else ".png",
        "steer": tuple(args.steer),
        "fair": fair,
        "traits": resolve(args.traits),
    }


def _absolute(spec: str) -> str:
    """A generator whose path does not depend on where the command is run."""
    kind, _, target = spec.partition(":")
    if kind == "folder" or (kind == "diffusers" and Path(target).is_dir()):
        return f"{kind}:{Path(target).resolve()}"
    return spec
