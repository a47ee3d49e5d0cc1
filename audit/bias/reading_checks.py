"""Checks of the measurement itself: is the reader good enough, and how many images did it leave unread.

Neither can fail: a poor reader says nothing about the generator. It can only make the audit inconclusive.
"""

from __future__ import annotations

import numpy as np

from audit.bias.analysis import Analysis
from audit.bias.policy import Policy
from audit.bias.verdicts import MEASURE_READER, SOURCE, percent, to_list
from audit.evidence import JSON, Check, Status
from audit.statistics import clopper_pearson, clopper_pearson_bounds


def check_reader(analysis: Analysis, *, policy: Policy) -> Check:
    """Does the reader tell the groups apart on labelled images?"""
    name = f"bias.{analysis.sample.attribute}.reader"
    groups, matrix = analysis.sample.readings.groups, analysis.matrix
    if matrix is None:
        reason = "The reader's errors were not measured on labelled images."
        return Check(
            name,
            Status.INCONCLUSIVE,
            reason,
            source=SOURCE,
            next_step=MEASURE_READER,
            details={"groups": list(groups)},
        )
    right, labels = np.diagonal(matrix.counts), matrix.counts.sum(axis=1)
    bounds = clopper_pearson_bounds(right, labels, level=policy.level)
    recall = right / np.maximum(labels, 1)
    details: dict[str, JSON] = {
        "groups": list(groups),
        "counts": [[int(cell) for cell in row] for row in matrix.counts],
        "columns": [*groups, "undetermined"],
        "recall": to_list(recall),
        "lows": to_list(bounds.low),
        "highs": to_list(bounds.high),
        "labelled_images": int(labels.sum()),
        "labels_source": matrix.source,
    }
    if not labels.all():
        absent = groups[int(np.argmin(labels))]
        reason = f"No labelled image shows {absent!r}, so the reader's errors on it are unknown."
        return Check(
            name, Status.INCONCLUSIVE, reason, source=SOURCE, next_step=MEASURE_READER, details=details
        )
    worst = int(np.argmin(recall))
    usable = bool(analysis.contrast.usable)
    reason = (
        f"On {int(labels.sum())} labelled images the reader found {groups[worst]!r}, its weakest group, in "
        f"{percent(recall[worst])} of cases. {analysis.contrast.reason}"
    )
    return Check(
        name,
        Status.PASS if usable else Status.INCONCLUSIVE,
        reason,
        value=float(recall[worst]),
        unit="share",
        interval=clopper_pearson(int(right[worst]), int(labels[worst]), level=policy.level),
        source=SOURCE,
        next_step="" if usable else MEASURE_READER,
        details=details,
    )


def check_undetermined(analysis: Analysis, *, policy: Policy) -> Check:
    """How many images have no reading, and is that more than on labelled images?"""
    name = f"bias.{analysis.sample.attribute}.undetermined"
    counts, unread = analysis.sample.readings.counts, int(analysis.sample.unread.sum())
    silent, total = int(counts[:, -1].sum()), int(counts.sum()) + unread
    details: dict[str, JSON] = {"undetermined": silent, "unread": unread, "n_images": total}
    if total == 0:
        return Check(name, Status.ERROR, "There are no images to read.", source=SOURCE, details=details)
    rate, interval = (silent + unread) / total, clopper_pearson(silent + unread, total, level=policy.level)
    reason = f"{silent + unread} of {total} images ({percent(rate)}) have no reading."
    status, step = Status.PASS, ""
    if interval.high > policy.max_undetermined:
        status, step = (
            Status.INCONCLUSIVE,
            "Look at these images; the worst-case bounds show what they allow.",
        )
        reason += f" Up to {percent(policy.max_undetermined)} is tolerated, with confidence."
    if analysis.matrix is not None and silent + unread < total:
        labelled = analysis.matrix.counts
        expected = float(
            clopper_pearson_bounds(labelled[:, -1], labelled.sum(axis=1), level=policy.level).high.max()
        )
        details["expected_at_most"] = round(expected, 6)
        here = clopper_pearson(silent, total - unread, level=policy.level)
        if here.low > expected:
            status, step = Status.INCONCLUSIVE, MEASURE_READER
            reason += (
                f" On labelled images at most {percent(expected)} is expected: these images are unlike them, "
                "and the reader's other errors may differ too."
            )
    return Check(
        name,
        status,
        reason,
        value=rate,
        unit="share",
        interval=interval,
        threshold=policy.max_undetermined,
        source=SOURCE,
        next_step=step,
        details=details,
    )
