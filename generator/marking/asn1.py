"""The few ASN.1 structures of RFC 3161 and CMS that a time-stamp authority reads and writes.

Source: RFC 3161 section 2.4; RFC 5652 sections 3 and 5; RFC 5816 (the certificate's SHA-256 among the signed
attributes). Declared with cryptography's ASN.1 module; nothing here is parsed by hand.
"""

from __future__ import annotations

from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1

SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
ECDSA_WITH_SHA256 = x509.ObjectIdentifier("1.2.840.10045.4.3.2")
SIGNED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
TST_INFO = x509.ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
CONTENT_TYPE = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_CERTIFICATE = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.47")


@asn1.sequence
class Algorithm:
    """AlgorithmIdentifier of a hash or of ECDSA: parameters are NULL or absent."""

    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None = None


@asn1.sequence
class Imprint:
    """MessageImprint: what is time-stamped."""

    algorithm: Algorithm
    digest: bytes


@asn1.sequence
class Request:
    """TimeStampReq without extensions, which no C2PA engine sends."""

    version: int
    imprint: Imprint
    policy: x509.ObjectIdentifier | None
    nonce: int | None
    wants_certificate: Annotated[bool, asn1.Default(value=False)]


@asn1.sequence
class TimeStampInfo:
    """TSTInfo: the statement that is signed."""

    version: int
    policy: x509.ObjectIdentifier
    imprint: Imprint
    serial: int
    time: asn1.GeneralizedTime
    nonce: int | None


@asn1.sequence
class Attribute:
    """A signed attribute with its set of values."""

    kind: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class CertificateHash:
    """ESSCertIDv2 with its default algorithm, SHA-256."""

    digest: bytes


@asn1.sequence
class SigningCertificate:
    """SigningCertificateV2: which certificate signed."""

    certificates: list[CertificateHash]


@asn1.sequence
class SignerId:
    """IssuerAndSerialNumber."""

    issuer: asn1.TLV
    serial: int


@asn1.sequence
class SignerInfo:
    """SignerInfo of CMS."""

    version: int
    signer: SignerId
    digest_algorithm: Algorithm
    attributes: Annotated[asn1.SetOf[Attribute], asn1.Implicit(0)]
    signature_algorithm: Algorithm
    signature: bytes


@asn1.sequence
class Encapsulated:
    """EncapsulatedContentInfo."""

    kind: x509.ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class SignedData:
    """SignedData of CMS."""

    version: int
    digest_algorithms: asn1.SetOf[Algorithm]
    content: Encapsulated
    certificates: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]
    signers: asn1.SetOf[SignerInfo]


@asn1.sequence
class Token:
    """ContentInfo around SignedData: the time-stamp token."""

    kind: x509.ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


@asn1.sequence
class PkiStatus:
    """PKIStatusInfo; 0 is granted, 2 is rejected."""

    status: int


@asn1.sequence
class Response:
    """TimeStampResp."""

    status: PkiStatus
    token: Token | None = None
