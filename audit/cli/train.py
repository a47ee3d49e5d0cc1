"""`assay train`: trains the shipped weights again from their recipes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from audit.cli.common import note, write_out
from generator.errors import InputError

# In the order in which `all` trains them: each may read the weights of those before.
FAMILIES = (
    "clip",
    "tokenizer",
    "autoregressive",
    "decoder",
    "masked",
    "diffusion",
    "adversarial",
    "mae",
    "reader",
    "detector",
)


WATERMARK = "watermark"  # nothing of it ships
READERS = ("autoregressive", "masked", "diffusion", "adversarial")  # of prompts, by a text tower


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "train",
        help="train the shipped weights from their recipes",
        description=(
            "Trains a family from its recipe, on drawings made from a seed; nothing is downloaded. A training that "
            "was stopped goes on from its last checkpoint. Weights and card are written to --out. `watermark` is "
            "the learned watermark, which does not ship: with --out ASSAY_HOME/watermarks, `assay verify "
            "--watermark full` looks for it too."
        ),
    )
    parser.add_argument(
        "family", choices=(*FAMILIES, WATERMARK, "all"), help="what to train; watermark is not in all"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("trained"), metavar="FOLDER", help="weights, checkpoints, logs"
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="watermark only: also train on the photographs in this folder",
    )
    parser.add_argument(
        "--text",
        metavar="CLIP",
        help="text tower of a family, NAME:TAG or NAME:/path/to/weights (default: the embedded one)",
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="allow --text to be downloaded when it is not in the local cache",
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.set_defaults(run=run)


def _recipes() -> Mapping[str, Callable[..., Any]]:
    from audit.bias.reader_recipe import train_reader
    from audit.detector.recipe import train_embedded_detector
    from generator.recipes import RECIPES
    from generator.recipes_clip import train_clip
    from generator.recipes_families import FAMILY_RECIPES
    from generator.recipes_watermark import train_watermark

    return {
        **RECIPES,
        **FAMILY_RECIPES,
        "clip": train_clip,
        "reader": train_reader,
        "detector": lambda folder, **options: train_embedded_detector(
            folder, generator_folder=folder, **options
        ),
        WATERMARK: train_watermark,
    }


def run(args: argparse.Namespace) -> int:
    """Train, and print the files written."""
    if args.images is not None and args.family != WATERMARK:
        raise InputError(
            f"--images: {args.family} is trained on drawings only; only {WATERMARK} takes photographs"
        )
    if (args.text is not None or args.online) and args.family not in READERS:
        raise InputError(f"--text, --online: {args.family} takes none; {', '.join(READERS)} read prompts")
    options = {
        name: value
        for name, value in (("images", args.images), ("text", args.text), ("online", args.online or None))
        if value is not None
    }
    recipes = _recipes()
    for family in FAMILIES if args.family == "all" else (args.family,):
        weights = recipes[family](args.out, device=args.device, log=note, **options)
        write_out(f"{args.out / weights.card.family}.safetensors {weights.digest}")
    return 0
