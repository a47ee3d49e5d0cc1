"""The leaf profiles of the C2PA conformance programme: claim signing (assurance level 1) and time-stamp authority.

Source: certificate profiles v0.2 of the conformance programme (claimSigningLeaf.al1, tsaLeaf), text and JSON schemas.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
    SignatureAlgorithmOID,
)

from generator.marking.certificates import CLAIM_SIGNING
from generator.marking.findings import EMAIL_PROTECTION, Finding, extension_finding, find_extension, finding

_POLICY = ObjectIdentifier("1.3.6.1.4.1.62558.1.1")  # c2pa-certificate-policy
_ASSURANCE_LEVEL = ObjectIdentifier("1.3.6.1.4.1.62558.3")  # id-c2pa-al
_PRODUCT_RECORD = ObjectIdentifier("1.3.6.1.4.1.62558.4")  # c2pa-cpl-record
_LEVEL_1 = bytes.fromhex("060a2b0601040183e85e030a")  # DER of 1.3.6.1.4.1.62558.3.10
_RECORD_HEAD = b"\x0c\x24"  # DER of a UTF8String of 36 bytes, a UUID
_ADOBE_DOCUMENTS = ObjectIdentifier(
    "1.2.840.113583.1.1.5"
)  # what the programme's schema calls documentSigning
_MAX_DAYS = 366
_MAX_DAYS_TIME = 4_110
_MAX_SERIAL = 20  # octets


def programme_findings(certificate: x509.Certificate) -> Iterator[Finding]:
    """The claim signing leaf of assurance level 1; version, validity, key and signature are asked elsewhere."""
    yield from _common(certificate)
    yield from _claim_signing(certificate)


def time_findings(certificate: x509.Certificate) -> Iterator[Finding]:
    """The time-stamp authority leaf; version, validity, key and signature are asked elsewhere."""
    yield from _common(certificate)
    yield from _time(certificate)


def _common(certificate: x509.Certificate) -> Iterator[Finding]:
    """What both leaf profiles of the conformance programme demand."""
    octets = certificate.serial_number.bit_length() // 8 + 1
    yield finding(
        "serial",
        passed=certificate.serial_number > 0 and octets <= _MAX_SERIAL,
        good=f"its serial number has {octets} octets",
        bad=f"its serial number has {octets} octets or is not positive; at most {_MAX_SERIAL} are allowed",
        remedy="have it issued again with a serial number of 1 to 20 octets",
    )
    wanted = {NameOID.COUNTRY_NAME: "C", NameOID.ORGANIZATION_NAME: "O", NameOID.COMMON_NAME: "CN"}
    present = {attribute.oid for attribute in certificate.subject}
    missing = [name for oid, name in wanted.items() if oid not in present]
    yield finding(
        "subject",
        passed=not missing,
        good="its subject names country, organisation and common name",
        bad=f"its subject lacks {', '.join(missing)}",
        remedy="ask for a subject with C, O and CN, equal to your record in the conforming products list",
    )
    yield extension_finding(
        "subject_key_identifier", find_extension(certificate, x509.SubjectKeyIdentifier), critical=False
    )
    authority = find_extension(certificate, x509.AuthorityKeyIdentifier)
    yield extension_finding(
        "authority_key_identifier",
        authority,
        critical=False,
        holds=authority is not None and authority.value.key_identifier is not None,
        what="the identifier of the issuer's key",
    )
    yield _programme_usage(certificate)
    constraints = find_extension(certificate, x509.BasicConstraints)
    yield extension_finding(
        "basic_constraints",
        constraints,
        critical=True,
        holds=constraints is not None and not constraints.value.ca and constraints.value.path_length is None,
        what="CA=false",
    )
    policies = find_extension(certificate, x509.CertificatePolicies)
    yield extension_finding(
        "policies",
        policies,
        critical=False,
        holds=policies is not None and any(p.policy_identifier == _POLICY for p in policies.value),
        what=f"the C2PA certificate policy ({_POLICY.dotted_string})",
    )


def _programme_usage(certificate: x509.Certificate) -> Finding:
    usage = find_extension(certificate, x509.KeyUsage)
    holds = False
    if usage is not None:
        value = usage.value
        other = value.key_encipherment or value.data_encipherment or value.key_agreement
        other = other or value.key_cert_sign or value.crl_sign
        holds = value.digital_signature and value.content_commitment and not other
    return extension_finding(
        "key_usage",
        usage,
        critical=True,
        holds=holds,
        what="digitalSignature and nonRepudiation, nothing else",
    )


def _claim_signing(certificate: x509.Certificate) -> Iterator[Finding]:
    """What the claim signing leaf of assurance level 1 demands beyond `_common`."""
    yield _days(certificate, most=_MAX_DAYS)
    purposes = find_extension(certificate, x509.ExtendedKeyUsage)
    # The profile's text says documentSigning; its JSON schema means Adobe's identifier by it. The schema decides.
    seconds = {ExtendedKeyUsageOID.EMAIL_PROTECTION, _ADOBE_DOCUMENTS}
    yield extension_finding(
        "extended_key_usage",
        purposes,
        critical=False,
        holds=purposes is not None
        and CLAIM_SIGNING in purposes.value
        and bool(seconds & set(purposes.value)),
        what=f"C2PA claim signing ({CLAIM_SIGNING.dotted_string}) and {EMAIL_PROTECTION}",
    )
    methods = _access_methods(certificate)
    access = find_extension(certificate, x509.AuthorityInformationAccess)
    yield extension_finding(
        "authority_information_access",
        access,
        critical=False,
        holds={AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS} <= methods,
        what="the http address of an OCSP responder and of the issuer's certificate",
    )
    yield from _revocation_list(certificate)
    yield _own_extension(certificate, _ASSURANCE_LEVEL, name="assurance_level", head=_LEVEL_1)
    yield _own_extension(certificate, _PRODUCT_RECORD, name="product_record", head=_RECORD_HEAD, length=38)


def _time(certificate: x509.Certificate) -> Iterator[Finding]:
    """What the time-stamp authority leaf demands beyond `_common`."""
    yield _days(certificate, most=_MAX_DAYS_TIME)
    yield finding(
        "key_kind",
        passed=not isinstance(certificate.public_key(), ed25519.Ed25519PublicKey)
        and certificate.signature_algorithm_oid != SignatureAlgorithmOID.ED25519,
        good="its key and its issuer's are RSA or EC",
        bad="its key or its issuer's is Ed25519, which a time-stamp authority may not use",
        remedy="use an RSA or EC key",
    )
    purposes = find_extension(certificate, x509.ExtendedKeyUsage)
    yield extension_finding(
        "extended_key_usage",
        purposes,
        critical=True,
        holds=purposes is not None and list(purposes.value) == [ExtendedKeyUsageOID.TIME_STAMPING],
        what="timeStamping and nothing else",
    )
    points = find_extension(certificate, x509.CRLDistributionPoints)
    revocable = AuthorityInformationAccessOID.OCSP in _access_methods(certificate) or points is not None
    yield finding(
        "revocation",
        passed=revocable,
        good="it says where its revocation can be asked",
        bad="it names neither an OCSP responder (http) nor a revocation list",
        remedy="ask for authority information access with OCSP, or for CRL distribution points",
    )
    forbidden = [oid for oid in (_ASSURANCE_LEVEL, _PRODUCT_RECORD) if _raw(certificate, oid) is not None]
    yield finding(
        "claim_signing_extensions",
        passed=not forbidden,
        good="it carries no extension of a claim signing certificate",
        bad="it carries the assurance level or product record of a claim signing certificate",
        remedy="have these extensions left out",
    )


def _days(certificate: x509.Certificate, *, most: int) -> Finding:
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    return finding(
        "validity_period",
        passed=days <= most,
        good=f"it is valid for {days} days",
        bad=f"it is valid for {days} days; at most {most} are allowed",
        remedy=f"ask for at most {most} days",
    )


def _access_methods(certificate: x509.Certificate) -> set[ObjectIdentifier]:
    """Methods of authority information access; OCSP counts only with an http address."""
    access = find_extension(certificate, x509.AuthorityInformationAccess)
    methods = set()
    for description in access.value if access else ():
        location = description.access_location
        is_http = isinstance(location, x509.UniformResourceIdentifier) and location.value.startswith(
            "http://"
        )
        if is_http or description.access_method != AuthorityInformationAccessOID.OCSP:
            methods.add(description.access_method)
    return methods


def _revocation_list(certificate: x509.Certificate) -> Iterator[Finding]:
    """CRL distribution points are optional; when there, they are not critical and hold http addresses."""
    points = find_extension(certificate, x509.CRLDistributionPoints)
    if points is None:
        return
    names = [name for point in points.value for name in point.full_name or [None]]
    yield extension_finding(
        "revocation_list",
        points,
        critical=False,
        holds=all(
            isinstance(n, x509.UniformResourceIdentifier) and n.value.startswith("http://") for n in names
        ),
        what="http addresses only",
    )


def _raw(certificate: x509.Certificate, oid: ObjectIdentifier) -> x509.Extension[x509.ExtensionType] | None:
    return next((extension for extension in certificate.extensions if extension.oid == oid), None)


def _own_extension(
    certificate: x509.Certificate, oid: ObjectIdentifier, *, name: str, head: bytes, length: int | None = None
) -> Finding:
    """One of C2PA's own extensions, compared as DER: it starts with `head` and is `length` bytes long."""
    extension = _raw(certificate, oid)
    value = extension.value.public_bytes() if extension is not None else b""
    return extension_finding(
        name,
        extension,
        critical=False,
        holds=value.startswith(head) and len(value) == (length or len(head)),
        what=f"the value of {oid.dotted_string} that the programme gives your product",
    )
