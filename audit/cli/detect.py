"""`assay detect`: ask the detector of generated images."""

from __future__ import annotations

import argparse

from audit.cli.room import add_room_parser


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    add_room_parser(subparsers, "detect", room="detector", summary="Ask the detector of generated images")
