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
from generator.marking.watermark.interface import Detection, Geometry
from generator.sampling_keys import SamplingDetection


class WatermarkState(StrEnum):
    """Outcome of looking for our watermark."""

    FOUND = "found"
    ABSENT = "absent"
    OFF = "off"  # the user did not want to look
    NO_KEY = "no-key"  # this machine holds no watermark key
    UNDECODABLE = "undecodable"  # the file has no pixels that can be decoded here


@dataclass(frozen=True, slots=True)
class Asked:
    """What one technique says.

    Args:
        title: of the technique.
        reason: one sentence.
        detection: its decision; None when it could not be asked.
    """

    title: str
    reason: str
    detection: Detection | None = None

    def __str__(self) -> str:
        return f"{self.title}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Others:
    """What techniques beside ours say; empty unless they were asked.

    Args:
        asked: every technique, also those that could not be.
        level: that each decision was held to.
        public: one sentence per mark of others that anybody can read and write.
    """

    asked: tuple[Asked, ...] = ()
    level: float = 0.0
    public: tuple[str, ...] = ()

    @property
    def detections(self) -> tuple[Detection, ...]:
        """Of the techniques that mark finished pixels."""
        made = (one.detection for one in self.asked)
        return tuple(one for one in made if one is not None and not isinstance(one, SamplingDetection))

    @property
    def sampling(self) -> tuple[SamplingDetection, ...]:
        """Of the marks that are left while a picture is made."""
        return tuple(one.detection for one in self.asked if isinstance(one.detection, SamplingDetection))


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
        searched: (technique, log10 of the bound) of every one that was asked under a secret key, found or not; empty
            unless several were.
        others: what other techniques say, when they were asked.
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
    others: Others = Others()


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
