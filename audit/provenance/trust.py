"""Whom the reader trusts: signers, time-stamp authorities, and this machine's own development root, kept apart.

No list is part of this project. A list is a PEM file, or a folder of PEM files; a file with "tsa" in its name holds
time-stamp authorities. Lists that are kept for every run are the business of `trust_store`.
An authority for time never vouches for a signer: the C2PA engine does not hold the lists apart, so each has a name of
its own and `verdict` looks at which one answered.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from generator.errors import CannotCheckError, InputError

SIGNER_LIST = "assay:signers"
TIME_LIST = "assay:time-stamp-authorities"
DEVELOPMENT_LIST = "assay:development"

MAX_LIST_BYTES = 20_000_000  # bytes; the official lists are below 0.1 MB
# Key purposes a signing certificate may state. c2pa-rs 0.91 accepts only the first unless it is told otherwise, and
# would call certificates of the official profile invalid. Source: C2PA 2.4 section 14.5.1; emailProtection,
# documentSigning, claimSigning.
SIGNING_PURPOSES = ("1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1")
# Purposes that no configuration may allow for signers: any, time stamping, OCSP signing.
_FORBIDDEN_PURPOSES = frozenset({"2.5.29.37.0", "1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9"})
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_PEM_LINE = 64  # characters; some readers refuse longer lines. Source: RFC 7468 section 2
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
        purposes: object identifiers, one of which a signing certificate must state.
        warnings: what the reader should know about the lists, one sentence each.
    """

    signers: tuple[str, ...] = ()
    time_stamps: tuple[str, ...] = ()
    development: tuple[str, ...] = ()
    digest: str = ""
    source: str = ""
    purposes: tuple[str, ...] = SIGNING_PURPOSES
    warnings: tuple[str, ...] = ()


def check_purposes(purposes: Sequence[str], *, where: str) -> tuple[str, ...]:
    """The purposes, when each may be allowed for signers.

    Raises:
        InputError: none, no object identifier, or one that is never for signers; `where` is named.
    """
    for purpose in purposes:
        if not _OID.fullmatch(purpose):
            raise InputError(f"{where}: purpose {purpose!r} is no object identifier, e.g. 1.3.6.1.5.5.7.3.4")
        if purpose in _FORBIDDEN_PURPOSES:
            raise InputError(f"{where}: purpose {purpose} is never one of signers; remove it")
    if not purposes:
        raise InputError(f"{where}: no purpose is left, so no signer could be accepted; name at least one")
    return tuple(dict.fromkeys(purposes))


def split_pem(text: str) -> tuple[str, ...]:
    """The certificates of a PEM text, each in the one form that every reader takes; anything else is left out."""
    return tuple(_normalise(block[27:-25]) for block in _CERTIFICATE.findall(text))


def _normalise(content: str) -> str:
    body = "".join(content.split())
    lines = [body[start : start + _PEM_LINE] for start in range(0, len(body), _PEM_LINE)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def load_trust(
    path: Path | None, *, development: str = "", purposes: Sequence[str] = SIGNING_PURPOSES
) -> TrustLists:
    """The trust lists of a folder (or of one PEM file) and the development root.

    Args:
        path: folder or file of PEM certificates; None: no list.
        development: PEM of this machine's development root; "" when there is none.
        purposes: object identifiers, one of which a signing certificate must state.

    Raises:
        InputError: the path does not exist, holds no certificate, or one that cannot be parsed.
        CannotCheckError: a file cannot be read.
    """
    own = split_pem(development)
    if path is None:
        return TrustLists(development=own, purposes=tuple(purposes))
    found = {file: read_certificates(file) for file in _list_files(path)}
    if not any(found.values()):
        raise InputError(
            f"--trust {path}: no certificate found; expected PEM files (BEGIN CERTIFICATE), for example the C2PA "
            "trust list and the C2PA TSA trust list"
        )
    signers = [pem for file, pems in found.items() if not is_time_list(file.name) for pem in pems]
    times = [pem for file, pems in found.items() if is_time_list(file.name) for pem in pems]
    return build_lists(signers, times, own, source=str(path), purposes=purposes)


def is_time_list(name: str) -> bool:
    """Whether a file name says that the file lists time-stamp authorities."""
    return "tsa" in Path(name).stem.lower()


def build_lists(
    signers: Iterable[str],
    time_stamps: Iterable[str],
    development: Sequence[str],
    *,
    source: str,
    purposes: Sequence[str] = SIGNING_PURPOSES,
    warnings: Sequence[str] = (),
) -> TrustLists:
    """Lists without repetition, in one order, with their digest; the own development root is never a trust list."""
    anchors, times = sorted(set(signers) - set(development)), sorted(set(time_stamps))
    parts = [*anchors, "--", *times]
    if tuple(purposes) != SIGNING_PURPOSES:
        parts += ["--", *sorted(purposes)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return TrustLists(
        tuple(anchors), tuple(times), tuple(development), digest, source, tuple(purposes), tuple(warnings)
    )


def _list_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"--trust {path}: no such folder; give a folder (or file) of PEM certificates")
    return sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())


def read_certificates(file: Path) -> tuple[str, ...]:
    """The certificates of a PEM file, each of which can be parsed.

    Raises:
        InputError: the file is too large, or a certificate is damaged.
        CannotCheckError: the file cannot be read.
    """
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
