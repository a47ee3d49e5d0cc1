"""Marks files that others made: chooses the layers that a file can carry, signs it, and reads the result back.

Pictures that can be decoded and written again get every layer; anything else that C2PA can write is signed as it is,
and the row says which layers it lacks and why. A file that carries Content Credentials becomes the parent of its
marked copy, unless they do not verify.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.collection import ImageFacts, inspect_image, load_pixels
from audit.evidence import Status
from audit.provenance.published_gate import check_published
from generator.errors import AssayError, DiskFullError, InputError
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.credentials import TimeStampError, carries_credentials
from generator.marking.fingerprint import compute_image_code, make_preview
from generator.marking.formats import media_type, suffix_of
from generator.marking.identity import Identity
from generator.marking.ledger import Ledger
from generator.marking.manifest import PARENT, Disclosure, Ingredient, ManifestFacts
from generator.marking.payload import AssetId
from generator.marking.publish import FORMATS, publish
from generator.marking.sign_file import SIDECAR_SUFFIX, sign_beside, sign_file
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

_SUFFIX = {"MPO": ".jpg"} | {form: suffix for suffix, form in reversed(FORMATS.items())}


@dataclass(frozen=True)
class Order:
    """How files are to be marked.

    Attributes:
        out: folder for the copies; for sidecars None: beside the file.
        generator: the system that made them.
        version: its version.
        weights_digest: "sha256:..." of its weights; empty when unknown.
        suffix: of the copies; empty: as the original.
        watermark: whether to embed the watermark where it can be.
        disclosure: what is said about how they came to be.
        ingredients: what all of them build on.
        acknowledge_failures: sign over parents whose own credentials do not verify.
        time_authority: address of an RFC 3161 authority; empty: no time stamp.
        time_required: refuse to sign when it gives no usable answer.
        anchors: PEM of authorities to judge the parents' signers by.
    """

    out: Path | None
    generator: str
    version: str = "unknown"
    weights_digest: str = ""
    suffix: str = ""
    watermark: bool = True
    disclosure: Disclosure = Disclosure()
    ingredients: tuple[Ingredient, ...] = ()
    acknowledge_failures: bool = False
    time_authority: str = ""
    time_required: bool = True
    anchors: str = ""


@dataclass
class Marker:
    """Marks one file after another with the same identity, key and ledger."""

    order: Order
    identity: Identity
    key: WatermarkKey
    ledger: Ledger
    _time_failure: str = field(default="", init=False)

    def mark(self, path: Path, *, sidecar: bool = False) -> dict[str, Any]:
        """Mark one file; what is wrong with it is said in the row, and the next one goes on.

        Returns:
            A row: source, status, and path, asset_id, layers (name -> "pass" or "skipped: why"), rubric; or reason.

        Raises:
            DiskFullError: no space for the copy.
        """
        try:
            row = self._sidecar(path) if sidecar else self._mark(path)
        except DiskFullError:
            raise
        except AssayError as error:
            return {"source": str(path), "status": str(Status.ERROR), "reason": str(error)}
        return {"source": str(path), **row}

    def _mark(self, path: Path) -> dict[str, Any]:
        picture = inspect_image(path)
        mime = self._source_type(path, picture)
        parent = self._parent(path, mime)
        suffix = self.order.suffix or _SUFFIX.get(picture.format, "")
        obstacle = self._obstacle(picture, suffix)
        asset_id = AssetId.derive(self.key.secret, f"{picture.sha256}/{suffix or path.suffix.lower()}")
        ingredients = self.order.ingredients + ((parent,) if parent else ())
        if obstacle:
            layers, target = self._sign_as_is(path, mime, picture, asset_id, ingredients)
            layers["watermark"] = f"skipped: {obstacle}"
            if self.order.disclosure.visible_label:
                layers["visible_label"] = "skipped: no pixel was changed"
        else:
            layers, target = self._publish(path, picture, asset_id, suffix, ingredients)
        check = check_published(target)
        row = {"path": str(target), "asset_id": asset_id.hex, "layers": layers, "rubric": check.value}
        if check.status is not Status.PASS:
            return row | {"status": str(Status.FAIL), "reason": check.reason}
        return row | {"status": str(Status.PASS)}

    def _source_type(self, path: Path, picture: ImageFacts) -> str:
        try:
            return media_type(path)
        except InputError:
            if self.order.suffix and not picture.reason:  # decodes, and will be written as another format
                return ""
            raise

    def _obstacle(self, picture: ImageFacts, suffix: str) -> str:
        """Why this file cannot carry the watermark; empty when it can."""
        if not self.order.watermark:
            return "not asked for (--no-watermark)"
        if picture.reason:
            return f"no picture that can be decoded here ({picture.reason})"
        if "animated" in picture.note and not self.order.suffix:
            return "only still pictures carry it; --format writes the first frame as one"
        if suffix not in FORMATS:
            return f"{picture.format} cannot be written again without loss; --format chooses another"
        return ""

    def _parent(self, path: Path, mime: str) -> Ingredient | None:
        if not mime or not carries_credentials(path, mime):
            return None
        accept = self.order.acknowledge_failures
        return Ingredient(path.name, path, mime, PARENT, acknowledge_failures=accept)

    def _publish(
        self,
        path: Path,
        picture: ImageFacts,
        asset_id: AssetId,
        suffix: str,
        ingredients: tuple[Ingredient, ...],
    ) -> tuple[dict[str, str], Path]:
        pixels = load_pixels(path)
        if DEFAULT.detect(pixels, key=self.key, search="quick").found:
            raise InputError(
                f"{path}: carries our watermark already; mark the unmarked original instead, or sign it "
                "with --no-watermark"
            )
        order = self.order
        request = Request(Prompt(path.stem, ""), 0, 0)
        image = GeneratedImage(pixels, request, order.generator, order.version, order.weights_digest)
        target = self._target(path, picture.sha256, suffix)

        def write(time_authority: str) -> None:
            publish(
                image,
                target,
                asset_id=asset_id,
                identity=self.identity,
                ledger=self.ledger,
                key=self.key,
                created=self._created(asset_id),
                disclosure=order.disclosure,
                ingredients=ingredients,
                time_authority=time_authority,
                anchors=order.anchors,
            )

        layers = {"watermark": "pass", "labels": "pass", "credentials": "pass", "time": self._timed(write)}
        return layers | ({"visible_label": "pass"} if order.disclosure.visible_label else {}), target

    def _sign_as_is(
        self,
        path: Path,
        mime: str,
        picture: ImageFacts,
        asset_id: AssetId,
        ingredients: tuple[Ingredient, ...],
    ) -> tuple[dict[str, str], Path]:
        if self.order.suffix and picture.reason:
            raise InputError(f"{path}: {picture.reason}, so --format cannot be met; nothing was signed")
        code, preview = b"", b""
        if not picture.reason:
            pixels = load_pixels(path)
            code, preview = compute_image_code(pixels), make_preview(pixels)
        facts = replace(self._facts(path, asset_id, mime), image_code=code, ingredients=ingredients)
        target = self._target(path, picture.sha256, path.suffix.lower() or suffix_of(mime))
        made = []

        def write(time_authority: str) -> None:
            signed = sign_file(
                path,
                target,
                mime=mime,
                facts=facts,
                identity=self.identity,
                ledger=self.ledger,
                time_authority=time_authority,
                anchors=self.order.anchors,
                preview=preview,
            )
            made.append(signed)

        time = self._timed(write)
        labels = "pass" if made[-1].labelled else f"skipped: {made[-1].reason}"
        return {"labels": labels, "credentials": "pass", "time": time}, target

    def _sidecar(self, path: Path) -> dict[str, Any]:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        asset_id = AssetId.derive(self.key.secret, f"{sha256}/{SIDECAR_SUFFIX}")
        facts = self._facts(path, asset_id, "")
        facts = replace(facts, weights_digest=f"sha256:{sha256}", ingredients=self.order.ingredients)
        target = (self.order.out or path.parent) / f"{path.name}{SIDECAR_SUFFIX}"

        def write(time_authority: str) -> None:
            sign_beside(path, target, facts=facts, identity=self.identity, time_authority=time_authority)

        layers = {"credentials": "pass", "time": self._timed(write)}
        status = {"status": str(Status.PASS), "path": str(target), "asset_id": asset_id.hex}
        return status | {"layers": layers, "digest": f"sha256:{sha256}"}

    def _timed(self, write: Any) -> str:  # noqa: ANN401 - a function of the authority's address
        """Write with a time stamp; where policy allows, without one when the authority fails. What became of it."""
        order = self.order
        if order.time_authority and not self._time_failure:
            try:
                write(order.time_authority)
            except TimeStampError as error:
                if order.time_required:
                    raise
                self._time_failure = str(error)  # the others of this run need not wait for it again
            else:
                return "pass"
        write("")
        return f"skipped: {self._time_failure or 'no time-stamp authority was named (--tsa)'}"

    def _facts(self, path: Path, asset_id: AssetId, mime: str) -> ManifestFacts:
        order = self.order
        return ManifestFacts(
            title=asset_id.hex + path.suffix.lower(),
            asset_id=asset_id.hex,
            created=self._created(asset_id),
            generator=order.generator,
            version=order.version,
            weights_digest=order.weights_digest,
            soft_binding_alg="",
            disclosure=replace(order.disclosure, visible_label=""),
            mime=mime,
        )

    def _created(self, asset_id: AssetId) -> datetime:
        """When it was marked first: marking again gives the same file."""
        known = self.ledger.find(asset_id.hex)
        return datetime.fromisoformat(known.created) if known is not None else datetime.now(UTC)

    def _target(self, path: Path, sha256: str, suffix: str) -> Path:
        assert self.order.out is not None  # copies always have a folder
        return self.order.out / f"{path.stem}-{sha256[:8]}{suffix}"
