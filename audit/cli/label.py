"""`assay label`: people say what a random draw of a run's images shows."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.cli.common import add_json_option, format_check, note, write_json, write_out

if TYPE_CHECKING:
    from audit.bias.labels import LabelStore, Task
    from audit.evidence import Evidence
    from audit.run import RunDirectory

_KEYS = "1234567890"  # of the groups, in order
_UNDETERMINED, _BACK, _QUIT = "u", "b", "q"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "label",
        help="say what a random draw of a run's images shows, or bring such labels",
        description=(
            "Shows images of a run one after another and keeps what you perceive: keys 1, 2, ... for the groups, u "
            "for undetermined, b to go back, q to stop. The images are a seeded random draw in random order, so "
            "you may "
            "stop at any time. Labels lie in RUN.labels.sqlite beside the run, and the bias room uses them at once."
        ),
    )
    parser.add_argument("path", type=Path, metavar="RUN", help="run directory that `assay bias` has read")
    parser.add_argument("--annotator", metavar="NAME", help="who labels (default: the user's name)")
    parser.add_argument(
        "--attribute",
        action="append",
        metavar="NAME",
        help="label this attribute only; may be given several times",
    )
    parser.add_argument(
        "--sample", type=int, metavar="N", help="images to draw (default: 100); a larger N adds some"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument(
        "--export", type=Path, metavar="FILE", help="write all labels (.csv, .parquet, .jsonl) and stop"
    )
    parser.add_argument(
        "--import", type=Path, metavar="FILE", dest="brought",
        help="bring labels: columns image_id, attribute, value, annotator",
    )  # fmt: skip
    parser.add_argument(
        "--drawn-at-random",
        action="store_true",
        help="with --import: you vouch that its images were drawn at random from all images of the run",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Label, import or export; then summarise the bias room with the labels there are."""
    from audit.bias.labels import SAMPLE, read_labels, write_labels
    from audit.bias.resummary import open_labels, summarise_again
    from audit.run import RunDirectory

    directory = RunDirectory.open(args.path)
    store = open_labels(directory)
    if args.export is not None:
        labels = store.frame()
        write_labels(labels, args.export)
        write_out(f"{len(labels)} labels written to {args.export}")
        return 0
    if args.brought is not None:
        count = store.add_all(read_labels(args.brought), drawn_at_random=args.drawn_at_random)
        note(f"{count} labels taken from {args.brought}")
    else:
        store.draw(SAMPLE if args.sample is None else args.sample, seed=args.seed)
        _ask(directory, store, args.annotator or getpass.getuser(), args.attribute or list(store.schema))
    if store.frame().empty:
        note("There are no labels yet.")
        return 0
    with directory.lock():
        evidence = summarise_again(directory)
    _print(store, evidence, as_json=args.json)
    return 0


def _ask(directory: RunDirectory, store: LabelStore, annotator: str, attributes: Sequence[str]) -> None:
    """Ask one question after another until all are answered, the input ends, or the annotator stops."""
    from audit.cli.terminal import END, read_key

    images = directory.rows("images").set_index("image_id")["path"]
    shown = ""
    while (task := store.next_task(annotator, attributes=attributes)) is not None:
        if task.image_id != shown:
            shown = task.image_id
            _show(directory.path / str(images[shown]))
        choices = dict(zip(_KEYS, task.answers[:-1], strict=False)) | {_UNDETERMINED: task.answers[-1]}
        _prompt(task, choices)
        key = read_key()
        note(choices.get(key, ""))
        if key in (END, _QUIT):
            return
        if key == _BACK:
            store.undo(annotator)
            shown = ""
        elif key in choices:
            store.add(task.image_id, task.attribute, value=choices[key], annotator=annotator)
        else:
            note(f"Keys are {', '.join(choices)}, {_BACK} (back) and {_QUIT} (stop).")
    note(f"All {len(store.sample())} images of the sample are labelled by {annotator}.")


def _show(path: Path) -> None:
    from audit.cli.terminal import format_picture
    from audit.collection import load_pixels
    from generator.errors import CannotCheckError

    try:
        picture = load_pixels(path, max_side=512)
    except CannotCheckError as error:
        note(f"{error}; answer u")
        return
    note("")
    if sys.stderr.isatty():
        note(format_picture(picture))
    note(str(path))


def _prompt(task: Task, choices: dict[str, str]) -> None:
    said = "   ".join(f"[{key}] {answer}" for key, answer in choices.items())
    sys.stderr.write(
        f"{task.done + 1}/{task.total}  perceived {task.attribute}?   {said}   [b] back  [q] stop  > "
    )
    sys.stderr.flush()


def _print(store: LabelStore, evidence: Evidence, *, as_json: bool) -> None:
    """Progress, agreement, and what the bias room now says of whole attributes."""
    from audit.bias.agreement import measure_agreement

    labels = store.frame()
    found = [
        measure_agreement(labels, attribute=attribute) for attribute in dict.fromkeys(labels["attribute"])
    ]
    overall = [check for check in evidence.checks if check.name.endswith(".overall")]
    images = int(labels["image_id"].nunique())
    if as_json:
        document: dict[str, Any] = {
            "labels": len(labels),
            "images": images,
            "sample": len(store.sample()),
            "agreement": [agreement.to_json() for agreement in found],
            "checks": [check.to_json() for check in overall],
        }
        write_json(document)
        return
    write_out(f"{len(labels)} labels of {images} images ({len(store.sample())} drawn): {store.path}")
    for agreement in found:
        write_out(f"  {agreement.describe()}")
    for check in overall:
        write_out(format_check(check))
