"""A signed detection report: what was found about one file, by what, when, and how often that errs.

An in-toto statement in a DSSE envelope, signed by the deployment's identity. The certificates are part of the signed
statement, so that a report can be checked offline; whether their owner is to be believed is for the reader to decide.
A rate that nobody measured is written `not measured`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from audit.evidence import Check, Evidence, Interval
from generator.errors import InputError
from generator.marking.identity import Identity
from generator.marking.signers import is_signature
from generator.marking.watermark.interface import ALPHA

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://assay-audit.github.io/detection-report/v1"
"""Names this form of report; an identifier, nothing is published there."""

DETECTOR = "io.github.assay-audit/verify"
NOT_MEASURED = "not measured"
_PACKAGES = ("assay-audit", "c2pa-python", "cryptography", "numpy", "opencv-python-headless", "pillow")
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_MAX_CHAIN = 10


class ForgedReportError(InputError):
    """The report was changed, or is not signed by whom it has to be signed."""


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """How often one part errs, as measured somewhere.

    Attributes:
        false_positive: rate, 0 to 1; None when not measured.
        false_negative: rate, 0 to 1; None when not measured.
        false_positive_interval: of the rate.
        false_negative_interval: of the rate.
        source: where and on what it was measured.
    """

    false_positive: float | None = None
    false_negative: float | None = None
    false_positive_interval: Interval | None = None
    false_negative_interval: Interval | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be reported.

    Attributes:
        evidence: of the file; its first check is the verdict.
        name: of the file, as the sender called it.
        sha256: hex digest of the content that was judged.
        size: bytes.
        time: when it was judged, aware.
        trust_list: digest of the trust lists; "" when there were none.
        error_rates: check name -> measured rates; checks that are not in it are written `not measured`.
    """

    evidence: Evidence
    name: str
    sha256: str
    size: int
    time: datetime
    trust_list: str = ""
    error_rates: Mapping[str, ErrorRate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifiedReport:
    """A report whose signature holds.

    Attributes:
        statement: the in-toto statement.
        signer: common name of the signing certificate.
        vouched_for: True when one of the trusted certificates given stands behind the signer.
    """

    statement: Mapping[str, Any]
    signer: str
    vouched_for: bool


def build_statement(report: Report, identity: Identity) -> dict[str, Any]:
    """The in-toto statement of a report, JSON values only."""
    verdict = report.evidence.checks[0]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": report.name, "digest": {"sha256": report.sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "schemaVersion": 1,
            "time": report.time.astimezone(UTC).isoformat(timespec="seconds"),
            "size": report.size,
            "detector": {"id": DETECTOR, "versions": _versions()},
            "trustList": report.trust_list or "none",
            "status": str(report.evidence.status),
            "verdict": verdict.value,
            "checks": [check.to_json() for check in report.evidence.checks],
            "errorRates": {check.name: _rates(check, report) for check in report.evidence.checks[1:]},
            "signer": {
                "name": identity.name,
                "developmentIdentity": identity.is_development,
                "certificates": identity.chain_pem,
            },
        },
    }


def sign_report(report: Report, identity: Identity) -> dict[str, Any]:
    """The report as DSSE envelope.

    Raises:
        InputError: the identity's key cannot sign.
        CannotCheckError: a remote key did not answer.

    Source: DSSE 1.0.2, secure-systems-lab; ECDSA signatures in DER, as its other users write them.
    """
    payload = json.dumps(build_statement(report, identity), sort_keys=True).encode()
    leaf = _leaf(identity.chain_pem)
    signature = _sign(_authenticated(PAYLOAD_TYPE, payload), identity)
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": _key_id(leaf), "sig": base64.b64encode(signature).decode()}],
    }


def verify_report(
    envelope: Mapping[str, Any], *, content: bytes | None = None, trusted_pem: str = ""
) -> VerifiedReport:
    """The report in an envelope, if its signature holds.

    Args:
        envelope: parsed JSON.
        content: of the file that the report is about; None: the digest is not compared.
        trusted_pem: certificates of the signer or of an authority above it; with them, any other signer is refused.

    Raises:
        ForgedReportError: the signature, the digest or the signer is not as it has to be; the message says which.
        InputError: no such envelope, or of another kind.
    """
    payload, signatures, statement, chain_pem = _parse(envelope)
    chain = _certificates(chain_pem)
    leaf = chain[0]
    matching = [signature for key_id, signature in signatures if key_id == _key_id(leaf)]
    data = _authenticated(PAYLOAD_TYPE, payload)
    if not any(_is_signed(signature, data, leaf) for signature in matching):
        raise ForgedReportError(
            "detection report: the signature does not belong to this content; it was changed"
        )
    if (
        content is not None
        and statement["subject"][0]["digest"]["sha256"] != hashlib.sha256(content).hexdigest()
    ):
        raise ForgedReportError("detection report: it is about another file (the SHA-256 differs)")
    vouched = _is_vouched_for(chain, _certificates(trusted_pem), statement) if trusted_pem else False
    if trusted_pem and not vouched:
        raise ForgedReportError(
            "detection report: none of the certificates that you trust stands behind its signer"
        )
    names = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return VerifiedReport(statement, str(names[0].value) if names else leaf.subject.rfc4514_string(), vouched)


def _rates(check: Check, report: Report) -> dict[str, Any]:
    rate = report.error_rates.get(check.name, ErrorRate())
    written: dict[str, Any] = {
        "falsePositive": NOT_MEASURED if rate.false_positive is None else rate.false_positive,
        "falseNegative": NOT_MEASURED if rate.false_negative is None else rate.false_negative,
        "source": rate.source or NOT_MEASURED,
    }
    for name, interval in (
        ("falsePositiveInterval", rate.false_positive_interval),
        ("falseNegativeInterval", rate.false_negative_interval),
    ):
        if interval is not None:
            written[name] = {"low": interval.low, "high": interval.high, "level": interval.level}
    if check.name == "watermark.payload":
        written["falsePositiveBound"] = ALPHA
        written["boundSource"] = "bound of the decision rule, not a measurement"
    return written


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed as a package"
    return versions


def _authenticated(kind: str, payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding."""
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def _sign(data: bytes, identity: Identity) -> bytes:
    if identity.remote is not None:
        signature = identity.remote.sign(data, algorithm=identity.algorithm)
        public = _leaf(identity.chain_pem).public_key()
        if not is_signature(signature, data, key=public, algorithm=identity.algorithm):
            raise InputError(
                f"identity {identity.name!r}: its remote key returned a signature that does not hold"
            )
        return signature
    key = load_pem_private_key(identity.key_pem.encode(), password=None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    chosen = _HASHES[identity.algorithm[2:]]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(chosen))
    assert isinstance(key, rsa.RSAPrivateKey)  # an identity has no other kind
    return key.sign(data, padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)


def _is_signed(signature: bytes, data: bytes, leaf: x509.Certificate) -> bool:
    """Whether the leaf's key made the signature, with any of the algorithms it may use."""
    key = leaf.public_key()
    sizes = ("256", "384", "512")
    names = ["ed25519"] if isinstance(key, ed25519.Ed25519PublicKey) else [f"es{size}" for size in sizes]
    return any(is_signature(signature, data, key=key, algorithm=name) for name in names)


def _parse(envelope: Mapping[str, Any]) -> tuple[bytes, list[tuple[str, bytes]], dict[str, Any], str]:
    """(payload, [(key id, signature)], statement, certificates in it); every unexpected shape is refused."""
    try:
        kind = envelope["payloadType"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [
            (str(entry["keyid"]), base64.b64decode(entry["sig"], validate=True))
            for entry in envelope["signatures"]
        ]
        statement = json.loads(payload)
        chain_pem = str(statement["predicate"]["signer"]["certificates"])
        named = (statement["_type"], statement["predicateType"])
        str(statement["subject"][0]["digest"]["sha256"])
        if datetime.fromisoformat(statement["predicate"]["time"]).tzinfo is None:
            raise ValueError("the time has no zone")
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        binascii.Error,
        RecursionError,
    ) as error:
        raise InputError(f"detection report: not a DSSE envelope with a report in it ({error!r})") from error
    if kind != PAYLOAD_TYPE or named != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise InputError(f"detection report: another kind of statement; expected {PREDICATE_TYPE}")
    return payload, signatures, statement, chain_pem


def _certificates(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())[:_MAX_CHAIN]
    except ValueError as error:
        raise InputError(f"detection report: no readable PEM certificate ({error})") from error


def _leaf(pem: str) -> x509.Certificate:
    return _certificates(pem)[0]


def _key_id(leaf: x509.Certificate) -> str:
    public = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "sha256:" + hashlib.sha256(public).hexdigest()


def _is_vouched_for(
    chain: list[x509.Certificate], trusted: list[x509.Certificate], statement: Mapping[str, Any]
) -> bool:
    """Whether the chain leads to a trusted certificate, each link valid at the report's time."""
    moment = datetime.fromisoformat(statement["predicate"]["time"])
    for position, certificate in enumerate(chain):
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            return False
        if certificate in trusted or any(_issued(certificate, authority) for authority in trusted):
            return True
        if position + 1 < len(chain) and not _issued(certificate, chain[position + 1]):
            return False
    return False


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return constraints.ca
