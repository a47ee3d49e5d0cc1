"""`assay train`: trains the shipped weights again from their recipes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from audit.cli.common import note, write_out

# In the order in which `all` trains them: each may read the weights of those before.
FAMILIES = (
    "tokenizer",
    "autoregressive",
    "decoder",
    "masked",
    "diffusion",
    "adversarial",
    "mae",
    "clip",
    "reader",
    "detector",
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "train",
        help="train the shipped weights from their recipes",
        description=(
            "Trains a family from its recipe, on drawings made from a seed; nothing is downloaded. A training that "
            "was stopped goes on from its last checkpoint. Weights and card are written to --out."
        ),
    )
    parser.add_argument("family", choices=(*FAMILIES, "all"), help="what to train")
    parser.add_argument(
        "--out", type=Path, default=Path("trained"), metavar="FOLDER", help="weights, checkpoints, logs"
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.set_defaults(run=run)


def _recipes() -> Mapping[str, Callable[..., Any]]:
    from audit.bias.reader_recipe import train_reader
    from audit.detector.recipe import train_embedded_detector
    from generator.recipes import RECIPES
    from generator.recipes_clip import train_clip
    from generator.recipes_families import FAMILY_RECIPES

    return {
        **RECIPES,
        **FAMILY_RECIPES,
        "clip": train_clip,
        "reader": train_reader,
        "detector": lambda folder, **options: train_embedded_detector(
            folder, generator_folder=folder, **options
        ),
    }


def run(args: argparse.Namespace) -> int:
    """Train, and print the files written."""
    recipes = _recipes()
    for family in FAMILIES if args.family == "all" else (args.family,):
        weights = recipes[family](args.out, device=args.device, log=note)
        write_out(f"{args.out / weights.card.family}.safetensors {weights.digest}")
    return 0
