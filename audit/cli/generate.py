"""`assay generate`: images for a prompt set, each of them marked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from audit.cli.common import add_json_option, note, write_json, write_out


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "generate",
        help="generate and mark images",
        description=(
            "Generates images with the embedded generator into a run directory and marks each one. Any image can "
            "be made again alone, bit for bit, from weights, prompt and seed: --prompt TEXT --image-seed N."
        ),
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--prompts", default="occupations", metavar="SET", help="shipped prompt set or file")
    what.add_argument("--prompt", metavar="TEXT", help="one prompt")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="images a prompt (default: 1)")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, default=0, help="seed of the run (default: 0)")
    seeds.add_argument("--image-seed", type=int, metavar="N", help="seed of the one image to make again")
    parser.add_argument("--format", choices=("png", "jpg", "webp"), default="png", help="file type")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="run directory (default: a new one under runs/)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Generate, mark, and print the files made."""
    from audit.job import make_images
    from audit.plan import Plan, finish_run, open_run
    from generator.errors import InputError

    if args.image_seed is not None and (args.prompt is None or args.count != 1):
        raise InputError("--image-seed makes one image again: give its --prompt and leave --count at 1")
    plan = Plan(
        prompts=args.prompts,
        prompt=args.prompt,
        count=args.count,
        seed=args.seed,
        image_seed=args.image_seed,
        suffix=f".{args.format}",
        rooms=(),
    )
    directory = open_run(plan, out=args.out, argv=sys.argv)
    with directory.lock():
        make_images(directory, plan)
        finish_run(directory)
        images = directory.rows("images")
    if args.json:
        write_json({"run": str(directory.path), "images": images.to_dict("records")})
    else:
        for path in images["path"]:
            write_out(str(directory.path / path))
    note("Signed with a development identity: it proves integrity, not who made the image.")
    return 0
