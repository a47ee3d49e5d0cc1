"""The work behind the routes, off the event loop: judge one upload, and find manifests for one."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from audit.collection import load_pixels
from audit.provenance.checks_content import check_content
from audit.provenance.gather import Setup, examine
from audit.provenance.layers import Layers
from audit.provenance.recovery import Recovery, RecoveryState, recover
from audit.provenance.recovery_checks import check_recovery
from audit.provenance.recovery_comparison import decode_preview, render_comparison
from audit.provenance.recovery_sources import LedgerSource
from audit.provenance.text import clean_text
from audit.provenance.verdict import judge
from audit.report.detection_report import Report
from audit.service.content import Upload, check_pixels_bound, held_file
from audit.service.settings import Settings
from generator.errors import CannotCheckError

_MAX_NAME = 255  # characters


@dataclass(frozen=True, slots=True)
class Judged:
    """One upload and what was found.

    Attributes:
        report: ready to be signed.
        comparison_png: both pictures side by side, when a manifest was recovered; else empty.
    """

    report: Report
    comparison_png: bytes = b""


def judge_upload(upload: Upload, settings: Settings, *, with_recovery: bool) -> Judged:
    """Judge one file; a lost manifest is looked for in the deployment's own ledger only.

    Raises:
        Refusal: the picture has too many pixels.
        CannotCheckError: the deployment's key or ledger fails.
    """
    check_pixels_bound(upload.data, settings.limits)
    name = clean_text(Path(upload.name).name or "upload", limit=_MAX_NAME)
    picture = b""
    with held_file(upload.data) as path:
        layers = dataclasses.replace(examine(path, settings.setup), subject=name)
        further = check_content(layers, path)
        if with_recovery and not layers.is_intact and settings.setup.ledger is not None:
            recovery = _recover(path, settings.setup, layers)
            further, picture = (*further, *check_recovery(recovery, layers)), _side_by_side(path, recovery)
    report = Report(
        evidence=judge(layers, further=further),
        name=name,
        sha256=hashlib.sha256(upload.data).hexdigest(),
        size=len(upload.data),
        time=datetime.now(UTC),
        trust_list=settings.setup.trust.digest,
    )
    return Judged(report, picture)


def find_manifest(upload: Upload, settings: Settings) -> Recovery:
    """The manifest that belongs to an uploaded picture, by its watermark or its fingerprint.

    Raises:
        Refusal: the picture has too many pixels.
        CannotCheckError: the deployment's key or ledger fails.
    """
    check_pixels_bound(upload.data, settings.limits)
    with held_file(upload.data) as path:
        setup = dataclasses.replace(settings.setup, search="full")
        return _recover(path, setup, examine(path, setup, with_crjson=False))


def _recover(path: Path, setup: Setup, layers: Layers) -> Recovery:
    if setup.ledger is None:
        return Recovery(RecoveryState.NOT_FOUND, "There is no ledger on this machine.")
    mark = layers.watermark
    sources = [LedgerSource(setup.ledger)]
    return recover(path, sources, payload=mark.payload, geometry=mark.geometry, trust=setup.trust)


def _side_by_side(path: Path, recovery: Recovery) -> bytes:
    if not recovery.preview:
        return b""
    try:
        return render_comparison(load_pixels(path), decode_preview(recovery.preview))
    except CannotCheckError:  # said by the recovery already
        return b""
