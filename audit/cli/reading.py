"""Options of the verbs that read perceived attributes: schema, model, table, faces."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audit.cli.common import resolve


def add_reading_options(parser: argparse.ArgumentParser, *, online: bool = True) -> None:
    """`--schema`, `--classifier`, `--mapping`, `--readings`, `--trusted`, `--faces`, `--online`.

    Args:
        parser: of the verb.
        online: add `--online`; False where the verb has it already.
    """
    group = parser.add_argument_group("reading perceived attributes")
    group.add_argument(
        "--schema", type=Path, metavar="FILE", help="YAML file: attributes, groups and their phrases"
    )
    group.add_argument(
        "--classifier",
        metavar="MODEL",
        help="Hugging Face image classifier: a folder, or a name with --online",
    )
    group.add_argument(
        "--mapping", type=Path, metavar="FILE", help="YAML file: which group each label of --classifier means"
    )
    group.add_argument(
        "--readings",
        type=Path,
        metavar="FILE",
        help="table of readings (CSV, Parquet, JSONL) instead of a model",
    )
    group.add_argument(
        "--trusted", action="store_true", help="--readings is the truth: people labelled every image"
    )
    group.add_argument(
        "--faces", metavar="DETECTOR", help="find faces first: dlib, centre, or a YuNet model file (*.onnx)"
    )
    if online:
        group.add_argument("--online", action="store_true", help="allow the download of models")


def reading_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options as a plan keeps them; empty when none was given.

    Raises:
        InputError: a combination that makes no sense, or a file that cannot be used.
    """
    from audit.bias.options import ReaderOptions, build_source

    classifier = args.classifier
    if classifier is not None and Path(classifier).is_dir():
        classifier = resolve(Path(classifier))
    faces = args.faces
    if faces is not None and Path(faces).is_file():
        faces = resolve(Path(faces))
    options = ReaderOptions(
        resolve(args.schema),
        classifier,
        resolve(args.mapping),
        resolve(args.readings),
        args.trusted,
        faces,
        args.online and bool(classifier or args.clip),  # else nothing that is read with could be downloaded
    )
    found = options.to_json()
    if found:
        build_source(options, **({"clip": args.clip} if args.clip else {}))
    return found
