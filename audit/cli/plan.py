"""`assay plan`: how many prompts, images and labels a bias audit needs, before anything is generated."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from audit.cli.common import add_json_option, write_json, write_out
from generator.errors import InputError

if TYPE_CHECKING:
    from audit.bias.planning import Plan


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "plan",
        help="prompts, images and labels a bias audit needs for a width or a power",
        description=(
            "Says what an audit of a given size will show, or finds the cheapest size that reaches a width, a power, "
            "or both. Widths and powers are of the mean share over new prompts of the same kind."
        ),
    )
    goal = parser.add_argument_group("goal (the cheapest design is searched)")
    goal.add_argument("--half-width", type=float, metavar="SHARE", help="largest half width of the interval")
    goal.add_argument(
        "--power", type=float, metavar="CHANCE", help="least chance to find a departure of --effect"
    )
    size = parser.add_argument_group("or a size (it is judged)")
    size.add_argument("--prompts", type=int, metavar="N")
    size.add_argument("--images", type=int, metavar="N", help="images of each prompt")
    size.add_argument(
        "--labels", type=int, metavar="N", default=0, help="labels of audited images (default 0)"
    )
    known = parser.add_argument_group("what is expected")
    known.add_argument(
        "--effect", type=float, default=0.1, metavar="SHARE", help="departure to find (default 0.1)"
    )
    known.add_argument("--share", type=float, default=0.5, help="of the group (default 0.5, the worst case)")
    known.add_argument(
        "--icc", type=float, default=0.45, help="how images of a prompt hang together (default 0.45)"
    )
    known.add_argument(
        "--recall", type=float, nargs=2, default=(0.9, 0.95), metavar=("GROUP", "OTHER"),
        help="how often the reader finds each (default 0.9 0.95)",
    )  # fmt: skip
    known.add_argument(
        "--matrix-labels", type=int, default=0, metavar="N",
        help="labelled images of each group behind the reader's error matrix; 0: there is none",
    )  # fmt: skip
    known.add_argument("--level", type=float, default=0.95, help="confidence (default 0.95)")
    known.add_argument(
        "--costs", type=float, nargs=3, default=(1.0, 0.1, 0.2), metavar=("PROMPT", "IMAGE", "LABEL"),
        help="of one more of each, in any one unit (default 1 0.1 0.2)",
    )  # fmt: skip
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Plan and print."""
    found = _plan(args)
    if args.json:
        write_json(asdict(found))
        return 0
    write_out(
        f"{found.prompts} prompts x {found.images} images ({found.prompts * found.images} in all), "
        f"{found.labels} labels of audited images, cost {found.cost:g}\n"
        f"  mean share over new prompts: +-{100 * found.half_width:.1f} points\n"
        f"  one prompt: +-{100 * found.prompt_half_width:.1f} points, the reader's errors left out\n"
        f"  a departure of {100 * found.effect:.0f} points is found in {100 * found.power:.0f} % of such audits"
    )
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    from audit.bias.planning import Costs, Expectation, cheapest_plan, plan

    expect = Expectation(args.share, args.icc, tuple(args.recall), args.matrix_labels, args.level)
    costs = Costs(*args.costs)
    sized = args.prompts is not None or args.images is not None
    if sized and (args.half_width is not None or args.power is not None):
        raise InputError(
            "plan: give a goal (--half-width, --power) or a size (--prompts, --images), not both"
        )
    if not sized:
        return cheapest_plan(
            half_width=args.half_width, power=args.power, effect=args.effect, expect=expect, costs=costs
        )
    if args.prompts is None or args.images is None:
        raise InputError("plan: a size needs both --prompts and --images")
    return plan(args.prompts, args.images, labels=args.labels, expect=expect, effect=args.effect, costs=costs)
