"""The signer's own certificates, read from the signature: what the engine does not look at.

c2pa-rs 0.91 calls a claim signed by a time-stamping certificate trusted when its root is on the list of signers, and
does not report a revocation that the signature itself carries (both measured). Here both become the failure codes
that the specification gives them.

Source: C2PA 2.4 section 14.5.1 (certificate profile) and 15.9 (revocation); RFC 6960 (OCSP).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from audit.provenance.channels import Carried
from audit.provenance.codes import Code, Codes
from audit.provenance.read import Manifests, ManifestState

_NEVER = frozenset({"2.5.29.37.0", "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9"})
"""Purposes that a signer's certificate must not state: any, time stamping, OCSP signing."""


@dataclass(frozen=True, slots=True)
class SignerFacts:
    """What the leaf certificate says of itself.

    Attributes:
        start: first moment of its validity, aware.
        end: last moment.
        problem: why it may not sign claims; "" when it may.
    """

    start: datetime
    end: datetime
    problem: str


def load_certificates(chain: Sequence[bytes]) -> list[x509.Certificate]:
    """The certificates of a DER chain; none when one of them cannot be parsed."""
    try:
        return [x509.load_der_x509_certificate(der) for der in chain]
    except (ValueError, UnsupportedAlgorithm):
        return []


@functools.lru_cache(maxsize=256)  # many files of one folder have one signer
def signer_facts(leaf: bytes, purposes: tuple[str, ...]) -> SignerFacts | None:
    """Facts of a leaf certificate (DER); None when it cannot be parsed.

    Args:
        leaf: DER.
        purposes: object identifiers, one of which it must state.
    """
    certificate = next(iter(load_certificates([leaf])), None)
    if certificate is None:
        return None
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return SignerFacts(start, end, purpose_problem(certificate, purposes))


def purpose_problem(leaf: x509.Certificate, purposes: Sequence[str]) -> str:
    """Why a certificate may not sign claims, by its purposes; "" when it may."""
    try:
        stated = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return "it states no purpose"
    named = {purpose.dotted_string for purpose in stated}
    if forbidden := sorted(named & _NEVER):
        return f"its purpose {forbidden[0]} is never one of signers"
    return "" if named & set(purposes) else f"its purposes ({', '.join(sorted(named))}) are none of signers"


def amend(
    report: Manifests, chain: Sequence[bytes], responses: Sequence[bytes], *, purposes: tuple[str, ...]
) -> Manifests:
    """The report with the failures that the engine leaves out.

    Args:
        report: of the engine.
        chain: DER certificates of the signer, leaf first.
        responses: OCSP responses (DER) that the signature carries.
        purposes: object identifiers, one of which the leaf must state.
    """
    if not chain or not report.is_present:
        return report
    found = [
        code for code in _problems(chain, responses, purposes=purposes) if not report.codes.has(code.code)
    ]
    if not found:
        return report
    codes = Codes(report.codes.success, report.codes.informational, (*report.codes.failure, *found))
    return dataclasses.replace(report, state=ManifestState.INVALID, codes=codes)


def amend_ingredients(
    report: Manifests, carried: Sequence[Carried], *, purposes: tuple[str, ...]
) -> Manifests:
    """The report with the failures of the ingredients' signers that the engine leaves out, as one more delta.

    Args:
        report: of the engine.
        carried: what the signatures of the ingredients' manifests bring.
        purposes: object identifiers, one of which every leaf must state.
    """
    named = _ingredient_labels(report) if carried else frozenset()
    found: list[Code] = []
    for one in carried:
        if one.label in named:
            url = f"self#jumbf=/c2pa/{one.label}/c2pa.signature"
            codes = _problems(one.chain, one.ocsp, purposes=purposes) if one.chain else [_UNREAD]
            found += [dataclasses.replace(code, url=url) for code in codes]
    return (
        dataclasses.replace(report, deltas=(*report.deltas, Codes(failure=tuple(found)))) if found else report
    )


_UNREAD = Code("signingCredential.untrusted", explanation="the certificate could not be read from the store")


def _ingredient_labels(report: Manifests) -> frozenset[str]:
    """Labels of the manifests that some ingredient names as its own."""
    entries = (
        entry
        for manifest in report.manifests.values()
        if isinstance(manifest, Mapping) and isinstance(manifest.get("ingredients"), list)
        for entry in manifest["ingredients"]
        if isinstance(entry, Mapping)
    )
    return frozenset(str(entry["active_manifest"]) for entry in entries if "active_manifest" in entry)


def _problems(chain: Sequence[bytes], responses: Sequence[bytes], *, purposes: tuple[str, ...]) -> list[Code]:
    """Failure codes of a signer: a certificate that may not sign claims, and a revocation that came with it."""
    facts = signer_facts(chain[0], purposes)
    found = []
    if facts is not None and facts.problem:
        found.append(Code("signingCredential.invalid", explanation=facts.problem))
    when = revoked_since(load_certificates(chain[:2]), responses) if responses else None
    if when is not None:
        found.append(Code("signingCredential.ocsp.revoked", explanation=f"revoked on {when:%Y-%m-%d}"))
    return found


def revoked_since(chain: Sequence[x509.Certificate], responses: Sequence[bytes]) -> datetime | None:
    """When the leaf was revoked, by a response that its issuer answers for; None when none says so."""
    if len(chain) < 2:
        return None
    leaf, issuer = chain[0], chain[1]
    for der in responses:
        try:
            response = ocsp.load_der_ocsp_response(der)
            is_about = response.serial_number == leaf.serial_number
            if (
                is_about
                and response.certificate_status is ocsp.OCSPCertStatus.REVOKED
                and _answers_for(response, issuer)
            ):
                return response.revocation_time_utc
        except (ValueError, UnsupportedAlgorithm):
            continue
    return None


def _answers_for(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> bool:
    """Whether the issuer, or a responder that it certified for this, signed the response."""
    signers = [issuer]
    for certificate in response.certificates:
        try:
            certificate.verify_directly_issued_by(issuer)
            stated = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            continue
        if ExtendedKeyUsageOID.OCSP_SIGNING in stated:
            signers.append(certificate)
    return any(_signed_by(response, signer) for signer in signers)


def _signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, digest = signer.public_key(), response.signature_hash_algorithm
    signature, content = response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, content, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, content, padding.PKCS1v15(), digest)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, content)
        else:
            return False
    except InvalidSignature:
        return False
    return True
