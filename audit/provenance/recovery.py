"""Get a lost manifest back: watermark or fingerprint -> ledger or resolution server -> manifest, checked again.

A manifest is recovered only if its own signature holds, it names the identifier that was read from the pixels, and
the picture at hand shows what was published. Anything less is a state of its own and concludes nothing: a wrong
manifest would be worse than none. The bytes of a copy differ from what was signed; that is said, and never hidden by
trust.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from audit.provenance.channels import find_channels
from audit.provenance.claims import Claims, extract_claims
from audit.provenance.codes import Part
from audit.provenance.read import Manifests, ManifestState, read_manifests
from audit.provenance.recovery_comparison import (
    Comparison,
    Pixels,
    compare_pictures,
    compare_whole,
    decode_preview,
)
from audit.provenance.recovery_sources import NEAR_BITS, Candidate, Source
from audit.provenance.signer import amend, amend_ingredients
from audit.provenance.trust import TrustLists
from generator.errors import CannotCheckError, InputError
from generator.marking import fingerprint
from generator.marking.credentials import ASSET_LABEL
from generator.marking.watermark.interface import Geometry
from generator.marking.watermark.registry import SCHEMES

NEARLY_EQUAL = 0.95
"""Least correlation where nothing but a fingerprint led to the manifest. Measured: see `benchmarks.recovery`."""

_HARD_BINDINGS = frozenset(f"assertion.{kind}Hash.mismatch" for kind in ("data", "boxes", "bmff"))
_BYTES_DIFFER = "The bytes differ from the signed ones."
CARRIER = b64decode(  # a PNG of one white pixel, for files that the engine cannot read
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEANl9ngAAAAABJRU5ErkJggg=="
)


class RecoveryState(StrEnum):
    """Outcome of looking for a lost manifest."""

    RECOVERED = "recovered"  # found, holds, and the picture is the published one; the bytes differ
    SAME_BYTES = (
        "bytes-equal"  # found, and the file is exactly what was signed: only the manifest is elsewhere
    )
    DIFFERS = "differs"  # found by its mark, but the picture does not show what was published
    NOT_COMPARED = "not-compared"  # found by its mark, but there is nothing to compare the picture with
    AMBIGUOUS = "ambiguous"  # several manifests fit
    CONTRADICTS = "contradicts"  # the source answered with a manifest that names another identifier
    DAMAGED = "damaged"  # the manifest that was found does not hold
    NOT_FOUND = "not-found"
    UNDECODABLE = "undecodable"  # the file has no pixels to look at
    UNREACHABLE = "unreachable"  # a source could not be asked, and no other one knew


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found.

    Attributes:
        state: see `RecoveryState`.
        reason: one sentence.
        found_by: "watermark" or "fingerprint"; "" when nothing was found.
        source: "ledger" or the server's address; "" when nothing was found.
        manifest_id: of the manifest found; "" for none or several.
        manifest: the manifest store.
        report: the manifest read together with the file: its codes hold the answers on signature, trust and time.
        claims: what it says.
        comparison: the picture at hand beside the published one; None when there was none.
        preview: of the published picture, JPEG.
        manifest_ids: of all manifests that fit, when there are several.
    """

    state: RecoveryState
    reason: str
    found_by: str = ""
    source: str = ""
    manifest_id: str = ""
    manifest: bytes = field(default=b"", repr=False)
    report: Manifests | None = field(default=None, repr=False)
    claims: Claims = field(default_factory=Claims, repr=False)
    comparison: Comparison | None = None
    preview: bytes = field(default=b"", repr=False)
    manifest_ids: tuple[str, ...] = ()


def recover(
    path: Path,
    sources: Sequence[Source],
    *,
    payload: str = "",
    geometry: Geometry | None = None,
    trust: TrustLists = TrustLists(),  # noqa: B008 - frozen
) -> Recovery:
    """Look for the manifest of a file that has none, or whose own does not hold.

    Args:
        path: of the file.
        sources: asked in order until one has a manifest that fits; see `recovery_sources`.
        payload: the asset id that the watermark gave, 16 hex digits; with "" the fingerprint leads.
        geometry: what the watermark says happened to the picture.
        trust: anchors by purpose, for the recovered manifest.
    """
    from audit.collection import load_pixels  # brings the image decoders along

    try:
        pixels = load_pixels(path)
    except CannotCheckError as error:
        return Recovery(RecoveryState.UNDECODABLE, str(error))
    attempt = _Attempt(path, pixels, payload, geometry, trust)
    failures: list[str] = []
    doubtful: list[Recovery] = []
    for source in sources:
        try:
            found = attempt.ask(source)
        except CannotCheckError as error:
            failures.append(str(error))
            continue
        if found is not None and found.state in _FINAL:
            return found
        doubtful += [found] if found is not None else []
    if doubtful:
        return doubtful[0]
    if failures:
        said = f"No manifest was found, and not every source answered: {failures[0]}."
        return Recovery(RecoveryState.UNREACHABLE, said)
    said = (
        f"No source knows the identifier {payload}."
        if payload
        else "No source knows a picture like this one."
    )
    return Recovery(RecoveryState.NOT_FOUND, said)


@dataclass(frozen=True)
class _Attempt:
    """One file and what its pixels gave."""

    path: Path
    pixels: Pixels
    payload: str
    geometry: Geometry | None
    trust: TrustLists

    def ask(self, source: Source) -> Recovery | None:
        """The source's answer, checked; None when it knows nothing."""
        if self.payload:
            judged = [self._judge(candidate, "watermark") for candidate in source.by_watermark(self.payload)]
            return _choose(judged)
        found = {each.manifest_id: each for code in self._codes() for each in source.by_fingerprint(code)}
        judged = [self._judge(candidate, "fingerprint") for candidate in found.values()]
        # A near fingerprint is no mark: a candidate that looks different was simply not meant.
        return _choose([each for each in judged if each.state is not RecoveryState.DIFFERS])

    def _codes(self) -> tuple[bytes, ...]:
        """The picture's fingerprint, and the one without leaving out a border that re-encoding may have made."""
        codes = (fingerprint.compute_image_code(self.pixels, cut=cut) for cut in (True, False))
        return tuple(dict.fromkeys(codes))

    def _judge(self, candidate: Candidate, found_by: str) -> Recovery:
        report = read_manifests(self.path, self.trust, sidecar=candidate.manifest)
        if report.state in {ManifestState.UNSUPPORTED, ManifestState.UNREADABLE}:
            report = read_manifests(CARRIER, self.trust, sidecar=candidate.manifest)
        channels = find_channels(candidate.manifest)
        report = amend(report, channels.chain, channels.ocsp, purposes=self.trust.purposes)
        report = amend_ingredients(report, channels.ingredients, purposes=self.trust.purposes)
        claims = extract_claims(report, asset_label=ASSET_LABEL)
        comparison = self._compare(candidate.preview, by_mark=found_by == "watermark")
        state, reason = self._conclude(
            report, claims, comparison, by_mark=found_by == "watermark", published_sha256=candidate.sha256
        )
        return Recovery(
            state,
            reason,
            found_by,
            candidate.source,
            candidate.manifest_id,
            candidate.manifest,
            report,
            claims,
            comparison,
            candidate.preview,
        )

    def _sha256(self) -> str:
        try:
            with self.path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return ""

    def _compare(self, preview: bytes, *, by_mark: bool) -> Comparison | None:
        if not preview:
            return None
        published = decode_preview(preview)
        if by_mark:
            return compare_pictures(self.pixels, published, geometry=self.geometry)
        return compare_whole(self.pixels, published)

    def _conclude(
        self,
        report: Manifests,
        claims: Claims,
        comparison: Comparison | None,
        *,
        by_mark: bool,
        published_sha256: str,
    ) -> tuple[RecoveryState, str]:
        if not _holds(report):
            return (
                RecoveryState.DAMAGED,
                "A manifest was found, but it is damaged or its signature does not hold.",
            )
        names = [binding.value for binding in claims.soft_bindings if binding.alg in SCHEMES]
        if by_mark and set(names) != {self.payload}:
            said = "A manifest was found, but it does not name the identifier that the pixels carry."
            return RecoveryState.CONTRADICTS, said
        bits = self._signed_bits(claims)
        if not by_mark and bits is not None and bits > NEAR_BITS:
            said = "The fingerprint led to a manifest that signs the fingerprint of another picture."
            return RecoveryState.CONTRADICTS, said
        if not report.codes.of(Part.INTEGRITY) or published_sha256 == self._sha256():
            said = "The manifest was found, and the file is byte for byte what was signed."
            return RecoveryState.SAME_BYTES, said
        if comparison is None:
            return _conclude_by_code(bits)
        measured = f"similarity {comparison.similarity:.2f}"
        if by_mark and comparison.alike:
            said = f"The manifest was found, and the picture shows what was published ({measured})."
            return RecoveryState.RECOVERED, f"{said} {_BYTES_DIFFER}"
        if not by_mark and comparison.similarity >= NEARLY_EQUAL:
            said = f"A manifest was found by fingerprint, and the pictures are nearly equal ({measured})."
            return RecoveryState.RECOVERED, f"{said} {_BYTES_DIFFER}"
        said = f"A manifest was found, but the picture does not show what was published ({measured})."
        return RecoveryState.DIFFERS, said

    def _signed_bits(self, claims: Claims) -> int | None:
        """Bits in which the signed fingerprint differs from that of the picture; None when none is signed."""
        signed = [code for code in map(_signed_code, claims.soft_bindings) if code is not None]
        if not signed:
            return None
        table = np.frombuffer(b"".join(signed), np.uint8).reshape(-1, fingerprint.CODE_BYTES)
        return min(int(fingerprint.distances(code, table).max()) for code in self._codes())


def _conclude_by_code(bits: int | None) -> tuple[RecoveryState, str]:
    """Without a picture to compare with: by the fingerprint that the manifest itself signs."""
    if bits is None:
        said = "A manifest was found, but no picture to compare with; the mark may have been transplanted."
        return RecoveryState.NOT_COMPARED, said
    if bits <= NEAR_BITS:
        said = f"The manifest was found, and its signed fingerprint is the picture's ({bits} of 256 bits differ)."
        return RecoveryState.RECOVERED, f"{said} {_BYTES_DIFFER}"
    said = f"A manifest was found, but its fingerprint differs in {bits} of 256 bits: a crop, or another picture."
    return RecoveryState.NOT_COMPARED, said


def _signed_code(binding: object) -> bytes | None:
    if getattr(binding, "alg", "") != fingerprint.ALGORITHM:
        return None
    try:
        return fingerprint.find_code(b64decode(str(getattr(binding, "value", "")), validate=True))
    except (InputError, binascii.Error, ValueError):
        return None


def _holds(report: Manifests) -> bool:
    """Whether everything but the hard binding holds: claim, assertions and signature."""
    broken = [code.code for code in report.codes.of(Part.INTEGRITY) if code.code not in _HARD_BINDINGS]
    signed = report.codes.has("claimSignature.validated") and not report.codes.of(Part.SIGNATURE)
    return report.is_present and signed and not broken


_GOOD = (RecoveryState.RECOVERED, RecoveryState.SAME_BYTES)
_FINAL = (*_GOOD, RecoveryState.AMBIGUOUS)  # what another source cannot make better


def _choose(judged: Sequence[Recovery]) -> Recovery | None:
    """The one that fits; several that fit are no answer, and of those that do not the first says why."""
    good = [each for each in judged if each.state in _GOOD]
    if len(good) == 1:
        return good[0]
    if not good:
        return judged[0] if judged else None
    said = f"{len(good)} manifests fit this picture equally well; none of them is taken."
    names = tuple(each.manifest_id for each in good)
    return Recovery(RecoveryState.AMBIGUOUS, said, good[0].found_by, good[0].source, manifest_ids=names)
