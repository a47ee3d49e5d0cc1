"""Evidence of a run once more, from its tables: after people labelled images, or against another reference.

Nothing is read again. Groups and error matrices come from the evidence that the reading left, so no model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from audit.bias.against import Against, load_prompt_groups, load_training
from audit.bias.labels import LabelStore, has_labels
from audit.bias.policy import Policy
from audit.bias.readings import ErrorMatrix
from audit.bias.references import load_references
from audit.bias.stopped import StoppedSummary, first_images
from audit.bias.stopping import RECORD as RECORD_OF_STOP
from audit.bias.summary import Summarise
from audit.evidence import Evidence, Status
from audit.run import RunDirectory
from generator.errors import CannotCheckError, InputError

RECORD = "bias_against"  # field of the run record


@dataclass(frozen=True)
class ReadSchema:
    """What the bias evidence of a run says of its reader.

    Attributes:
        groups: attribute -> groups.
        matrices: attribute -> error matrix, None where the readings are the truth; left out where unknown.
        source: which labelled images the matrices were counted on.
    """

    groups: Mapping[str, tuple[str, ...]]
    matrices: Mapping[str, ErrorMatrix | None]
    source: str


def read_schema(evidence: Evidence) -> ReadSchema:
    """Restore the reader's groups and errors from the checks `bias.ATTRIBUTE.reader`.

    Raises:
        CannotCheckError: there are none, or they are of another version.
    """
    groups: dict[str, tuple[str, ...]] = {}
    matrices: dict[str, ErrorMatrix | None] = {}
    source = ""
    for check in evidence.checks:
        room, _, rest = check.name.partition(".")
        attribute, _, last = rest.rpartition(".")
        if room != "bias" or last != "reader":
            continue
        details = dict(check.details)
        try:
            groups[attribute] = tuple(map(str, details["groups"]))  # type: ignore[arg-type]
            if details.get("exact"):
                matrices[attribute] = None
            elif "counts" in details:
                source = str(details.get("labels_source", ""))
                counts = np.array(details["counts"], dtype=np.int64)
                matrices[attribute] = ErrorMatrix(counts, groups[attribute], source)
        except (KeyError, TypeError, ValueError) as error:
            raise CannotCheckError(
                f"{check.name}: written by another version ({error}); read the run again"
            ) from error
    if not groups:
        raise CannotCheckError("the bias room of this run names no attribute; run `assay bias` on it first")
    return ReadSchema(groups, matrices, source)


def bias_evidence(run: RunDirectory) -> Evidence:
    """The bias room's evidence.

    Raises:
        InputError: the run has none yet.
        CannotCheckError: it is damaged.
    """
    found = run.evidence()
    if "bias" not in found:
        raise InputError(
            f"{run.path}: perceived attributes have not been read yet; run `assay bias {run.path}` first"
        )
    return found["bias"]


def open_labels(run: RunDirectory) -> LabelStore:
    """The label database of a run, made when it is not there yet.

    Raises:
        InputError: the bias room has not read the run.
        CannotCheckError: the database or the evidence is damaged.
    """
    schema = read_schema(bias_evidence(run)).groups
    images = run.rows("images")
    readable = images.loc[images["status"] != str(Status.ERROR), "image_id"]
    return LabelStore(run.path, schema=schema, images=readable.tolist())


def summarise_again(run: RunDirectory, against: Against | None = None) -> Evidence:
    """Summarise the bias table with the labels there are now, and write the evidence.

    Args:
        run: locked by the caller.
        against: what is held against from now on, kept in the run record; None: what it was.

    Raises:
        InputError: the room has not read the run, or labels, references or other files do not fit it.
        CannotCheckError: evidence or labels are damaged.
    """
    schema = read_schema(bias_evidence(run))
    rows, images = run.rows("bias"), run.rows("images")
    kept = Against.from_json(run.record().get(RECORD, {}))
    chosen = kept if against is None else against.over(kept)
    prompt_ids = [str(prompt) for prompt in dict.fromkeys(images["prompt_id"].dropna())]
    references = load_references(chosen.references or (), schema=schema.groups, prompt_ids=prompt_ids)
    labels: pd.DataFrame | None = open_labels(run).frame() if has_labels(run.path) else None
    summarise: Callable[[pd.DataFrame, pd.DataFrame], Evidence]
    stop = run.record().get(RECORD_OF_STOP)
    if stop and labels is not None:
        early = first_images(images, int(stop["first"]))["image_id"]
        labels = labels[labels["image_id"].isin(early)]
    summarise = Summarise(
        schema.groups,
        schema.matrices,
        Policy(references=references),
        schema.source,
        labels=labels,
        training=load_training(Path(chosen.training)) if chosen.training else {},
        prompt_groups=load_prompt_groups(Path(chosen.prompt_groups), prompt_ids)
        if chosen.prompt_groups
        else {},
    )
    evidence = (StoppedSummary(summarise, stop) if stop else summarise)(rows, images)
    run.write_evidence(evidence, room="bias")
    if chosen != kept:
        run.update({RECORD: chosen.to_json()})
    return evidence
