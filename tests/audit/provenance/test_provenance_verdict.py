"""The checks on hand-made layers: states that no file made here brings about, and the rules between checks."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.evidence import Evidence, Status
from audit.provenance.channels import Channels
from audit.provenance.claims import Claims, SoftBinding
from audit.provenance.codes import Code, Codes
from audit.provenance.layers import Layers, LedgerAnswer, LedgerState, Watermark, WatermarkState
from audit.provenance.read import Manifests, ManifestState
from audit.provenance.text import clean_text
from audit.provenance.trust import SIGNER_LIST
from audit.provenance.verdict import judge
from generator.marking.labels import Labels, LabelStatus
from generator.marking.ledger import Entry

SCHEME = "org.example.mark"
ID = "00112233445566aa"
GOOD = (
    "claimSignature.validated",
    "signingCredential.trusted",
    "assertion.dataHash.match",
    "timeStamp.validated",
    "timeStamp.trusted",
)


def codes(*success: str, failure: tuple[str, ...] = (), informational: tuple[str, ...] = ()) -> Codes:
    return Codes(tuple(map(Code, success)), tuple(map(Code, informational)), tuple(map(Code, failure)))


def manifests(found: Codes | None = None, **changes: Any) -> Manifests:
    found = codes(*GOOD) if found is None else found
    base: dict[str, Any] = {"active": "active", "manifests": {"active": {}}, "trust_list": SIGNER_LIST}
    return Manifests(ManifestState.TRUSTED, codes=found, **{**base, **changes})


def layers(**changes: Any) -> Layers:
    base: dict[str, Any] = {
        "manifests": manifests(),
        "claims": Claims(signer="Jane", organisation="Press", not_after="2027-01-01T00:00:00"),
        "watermark": Watermark(WatermarkState.ABSENT, "Nothing was found."),
        "labels": Labels(LabelStatus.ABSENT, "No label."),
        "ledger": LedgerAnswer(LedgerState.OFF),
        "has_trust_list": True,
        "schemes": (SCHEME,),
        "channels": Channels((("COSE padding", ((0, 9),)),), chain=(b"certificate",)),
    }
    return Layers("asset.png", **{**base, **changes})


def word(evidence: Evidence) -> object:
    return evidence.find("verdict").value


def test_a_trusted_file_passes_although_it_lacks_what_it_never_promised() -> None:
    evidence = judge(layers())
    assert (word(evidence), evidence.status) == ("trusted", Status.PASS)
    assert evidence.find("watermark.payload").status is Status.SKIPPED


@pytest.mark.parametrize(
    ("found", "expected", "status"),
    [
        (codes(*GOOD, failure=("signingCredential.ocsp.revoked",)), "signer revoked", Status.FAIL),
        (codes(*GOOD, failure=("signingCredential.invalid",)), "signer not acceptable", Status.FAIL),
        (codes(*GOOD, informational=("timeStamp.mismatch",)), "time stamp does not hold", Status.FAIL),
        (codes(*GOOD, failure=("claimSignature.outsideValidity",)), "time stamp does not hold", Status.FAIL),
        (codes(*GOOD, failure=("a.code.nobody.knows",)), "tampered", Status.FAIL),
        (codes(*(c for c in GOOD if "dataHash" not in c)), "not proven", Status.INCONCLUSIVE),
        (codes(*(c for c in GOOD if "claimSignature" not in c)), "not proven", Status.INCONCLUSIVE),
        (codes(), "not proven", Status.INCONCLUSIVE),
    ],
)
def test_codes_of_the_engine(found: Codes, expected: str, status: Status) -> None:
    evidence = judge(layers(manifests=manifests(found)))
    assert (word(evidence), evidence.status) == (expected, status)


def test_a_signature_that_cannot_be_found_in_the_file_leaves_it_open() -> None:
    """Then the purposes of its certificate were not looked at, and the engine does not look at all of them."""
    evidence = judge(layers(channels=Channels()))
    assert (word(evidence), evidence.status) == ("intact, signer not checked", Status.INCONCLUSIVE)
    assert evidence.find("c2pa.trust").value == evidence.find("c2pa.unsigned").value == "unread"


def test_the_engine_saying_trusted_is_not_enough() -> None:
    """Without the name of the list of signers nobody vouches."""
    assert judge(layers(manifests=manifests(trust_list=""))).find("c2pa.trust").value == "untrusted"


def test_a_cycle_of_ingredients() -> None:
    circle = {"active": {"ingredients": [{"title": "me", "active_manifest": "active"}]}}
    assert word(judge(layers(manifests=manifests(manifests=circle)))) == "ingredient cycle"


@pytest.mark.parametrize(
    ("found", "value", "status"),
    [
        (codes(*GOOD, "cawg.identity.well-formed"), "proven", Status.PASS),
        (codes(*GOOD, failure=("cawg.x509.credential.untrusted",)), "unproven", Status.INCONCLUSIVE),
        (codes(*GOOD, failure=("cawg.identity.sig_type.unknown",)), "invalid", Status.FAIL),
    ],
)
def test_identity_claims_are_a_question_of_their_own(found: Codes, value: str, status: Status) -> None:
    evidence = judge(layers(manifests=manifests(found)))
    check = evidence.find("cawg.identity")
    assert (check.value, check.status) == (value, status)
    assert evidence.find("c2pa.integrity").status is Status.PASS


PROMISE = Claims(soft_bindings=(SoftBinding(SCHEME, ID),))


@pytest.mark.parametrize(
    ("state", "claims", "has_manifest", "value", "status"),
    [
        (WatermarkState.ABSENT, PROMISE, True, "promised-not-found", Status.INCONCLUSIVE),
        (WatermarkState.ABSENT, Claims(), True, "absent", Status.SKIPPED),
        (WatermarkState.ABSENT, Claims(), False, "absent", Status.INCONCLUSIVE),
        (WatermarkState.NO_KEY, PROMISE, True, "promised-no-key", Status.INCONCLUSIVE),
        (WatermarkState.NO_KEY, Claims(), False, "no-key", Status.SKIPPED),
        (WatermarkState.OFF, PROMISE, True, "off", Status.SKIPPED),
        (WatermarkState.UNDECODABLE, Claims(), True, "not-decoded", Status.SKIPPED),
        (WatermarkState.UNDECODABLE, Claims(), False, "undecodable", Status.ERROR),
    ],
)
def test_watermark_states(
    state: WatermarkState, claims: Claims, has_manifest: bool, value: str, status: Status
) -> None:
    report = manifests() if has_manifest else Manifests(ManifestState.ABSENT)
    evidence = judge(layers(manifests=report, claims=claims, watermark=Watermark(state, "So it is.")))
    check = evidence.find("watermark.payload")
    assert (check.value, check.status) == (value, status)


def _entry(manifest_id: str = "active", asset_id: str = ID) -> Entry:
    return Entry(
        asset_id, manifest_id, b"", "00", "image/png", "model", "sha256:00", "2026-11-01T00:00:00+00:00"
    )


def test_the_ledger_knows_the_identifier_with_another_manifest() -> None:
    answer = LedgerAnswer(LedgerState.ENTRY, "asset id", _entry("urn:c2pa:other"))
    evidence = judge(layers(ledger=answer))
    assert (word(evidence), evidence.status) == ("marks disagree", Status.FAIL)
    earlier = dataclasses.replace(answer, earlier_manifests=("active",))
    assert judge(layers(ledger=earlier)).find("ledger.entry").value == "entry"


@pytest.mark.parametrize("place", ["soft binding", "manifest", "watermark", "label", "ledger"])
def test_one_place_that_names_another_asset_is_found(place: str) -> None:
    other = "ffffffffffffffff"
    ids = {
        name: other if name == place else ID
        for name in ("soft binding", "manifest", "watermark", "label", "ledger")
    }
    evidence = judge(
        layers(
            claims=Claims(
                soft_bindings=(SoftBinding(SCHEME, ids["soft binding"]),), asset_id=ids["manifest"]
            ),
            watermark=Watermark(WatermarkState.FOUND, "Found.", payload=ids["watermark"], log10_p=-20.0),
            labels=Labels(LabelStatus.FOUND, "x", aigc={"Label": "1", "ProduceID": ids["label"]}),
            ledger=LedgerAnswer(LedgerState.ENTRY, "asset id", _entry(asset_id=ids["ledger"])),
        )
    )
    assert (word(evidence), evidence.status) == ("marks disagree", Status.FAIL)
    assert evidence.find("agreement.asset_id").details == ids


def test_soft_bindings_of_others_are_not_compared() -> None:
    foreign = Claims(soft_bindings=(SoftBinding("com.adobe.icn.dense", "abc"),))
    labels = Labels(LabelStatus.FOUND, "x", aigc={"Label": "1", "ProduceID": "20261101-7"})
    evidence = judge(layers(claims=foreign, labels=labels))
    assert evidence.find("agreement.asset_id").status is Status.SKIPPED


@pytest.mark.parametrize("value", ["1", "2", "3"])
def test_aigc_labels(value: str) -> None:
    labels = Labels(LabelStatus.FOUND, "x", aigc={"Label": value, "ContentProducer": "maker"})
    assert judge(layers(labels=labels)).find("labels.aigc").status is Status.PASS
    strange = Labels(LabelStatus.FOUND, "x", aigc={"Label": "9"})
    assert judge(layers(labels=strange)).find("labels.aigc").status is Status.INCONCLUSIVE
    twice = dataclasses.replace(labels, conflicts=("aigc",))
    assert word(judge(layers(labels=twice))) == "marks disagree"


def test_inconclusive_is_never_pass() -> None:
    """Whatever the layers say: the status passes only if no part is open, failed or unreadable."""
    for state in WatermarkState:
        for report in (manifests(), manifests(codes()), Manifests(ManifestState.ABSENT)):
            evidence = judge(layers(manifests=report, claims=PROMISE, watermark=Watermark(state, "So.")))
            others = {check.status for check in evidence.checks}
            if evidence.status is Status.PASS:
                assert others <= {Status.PASS, Status.SKIPPED}


def test_evidence_survives_json() -> None:
    evidence = judge(layers())
    assert Evidence.from_json(evidence.to_json()) == evidence


@given(st.text(max_size=200))
def test_cleaned_text_is_printable_and_bounded(text: str) -> None:
    cleaned = clean_text(text, limit=50)
    assert cleaned.isprintable()
    assert len(cleaned) <= 50 * len("\\u{10ffff}") + 1
    if text.isprintable() and len(text) <= 50:
        assert cleaned == text


@given(
    st.lists(
        st.sampled_from([*GOOD, "assertion.dataHash.mismatch", "signingCredential.expired", "x.y"]),
        max_size=8,
    ),
    st.lists(
        st.sampled_from([*GOOD, "assertion.dataHash.mismatch", "signingCredential.expired", "x.y"]),
        max_size=3,
    ),
)
def test_a_failure_code_never_ends_in_trusted(success: list[str], failure: list[str]) -> None:
    evidence = judge(layers(manifests=manifests(codes(*success, failure=tuple(failure)))))
    if set(failure) - {"signingCredential.trusted", "timeStamp.validated", "timeStamp.trusted"}:
        assert evidence.status is not Status.PASS
