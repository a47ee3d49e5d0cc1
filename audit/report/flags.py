"""Which images a person should look at first, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pandas as pd

from audit.evidence import Status

IMAGE_COLUMNS = ("image_id", "status", "reason", "generator", "unknown_words")
PROVENANCE_COLUMNS = ("image_id", "status", "verdict", "reason")
DETECTOR_COLUMNS = ("image_id", "status", "verdict")
SIMILARITY_COLUMNS = ("image_id", "rank", "match", "candidate_id", "p_value")

Flags = dict[str, list[str]]


def compute_flags(
    images: pd.DataFrame, *, provenance: pd.DataFrame, detector: pd.DataFrame, similarity: pd.DataFrame
) -> Flags:
    """Reasons to look at an image, by image id; images without any are left out.

    Flagged are: files that could not be read, provenance findings, generated images that the detector called real,
    and matches with a reference. What is merely inconclusive is no flag.

    Args:
        images: with IMAGE_COLUMNS.
        provenance: with PROVENANCE_COLUMNS.
        detector: with DETECTOR_COLUMNS.
        similarity: with SIMILARITY_COLUMNS.
    """
    flags: defaultdict[str, list[str]] = defaultdict(list)
    error, fail = str(Status.ERROR), str(Status.FAIL)
    _add(flags, images.loc[images["status"] == error, "image_id"], "file could not be read")
    broken = provenance[provenance["status"].isin([fail, error])]
    for image_id, verdict in zip(broken["image_id"], broken["verdict"], strict=True):
        flags[image_id].append(f"provenance: {verdict if isinstance(verdict, str) else 'could not check'}")
    made = set(images.loc[images["generator"].notna(), "image_id"])
    missed = detector[(detector["verdict"] == "real") & detector["image_id"].isin(made)]
    _add(flags, missed["image_id"], "detector: called real")
    matched = similarity[(similarity["rank"] == 1) & (similarity["match"] == True)]  # noqa: E712 - null is not True
    _add(flags, matched["image_id"], "tracing: matches a reference")
    words = images[images["unknown_words"].fillna("").astype(str) != ""]
    for image_id, unknown in zip(words["image_id"], words["unknown_words"], strict=True):
        flags[image_id].append(f"generator: does not know “{unknown}”")
    return dict(flags)


def _add(flags: defaultdict[str, list[str]], ids: Iterable[str], reason: str) -> None:
    for image_id in ids:
        flags[image_id].append(reason)
