"""Files for people who need a signing certificate: a key with a certificate request, or a development chain.

A development chain is accepted by every C2PA reader and trusted by none, until somebody adds its root to a list.
Nothing that exists is overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from generator.errors import InputError
from generator.marking.certificates import (
    DEVELOPMENT_NAME,
    development_subject,
    make_leaf,
    make_request,
    make_root,
    to_pem,
    utc_now,
)
from generator.marking.files import write_private_once
from generator.marking.signing_keys import ALGORITHMS, SigningKey, generate_key, key_to_pem, parse_key


@dataclass(frozen=True, slots=True)
class Subject:
    """Who the certificate is for; what is empty is left out.

    Attributes:
        name: common name.
        organization: organisation.
        country: two letters.
    """

    name: str = ""
    organization: str = ""
    country: str = ""

    def to_name(self) -> x509.Name:
        """The distinguished name: country, organisation, common name.

        Raises:
            InputError: a value that a certificate cannot hold.
        """
        values = (
            (NameOID.COUNTRY_NAME, self.country.upper()),
            (NameOID.ORGANIZATION_NAME, self.organization),
            (NameOID.COMMON_NAME, self.name),
        )
        try:
            return x509.Name([x509.NameAttribute(oid, value) for oid, value in values if value])
        except ValueError as error:
            raise InputError(
                f"subject: {error}; a country has two letters, a name at most 64 characters"
            ) from error


def make_request_files(
    folder: Path, *, algorithm: str, subject: Subject, password: str | None = None
) -> dict[Path, str]:
    """Write `key.pem` and `request.csr`, for a certificate authority.

    Args:
        folder: made when it is absent.
        algorithm: one of `ALGORITHMS`.
        subject: all three parts, as the conformance programme demands.
        password: encrypts the key file.

    Returns:
        Path -> what it is.

    Raises:
        InputError: unknown algorithm, a part of the subject is missing, or one of the files is there already.
        DiskFullError: no room.
    """
    if not (subject.name and subject.organization and subject.country):
        raise InputError("a request needs --name, --organization and --country, as your authority knows you")
    key_file, request = folder / "key.pem", folder / "request.csr"
    key = _new_key(algorithm, key_file, request)
    name = subject.to_name()
    write_private_once(key_file, key_to_pem(key, password=password).encode())
    write_private_once(request, make_request(key, subject=name))
    return {
        key_file: "private key" + (", encrypted" if password else "") + "; keep it secret",
        request: "certificate request; send it to a certificate authority of the C2PA trust list",
    }


def make_development_chain(
    folder: Path, *, algorithm: str, subject: Subject, password: str | None = None
) -> dict[Path, str]:
    """Write `key.pem`, `chain.pem` (leaf and root) and `root.pem`; the root's own key is not kept.

    Args:
        folder: made when it is absent.
        algorithm: one of `ALGORITHMS`.
        subject: parts may be empty. Without an organisation the certificate says that it is a development identity.
        password: encrypts the key file.

    Returns:
        Path -> what it is.

    Raises:
        InputError: unknown algorithm, a bad subject, or one of the files is there already.
        DiskFullError: no room.
    """
    key_file, chain_file, root_file = (folder / name for name in ("key.pem", "chain.pem", "root.pem"))
    own = _new_key(algorithm, key_file, chain_file, root_file)
    if subject.organization:
        name = Subject(subject.name or subject.organization, subject.organization, subject.country).to_name()
    else:
        name = development_subject(subject.name or DEVELOPMENT_NAME)
    now = utc_now()
    bundle = make_root(now)
    root = x509.load_pem_x509_certificate(bundle)
    leaf_bundle = make_leaf(root, parse_key(bundle, where="root"), now=now, own=own, subject=name)
    chain = x509.load_pem_x509_certificates(leaf_bundle)
    write_private_once(key_file, key_to_pem(own, password=password).encode())
    write_private_once(chain_file, to_pem(chain).encode())
    write_private_once(root_file, to_pem([root]).encode())
    return {
        key_file: "private key" + (", encrypted" if password else "") + "; keep it secret",
        chain_file: "certificate chain; sign with --certificate and --key",
        root_file: "root; whoever adds it to a trust list trusts this key",
    }


def _new_key(algorithm: str, *targets: Path) -> SigningKey:
    if algorithm not in ALGORITHMS:
        raise InputError(f"algorithm {algorithm}: unknown; use one of {', '.join(ALGORITHMS)}")
    for target in targets:
        if target.exists():
            raise InputError(f"{target}: is there already and is never overwritten; choose another folder")
    return generate_key(algorithm)
