"""p-values of several marks of one picture as one p-value, by rules whose validity is proven.

The null: the picture owes nothing to the keys. All p-values are numbers in log10, at most 0.

**Any dependence** (`merge_any`): K times the smallest. P(K min p <= a) <= sum_k P(p_k <= a / K) <= a, whatever the
p-values have to do with each other; where the K events exclude each other it is attained, so no smaller factor will
do. Means of p-values (harmonic: factor e ln K) gain only where many marks are equally faint, and nothing up to K = 3.

**One after the other** (`merge_sequential`): for p-values of which each is valid whatever the earlier ones were,

    P(p_k <= a | p_1 .. p_{k-1}) <= a    =>    Q(w) = w sum_{k<K} (-ln w)^k / k!    of the product w is a p-value.

Proof. Let F_K(w) = P(U_1 .. U_K <= w) for independent uniform U; it is Q, since -ln U is exponential and a sum of K
of them Gamma(K). Given p_1 .. p_{K-1} with product v, P(v p_K <= w) <= min(1, w / v), which falls with v; and v is
stochastically at least the product of K - 1 uniforms by induction. Taking means on both sides gives F_K(w).

Two marks with secrets drawn independently of each other are such a sequence: given the picture, the first p-value
depends on the first secret alone; given both, the second one still ranges over the second secret, also where the
first mark's findings (its geometry) decided how the second one was read. Two marks under one secret, or a mark
without a proven null, are not: they go through `merge_any`.

Sources: Vovk and Wang 2020, Biometrika 107(4), for what is admissible under any dependence; Fisher 1932 for the
product; the sequential condition as in Brannath, Posch and Bauer 2002, JASA 97(457).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from audit.evidence import Check, Status
from generator.errors import InputError

NAME = "marks.combined"
BOUND = 1e-6
"""Largest p-value at which marks are said to be there."""


def merge_any(log10_p: Sequence[float]) -> float:
    """log10 of one p-value from several that may depend on each other in any way.

    Raises:
        InputError: none given, or one is above 0 or no number.
    """
    _check(log10_p)
    return min(0.0, min(log10_p) + math.log10(len(log10_p)))


def merge_sequential(log10_p: Sequence[float]) -> float:
    """log10 of one p-value from several of which each is valid given all before it.

    Raises:
        InputError: none given, or one is above 0 or no number.
    """
    _check(log10_p)
    rate = -math.fsum(log10_p) * math.log(10)  # -ln of the product
    if rate == 0:
        return 0.0
    terms = [k * math.log(rate) - math.lgamma(k + 1) for k in range(len(log10_p))]
    largest = max(terms)
    total = largest + math.log(math.fsum(math.exp(term - largest) for term in terms))
    return min(0.0, (total - rate) / math.log(10))


def check_combined(log10_p: Mapping[str, float], *, rule: Literal["any", "sequential"]) -> Check:
    """What several marks of one picture say together.

    Args:
        log10_p: name of the mark -> log10 of its p-value, for every mark that was looked for, found or not.
        rule: "sequential" where each is valid given all before it, else "any".

    Raises:
        InputError: see the rules.
    """
    merged = (merge_sequential if rule == "sequential" else merge_any)(list(log10_p.values()))
    there = merged <= math.log10(BOUND)
    if there:
        reason = (
            f"Together, {len(log10_p)} marks show this in a picture that owes nothing to our keys with probability "
            f"10^{math.ceil(merged)} at most."
        )
    else:
        reason = f"Together, {len(log10_p)} marks reach p = {10**merged:.2g}, more than {BOUND:g}; none is certain."
    return Check(
        name=NAME,
        status=Status.PASS if there else Status.INCONCLUSIVE,
        reason=reason,
        value=merged,
        unit="log10 p",
        threshold=math.log10(BOUND),
        source="audit.combination",
        details={"rule": rule, **log10_p},
    )


def _check(log10_p: Sequence[float]) -> None:
    if not log10_p or not all(value <= 0 for value in log10_p):  # also refuses NaN
        raise InputError(f"p-values {list(log10_p)} (log10): expected one or more, each at most 0")
