"""Making certificates that C2PA accepts: development root, signing leaf, time-stamp leaf, and a certificate request.

Pure: works on bytes and objects, touches no file. The leaf follows the C2PA claim signing leaf (conformance programme
v0.2), as far as a certificate without a public authority honestly can: it claims no policy, no assurance level and no
conforming product. What is wrong with a certificate is said by `profile`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from generator.marking.signing_keys import PublicKey, SigningKey, generate_key, key_to_pem

DEVELOPMENT_NAME = "Assay development identity"
"""Organisation (O) of every certificate made here; a reader that meets it must say "development identity"."""

CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""c2pa-kp-claimSigning. Source: C2PA claim signing leaf profile."""

LEAF_DAYS = 365  # the profile's maximum is 366
ROOT_DAYS = 20 * 365
BACKDATE = timedelta(hours=12)  # tolerates clocks of other machines that run behind

# c2pa-rs 0.91 accepts only emailProtection unless the reader configures more; the profile wants both
_SIGNING_PURPOSES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING])


def make_root(now: datetime) -> bytes:
    """PEM of a new P-256 key and its self-signed root certificate, valid for 20 years. The name is unique."""
    key = generate_key("es256")
    name = development_subject(f"{DEVELOPMENT_NAME} root {secrets.token_hex(4)}")
    certificate = (
        _builder(name, issuer=name, public=key.public_key(), now=now, days=ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, _hash_for(key))
    )
    return (key_to_pem(key) + to_pem([certificate])).encode("ascii")


def make_leaf(
    root: x509.Certificate,
    key: SigningKey,
    *,
    now: datetime,
    own: SigningKey | None = None,
    subject: x509.Name | None = None,
) -> bytes:
    """PEM of a key, its signing certificate issued by the root (valid for 365 days), and the root.

    Args:
        root: certificate made by `make_root`.
        key: the root's private key.
        now: start of validity, less 12 hours of tolerance.
        own: the leaf's private key; default a new P-256 key.
        subject: its name; default the development identity's.
    """
    own = own or generate_key("es256")
    certificate = _issue(
        root,
        key,
        subject=subject or development_subject(DEVELOPMENT_NAME),
        public=own.public_key(),
        now=now,
        purposes=_SIGNING_PURPOSES,
    )
    return (key_to_pem(own) + to_pem([certificate, root])).encode("ascii")


def make_time_leaf(root: x509.Certificate, key: SigningKey, *, now: datetime) -> bytes:
    """PEM of a new P-256 key, its time-stamping certificate issued by the root, and the root.

    Args:
        root: certificate made by `make_root`, of an authority that issues nothing but this.
        key: the root's private key.
        now: start of validity, less 12 hours of tolerance.

    Source: RFC 3161 section 2.3: the extended key usage is timeStamping alone, and critical.
    """
    own = generate_key("es256")
    certificate = _issue(
        root,
        key,
        subject=development_subject(f"{DEVELOPMENT_NAME} time"),
        public=own.public_key(),
        now=now,
        purposes=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]),
    )
    return (key_to_pem(own) + to_pem([certificate, root])).encode("ascii")


def make_request(key: SigningKey, *, subject: x509.Name) -> bytes:
    """PEM of a certificate signing request that asks a certificate authority for a C2PA signing leaf."""
    public = key.public_key()
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(_SIGNING_PURPOSES, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, _hash_for(key))
    )
    return request.public_bytes(serialization.Encoding.PEM)


def is_valid_at(certificate: x509.Certificate, moment: datetime) -> bool:
    """Whether the moment (aware) lies in the certificate's validity period."""
    return certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc


def to_pem(chain: Sequence[x509.Certificate]) -> str:
    """The certificates as PEM text, in order."""
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode("ascii") for c in chain)


def utc_now() -> datetime:
    """The clock, aware."""
    return datetime.now(UTC)


def development_subject(common_name: str) -> x509.Name:
    """The name of a certificate that is nobody's but this machine's."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_NAME),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _hash_for(key: SigningKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _issue(
    root: x509.Certificate,
    key: SigningKey,
    *,
    subject: x509.Name,
    public: PublicKey,
    now: datetime,
    purposes: x509.ExtendedKeyUsage,
) -> x509.Certificate:
    root_id = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id)
    is_time_stamping = ExtendedKeyUsageOID.TIME_STAMPING in purposes
    return (
        _builder(subject, issuer=root.subject, public=public, now=now, days=LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(purposes, critical=is_time_stamping)
        .add_extension(authority, critical=False)
        .sign(key, _hash_for(key))
    )


def _builder(
    name: x509.Name, *, issuer: x509.Name, public: PublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    """What root and leaf have in common."""
    start = now - BACKDATE
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=not authority,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
