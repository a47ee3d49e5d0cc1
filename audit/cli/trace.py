"""`assay trace`: search the reference set for near copies."""

from __future__ import annotations

import argparse

from audit.cli.room import add_room_parser


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    add_room_parser(
        subparsers, "trace", room="similarity", summary="Search the reference set for near copies"
    )
