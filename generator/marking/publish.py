"""The only function in the project that writes a generated image.

The order is fixed: watermark, encode with labels, sign, put the complete file in place, enter it into the ledger.
Each step needs the one before, and a crash between any two leaves either nothing or a complete, marked, signed file
whose ledger entry the next run adds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from PIL import Image, PngImagePlugin

from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.interface import GeneratedImage
from generator.marking.credentials import derive_manifest_id, sign
from generator.marking.files import is_disk_full, open_atomic
from generator.marking.fingerprint import compute_image_code, make_preview
from generator.marking.identity import Identity
from generator.marking.labels import build_xmp
from generator.marking.ledger import Entry, Ledger
from generator.marking.manifest import Disclosure, Ingredient, ManifestFacts, build_manifest
from generator.marking.payload import AssetId
from generator.marking.visible import draw_label
from generator.marking.watermark.interface import Pixels, Scheme
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
}
"""File name suffix -> format of what `publish` can write."""

_PNG_LEVEL = 2  # level 6 takes four times as long for 12 % fewer bytes on a watermarked 256 px picture
_QUALITY = 95  # of lossy formats, the watermark's first hurdle
_TIFF_XMP = 700  # tag of the XMP packet. Source: XMP specification part 3


@dataclass(frozen=True, slots=True)
class Published:
    """One image on disk with all its marks.

    Attributes:
        path: the file.
        asset_id: the identifier in watermark, label, manifest and ledger.
        sha256: hex digest of the file.
        format: a value of `FORMATS`.
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
    disclosure: Disclosure = Disclosure(),  # noqa: B008 - frozen
    ingredients: tuple[Ingredient, ...] = (),
    time_authority: str = "",
    anchors: str = "",
) -> Published:
    """Mark one generated image in every layer and write it.

    The same arguments twice leave the file and the ledger as they are; what an interrupted run left out is added.
    Other content under the same asset id replaces file and entry, and the ledger keeps the earlier file's digest.

    Args:
        image: pixels and what made them.
        path: target; the suffix chooses the format, see `FORMATS`; its folder must exist.
        asset_id: the image's identifier, see `AssetId.derive`.
        identity: who signs.
        ledger: open for writing.
        key: the deployment's watermark key.
        created: when the image was made, aware; a resumed run passes the same time again.
        scheme: watermark scheme.
        psnr: least PSNR of the watermark, dB; None for the scheme's default.
        include_prompt: put the prompt's text into label and manifest. Off, no word of it is in the file.
        disclosure: what is said about how the image came to be; a visible label is drawn before anything else.
        ingredients: what it builds on.
        time_authority: address of an RFC 3161 authority; empty: no time stamp.
        anchors: PEM of authorities to judge the ingredients' signers by.

    Raises:
        InputError: unknown suffix, absent folder, path that cannot be written, identity that cannot sign, or an
            ingredient whose own credentials do not verify.
        TimeStampError: the time-stamp authority gave no usable answer; nothing was written.
        InsufficientCapacityError: the image cannot carry the watermark; nothing was written.
        DiskFullError: the message says whether the file is complete.
        CannotCheckError: the ledger is locked or damaged; the file is complete, a re-run adds its entry.
    """
    form = _check_target(path)
    pixels = draw_label(image.pixels, disclosure.visible_label) if disclosure.visible_label else image.pixels
    marked = scheme.embed(pixels, asset_id, key=key, psnr=psnr)
    if include_prompt:
        disclosure = dataclasses.replace(disclosure, prompt=image.given_prompt)
    facts = ManifestFacts(
        title=asset_id.hex + path.suffix.lower(),
        asset_id=asset_id.hex,
        created=created,
        generator=image.generator,
        version=image.version,
        weights_digest=image.weights_digest,
        soft_binding_alg=scheme.name,
        disclosure=disclosure,
        image_code=compute_image_code(marked.pixels),
        ingredients=ingredients,
        mime=f"image/{form.lower()}",
    )
    unsigned = _encode(marked.pixels, form, xmp=_labels(facts, producer=identity.name))
    manifest = build_manifest(facts)
    manifest_id = derive_manifest_id(unsigned, manifest, identity=identity, time_stamped=bool(time_authority))
    entry = find_complete(path, ledger, asset_id=facts.asset_id, manifest_id=manifest_id)
    unchanged = entry is not None
    if entry is None:
        signed = sign(
            unsigned,
            f"image/{form.lower()}",
            manifest=manifest,
            identity=identity,
            ingredients=ingredients,
            time_authority=time_authority,
            anchors=anchors,
            manifest_id=manifest_id,
        )
        with writing(path) as stream:
            stream.write(signed.data)
        entry = build_entry(
            facts,
            manifest_id=signed.manifest_id,
            manifest=signed.manifest,
            format=form,
            sha256=hashlib.sha256(signed.data).hexdigest(),
            preview=make_preview(marked.pixels),
        )
        record_entry(ledger, entry, path)
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
        prompt=facts.disclosure.prompt,
        digital_source_type=facts.disclosure.digital_source_type,
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
    elif form == "WEBP":
        picture.save(target, "WEBP", quality=_QUALITY, method=2, xmp=xmp.encode())
    elif form == "TIFF":
        picture.save(target, "TIFF", compression="tiff_deflate", tiffinfo={_TIFF_XMP: xmp.encode()})
    else:
        picture.save(target, "AVIF", quality=_QUALITY, subsampling="4:4:4", xmp=xmp.encode())
    return target.getvalue()


def find_complete(path: Path, ledger: Ledger, *, asset_id: str, manifest_id: str) -> Entry | None:
    """The ledger's entry when this very publication was completed before and its file is intact.

    Args:
        path: where the file would be.
        ledger: open.
        asset_id: of the asset.
        manifest_id: that the file would carry.

    Raises:
        InputError: there is something at the path that cannot be read.
    """
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


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """`open_atomic` with the project's errors: the target is complete afterwards, or as it was.

    Raises:
        DiskFullError, InputError: no space, or the path cannot be written.
    """
    try:
        with open_atomic(path) as stream:
            yield stream
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(
                f"{path}: disk full, this image was not written; free space and run again, every image finished "
                "before it is kept"
            ) from error
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error


def build_entry(
    facts: ManifestFacts, *, manifest_id: str, manifest: bytes, sha256: str, format: str, preview: bytes = b""
) -> Entry:
    """The ledger's entry of a published asset.

    Args:
        facts: what its manifest says.
        manifest_id: label of the active manifest.
        manifest: the manifest store.
        sha256: hex digest of the file.
        format: short name of its format.
        preview: see `fingerprint.make_preview`; empty for what is no picture.
    """
    return Entry(
        asset_id=facts.asset_id,
        manifest_id=manifest_id,
        manifest=manifest,
        sha256=sha256,
        format=format,
        generator=facts.generator,
        weights_digest=facts.weights_digest,
        created=facts.created.astimezone(UTC).isoformat(),
        image_code=facts.image_code,
        preview=preview,
    )


def record_entry(ledger: Ledger, entry: Entry, path: Path) -> None:
    """Enter a complete file into the ledger; an error says that the file itself is complete."""
    try:
        ledger.record(entry)
    except CannotCheckError as error:
        raise type(error)(f"{path}: complete and signed, but not yet in the ledger: {error}") from error
