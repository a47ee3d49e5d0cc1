"""The signed detection report: holds as made, falls at any change, and says what was not measured."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from audit.evidence import Check, Evidence, Interval, Status
from audit.provenance.read import read_manifests
from audit.provenance.trust import load_trust
from audit.report import detection_report
from audit.report.detection_report import (
    ErrorRate,
    ForgedReportError,
    Report,
    build_statement,
    sign_report,
    verify_report,
)
from audit.report.detection_report_pdf import ENVELOPE_LABEL, render_pdf
from generator.errors import InputError
from generator.marking.identity import Identity, development_identity

CONTENT = b"the file"
HOSTILE = "<script>alert(1)</script><b>&amp;\x1b[31m\u202ename</b>"


def report(**fields: Any) -> Report:
    checks = (
        Check("verdict", Status.INCONCLUSIVE, f"Nothing {HOSTILE}", value="watermark only"),
        Check("c2pa.signature", Status.SKIPPED, HOSTILE),
        Check("watermark.payload", Status.PASS, "found", value="found"),
    )
    made = Report(
        Evidence("file.png", checks), HOSTILE, hashlib.sha256(CONTENT).hexdigest(), 8, datetime.now(UTC)
    )
    return dataclasses.replace(made, **fields)


@pytest.fixture
def identity() -> Identity:
    return development_identity()


def test_signed_report_holds_and_names_its_parts(identity: Identity) -> None:
    envelope = json.loads(json.dumps(sign_report(report(trust_list="abc"), identity)))
    verified = verify_report(envelope, content=CONTENT, trusted_pem=identity.root_pem)
    assert verified.vouched_for
    assert verified.signer == identity.name
    predicate = verified.statement["predicate"]
    assert verified.statement["subject"] == [
        {"name": HOSTILE, "digest": {"sha256": hashlib.sha256(CONTENT).hexdigest()}}
    ]
    assert predicate["verdict"] == "watermark only"
    assert predicate["detector"]["id"] == "io.github.assay-audit/verify"
    assert predicate["detector"]["versions"]["c2pa-python"][0].isdigit()
    assert datetime.fromisoformat(predicate["time"]).tzinfo is not None
    assert [check["name"] for check in predicate["checks"]] == [
        "verdict",
        "c2pa.signature",
        "watermark.payload",
    ]
    assert predicate["signer"]["developmentIdentity"] is True


def test_rates_are_the_measured_ones_or_said_to_be_none(identity: Identity) -> None:
    measured = ErrorRate(
        0.0, 0.1, Interval(0.0, 0.01, 0.95, "Clopper-Pearson"), source="benchmark on 300 images"
    )
    rates = build_statement(report(error_rates={"watermark.payload": measured}), identity)["predicate"][
        "errorRates"
    ]
    assert rates["c2pa.signature"] == {
        "falsePositive": "not measured", "falseNegative": "not measured", "source": "not measured",
    }  # fmt: skip
    assert rates["watermark.payload"]["falsePositive"] == 0.0
    assert rates["watermark.payload"]["falsePositiveInterval"]["high"] == 0.01
    assert rates["watermark.payload"]["falsePositiveBound"] == 1e-6
    assert "falsePositiveBound" not in rates["c2pa.signature"]


def edit_payload(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def apply(envelope: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(envelope["payload"]))
        change(statement)
        envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()

    return apply


TAMPERING = {
    "verdict": edit_payload(lambda s: s["predicate"].update(verdict="trusted")),
    "digest": edit_payload(lambda s: s["subject"][0]["digest"].update(sha256="0" * 64)),
    "time": edit_payload(lambda s: s["predicate"].update(time="2020-01-01T00:00:00+00:00")),
    "signature": lambda e: e["signatures"][0].update(sig=base64.b64encode(bytes(70)).decode()),
    "no signature": lambda e: e.update(signatures=[]),
    "key": lambda e: e["signatures"][0].update(keyid="sha256:0"),
}


@pytest.mark.parametrize("change", TAMPERING.values(), ids=TAMPERING.keys())
def test_tampering_is_found(identity: Identity, change: Callable[[dict[str, Any]], None]) -> None:
    envelope = copy.deepcopy(sign_report(report(), identity))
    change(envelope)
    with pytest.raises(ForgedReportError):
        verify_report(envelope)


def test_another_signer_another_file_and_another_kind(identity: Identity, tmp_path) -> None:
    stranger = development_identity(tmp_path / "stranger")
    forged = sign_report(report(), stranger)
    assert not verify_report(forged).vouched_for
    with pytest.raises(ForgedReportError, match="trust"):
        verify_report(forged, trusted_pem=identity.root_pem)
    with pytest.raises(ForgedReportError, match="another file"):
        verify_report(forged, content=b"other")
    # the stranger's key under our certificate
    mixed = dataclasses.replace(identity, key_pem=stranger.key_pem)
    with pytest.raises(ForgedReportError, match="signature"):
        verify_report(sign_report(report(), mixed), trusted_pem=identity.root_pem)
    with pytest.raises(ForgedReportError, match="trust"):  # made before the certificate was
        verify_report(
            sign_report(report(time=datetime(2020, 1, 1, tzinfo=UTC)), identity),
            trusted_pem=identity.root_pem,
        )
    broken: list[Any] = [
        {},
        {"payload": 1},
        [],
        {**forged, "payload": "!"},
        {**forged, "payloadType": "text/plain"},
    ]
    for envelope in broken:
        with pytest.raises(InputError):
            verify_report(envelope)


@pytest.mark.parametrize("time", ["2026-11-24T12:00:00", "yesterday", 7])
def test_well_signed_nonsense_is_refused(
    identity: Identity, monkeypatch: pytest.MonkeyPatch, time: Any
) -> None:
    statement = build_statement(report(), identity)
    statement["predicate"]["time"] = time
    monkeypatch.setattr(detection_report, "build_statement", lambda *_: statement)
    with pytest.raises(InputError, match="not a DSSE envelope"):
        verify_report(sign_report(report(), identity), trusted_pem=identity.root_pem)


@pytest.mark.parametrize("algorithm", ["ed25519", "es384"])
def test_other_keys(identity: Identity, algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    from generator.marking.certificates import to_pem
    from generator.marking.signing_keys import key_to_pem

    key = (
        ed25519.Ed25519PrivateKey.generate()
        if algorithm == "ed25519"
        else ec.generate_private_key(ec.SECP384R1())
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Other")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now.replace(year=now.year - 1))
    leaf = builder.not_valid_after(now.replace(year=now.year + 1)).sign(
        key, None if algorithm == "ed25519" else hashes.SHA384()
    )
    other = dataclasses.replace(
        identity, algorithm=algorithm, chain_pem=to_pem([leaf]), key_pem=key_to_pem(key)
    )
    envelope = sign_report(report(), other)
    assert verify_report(envelope, trusted_pem=other.chain_pem).vouched_for
    monkeypatch.setattr(detection_report, "PAYLOAD_TYPE", "x")
    with pytest.raises(InputError):
        verify_report(envelope)


def test_pdf_is_signed_carries_the_envelope_and_no_live_markup(identity: Identity) -> None:
    pytest.importorskip("reportlab")
    made = report()
    envelope = sign_report(made, identity)
    pdf = render_pdf(made, envelope, identity)
    assert pdf.startswith(b"%PDF")
    found = read_manifests(pdf, load_trust(None))
    assert found.codes.has("claimSignature.validated")
    assert str(found.state) != "invalid"
    assertions = {a["label"]: a["data"] for a in found.active_manifest["assertions"]}
    embedded = json.loads(assertions[ENVELOPE_LABEL]["envelope"])
    assert verify_report(embedded, content=CONTENT, trusted_pem=identity.root_pem).vouched_for
    assert HOSTILE not in str(found.active_manifest["title"])
    flipped = bytearray(pdf)
    flipped[20] ^= 1
    assert read_manifests(bytes(flipped), load_trust(None)).state != found.state


def page_text(pdf: bytes) -> str:
    """Everything that is drawn, from the page streams, without blanks: words are placed in pieces."""
    streams = re.findall(rb"/ASCII85Decode[^>]*>>\s*stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    drawn = [zlib.decompress(base64.a85decode(b"<~" + stream.strip(), adobe=True)) for stream in streams]
    shown = re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", b"".join(drawn))
    return (
        b"".join(shown)
        .replace(b" ", b"")
        .decode("latin-1")
        .replace("\\(", "(")
        .replace("\\)", ")")
        .replace("\\\\", "\\")
    )


def test_pdf_shows_hostile_text_as_text(identity: Identity) -> None:
    """Reportlab reads markup: a name must neither be obeyed nor break the document."""
    pytest.importorskip("reportlab")
    made = report(name="<b>bold</b><a href='x'>\u0416\u202e")
    pdf = render_pdf(made, sign_report(made, identity), identity)
    assert "<b>bold</b><ahref='x'>\\u{416}\\u{202e}" in page_text(pdf)
    assert b"/URI" not in pdf
