"""Whom the reader trusts: signers, time-stamp authorities, and this machine's own development root, kept apart.

No list is part of this project and none is fetched. A list is a PEM file, or a folder of PEM files; a file with "tsa"
in its name holds time-stamp authorities. An authority for time never vouches for a signer: the C2PA engine does not
hold the lists apart, so each has a name of its own and `verdict` looks at which one answered.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from generator.errors import CannotCheckError, InputError

SIGNER_LIST = "assay:signers"
TIME_LIST = "assay:time-stamp-authorities"
DEVELOPMENT_LIST = "assay:development"

MAX_LIST_BYTES = 20_000_000  # bytes; the official lists are below 0.1 MB
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_SUFFIXES = frozenset({".pem", ".crt", ".cer"})


@dataclass(frozen=True, slots=True)
class TrustLists:
    """PEM anchors by purpose; picklable.

    Attributes:
        signers: certificate authorities of signers; empty when no trust list was given.
        time_stamps: time-stamp authorities.
        development: the root of this machine's development identity; never counts as a trust list.
        digest: sha256 over signers and time_stamps, hex; "" when no trust list was given.
        source: where the lists came from, for the reader.
    """

    signers: tuple[str, ...] = ()
    time_stamps: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    digest: str = ""
    source: str = ""


def split_pem(text: str) -> tuple[str, ...]:
    """The certificates of a PEM text, each normalised to one form; anything else in it is left out."""
    blocks = (re.sub(r"[ \t\r]+", "", block[27:-25]) for block in _CERTIFICATE.findall(text))
    return tuple(
        f"-----BEGIN CERTIFICATE-----\n{''.join(block.split())}\n-----END CERTIFICATE-----\n"
        for block in blocks
    )


def load_trust(path: Path | None, *, development: str = "") -> TrustLists:
    """The trust lists of a folder (or of one PEM file) and the development root.

    Args:
        path: folder or file of PEM certificates; None: no list.
        development: PEM of this machine's development root; "" when there is none.

    Raises:
        InputError: the path does not exist, holds no certificate, or one that cannot be parsed.
        CannotCheckError: a file cannot be read.
    """
    own = split_pem(development)
    if path is None:
        return TrustLists(development=own)
    found = {file: _read_certificates(file) for file in _list_files(path)}
    if not any(found.values()):
        raise InputError(
            f"--trust {path}: no certificate found; expected PEM files (BEGIN CERTIFICATE), for example the C2PA "
            "trust list and the C2PA TSA trust list"
        )
    signers: set[str] = set()
    time_stamps: set[str] = set()
    for file, certificates in found.items():
        (time_stamps if "tsa" in file.stem.lower() else signers).update(certificates)
    signers -= set(own)
    digest = hashlib.sha256("\n".join([*sorted(signers), "--", *sorted(time_stamps)]).encode()).hexdigest()
    return TrustLists(tuple(sorted(signers)), tuple(sorted(time_stamps)), own, digest, str(path))


def _list_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"--trust {path}: no such folder; give a folder (or file) of PEM certificates")
    return sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())


def _read_certificates(file: Path) -> tuple[str, ...]:
    from cryptography import x509  # only needed when a list was given

    try:
        if file.stat().st_size > MAX_LIST_BYTES:
            raise InputError(f"{file}: larger than {MAX_LIST_BYTES:,} bytes; this is no trust list")
        blocks = split_pem(file.read_text(encoding="latin-1"))
    except OSError as error:
        raise CannotCheckError(f"{file}: the trust list cannot be read ({error.strerror})") from error
    for number, block in enumerate(blocks, start=1):
        try:
            x509.load_pem_x509_certificate(block.encode("ascii"))
        except ValueError as error:
            raise InputError(
                f"{file}: certificate {number} of {len(blocks)} is damaged ({error}); restore or remove it"
            ) from error
    return blocks
