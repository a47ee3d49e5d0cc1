"""Certificates that C2PA accepts: making the development root and leaf, and saying why a certificate is refused.

Pure: works on bytes and objects, touches no file. The profile is the C2PA claim signing leaf (conformance programme
v0.2), as far as a certificate without a public authority can follow it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from generator.errors import InputError

DEVELOPMENT_NAME = "Assay development identity"
"""Organisation (O) of every certificate made here; a reader that meets it must say "development identity"."""

CLAIM_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""c2pa-kp-claimSigning. Source: C2PA claim signing leaf profile."""

LEAF_DAYS = 365  # the profile's maximum is 366
ROOT_DAYS = 20 * 365
BACKDATE = timedelta(hours=12)  # tolerates clocks of other machines that run behind
MINIMUM_RSA_BITS = 2048  # C2PA specification, digital signatures

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_E = TypeVar("_E", bound=x509.ExtensionType)


def make_root(now: datetime) -> bytes:
    """PEM of a new P-256 key and its self-signed root certificate, valid for 20 years. The name is unique."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(f"{DEVELOPMENT_NAME} root {secrets.token_hex(4)}")
    certificate = (
        _builder(name, issuer=name, public=key.public_key(), now=now, days=ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (key_to_pem(key) + to_pem([certificate])).encode("ascii")


def make_leaf(root: x509.Certificate, key: SigningKey, *, now: datetime) -> bytes:
    """PEM of a new P-256 key, its signing certificate issued by the root (valid for 365 days), and the root.

    Args:
        root: certificate made by `make_root`.
        key: the root's private key.
        now: start of validity, less 12 hours of tolerance.
    """
    own = ec.generate_private_key(ec.SECP256R1())
    root_id = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    # c2pa-rs 0.91 accepts only emailProtection unless the reader configures more; the profile wants both
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING])
    certificate = (
        _builder(
            _subject(DEVELOPMENT_NAME), issuer=root.subject, public=own.public_key(), now=now, days=LEAF_DAYS
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(root_id), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return (key_to_pem(own) + to_pem([certificate, root])).encode("ascii")


def refusal_reasons(leaf: x509.Certificate, *, now: datetime) -> list[str]:
    """Why C2PA would refuse a signing certificate, in plain words; empty when nothing was found.

    Source: certificate profile of the C2PA specification 2.4, and refusals met with c2pa-rs 0.91.3.
    """
    constraints, usage = _find(leaf, x509.BasicConstraints), _find(leaf, x509.KeyUsage)
    purposes = _find(leaf, x509.ExtendedKeyUsage)
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    findings = (
        (leaf.version is not x509.Version.v3, "it is not X.509 version 3"),
        (now < start, f"it is not valid before {start:%Y-%m-%d %H:%M} UTC"),
        (now >= end, f"it expired on {end:%Y-%m-%d %H:%M} UTC"),
        (
            constraints is not None and constraints.ca,
            "it is a certificate authority (CA=true), not a signing certificate",
        ),
        (usage is None or not usage.digital_signature, "its key usage lacks digitalSignature"),
        (
            purposes is None or ExtendedKeyUsageOID.EMAIL_PROTECTION not in purposes,
            "its extended key usage lacks emailProtection (1.3.6.1.5.5.7.3.4)",
        ),
        (_find(leaf, x509.AuthorityKeyIdentifier) is None, "the authority key identifier is missing"),
    )
    return [reason for applies, reason in findings if applies]


def is_valid_at(certificate: x509.Certificate, moment: datetime) -> bool:
    """Whether the moment (aware) lies in the certificate's validity period."""
    return certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc


def to_pem(chain: Sequence[x509.Certificate]) -> str:
    """The certificates as PEM text, in order."""
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode("ascii") for c in chain)


def key_to_pem(key: SigningKey) -> str:
    """The private key as PKCS8 PEM text, not encrypted: what c2pa reads."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode("ascii")


def parse_key(content: bytes, *, where: str, password: str | None = None) -> SigningKey:
    """The private key in PEM bytes.

    Raises:
        InputError: no key, wrong or missing password, or a kind of key that C2PA cannot use; `where` is named.
    """
    try:
        key = serialization.load_pem_private_key(content, password=password.encode() if password else None)
    except TypeError as error:  # encrypted without a password, or a password for a plain key
        remedy = "is not encrypted: leave the password out" if password else "is encrypted: give its password"
        raise InputError(f"{where}: the private key {remedy}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{where}: no readable PEM private key in it (wrong password, or damaged)"
        ) from error
    if not isinstance(key, SigningKey):
        raise InputError(f"{where}: {type(key).__name__} cannot sign C2PA; use EC, RSA or Ed25519")
    return key


def signing_algorithm(key: SigningKey, *, where: str) -> str:
    """C2PA's name of the signature algorithm of a key: es256, es384, es512, ps256 or ed25519.

    Raises:
        InputError: RSA shorter than 2048 bits, or a curve that C2PA does not allow; `where` is named.
    """
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MINIMUM_RSA_BITS:
            raise InputError(
                f"{where}: RSA key of {key.key_size} bits; C2PA asks for at least {MINIMUM_RSA_BITS}"
            )
        return "ps256"
    if key.curve.name not in _CURVES:
        raise InputError(f"{where}: curve {key.curve.name}; C2PA allows P-256, P-384 and P-521")
    return _CURVES[key.curve.name]


def utc_now() -> datetime:
    """The clock, aware."""
    return datetime.now(UTC)


def _find(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, DEVELOPMENT_NAME),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    name: x509.Name, *, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, days: int
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
