"""Evidence of the similarity room about a run: matches, matches by chance, and how well a trace works."""

from __future__ import annotations

import numpy as np
import pandas as pd

from audit.evidence import JSON, Check, Evidence, Status
from audit.similarity.significance import benjamini_hochberg
from audit.similarity.tracing import ALPHA, Tracer
from audit.statistics import clopper_pearson

DISCOVERY_RATE = 0.05  # share of false ones that is tolerated among the discoveries of a run
RECALL_FLOOR = 0.8  # of the self-test, per edit
CAVEAT = "A candidate is a lead for a person to look at, no proof of copying or memorisation."

_SOURCE = "audit.similarity"


def summarise(rows: pd.DataFrame, images: pd.DataFrame, *, tracer: Tracer, embedded: bool) -> Evidence:
    """Evidence about a run.

    Args:
        rows: the similarity table; rows of images that could not be traced have no rank.
        images: the images table; images with a generator are known to be generated.
        tracer: the searched set, with null and self-test.
        embedded: whether the set holds the embedded generator's training drawings; they say nothing about images
            of another origin.
    """
    if rows.empty:
        empty = Check("similarity.images", Status.ERROR, "There is no image to trace.", source=_SOURCE)
        return Evidence("similarity", (empty,))
    best = rows[rows["rank"] == 1] if "rank" in rows else rows.iloc[:0]
    checks = []
    broken = rows.loc[rows["status"] == str(Status.ERROR), "image_id"].nunique()
    if broken:
        total = rows["image_id"].nunique()
        reason = f"{broken} of {total} images could not be traced; their rows say why."
        checks.append(Check("similarity.readable", Status.ERROR, reason, value=float(broken), unit="images"))
    if len(best):
        known = images.loc[images["image_id"].isin(best["image_id"]), "generator"].notna()
        outside = embedded and not bool(known.any())
        checks += [_check_matches(best, tracer, outside=outside), _check_expected(best)]
        checks.append(_check_discoveries(best, tracer))
    return Evidence("similarity", (*checks, _check_null(tracer), *_check_self_test(tracer)))


def _check_matches(best: pd.DataFrame, tracer: Tracer, *, outside: bool) -> Check:
    """Share of images whose best candidate matches."""
    n, k = len(best), int(best["match"].astype(bool).sum())
    interval = clopper_pearson(k, n)
    many = interval.low > ALPHA
    about = tracer.references.description
    reason = f"{k} of {n} images match a reference at p <= {ALPHA} (reference set: {about}). "
    if k == 0:
        reason += f"None found does not mean none exist: the rate may be up to {interval.high:.1%}. "
    if outside:
        reason += (
            "Who made these images is not recorded, and the set holds only what the embedded generator was trained "
            "on: this says nothing about the training data of another generator."
        )
    elif k:
        reason += f"That is {'more than' if many else 'no more than'} chance explains. {CAVEAT}"
    return Check(
        "similarity.match_rate",
        Status.INCONCLUSIVE if outside or many else Status.PASS,
        reason.strip(),
        value=k / n,
        unit="share",
        interval=interval,
        threshold=ALPHA,
        source=_SOURCE,
        next_step=_next_step(k, outside=outside),
        details={"images": n, "matches": k, "reference_set": about, "n_references": len(tracer.stored.ids)},
    )


def _next_step(matches: int, *, outside: bool) -> str:
    if outside:
        return "Name a folder of the images that the generator was trained on."
    return "Look at each match beside its candidate." if matches else ""


def _check_expected(best: pd.DataFrame) -> Check:
    expected = ALPHA * len(best)
    return Check(
        "similarity.expected_false_matches",
        Status.PASS,
        f"By chance alone about {expected:.1f} of {len(best)} images outside the reference set would match.",
        value=expected,
        unit="images",
        source=_SOURCE,
    )


def _check_discoveries(best: pd.DataFrame, tracer: Tracer) -> Check:
    """Matches that remain when the number of images is accounted for."""
    p_values = best["p_value"].to_numpy(dtype=np.float64)
    rejected = benjamini_hochberg(p_values, rate=DISCOVERY_RATE)
    count = int(rejected.sum())
    names: list[JSON] = [str(name) for name in best.loc[rejected, "image_id"]]
    # a single image can only stand out when the null is long enough for the number of images
    needed = int(np.ceil(len(best) * tracer.null.finest / DISCOVERY_RATE - 1e-9))
    reason = (
        f"{count} of {len(best)} images stand out when {DISCOVERY_RATE:.0%} of such findings may be false. "
    )
    if needed > 1:
        reason += f"The null of {len(tracer.null.scores)} images cannot tell fewer than {needed} copies from chance. "
    if count:
        reason += CAVEAT
    return Check(
        "similarity.discoveries",
        Status.INCONCLUSIVE if count else Status.PASS,
        reason.strip(),
        value=float(count),
        unit="images",
        threshold=DISCOVERY_RATE,
        source="Benjamini and Hochberg 1995, JRSS B 57(1)",
        next_step="Look at each match beside its candidate." if count else "",
        details={"image_ids": names[:200], "fewest_detectable": needed},
    )


def _check_null(tracer: Tracer) -> Check:
    n = len(tracer.null.scores)
    return Check(
        "similarity.null",
        Status.PASS,
        f"p-values come from {n} images that went through the same search: {tracer.null.source}. None can be below "
        f"{tracer.null.finest:.5f}. They hold for images that are as varied as these and equally processed.",
        value=float(n),
        unit="images",
        source=_SOURCE,
    )


def _check_self_test(tracer: Tracer) -> list[Check]:
    """How many edited copies of references the trace finds as best candidate and calls a match."""
    checks = []
    for name, (found, planted) in tracer.stored.recall.items():
        interval = clopper_pearson(found, planted)
        good = interval.low >= RECALL_FLOOR
        checks.append(
            Check(
                f"similarity.self_test.{name}",
                Status.PASS if good else Status.INCONCLUSIVE,
                f"{found} of {planted} planted copies of references ({name}) were found and matched.",
                value=found / planted,
                unit="share",
                interval=interval,
                threshold=RECALL_FLOOR,
                source=_SOURCE,
                next_step=""
                if good
                else "Copies edited like this can be missed: do not conclude from no match.",
            )
        )
    return checks
