"""One-byte changes of a signed file: each is found, or leaves the report as it is and lies in a named channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from audit.provenance.channels import Channels, find_channels
from audit.provenance.codes import Part
from audit.provenance.known_signers import recall, remember
from audit.provenance.read import Manifests, read_manifests
from audit.provenance.trust import TrustLists
from benchmarks.forgeries import flip


@dataclass(frozen=True)
class Mutant:
    """One changed byte.

    Attributes:
        position: in the file.
        mask: exclusive-or, 1 to 255.
    """

    position: int
    mask: int


@dataclass(frozen=True)
class Outcome:
    """What became of it.

    Attributes:
        mutant: the change.
        kind: "fails", "unsigned" (report identical, channel named) or "accepted" (a false pass).
        channel: where the byte lies; "" when it is covered.
    """

    mutant: Mutant
    kind: str
    channel: str


@lru_cache(maxsize=4)
def _original(signed: bytes, trust: TrustLists) -> tuple[Manifests, Channels]:
    report, channels = read_manifests(signed, trust, with_crjson=False), find_channels(signed)
    remember(channels, trust, report.codes)
    return report, channels


def mutate(signed: bytes, mutant: Mutant, trust: TrustLists) -> Outcome:
    """Change one byte and read the file again, as one of many of a signer who is known by now.

    Args:
        signed: a file that is trusted under the lists.
        mutant: the change.
        trust: anchors by purpose.
    """
    report, channels = _original(signed, trust)
    data = flip(signed, mutant.position, mutant.mask)
    changed = read_manifests(data, trust, known=recall(find_channels(data), trust), with_crjson=False)
    channel = channels.name_at(mutant.position)
    if _fails(changed):
        return Outcome(mutant, "fails", channel)
    is_same = (changed.manifests, changed.codes, changed.active) == (
        report.manifests,
        report.codes,
        report.active,
    )
    return Outcome(mutant, "unsigned" if is_same and channel else "accepted", channel)


def _fails(report: Manifests) -> bool:
    """No manifest that holds, or a part of it that does not."""
    broken = any(report.codes.of(part) for part in Part)
    return not report.is_present or broken or not report.codes.has("claimSignature.validated")


def unexplained(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The false passes."""
    return [outcome for outcome in outcomes if outcome.kind == "accepted"]
