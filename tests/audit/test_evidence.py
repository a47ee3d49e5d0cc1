"""Statuses, intervals, checks and their JSON form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.evidence import Check, Evidence, Interval, Status, exit_code, worst

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | FINITE | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
INTERVALS = st.builds(
    lambda a, b, level: Interval(min(a, b), max(a, b), level, "exact"), FINITE, FINITE, st.floats(0.01, 0.99)
)
CHECKS = st.builds(
    Check,
    name=st.text(min_size=1, max_size=12),
    status=st.sampled_from(Status),
    reason=st.text(min_size=1, max_size=20),
    value=st.none() | FINITE | st.text(max_size=5),
    unit=st.sampled_from(["", "share"]),
    interval=st.none() | INTERVALS,
    threshold=st.none() | FINITE,
    details=st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=3),
)


@given(st.lists(CHECKS, max_size=4).map(tuple))
def test_json_round_trip_restores_equal_evidence(checks: tuple[Check, ...]) -> None:
    evidence = Evidence("subject", checks)
    restored = Evidence.from_json(json.loads(json.dumps(evidence.to_json())))
    assert restored == evidence


def _check(status: Status) -> Check:
    return Check("a.b", status, "Because.")


def test_worst_prefers_error_then_fail_then_inconclusive() -> None:
    assert worst([Status.PASS, Status.INCONCLUSIVE, Status.FAIL]) is Status.FAIL
    assert worst([Status.FAIL, Status.ERROR]) is Status.ERROR
    assert worst([Status.PASS, Status.INCONCLUSIVE]) is Status.INCONCLUSIVE


def test_empty_evidence_is_error_never_pass() -> None:
    assert Evidence("nothing", ()).status is Status.ERROR


def test_skipped_counts_only_when_nothing_was_checked() -> None:
    assert Evidence("s", (_check(Status.PASS), _check(Status.SKIPPED))).status is Status.PASS
    assert Evidence("s", (_check(Status.SKIPPED),)).status is Status.SKIPPED


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.PASS, 0), (Status.FAIL, 1), (Status.INCONCLUSIVE, 3), (Status.SKIPPED, 3), (Status.ERROR, 4)],
)
def test_exit_codes(status: Status, code: int) -> None:
    assert exit_code(status) == code


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_interval_refuses_disorder(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        Interval(low, high, 0.95, "exact")


def test_check_refuses_a_number_that_was_not_measured() -> None:
    with pytest.raises(ValueError, match="inconclusive"):
        Check("a", Status.PASS, "Because.", value=float("nan"))


def test_unknown_schema_version_is_refused_with_a_remedy() -> None:
    data = Evidence("s", (_check(Status.PASS),)).to_json() | {"schema_version": 99}
    with pytest.raises(ValueError, match="schema 99"):
        Evidence.from_json(data)


def test_find_names_the_check_and_the_subject() -> None:
    with pytest.raises(KeyError, match="no check 'x' about s"):
        Evidence("s", (_check(Status.PASS),)).find("x")
