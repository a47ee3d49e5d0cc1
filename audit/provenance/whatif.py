"""What would change the verdict: other anchors, a known authority for time, and the end of the certificate.

Nothing is looked up: each line of the table is the same file judged again under one changed assumption.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from audit.evidence import JSON, Status
from audit.provenance.codes import Code, Codes
from audit.provenance.layers import Layers
from audit.provenance.moment import report_at
from audit.provenance.read import Manifests, read_manifests
from audit.provenance.signer import amend, signer_facts
from audit.provenance.text import clean_text
from audit.provenance.trust import TrustLists, build_lists
from audit.provenance.verdict import judge


@dataclass(frozen=True, slots=True)
class Alternative:
    """The verdict under one changed assumption.

    Attributes:
        assumption: what would have to be so, as a clause.
        word: the overall word then.
        status: the status then.
        changes: whether word or status differ from the verdict now.
    """

    assumption: str
    word: str
    status: Status
    changes: bool

    def to_json(self) -> dict[str, JSON]:
        """As one object."""
        return {
            "if": self.assumption,
            "verdict": self.word,
            "status": str(self.status),
            "changes": self.changes,
        }


def what_if(layers: Layers, path: Path, trust: TrustLists) -> tuple[Alternative, ...]:
    """The table of one file; empty without a manifest that can be read.

    Args:
        layers: what was found, with the lists below.
        path: of the file.
        trust: anchors by purpose.
    """
    if not layers.manifests.is_present:
        return ()
    now = judge(layers)
    before = (str(now.find("verdict").value), now.status)
    found = []
    for assumption, report, has_list in _assumptions(layers, path, trust):
        evidence = judge(dataclasses.replace(layers, manifests=report, has_trust_list=has_list))
        word = str(evidence.find("verdict").value)
        found.append(Alternative(assumption, word, evidence.status, (word, evidence.status) != before))
    return tuple(found)


def _assumptions(layers: Layers, path: Path, trust: TrustLists) -> Iterator[tuple[str, Manifests, bool]]:
    chain = layers.channels.chain
    facts = signer_facts(chain[0], trust.purposes) if chain else None
    for pem, described in _anchors(chain):
        if pem not in trust.signers:
            lists = build_lists([*trust.signers, pem], trust.time_stamps, trust.development, source="what if")
            lists = dataclasses.replace(lists, purposes=trust.purposes)
            yield f"{described} were on your trust list", _read(path, lists, layers), True
    report, signed_at = layers.manifests, layers.claims.signed_at
    stamped = _with_trusted_stamp(report)
    if stamped is not None and facts is not None:
        authority = clean_text(layers.claims.time_authority) or "the authority of its time stamp"
        known = report_at(stamped, chain, trust=trust, at=facts.end, signed_at=signed_at)
        yield f"{authority} were on your list of time-stamp authorities", known, layers.has_trust_list
    if trust.signers:
        bare = TrustLists(development=trust.development, purposes=trust.purposes)
        yield "you had no trust list", _read(path, bare, layers), False
    if facts is not None:
        later = facts.end + timedelta(days=1)
        after = report_at(report, chain, trust=trust, at=later, signed_at=signed_at)
        yield f"it is verified after its certificate ends, on {later:%Y-%m-%d}", after, layers.has_trust_list


def _read(path: Path, trust: TrustLists, layers: Layers) -> Manifests:
    channels = layers.channels
    return amend(read_manifests(path, trust), channels.chain, channels.ocsp, purposes=trust.purposes)


def _anchors(chain: tuple[bytes, ...]) -> Iterator[tuple[str, str]]:
    """(PEM, description) of each certificate that the file itself brings, the authority before the leaf."""
    for der in reversed(chain):
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError:
            continue
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        digest = certificate.fingerprint(hashes.SHA256()).hex()[:16]
        yield pem, f"{clean_text(certificate.subject.rfc4514_string())} (sha256 {digest}…)"


def _with_trusted_stamp(report: Manifests) -> Manifests | None:
    """The report if the authority of its time stamp were known; None without such a stamp."""
    codes = report.codes
    if not codes.has("timeStamp.validated") or codes.has("timeStamp.trusted"):
        return None
    lists = [
        tuple(
            code for code in codes_of if code.code not in {"timeStamp.untrusted", "signingCredential.expired"}
        )
        for codes_of in (codes.success, codes.informational, codes.failure)
    ]
    success = (*lists[0], Code("timeStamp.trusted"))
    return dataclasses.replace(report, codes=Codes(success, lists[1], lists[2]))
