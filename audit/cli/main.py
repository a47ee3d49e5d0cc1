"""Entry point of the `assay` command.

Data goes to stdout, everything else to stderr. Exit codes: 0 pass, 1 finding, 2 usage, 3 inconclusive, 4 could not
check. Only the verb that was asked for is imported, so that `assay verify` starts without torch.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from audit.memory import keep_memory
from generator.errors import AssayError, InputError

VERBS = (
    "audit",
    "generate",
    "mark",
    "verify",
    "inspect",
    "trust",
    "doctor",
    "seed",
    "bias",
    "label",
    "compare",
    "plan",
    "detect",
    "trace",
    "report",
    "dashboard",
    "serve",
    "train",
)

USAGE_ERROR = 2
COULD_NOT_CHECK = 4
INTERRUPTED = 130


def build_parser(verbs: Sequence[str] = VERBS) -> argparse.ArgumentParser:
    """The parser of the command with the sub-commands named."""
    parser = argparse.ArgumentParser(
        prog="assay",
        description="Make, mark, verify and audit AI-generated images.",
        epilog="Exit codes: 0 pass, 1 finding, 2 usage, 3 inconclusive, 4 could not check.",
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in verbs:
        importlib.import_module(f"audit.cli.{verb}").add_parser(subparsers)
    return parser


def _verbs_needed(argv: Sequence[str]) -> Sequence[str]:
    named = next((word for word in argv if not word.startswith("-")), None)
    return (named,) if named in VERBS else VERBS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    keep_memory()
    args = build_parser(_verbs_needed(words)).parse_args(words)
    logging.basicConfig(
        stream=sys.stderr, format="%(message)s", level=logging.DEBUG if args.debug else logging.WARNING
    )
    logging.getLogger("assay").setLevel(logging.DEBUG if args.debug else logging.INFO)
    try:
        return int(args.run(args))
    except AssayError as error:
        if args.debug:
            traceback.print_exc()
        sys.stderr.write(f"assay {args.verb}: {error}\n")
        return USAGE_ERROR if isinstance(error, InputError) else COULD_NOT_CHECK
    except KeyboardInterrupt:
        sys.stderr.write(f"\nassay {args.verb}: interrupted; what was made is kept, run it again to go on\n")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return COULD_NOT_CHECK
    except Exception:  # noqa: BLE001 - the last line of defence: a crash must never look like a finding
        traceback.print_exc()
        sys.stderr.write(f"assay {args.verb}: internal error (above); nothing was concluded\n")
        return COULD_NOT_CHECK


if __name__ == "__main__":
    raise SystemExit(main())
