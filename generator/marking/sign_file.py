"""Signing a file as it is: no pixel, sample or page is decoded or changed, and there is no watermark.

For files that cannot carry the watermark (video, sound, documents, formats that cannot be written again), for those
that shall not (`--no-watermark`), and as a sidecar for files of any kind, such as model weights. The labels go into
PNG, JPEG and WebP files that have none; everything else gets Content Credentials and a ledger entry.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from generator.errors import CannotCheckError
from generator.marking.credentials import derive_manifest_id, sign_sidecar, sign_stream
from generator.marking.identity import Identity
from generator.marking.labels import build_xmp
from generator.marking.ledger import Ledger
from generator.marking.manifest import ManifestFacts, build_manifest, digest_of
from generator.marking.publish import build_entry, find_complete, record_entry, writing
from generator.marking.xmp import DamagedFileError, find_packets, insert_packet

SIDECAR_SUFFIX = ".c2pa"
_LABELLED = frozenset({"image/png", "image/jpeg", "image/webp"})


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A signed file on disk.

    Attributes:
        path: the file; of a sidecar, the manifest store.
        manifest_id: "urn:c2pa:...".
        labelled: whether the readable labels were written.
        reason: why they were not; empty when they were.
    """

    path: Path
    manifest_id: str
    labelled: bool
    reason: str = ""


def sign_file(
    source: Path,
    target: Path,
    *,
    mime: str,
    facts: ManifestFacts,
    identity: Identity,
    ledger: Ledger,
    time_authority: str = "",
    anchors: str = "",
    preview: bytes = b"",
) -> SignedFile:
    """Write a signed copy of a file; one that is there already, complete and the same, is left as it is.

    Args:
        source: the file; never changed.
        target: where the copy goes; its folder must exist.
        mime: its media type.
        facts: what the manifest says; a watermark scheme is not named.
        identity: who signs.
        ledger: open for writing.
        time_authority: address of an RFC 3161 authority; empty: no time stamp.
        anchors: PEM of authorities to judge the ingredients' signers by.
        preview: small JPEG for the ledger; empty for what is no picture.

    Raises:
        InputError, TimeStampError, CannotCheckError, DiskFullError: as `credentials.sign_stream` and `publish`.
    """
    manifest = build_manifest(facts)
    try:
        with source.open("rb") as plain:
            content, reason = _with_labels(plain, mime, facts, producer=identity.name)
            manifest_id = derive_manifest_id(
                content, manifest, identity=identity, time_stamped=bool(time_authority)
            )
            done = SignedFile(target, manifest_id, not reason, reason)
            if find_complete(target, ledger, asset_id=facts.asset_id, manifest_id=manifest_id):
                return done
            with writing(target) as stream:
                store = sign_stream(
                    content,
                    stream,
                    mime,
                    manifest={**manifest, "label": manifest_id},
                    identity=identity,
                    ingredients=facts.ingredients,
                    time_authority=time_authority,
                    anchors=anchors,
                )
                sha256 = digest_of(stream).removeprefix("sha256:")
    except OSError as error:
        raise CannotCheckError(f"{source}: cannot be read ({error.strerror}); nothing was signed") from error
    entry = build_entry(
        facts, manifest_id=manifest_id, manifest=store, sha256=sha256, format=_short(mime), preview=preview
    )
    record_entry(ledger, entry, target)
    return done


def sign_beside(
    source: Path, target: Path, *, facts: ManifestFacts, identity: Identity, time_authority: str = ""
) -> SignedFile:
    """Write a sidecar: the signed manifest store of a file that stays as it is, of any kind.

    Args:
        source: the file.
        target: the sidecar, usually `NAME.c2pa`.
        facts: what the manifest says.
        identity: who signs.
        time_authority: address of an RFC 3161 authority; empty: no time stamp.

    Raises:
        InputError, TimeStampError, CannotCheckError, DiskFullError: as `sign_file`.
    """
    manifest = build_manifest(facts)
    try:
        with source.open("rb") as stream:
            manifest_id = derive_manifest_id(stream, manifest, identity=identity)
            store = sign_sidecar(stream, manifest=manifest, identity=identity, time_authority=time_authority)
    except OSError as error:
        raise CannotCheckError(f"{source}: cannot be read ({error.strerror}); nothing was signed") from error
    with writing(target) as out:
        out.write(store)
    return SignedFile(target, manifest_id, labelled=False, reason="a sidecar leaves the file as it is")


def _with_labels(
    plain: IO[bytes], mime: str, facts: ManifestFacts, *, producer: str
) -> tuple[IO[bytes], str]:
    """The file with its labels, or as it is with the reason why not."""
    if mime not in _LABELLED:
        return plain, f"labels are not written into {mime} files"
    data = plain.read()
    plain.seek(0)
    xmp = build_xmp(
        asset_id=facts.asset_id,
        producer=producer,
        system=facts.generator,
        version=facts.version,
        created=facts.created,
        prompt=facts.disclosure.prompt,
        digital_source_type=facts.disclosure.digital_source_type,
    )
    try:
        if find_packets(data).xmp:
            return plain, "the file has XMP of its own, which was left as it is"
        return io.BytesIO(insert_packet(data, xmp.encode())), ""
    except DamagedFileError as error:
        return plain, f"labels could not be inserted: {error}"


def _short(mime: str) -> str:
    """Name of a format as the ledger keeps it, e.g. "GIF", "MP4", "SVG"."""
    return mime.rpartition("/")[2].removesuffix("+xml").removesuffix("+zip").upper()
