"""Signers whom the engine has just judged: their path to an anchor is not walked again for every file.

Walking it takes three signature checks, a third of the time that a small file needs (measured with c2pa-rs 0.91), and
many files of a folder have one signer. For a signature that carries the very same certificates the engine is told the
leaf, which it then compares by its digest. Everything else about the certificate (profile, purposes, validity) and
about the file is checked as before. A leaf is remembered only when our own reading of its path agrees with the
engine: a file that shows the two of us different certificates teaches nothing.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from audit.provenance.channels import Channels
from audit.provenance.codes import Code, Codes
from audit.provenance.moment import vouching_list
from audit.provenance.read import MAX_KNOWN
from audit.provenance.trust import TrustLists

_SECONDS = 300.0  # after which a path is walked again: a server runs longer than some authorities are valid
_TRUSTED = "signingCredential.trusted"
_BY_LEAF = "[] trust anchors"  # how the engine names the list of a leaf that it was told


@dataclass(frozen=True, slots=True)
class KnownSigner:
    """A signer whom a list vouches for.

    Attributes:
        leaf: certificate, PEM.
        words: what the engine said of the list, which it leaves out when it is told the leaf.
        until: end of this knowledge, seconds of the monotonic clock.
    """

    leaf: str
    words: str
    until: float

    def restore(self, codes: Codes) -> Codes:
        """The codes with the words about the list, as the engine gives them when it walks the path itself."""
        success = (
            dataclasses.replace(code, explanation=self.words) if _is_by_leaf(code) else code
            for code in codes.success
        )
        return Codes(tuple(success), codes.informational, codes.failure)


_Key = tuple[TrustLists, tuple[bytes, ...]]
_known: dict[_Key, KnownSigner] = {}


def recall(channels: Channels, trust: TrustLists) -> KnownSigner | None:
    """The signer of a file when only its certificates decide about it and they were judged before."""
    if not _is_plain(channels):
        return None
    key = trust, channels.chain
    known = _known.get(key)
    if known is not None and known.until < time.monotonic():
        _known.pop(key, None)
        return None
    return known


def remember(channels: Channels, trust: TrustLists, codes: Codes) -> None:
    """Keep the signer of a file for the next ones, when a list vouches for it: the engine says so, and so do we.

    Args:
        channels: of the file.
        trust: the lists.
        codes: of the engine, which walked the path itself.
    """
    trusted = [code for code in codes.success if code.code == _TRUSTED]
    if len(trusted) != 1 or len(_known) >= MAX_KNOWN or not _is_plain(channels):
        return
    if not vouching_list(channels.chain, trust=trust, at=datetime.now(UTC)):
        return
    leaf = x509.load_der_x509_certificate(channels.chain[0])
    pem = leaf.public_bytes(Encoding.PEM).decode("ascii")
    _known[trust, channels.chain] = KnownSigner(pem, trusted[0].explanation, time.monotonic() + _SECONDS)


def _is_plain(channels: Channels) -> bool:
    """One manifest, and neither a time stamp nor a revocation answer: the certificates alone decide."""
    return bool(channels.chain) and not (channels.ingredients or channels.is_stamped or channels.ocsp)


def _is_by_leaf(code: Code) -> bool:
    return code.code == _TRUSTED and code.explanation.endswith(_BY_LEAF)
