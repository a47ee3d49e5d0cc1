"""Checks of the measurement itself: is the reader good enough, and how many images did it leave unread.

Neither can fail: a poor reader says nothing about the generator. It can only make the audit inconclusive.
"""

from __future__ import annotations

import numpy as np

from audit.bias.analysis import Analysis
from audit.bias.details import LABEL_IMAGES, MEASURE_READER, SOURCE, percent, to_list
from audit.bias.estimators import assess_contrast
from audit.bias.policy import Policy
from audit.evidence import JSON, Check, Status
from audit.statistics import clopper_pearson, clopper_pearson_bounds


def check_reader(analysis: Analysis, *, policy: Policy) -> Check:
    """Does the reader tell the groups apart on labelled images?"""
    name = f"bias.{analysis.sample.attribute}.reader"
    groups, matrix = analysis.sample.readings.groups, analysis.calibration
    if analysis.exact:
        reason = f"{analysis.contrast.reason} Their errors, if any, are not in any interval."
        return Check(
            name, Status.SKIPPED, reason, source=SOURCE, details={"groups": list(groups), "exact": True}
        )
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
    contrast = assess_contrast(matrix, level=policy.level, rng=np.random.default_rng(policy.seed))
    usable = contrast.usable
    reason = (
        f"On {int(labels.sum())} labelled images the reader found {groups[worst]!r}, its weakest group, in "
        f"{percent(recall[worst])} of cases. {contrast.reason}"
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


def check_transport(analysis: Analysis, *, policy: Policy) -> Check:
    """Are the reader's errors on the audited images those of its error matrix? It cannot fail: see the head."""
    name = f"bias.{analysis.sample.attribute}.transport"
    shift, labelled = analysis.shift, analysis.sample.labelled
    details: dict[str, JSON] = {"labelled_images": labelled[0].n_labels if labelled else 0}
    if labelled:
        own = labelled[0].error_matrix()
        details |= {
            "groups": list(own.groups),
            "columns": [*own.groups, "undetermined"],
            "counts": [[int(cell) for cell in row] for row in own.counts],
        }
    if not shift.tested:
        return Check(
            name, Status.SKIPPED, shift.reason, source=SOURCE, next_step=LABEL_IMAGES, details=details
        )
    details |= {"p_value": shift.p_value, "detectable": round(shift.detectable, 6)}
    moved = shift.p_value <= 1 - policy.level
    status, reason = Status.PASS, shift.reason
    if not moved:
        reason += f" A difference of {percent(shift.detectable)} would have been seen in half of such checks."
    elif analysis.numbers and analysis.numbers[0].labelled:
        status = Status.SKIPPED  # nothing rests on the matrix
        reason += " It is not used: shares rest on the labels of audited images."
    else:
        status = Status.INCONCLUSIVE
        reason += " More labels of audited images are needed."
    return Check(
        name,
        status,
        reason,
        value=round(shift.largest, 6),
        unit="largest difference of a rate",
        source="audit.bias.shift",
        next_step=LABEL_IMAGES if moved else "",
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
    if analysis.calibration is not None and silent + unread < total:
        labelled = analysis.calibration.counts
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
