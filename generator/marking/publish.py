"""The only function in the project that writes a generated image.

The order is fixed: watermark, encode with labels, sign, put the complete file in place, enter it into the ledger.
Each step needs the one before, and a crash between any two leaves either nothing or a complete, marked, signed file
whose ledger entry the next run adds.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, PngImagePlugin

from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.interface import GeneratedImage
from generator.marking.credentials import ManifestFacts, Signed, build_manifest, derive_manifest_id, sign
from generator.marking.files import is_disk_full, write_atomic
from generator.marking.identity import Identity
from generator.marking.labels import build_xmp
from generator.marking.ledger import Entry, Ledger
from generator.marking.payload import AssetId
from generator.marking.watermark.interface import Pixels, Scheme
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""File name suffix -> format of what `publish` can write."""

_PNG_LEVEL = 2  # level 6 takes four times as long for 12 % fewer bytes on a watermarked 256 px picture
_QUALITY = 95  # JPEG and WebP, the watermark's first hurdle


@dataclass(frozen=True, slots=True)
class Published:
    """One image on disk with all its marks.

    Attributes:
        path: the file.
        asset_id: the identifier in watermark, label, manifest and ledger.
        sha256: hex digest of the file.
        format: "PNG", "JPEG" or "WEBP".
        width: px.
        height: px.
        size: bytes.
        manifest_id: "urn:c2pa:...".
        psnr: dB, marked pixels against the generator's, before lossy encoding.
        scheme: name of the watermark scheme.
        key_id: name of the watermark key.
        signer: name of the identity that signed.
        development_identity: True when only this machine has a reason to trust the signature: say so wherever the
            image is shown.
        unchanged: True when the complete file and its ledger entry were there already and nothing was written.
    """

    path: Path
    asset_id: AssetId
    sha256: str
    format: str
    width: int
    height: int
    size: int
    manifest_id: str
    psnr: float
    scheme: str
    key_id: str
    signer: str
    development_identity: bool
    unchanged: bool


def publish(
    image: GeneratedImage,
    path: Path,
    *,
    asset_id: AssetId,
    identity: Identity,
    ledger: Ledger,
    key: WatermarkKey,
    created: datetime,
    scheme: Scheme = DEFAULT,
    psnr: float | None = None,
    include_prompt: bool = False,
) -> Published:
    """Mark one generated image in every layer and write it.

    The same arguments twice leave the file and the ledger as they are; what an interrupted run left out is added.
    Other content under the same asset id replaces file and entry, and the ledger keeps the earlier file's digest.

    Args:
        image: pixels and what made them.
        path: target; the suffix chooses PNG, JPEG or WebP; its folder must exist.
        asset_id: the image's identifier, see `AssetId.derive`.
        identity: who signs.
        ledger: open for writing.
        key: the deployment's watermark key.
        created: when the image was made, aware; a resumed run passes the same time again.
        scheme: watermark scheme.
        psnr: least PSNR of the watermark, dB; None for the scheme's default.
        include_prompt: put the prompt's text into label and manifest. Off, no word of it is in the file.

    Raises:
        InputError: unknown suffix, absent folder, path that cannot be written, identity that cannot sign.
        InsufficientCapacityError: the image cannot carry the watermark; nothing was written.
        DiskFullError: the message says whether the file is complete.
        CannotCheckError: the ledger is locked or damaged; the file is complete, a re-run adds its entry.
    """
    form = _check_target(path)
    marked = scheme.embed(image.pixels, asset_id, key=key, psnr=psnr)
    prompt = image.request.prompt.text if include_prompt else None
    facts = ManifestFacts(
        title=asset_id.hex + path.suffix.lower(),
        asset_id=asset_id.hex,
        created=created,
        generator=image.generator,
        version=image.version,
        weights_digest=image.weights_digest,
        soft_binding_alg=scheme.name,
        prompt=prompt,
    )
    unsigned = _encode(marked.pixels, form, xmp=_labels(facts, producer=identity.name))
    manifest = build_manifest(facts)
    entry = _find_complete(
        path, ledger, facts.asset_id, derive_manifest_id(unsigned, manifest, identity=identity)
    )
    unchanged = entry is not None
    if entry is None:
        signed = sign(unsigned, f"image/{form.lower()}", manifest=manifest, identity=identity)
        _write(path, signed.data)
        entry = _entry(signed, form, facts)
        _record(ledger, entry, path)
    return Published(
        path=path,
        asset_id=asset_id,
        sha256=entry.sha256,
        format=form,
        width=marked.pixels.shape[1],
        height=marked.pixels.shape[0],
        size=path.stat().st_size,
        manifest_id=entry.manifest_id,
        psnr=marked.psnr,
        scheme=marked.scheme,
        key_id=marked.key_id,
        signer=identity.name,
        development_identity=identity.is_development,
        unchanged=unchanged,
    )


def _check_target(path: Path) -> str:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise InputError(
            f"{path}: cannot publish as {path.suffix or 'no suffix'!r}; use {', '.join(FORMATS)}"
        )
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; make it first")
    return form


def _labels(facts: ManifestFacts, *, producer: str) -> str:
    return build_xmp(
        asset_id=facts.asset_id,
        producer=producer,
        system=facts.generator,
        version=facts.version,
        created=facts.created,
        prompt=facts.prompt,
    )


def _encode(pixels: Pixels, form: str, *, xmp: str) -> bytes:
    """The unsigned file; the same pixels and text always give the same bytes."""
    target = io.BytesIO()
    picture = Image.fromarray(pixels)
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        picture.save(target, "PNG", compress_level=_PNG_LEVEL, pnginfo=info)
    elif form == "JPEG":
        picture.save(target, "JPEG", quality=_QUALITY, subsampling=0, xmp=xmp.encode())
    else:
        picture.save(target, "WEBP", quality=_QUALITY, method=2, xmp=xmp.encode())
    return target.getvalue()


def _find_complete(path: Path, ledger: Ledger, asset_id: str, manifest_id: str) -> Entry | None:
    """The ledger's entry when this very publication was completed before and its file is intact."""
    entry = ledger.find(asset_id)
    if entry is None or entry.manifest_id != manifest_id:
        return None
    try:
        return entry if hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256 else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); move it away, then run again"
        ) from error


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomic(path, data)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(
                f"{path}: disk full, this image was not written; free space and run again, every image finished "
                "before it is kept"
            ) from error
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error


def _entry(signed: Signed, form: str, facts: ManifestFacts) -> Entry:
    return Entry(
        asset_id=facts.asset_id,
        manifest_id=signed.manifest_id,
        manifest=signed.manifest,
        sha256=hashlib.sha256(signed.data).hexdigest(),
        format=form,
        generator=facts.generator,
        weights_digest=facts.weights_digest,
        created=facts.created.astimezone(UTC).isoformat(),
    )


def _record(ledger: Ledger, entry: Entry, path: Path) -> None:
    try:
        ledger.record(entry)
    except CannotCheckError as error:
        raise type(error)(f"{path}: complete and signed, but not yet in the ledger: {error}") from error
