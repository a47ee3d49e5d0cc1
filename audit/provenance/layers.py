"""What every layer of one file says, as data: manifest, watermark, labels, ledger. Nothing is judged here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from audit.provenance.channels import Channels
from audit.provenance.claims import Claims
from audit.provenance.codes import Part
from audit.provenance.read import Manifests
from generator.marking.labels import Labels
from generator.marking.ledger import Entry
from generator.marking.watermark.interface import Geometry


class WatermarkState(StrEnum):
    """Outcome of looking for our watermark."""

    FOUND = "found"
    ABSENT = "absent"
    OFF = "off"  # the user did not want to look
    NO_KEY = "no-key"  # this machine holds no watermark key
    UNDECODABLE = "undecodable"  # the file has no pixels that can be decoded here


@dataclass(frozen=True, slots=True)
class Watermark:
    """What the pixels say.

    Attributes:
        state: see `WatermarkState`.
        reason: one sentence.
        payload: the asset id, 16 hex digits; "" when not found.
        log10_p: bound on the p-value; 0.0 when nothing was decoded.
        scheme: name of the technique looked for.
        key_id: name of the key looked with.
        search: "quick" or "full"; "" when nothing was searched.
        geometry: what happened to the picture since it was marked; None when not found.
        searched: (scheme, log10 of the bound) of every scheme asked, found or not; empty unless several were.
        others: one sentence on each other technique under our key, when they were asked.
        public: marks of others that anybody can read and write, when they were looked for.
    """

    state: WatermarkState
    reason: str
    payload: str = ""
    log10_p: float = 0.0
    scheme: str = ""
    key_id: str = ""
    search: str = ""
    geometry: Geometry | None = None
    searched: tuple[tuple[str, float], ...] = ()
    others: tuple[str, ...] = ()
    public: tuple[str, ...] = ()


class LedgerState(StrEnum):
    """Outcome of asking the ledger."""

    ENTRY = "entry"
    NO_ENTRY = "no-entry"
    NO_ID = "no-id"  # the file brings nothing to look up
    OFF = "off"  # there is no ledger


@dataclass(frozen=True, slots=True)
class LedgerAnswer:
    """What the ledger says.

    Attributes:
        state: see `LedgerState`.
        matched_by: "asset id", "manifest" or "file"; "" without an entry.
        entry: the entry; None without one.
        is_same_file: True when the file is byte for byte the published one.
        earlier_manifests: manifests of earlier publications under the same asset id.
    """

    state: LedgerState
    matched_by: str = ""
    entry: Entry | None = None
    is_same_file: bool = False
    earlier_manifests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layers:
    """Everything that is known about one file before judging.

    Attributes:
        subject: name of the file.
        manifests: the C2PA layer.
        claims: what the active manifest says.
        watermark: the pixel layer.
        labels: the readable layer.
        ledger: our own memory.
        has_trust_list: whether a list of signers was given.
        schemes: names of the watermark techniques that this version reads.
        channels: bytes of the file that no signature covers.
    """

    subject: str
    manifests: Manifests
    claims: Claims
    watermark: Watermark
    labels: Labels
    ledger: LedgerAnswer
    has_trust_list: bool = False
    schemes: tuple[str, ...] = field(default=())
    channels: Channels = Channels()

    @property
    def is_intact(self) -> bool:
        """Whether a manifest is there whose bytes and signature hold."""
        return is_intact(self.manifests)


def is_intact(report: Manifests) -> bool:
    """Whether a manifest is there whose bytes and signature hold, whoever signed it."""
    broken = report.codes.of(Part.INTEGRITY) + report.codes.of(Part.SIGNATURE)
    return report.is_present and not broken and report.codes.has("claimSignature.validated")
