"""Signing identities: the user's own, or a development identity made on first use.

A development identity lets the whole chain run without a certificate authority. It is its own authority, nobody else
trusts it, and its certificates say so in their subject. A key file is written once, with mode 0600, and never
overwritten: a renewed leaf is a new, higher-numbered file signed by the same root. Each file holds the key and its
certificates together, so that the two cannot part. This module does not sign: that is `credentials`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import platformdirs
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from generator.errors import CannotCheckError, InputError
from generator.marking.certificates import (
    DEVELOPMENT_NAME,
    is_valid_at,
    make_leaf,
    make_root,
    make_time_leaf,
    to_pem,
    utc_now,
)
from generator.marking.files import write_private_once
from generator.marking.profile import refusal_reasons
from generator.marking.signers import RemoteKey
from generator.marking.signing_keys import SigningKey, choose_algorithm, key_to_pem, parse_key

RENEW = timedelta(days=30)  # a leaf with less than this left is replaced


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs.

    Attributes:
        name: common name of the signing certificate.
        is_development: True when nobody but this machine has a reason to trust it.
        chain_pem: PEM certificates, leaf first.
        key_pem: PEM of the leaf's private key, PKCS8, not encrypted; empty when `remote` signs; hidden from repr.
        root_pem: PEM of the trust anchor; empty when the chain does not end in a self-signed certificate.
        not_after: end of the leaf's validity, UTC.
        algorithm: C2PA name, one of `signing_keys.ALGORITHMS`.
        remote: the key, when another program or a token holds it.
    """

    name: str
    is_development: bool
    chain_pem: str
    key_pem: str = field(repr=False)
    root_pem: str
    not_after: datetime
    algorithm: str
    remote: RemoteKey | None = None


def assay_home() -> Path:
    """Folder of this user's keys and settings: `ASSAY_HOME`, or the platform's configuration folder. Not created."""
    chosen = os.environ.get("ASSAY_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_config_path("assay")


def development_identity(folder: Path | None = None, *, now: datetime | None = None) -> Identity:
    """The development identity of a folder, made on first use and renewed before it expires.

    Safe when several processes come first at the same time: one wins and all use its key.

    Args:
        folder: where the key files live; default `assay_home() / "identity"`; created with mode 0700.
        now: the time to judge validity at (aware); default the clock.

    Raises:
        InputError: the folder cannot be written, a key file is open to other users, or the clock is outside the
            root's validity.
        CannotCheckError: a key file is unreadable, damaged, or its key does not match its certificate.
        DiskFullError: no room for the key files.
    """
    folder = folder if folder is not None else assay_home() / "identity"
    moment = now or utc_now()
    root = _load_or_make_root(folder, moment)
    leaf = _load_or_make_leaf(folder, root, moment)
    return _identity(leaf.chain, leaf.key, where=str(folder), anchor=root.certificate)


def development_root(folder: Path | None = None) -> str:
    """PEM of the development root of a folder, for use as trust anchor; empty when there is none. Makes nothing."""
    path = (folder if folder is not None else assay_home() / "identity") / "root.pem"
    return to_pem(_load_bundle(path).chain) if path.exists() else ""


def development_time_authority(folder: Path | None = None, *, now: datetime | None = None) -> KeyBundle:
    """Key and chain of this machine's own time-stamp authority, made on first use; it only knows this clock.

    Args:
        folder: as for `development_identity`.
        now: the time to judge validity at (aware); default the clock.

    Raises:
        InputError, CannotCheckError, DiskFullError: as `development_identity`.
    """
    folder = folder if folder is not None else assay_home() / "identity"
    path, moment = folder / "time.pem", now or utc_now()
    if not path.exists():
        root = _parse_bundle(make_root(moment), where=path)
        write_private_once(path, make_time_leaf(root.certificate, root.key, now=moment))
    bundle = _load_bundle(path)
    if not is_valid_at(bundle.certificate, moment):
        raise InputError(
            f"{path}: this development time-stamp certificate is valid until "
            f"{bundle.certificate.not_valid_after_utc:%Y-%m-%d}; move the file away to have a new one made"
        )
    return bundle


def development_time_root(folder: Path | None = None) -> str:
    """PEM of the root of this machine's own time-stamp authority; empty when there is none. Makes nothing."""
    path = (folder if folder is not None else assay_home() / "identity") / "time.pem"
    return to_pem(_load_bundle(path).chain[-1:]) if path.exists() else ""


def load_identity(
    certificate: Path,
    key: Path | RemoteKey,
    *,
    password: str | None = None,
    algorithm: str | None = None,
    now: datetime | None = None,
) -> Identity:
    """The user's own identity from a PEM chain (leaf first) and its private key.

    Args:
        certificate: PEM file; the leaf, then any intermediates, then optionally the root.
        key: PEM file of the leaf's private key (EC P-256/384/521, RSA >= 2048, Ed25519), or what holds it. Whether a
            remote key belongs to the certificate shows at its first signature.
        password: of the key file, when it is encrypted.
        algorithm: C2PA name of the signature algorithm; default the first that the key can serve.
        now: the time to judge validity at (aware); default the clock.

    Raises:
        CannotCheckError: a file cannot be read.
        InputError: not PEM, wrong password, key not matching, or a certificate that C2PA would refuse, with reasons.
    """
    chain = load_chain(certificate)
    private = load_key(key, password=password) if isinstance(key, Path) else None
    if private is not None and private.public_key() != chain[0].public_key():
        raise InputError(f"{key}: this private key does not belong to the first certificate of {certificate}")
    problems = refusal_reasons(chain[0], now=now or utc_now())
    if problems:
        raise InputError(
            f"{certificate}: C2PA would refuse this certificate: {'; '.join(problems)}. "
            f"`assay doctor {certificate}` says what to ask the issuer for"
        )
    remote = None if isinstance(key, Path) else key
    return _identity(chain, private, where=str(certificate), anchor=None, algorithm=algorithm, remote=remote)


def load_key(path: Path, *, password: str | None = None) -> SigningKey:
    """The private key of a PEM file.

    Raises:
        CannotCheckError: the file cannot be read.
        InputError: no key that C2PA can use in it; `PasswordError`: the password is missing or wrong.
    """
    return parse_key(_read(path), where=str(path), password=password)


def load_chain(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file, in order.

    Raises:
        CannotCheckError: the file cannot be read.
        InputError: there is no PEM certificate in it.
    """
    content = _read(path)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise InputError(f"{path}: no PEM certificate in it ({error})") from error


@dataclass(frozen=True, slots=True)
class KeyBundle:
    """One key file: a private key and its certificate chain, leaf first."""

    chain: tuple[x509.Certificate, ...]
    key: SigningKey = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of the key."""
        return self.chain[0]


def _load_or_make_root(folder: Path, moment: datetime) -> KeyBundle:
    path = folder / "root.pem"
    if not path.exists():
        write_private_once(path, make_root(moment))
    root = _load_bundle(path)
    if not is_valid_at(root.certificate, moment):
        start, end = root.certificate.not_valid_before_utc, root.certificate.not_valid_after_utc
        raise InputError(
            f"{path}: this development root is valid from {start:%Y-%m-%d} to {end:%Y-%m-%d}, the clock says "
            f"{moment:%Y-%m-%d}; set the clock, or move the folder away to start a new identity"
        )
    return root


def _load_or_make_leaf(folder: Path, root: KeyBundle, moment: datetime) -> KeyBundle:
    """The newest leaf when it has time left, else a new one with the next number."""
    numbers = (path.stem.removeprefix("signer-") for path in folder.glob("signer-*.pem"))
    newest = max((int(number) for number in numbers if number.isdecimal()), default=0)
    if newest:
        path = folder / f"signer-{newest}.pem"
        leaf = _load_bundle(path)
        _check_issued(leaf.certificate, root.certificate, where=path)
        if is_valid_at(leaf.certificate, moment) and leaf.certificate.not_valid_after_utc - moment > RENEW:
            return leaf
    path = folder / f"signer-{newest + 1}.pem"
    write_private_once(path, make_leaf(root.certificate, root.key, now=moment))
    return _load_bundle(path)


def _check_issued(leaf: x509.Certificate, root: x509.Certificate, *, where: Path) -> None:
    try:
        leaf.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise CannotCheckError(
            f"{where}: this certificate was not issued by root.pem beside it; the files of two identities were mixed"
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotCheckError(
            f"{path}: cannot be read ({error.strerror}); check path and permissions"
        ) from error


def _load_bundle(path: Path) -> KeyBundle:
    content = _read(path)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise InputError(f"{path}: other users can read this private key; run `chmod 600` on it")
    return _parse_bundle(content, where=path)


def _parse_bundle(content: bytes, *, where: Path) -> KeyBundle:
    try:
        chain = tuple(x509.load_pem_x509_certificates(content))
        key = parse_key(content, where=str(where))
    except (ValueError, InputError) as error:
        raise CannotCheckError(
            f"{where}: damaged key file ({error}); restore it from a copy, or move the folder away to start anew"
        ) from error
    if key.public_key() != chain[0].public_key():
        raise CannotCheckError(
            f"{where}: the private key does not match the certificate in the same file; restore it from a copy"
        )
    return KeyBundle(chain, key)


def _identity(
    chain: Sequence[x509.Certificate],
    key: SigningKey | None,
    *,
    where: str,
    anchor: x509.Certificate | None,
    algorithm: str | None = None,
    remote: RemoteKey | None = None,
) -> Identity:
    leaf, last = chain[0], chain[-1]
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    organisations = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if anchor is None and last.subject == last.issuer:
        anchor = last
    return Identity(
        name=str(names[0].value) if names else leaf.subject.rfc4514_string(),
        is_development=any(organisation.value == DEVELOPMENT_NAME for organisation in organisations),
        chain_pem=to_pem(chain),
        key_pem=key_to_pem(key) if key is not None else "",
        root_pem=to_pem([anchor]) if anchor is not None else "",
        not_after=leaf.not_valid_after_utc,
        algorithm=choose_algorithm(leaf.public_key(), where=where, wanted=algorithm),
        remote=remote,
    )
