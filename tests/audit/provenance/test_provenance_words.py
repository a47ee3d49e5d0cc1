"""The table of overall words, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audit.provenance import checks_credentials, checks_marks
from audit.provenance.checks_content import check_content
from audit.provenance.recovery import RecoveryState
from audit.provenance.recovery_checks import check_recovery
from audit.provenance.words import VERDICTS, WORDS, choose_row, format_table

GOOD = {
    "c2pa.integrity": "intact",
    "c2pa.signature": "valid",
    "c2pa.trust": "trusted",
    "c2pa.time": "stamped",
    "c2pa.chain": "sound",
    "watermark.payload": "found",
    "labels.aigc": "found",
    "labels.iptc": "found",
    "ledger.entry": "entry",
    "agreement.asset_id": "agree",
}
BARE = {
    "c2pa.integrity": "absent",
    "c2pa.signature": "none",
    "c2pa.trust": "none",
    "c2pa.time": "none",
    "c2pa.chain": "none",
    "watermark.payload": "absent",
    "labels.aigc": "absent",
    "labels.iptc": "absent",
    "ledger.entry": "no-id",
    "agreement.asset_id": "none",
}

# One line for each row of the table, in its order: where to start, what differs, the word.
ROWS = [
    (GOOD, {"c2pa.integrity": "unreadable"}, "could not check"),
    (BARE, {"watermark.payload": "undecodable"}, "could not check"),
    (GOOD, {"c2pa.integrity": "altered"}, "tampered"),
    (GOOD, {"c2pa.signature": "mismatch"}, "tampered"),
    (GOOD, {"c2pa.integrity": "damaged"}, "manifest damaged"),
    (GOOD, {"agreement.asset_id": "disagree"}, "marks disagree"),
    (GOOD, {"watermark.content": "mismatch"}, "marks disagree"),
    (GOOD, {"ledger.entry": "other-manifest"}, "marks disagree"),
    (GOOD, {"labels.iptc": "contradicts"}, "marks disagree"),
    (GOOD, {"labels.iptc": "conflicting"}, "marks disagree"),
    (GOOD, {"labels.aigc": "conflicting"}, "marks disagree"),
    (GOOD, {"c2pa.chain": "laundered"}, "laundered ingredient"),
    (GOOD, {"c2pa.chain": "cyclic"}, "ingredient cycle"),
    (GOOD, {"c2pa.trust": "revoked"}, "signer revoked"),
    (GOOD, {"c2pa.trust": "unacceptable"}, "signer not acceptable"),
    (GOOD, {"c2pa.time": "contradicted"}, "time stamp does not hold"),
    (GOOD, {"c2pa.time": "expired", "c2pa.trust": "untrusted"}, "expired, no time stamp"),
    (
        GOOD,
        {"c2pa.time": "expired-stamp-unproven", "c2pa.trust": "untrusted"},
        "expired, time stamp not trusted",
    ),
    (GOOD, {}, "trusted"),
    (GOOD, {"c2pa.trust": "development"}, "intact, development identity"),
    (GOOD, {"c2pa.trust": "untrusted"}, "intact, signer not on a trust list"),
    (GOOD, {"c2pa.trust": "unread"}, "intact, signer not checked"),
    (GOOD, {"c2pa.trust": "no-list"}, "intact, no trust list given"),
    (BARE, {"watermark.payload": "found", "recovered": "recovered"}, "recovered, bytes differ"),
    (BARE, {"recovered": "bytes-equal"}, "recovered, manifest kept elsewhere"),
    (BARE, {"watermark.payload": "found", "labels.aigc": "found"}, "watermark only"),
    (BARE, {"c2pa.integrity": "remote"}, "manifest elsewhere"),
    (BARE, {"labels.aigc": "found"}, "labels only (unsigned)"),
    (BARE, {"labels.iptc": "found"}, "labels only (unsigned)"),
    (BARE, {}, "nothing found"),
    (GOOD, {"c2pa.integrity": "unbound"}, "not proven"),
]


def test_every_row_of_the_table_has_its_case() -> None:
    assert len(ROWS) == len(VERDICTS)
    assert {word for _, _, word in ROWS} == set(WORDS)


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_row(number: int) -> None:
    start, changes, word = ROWS[number]
    row = choose_row({**start, **changes})
    assert row.word == word
    assert row is VERDICTS[number]


def test_nothing_good_hides_a_broken_part() -> None:
    """A signed, trusted file in which one part is broken is never called trusted or intact."""
    breaking = {
        "c2pa.integrity": ("altered", "damaged", "unreadable", "unbound", "prerelease"),
        "c2pa.signature": ("mismatch", "unchecked"),
        "c2pa.trust": ("revoked", "unacceptable"),
        "c2pa.time": ("expired", "expired-stamp-unproven", "contradicted"),
        "c2pa.chain": ("laundered", "cyclic"),
        "labels.iptc": ("contradicts", "conflicting"),
        "labels.aigc": ("conflicting",),
        "ledger.entry": ("other-manifest",),
        "agreement.asset_id": ("disagree",),
        "watermark.content": ("mismatch",),
    }
    for name, values in breaking.items():
        for value in values:
            word = choose_row({**GOOD, name: value}).word
            assert word != "trusted", (name, value)
            assert not word.startswith("intact"), (name, value)


def test_conditions_name_values_that_the_checks_give() -> None:
    functions = {
        "c2pa.integrity": checks_credentials.check_integrity,
        "c2pa.signature": checks_credentials.check_signature,
        "c2pa.trust": checks_credentials.check_trust,
        "c2pa.time": checks_credentials.check_time,
        "c2pa.chain": checks_credentials.check_chain,
        "watermark.payload": checks_marks.check_watermark,
        "watermark.content": check_content,
        "labels.aigc": checks_marks.check_aigc,
        "labels.iptc": checks_marks.check_iptc,
        "ledger.entry": checks_marks.check_ledger,
        "agreement.asset_id": checks_marks.check_agreement,
        "recovered": check_recovery,
    }
    for row in VERDICTS:
        for name, values in row.when.items():
            documented = re.split(r"[,.\s]+", (functions[name].__doc__ or "").partition("Values:")[2])
            assert values <= {*documented, *RecoveryState}, (row.word, name)


def test_a_recovered_manifest_never_hides_a_broken_one() -> None:
    for value in ("altered", "damaged", "intact"):
        assert not choose_row({**GOOD, "c2pa.integrity": value, "recovered": "recovered"}).word.startswith(
            "recovered"
        )


def test_the_written_table_is_the_one_that_decides() -> None:
    """verdict.md is what `assay verify --explain` prints."""
    written = (Path(__file__).resolve().parents[3] / "audit" / "provenance" / "verdict.md").read_text()
    assert written.endswith(format_table())
    assert format_table().count("\n") == len(VERDICTS) + 2
