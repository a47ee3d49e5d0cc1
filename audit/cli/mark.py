"""`assay mark`: marks AI-generated images that another generator made.

Images that carry Content Credentials or our watermark already are refused by name: re-encoding would break the one
and blur the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.cli.common import add_json_option, note, write_json, write_out
from audit.evidence import Status, exit_code, worst
from generator.errors import AssayError, DiskFullError, InputError

if TYPE_CHECKING:
    from generator.marking.identity import Identity
    from generator.marking.ledger import Ledger
    from generator.marking.watermark.keys import WatermarkKey

_SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp"}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "mark",
        help="mark images that another generator made",
        description=(
            "Writes marked copies of AI-generated images: watermark, labels, signed Content Credentials, ledger "
            "entry. The manifest states that a trained model made the image (trainedAlgorithmicMedia): use it only "
            "for images that are AI-generated. Originals are never changed."
        ),
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or folders")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where the marked copies go"
    )
    parser.add_argument("--generator", required=True, metavar="NAME", help="the system that made the images")
    parser.add_argument("--generator-version", default="unknown", metavar="V", help="its version")
    parser.add_argument(
        "--weights-digest", default="", metavar="sha256:...", help="digest of its weights, if known"
    )
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="your certificate chain (with --key)")
    parser.add_argument("--key", type=Path, metavar="PEM", help="your private key (with --certificate)")
    parser.add_argument(
        "--format", choices=("png", "jpg", "webp"), help="file type (default: as the original)"
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True)
class _Marker:
    """Marks one file after another with the same identity, key and ledger."""

    args: argparse.Namespace
    identity: Identity
    key: WatermarkKey
    ledger: Ledger

    def mark(self, path: Path) -> dict[str, Any]:
        """Mark one file; what is wrong with it is said in the row, and the next one goes on."""
        try:
            target, asset_id = self._publish(path)
        except DiskFullError:
            raise
        except AssayError as error:
            return {"source": str(path), "status": str(Status.ERROR), "reason": str(error)}
        return {"source": str(path), "status": str(Status.PASS), "path": str(target), "asset_id": asset_id}

    def _publish(self, path: Path) -> tuple[Path, str]:
        from audit.collection import inspect_image, load_pixels
        from generator.interface import GeneratedImage, Prompt, Request
        from generator.marking.payload import AssetId
        from generator.marking.publish import publish

        facts = inspect_image(path)
        if facts.reason:
            raise InputError(f"{path}: {facts.reason}; nothing was marked")
        suffix = f".{self.args.format}" if self.args.format else _SUFFIX.get(facts.format)
        if suffix is None:
            raise InputError(f"{path}: {facts.format} cannot be written; choose --format png, jpg or webp")
        pixels = load_pixels(path)
        self._refuse_marked(path, pixels)
        request = Request(Prompt(path.stem, ""), 0, 0)
        image = GeneratedImage(
            pixels, request, self.args.generator, self.args.generator_version, self.args.weights_digest
        )
        asset_id = AssetId.derive(self.key.secret, f"{facts.sha256}/{suffix}")
        target = self.args.out / f"{path.stem}-{facts.sha256[:8]}{suffix}"
        known = self.ledger.find(asset_id.hex)
        created = datetime.fromisoformat(known.created) if known is not None else datetime.now(UTC)
        publish(
            image,
            target,
            asset_id=asset_id,
            identity=self.identity,
            ledger=self.ledger,
            key=self.key,
            created=created,
        )
        return target, asset_id.hex

    def _refuse_marked(self, path: Path, pixels: Any) -> None:  # noqa: ANN401 - pixels, kept free of numpy here
        from audit.provenance.read import ManifestState, read_manifests
        from audit.provenance.trust import load_trust
        from generator.marking.watermark.registry import DEFAULT

        state = read_manifests(path, load_trust(None), with_crjson=False).state
        if state not in {ManifestState.ABSENT, ManifestState.UNSUPPORTED}:
            raise InputError(
                f"{path}: carries Content Credentials ({state}); a marked copy would break them. "
                "Verify it with `assay verify`, or remove them knowingly first"
            )
        if DEFAULT.detect(pixels, key=self.key, search="quick").found:
            raise InputError(f"{path}: carries our watermark already; mark the unmarked original instead")


def _files(paths: list[Path]) -> Iterator[Path]:
    from audit.collection import walk_files

    for path in paths:
        if path.is_dir():
            yield from walk_files(path)
        else:
            yield path


def run(args: argparse.Namespace) -> int:
    """Mark every file named and print where the copies are."""
    from generator.marking.identity import assay_home, development_identity, load_identity
    from generator.marking.ledger import LEDGER_FILE, Ledger
    from generator.marking.watermark.keys import load_or_create_key

    if (args.certificate is None) != (args.key is None):
        raise InputError("--certificate and --key belong together; give both or neither")
    if args.weights_digest and not args.weights_digest.startswith("sha256:"):
        raise InputError(f"--weights-digest {args.weights_digest}: expected sha256: and 64 hex digits")
    identity = load_identity(args.certificate, args.key) if args.certificate else development_identity()
    args.out.mkdir(parents=True, exist_ok=True)
    home = assay_home()
    with Ledger(home / LEDGER_FILE) as ledger:
        marker = _Marker(args, identity, load_or_create_key(home), ledger)
        rows = [marker.mark(path) for path in _files(args.paths)]
    if args.json:
        write_json({"signer": identity.name, "development_identity": identity.is_development, "images": rows})
    else:
        for row in rows:
            write_out(row.get("path") or f"not marked: {row['reason']}")
    if identity.is_development:
        note("Signed with a development identity: it proves integrity, not who made the image.")
    return exit_code(worst(Status(row["status"]) for row in rows))
