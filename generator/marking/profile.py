"""The certificate doctor's knowledge: which demands a certificate does not meet, one finding a demand.

Three profiles. `READER`: what every C2PA reader demands of a signing certificate; one that fails here signs nothing
that verifies. `PROGRAMME`: the conformance programme's claim signing leaf, assurance level 1. `TIME`: the programme's
time-stamp authority leaf. Pure; trusts nobody: whether a list vouches for the issuer is another question.

Source: C2PA specification 2.4, section 14.5.1; certificate profiles v0.2 of the conformance programme
(claimSigningLeaf.al1, tsaLeaf); refusals met with c2pa-rs 0.91.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import (
    ExtendedKeyUsageOID,
    ObjectIdentifier,
    SignatureAlgorithmOID,
)

from generator.errors import InputError
from generator.marking.certificates import CLAIM_SIGNING
from generator.marking.findings import EMAIL_PROTECTION, Finding, find_extension, finding, met, missed
from generator.marking.profile_programme import programme_findings, time_findings
from generator.marking.signing_keys import algorithms_of

_DOCUMENTS = ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # id-kp-documentSigning, RFC 9336

_SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.RSASSA_PSS,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
    }
)


class Profile(StrEnum):
    """Whose demands are asked."""

    READER = "reader"
    PROGRAMME = "programme"
    TIME = "time"


def examine(
    certificate: x509.Certificate, *, now: datetime, profile: Profile = Profile.READER
) -> tuple[Finding, ...]:
    """Every demand of a profile, in a fixed order.

    Args:
        certificate: the leaf.
        now: the time to judge validity at, aware.
        profile: whose demands.
    """
    shared = (_version(certificate), _validity(certificate, now), _signature(certificate), _key(certificate))
    if profile is Profile.READER:
        return (*shared, *_reader(certificate))
    own = programme_findings if profile is Profile.PROGRAMME else time_findings
    return (*shared, *own(certificate))


def refusal_reasons(leaf: x509.Certificate, *, now: datetime) -> list[str]:
    """Why every C2PA reader would refuse a signing certificate, in plain words; empty when nothing was found."""
    return [finding.reason for finding in examine(leaf, now=now) if not finding.passed]


def examine_chain(chain: Sequence[x509.Certificate]) -> Finding:
    """Whether each certificate was issued by the next one; a chain of one says nothing and passes.

    Args:
        chain: leaf first, at least one.
    """
    for number, (child, issuer) in enumerate(zip(chain, chain[1:], strict=False), start=1):
        try:
            child.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError):
            pair = f"certificate {number} ({_name(child)}) was not issued by certificate {number + 1}"
            reason = f"{pair} ({_name(issuer)})"
            return missed("chain", reason, "put the certificates in order: leaf, its issuer, and so on")
    return met("chain", f"{len(chain)} certificate(s) in order")


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a name"


def _version(certificate: x509.Certificate) -> Finding:
    return finding(
        "version",
        passed=certificate.version is x509.Version.v3,
        good="it is X.509 version 3",
        bad="it is not X.509 version 3",
        remedy="have it issued again with extensions, which makes it version 3",
    )


def _validity(certificate: x509.Certificate, now: datetime) -> Finding:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    early = now < start
    return finding(
        "validity",
        passed=start <= now < end,
        good=f"it is valid until {end:%Y-%m-%d %H:%M} UTC",
        bad=f"it is not valid before {start:%Y-%m-%d %H:%M} UTC"
        if early
        else f"it expired on {end:%Y-%m-%d %H:%M} UTC",
        remedy="check the clock, or wait" if early else "have it renewed",
    )


def _signature(certificate: x509.Certificate) -> Finding:
    oid = certificate.signature_algorithm_oid
    return finding(
        "signature_algorithm",
        passed=oid in _SIGNATURES,
        good="its issuer signed it with an algorithm that C2PA allows",
        bad=f"its issuer signed it with {oid.dotted_string}, which C2PA does not allow",
        remedy="ask for RSA, RSA-PSS or ECDSA with SHA-256, SHA-384 or SHA-512, or for Ed25519",
    )


def _key(certificate: x509.Certificate) -> Finding:
    try:
        good = f"its key can sign {', '.join(algorithms_of(certificate.public_key(), where='it'))}"
    except InputError as error:
        remedy = "make a key on P-256, P-384 or P-521, an RSA key of 2048 bits or more, or an Ed25519 key"
        return missed("key", f"its key cannot be used: {str(error).removeprefix('it: ')}", remedy)
    return met("key", good)


def _reader(certificate: x509.Certificate) -> Iterator[Finding]:
    """What c2pa-rs checks when it validates a signature, in addition to the shared demands."""
    constraints = find_extension(certificate, x509.BasicConstraints)
    yield finding(
        "basic_constraints",
        passed=constraints is None or not constraints.value.ca,
        good="it is no certificate authority",
        bad="it is a certificate authority (CA=true), not a signing certificate",
        remedy="use it to issue a leaf with CA=false, and sign with that",
    )
    usage = find_extension(certificate, x509.KeyUsage)
    signs = usage is not None and usage.value.digital_signature
    issues = usage is not None and usage.value.key_cert_sign
    yield finding(
        "key_usage",
        passed=signs and not issues,
        good="its key usage is to sign",
        bad="its key usage holds keyCertSign, which only an authority may have"
        if signs
        else "its key usage lacks digitalSignature",
        remedy="ask for key usage digitalSignature and nonRepudiation, critical",
    )
    yield _reader_purposes(certificate)
    yield finding(
        "authority_key_identifier",
        passed=find_extension(certificate, x509.AuthorityKeyIdentifier) is not None,
        good="it names its issuer's key",
        bad="the authority key identifier is missing",
        remedy="have the issuer add the authorityKeyIdentifier extension (openssl: authorityKeyIdentifier=keyid)",
    )
    unknown = [
        extension.oid.dotted_string
        for extension in certificate.extensions
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)
    ]
    yield finding(
        "critical_extensions",
        passed=not unknown,
        good="no critical extension is unknown",
        bad=f"its critical extension {', '.join(unknown)} is unknown to readers",
        remedy="have the extension left out or made not critical",
    )


def _reader_purposes(certificate: x509.Certificate) -> Finding:
    extension = find_extension(certificate, x509.ExtendedKeyUsage)
    found = [purpose.dotted_string for purpose in extension.value] if extension else []
    exclusive = {ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.OCSP_SIGNING}
    if extension is None or ExtendedKeyUsageOID.EMAIL_PROTECTION not in extension.value:
        bad = f"its extended key usage lacks {EMAIL_PROTECTION}; it holds {', '.join(found) or 'nothing'}"
        if _DOCUMENTS.dotted_string in found or CLAIM_SIGNING.dotted_string in found:
            bad += ", which readers accept only when they are configured to"
    elif ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in extension.value:
        bad = "its extended key usage holds anyExtendedKeyUsage, which C2PA forbids"
    elif exclusive & set(extension.value):
        bad = "its extended key usage holds timeStamping or OCSPSigning, which must stand alone"
    else:
        return met("extended_key_usage", f"its extended key usage holds {EMAIL_PROTECTION}")
    remedy = "ask for emailProtection together with C2PA claim signing (1.3.6.1.4.1.62558.2.1)"
    return missed("extended_key_usage", bad, remedy)
