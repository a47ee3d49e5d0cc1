"""The verdict at another time than now: what the engine would say of a certificate's validity at that moment.

The C2PA engine knows no validation time, so its codes about validity and trust are replaced by what the signer's own
certificates say. Everything else (hashes, signature, ingredients) does not depend on the time and stays.

Source: C2PA 2.4 section 15.7 (validating the credential) and 15.8 (time stamp); RFC 5280 section 6 for the path.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from audit.provenance.codes import Code, Codes
from audit.provenance.read import Manifests, ManifestState
from audit.provenance.signer import load_certificates, purpose_problem, signer_facts
from audit.provenance.trust import DEVELOPMENT_LIST, SIGNER_LIST, TrustLists

_MAX_PATH = 8  # certificates between a leaf and its anchor
_ABOUT_VALIDITY = frozenset(
    {
        "signingCredential.expired",
        "signingCredential.trusted",
        "signingCredential.untrusted",
        "claimSignature.outsideValidity",
        "claimSignature.insideValidity",
    }
)


def parse_moment(text: str) -> datetime:
    """A time as a user writes it: ISO 8601 date or date and time; without a zone it is UTC.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def report_at(
    report: Manifests, chain: Sequence[bytes], *, trust: TrustLists, at: datetime, signed_at: str = ""
) -> Manifests:
    """The report as if it had been read at another moment.

    Args:
        report: of the engine, read now.
        chain: DER certificates of the signer, leaf first.
        trust: anchors by purpose.
        at: the moment, aware.
        signed_at: time of the RFC 3161 token, when there is one.
    """
    span = signer_facts(chain[0], trust.purposes) if chain else None
    if not report.is_present or span is None:
        return report
    failures = [code for code in report.codes.failure if code.code not in _ABOUT_VALIDITY]
    success = [code for code in report.codes.success if code.code not in _ABOUT_VALIDITY]
    signed = _stamp_moment(report.codes, signed_at)
    decisive = signed or at
    list_name = ""
    if signed and signed > at:
        failures.append(Code("timeStamp.outsideValidity", explanation="stamped after the time asked about"))
    if decisive < span.start or (signed and signed > span.end):
        failures.append(
            Code("claimSignature.outsideValidity", explanation="not valid at the time asked about")
        )
    elif decisive > span.end:
        failures.append(Code("signingCredential.expired", explanation="expired at the time asked about"))
    else:
        list_name = vouching_list(chain, trust=trust, at=decisive)
        success.append(Code("claimSignature.insideValidity"))
    verdict = Code("signingCredential.trusted" if list_name else "signingCredential.untrusted")
    (success if list_name else failures).append(verdict)
    codes = Codes(tuple(success), report.codes.informational, tuple(failures))
    return dataclasses.replace(report, state=_state(codes), codes=codes, trust_list=list_name)


def _state(codes: Codes) -> ManifestState:
    others = [code for code in codes.failure if code.code != "signingCredential.untrusted"]
    if others:
        return ManifestState.INVALID
    return ManifestState.VALID if codes.failure else ManifestState.TRUSTED


def _stamp_moment(codes: Codes, signed_at: str) -> datetime | None:
    """The time that a trusted authority witnessed; None without one."""
    if not (codes.has("timeStamp.validated") and codes.has("timeStamp.trusted") and signed_at):
        return None
    try:
        return parse_moment(signed_at)
    except ValueError:
        return None


def vouching_list(chain: Sequence[bytes], *, trust: TrustLists, at: datetime) -> str:
    """Name of the list of signers, or of the development root, that vouches for a chain; "" when none does.

    An authority for time is never asked.
    """
    certificates = load_certificates(chain)
    if not certificates or not _may_sign(certificates[0], trust.purposes, at=at):
        return ""
    for name, pems in ((SIGNER_LIST, trust.signers), (DEVELOPMENT_LIST, trust.development)):
        anchors = [x509.load_pem_x509_certificate(pem.encode("ascii")) for pem in pems]
        if _reaches(certificates[0], certificates[1:], anchors, at=at):
            return name
    return ""


def _reaches(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    *,
    at: datetime,
) -> bool:
    """Whether a path of valid authorities leads from the leaf to an anchor."""
    current, waiting = leaf, list(others)
    for length in range(_MAX_PATH):
        if current in anchors:
            return True
        if any(_issued(current, anchor, length, at=at) for anchor in anchors):
            return True
        step = next((other for other in waiting if _issued(current, other, length, at=at)), None)
        if step is None:
            return False
        waiting.remove(step)
        current = step
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, below: int, *, at: datetime) -> bool:
    """Whether an authority valid at the time issued a certificate that is `below` authorities above the leaf."""
    if not issuer.not_valid_before_utc <= at <= issuer.not_valid_after_utc:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    return constraints.ca and (constraints.path_length is None or constraints.path_length >= below)


def _may_sign(leaf: x509.Certificate, purposes: Sequence[str], *, at: datetime) -> bool:
    if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
        return False
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return usage.digital_signature and not purpose_problem(leaf, purposes)
