"""`assay generate`: images for a prompt set, each of them marked."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from audit.cli.common import add_json_option, note, write_json, write_out
from audit.cli.source_options import add_source_options, source_fields
from audit.evidence import Status, exit_code, worst


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "generate",
        help="generate and mark images",
        description=(
            "Generates images into a run directory and marks each one. Any image of the embedded generator can be "
            "made again alone, bit for bit, from weights, prompt and seed: --prompt TEXT --image-seed N. Images of "
            "another system keep what they came with: its Content Credentials become the parent of ours."
        ),
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--prompts", default="occupations", metavar="SET", help="shipped prompt set or file")
    what.add_argument("--prompt", metavar="TEXT", help="one prompt")
    parser.add_argument(
        "--count",
        type=int,
        default=1,
        metavar="N",
        help="images a prompt that says no count itself (default: 1)",
    )
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, default=0, help="seed of the run (default: 0)")
    seeds.add_argument("--image-seed", type=int, metavar="N", help="seed of the one image to make again")
    parser.add_argument(
        "--format",
        choices=("png", "jpg", "webp"),
        help="file type (default: png; of another system's images their own)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="run directory (default: a new one under runs/)"
    )
    add_source_options(parser)
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
        rooms=(),
        **source_fields(args),
    )
    directory = open_run(plan, out=args.out, argv=sys.argv)
    with directory.lock():
        make_images(directory, plan, online=args.online)
        finish_run(directory)
        images = directory.rows("images")
    if args.json:
        rows = json.loads(images.to_json(orient="records"))  # an absent value is null, never NaN
        write_json({"run": str(directory.path), "images": rows})
    else:
        for row in images.to_dict("records"):
            made = row["status"] != Status.ERROR
            write_out(str(directory.path / row["path"]) if made else f"no image: {row['reason']}")
    note("Signed with a development identity: it proves integrity, not who made the image.")
    return exit_code(worst(Status(status) for status in images["status"]))
