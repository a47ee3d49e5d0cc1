"""The detection report as PDF, for people. The signed statement travels in it, so that nothing has to be retyped.

Needs the package reportlab (BSD), the extra `pdf`. The standard fonts know Latin characters only; others are shown
as their code point. The PDF carries Content Credentials of the same identity, with the DSSE envelope as an assertion.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from audit.provenance.text import clean_text
from audit.report.detection_report import Report
from audit.report.pdf import latin
from generator.errors import InputError
from generator.marking.credentials import sign
from generator.marking.identity import Identity
from generator.marking.manifest import NAMESPACE

ENVELOPE_LABEL = f"{NAMESPACE}.detection-report"
_DATA_DRIVEN = "http://cv.iptc.org/newscodes/digitalsourcetype/dataDrivenMedia"
_MAX_TEXT = 1_000  # characters of one cell
_MARGIN = 48  # pt
_THREE, _TWO = (115, 75, 310), (115, 385)  # pt, widths of columns


def render_pdf(
    report: Report, envelope: Mapping[str, Any], identity: Identity, *, comparison_png: bytes = b""
) -> bytes:
    """The report as a signed PDF.

    Args:
        report: as signed in the envelope.
        envelope: from `sign_report`; embedded, and its key and signature printed.
        identity: who signs the PDF.
        comparison_png: both pictures side by side, when a manifest was recovered.

    Raises:
        InputError: reportlab is absent, or the identity cannot sign.
        CannotCheckError: a remote key did not answer.
    """
    predicate = json.loads(base64.b64decode(envelope["payload"]))["predicate"]  # shows what was signed
    unsigned = _draw(report, envelope, predicate, comparison_png)
    when = report.time.isoformat(timespec="seconds")
    created = {"action": "c2pa.created", "when": when, "digitalSourceType": _DATA_DRIVEN}
    manifest = {
        "claim_version": 2,
        "title": "Detection report",
        "claim_generator_info": [{"name": "Assay", "specVersion": "2.4.0"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "created": True,
                "data": {"allActionsIncluded": True, "actions": [created]},
            },
            {"label": ENVELOPE_LABEL, "created": True, "data": {"envelope": json.dumps(envelope)}},
        ],
    }
    return sign(unsigned, "application/pdf", manifest=manifest, identity=identity).data


def _text(value: object) -> str:
    """Text of a file, cleaned, as reportlab takes it."""
    return latin(clean_text(value, limit=_MAX_TEXT))


def _draw(report: Report, envelope: Mapping[str, Any], predicate: Mapping[str, Any], picture: bytes) -> bytes:
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.styles import getSampleStyleSheet
        from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Spacer
    except ImportError as error:
        raise InputError(
            "a PDF report needs the package reportlab; install it with `pip install assay-audit[pdf]`"
        ) from error
    styles = getSampleStyleSheet()
    body, heading = styles["BodyText"], styles["Heading2"]
    story = [
        Paragraph("Detection report", styles["Title"]),
        Paragraph(f"<b>{_text(predicate['verdict'])}</b> [{_text(predicate['status'])}]", styles["Heading2"]),
        Paragraph(_text(report.evidence.checks[0].reason), body),
        _table(_facts(report, predicate), body, widths=_TWO),
        Paragraph("Checks", heading),
        _table(
            [(check.name, str(check.status), check.reason) for check in report.evidence.checks[1:]],
            body,
            widths=_THREE,
        ),
    ]
    if picture:
        story += [
            Paragraph("The file (left) and the published picture (right)", heading),
            Image(io.BytesIO(picture), width=400, height=200, kind="proportional"),
        ]
    story += [
        Paragraph("How often each part errs", heading),
        _table([_rate_row(name, rate) for name, rate in predicate["errorRates"].items()], body, widths=_TWO),
        Paragraph("Signature", heading),
        Paragraph("The signed statement is embedded in the Content Credentials of this PDF.", body),
        *[Paragraph(_text(f"{entry['keyid']}: {entry['sig']}"), body) for entry in envelope["signatures"]],
        Spacer(1, 6),
    ]
    target = io.BytesIO()
    document = SimpleDocTemplate(
        target, pagesize=A4, margin=_MARGIN, leftMargin=_MARGIN, rightMargin=_MARGIN, invariant=1,
        title="Detection report", author=_text(predicate["signer"]["name"]),
    )  # fmt: skip
    document.build(story)
    return target.getvalue()


def _facts(report: Report, predicate: Mapping[str, Any]) -> list[tuple[str, str]]:
    signer = predicate["signer"]
    name = signer["name"]
    if signer["developmentIdentity"]:
        name += " (development identity: nobody vouches for it)"
    versions = ", ".join(
        f"{package} {version}" for package, version in predicate["detector"]["versions"].items()
    )
    return [
        ("File", report.name),
        ("SHA-256", report.sha256),
        ("Size", f"{report.size:,} bytes"),
        ("Time", predicate["time"]),
        ("Detector", f"{predicate['detector']['id']} ({versions})"),
        ("Trust list", predicate["trustList"]),
        ("Signed by", name),
    ]


def _rate_row(name: str, rate: Mapping[str, Any]) -> tuple[str, str]:
    said = f"false positives: {rate['falsePositive']}; false negatives: {rate['falseNegative']}"
    if "falsePositiveBound" in rate:
        said += f"; false positives at most {rate['falsePositiveBound']:g} ({rate['boundSource']})"
    return name, said


def _table(rows: Sequence[Sequence[str]], style: Any, *, widths: Sequence[int]) -> Any:  # noqa: ANN401 - reportlab has no types
    from reportlab.lib import colors
    from reportlab.platypus import Paragraph, Table

    if not rows:
        return Paragraph("None.", style)
    table = Table([[Paragraph(_text(cell), style) for cell in row] for row in rows], colWidths=widths)
    table.setStyle(
        [("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.lightgrey), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    )
    return table
