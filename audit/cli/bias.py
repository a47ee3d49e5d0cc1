"""`assay bias`: measure perceived attributes for each prompt."""

from __future__ import annotations

import argparse

from audit.cli.room import add_room_parser


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    add_room_parser(subparsers, "bias", room="bias", summary="Measure perceived attributes for each prompt")
