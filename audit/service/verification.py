"""POST /verify: judge uploads (or addresses, where the deployment is online) and hand out signed reports.

Nothing is kept: the report goes out in the same answer. `form` chooses JSON with an envelope for each file (default),
or for a single file the envelope alone (`dsse`) or a PDF (`pdf`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from audit.evidence import Status, worst
from audit.report.detection_report import sign_report
from audit.report.detection_report_pdf import render_pdf
from audit.service.content import Upload, parse_multipart
from audit.service.fetching import fetch
from audit.service.guard import Refusal, read_body
from audit.service.judging import Judged, judge_upload
from audit.service.settings import VERIFY
from audit.service.work import Service

_FORMS = ("json", "dsse", "pdf")


async def verify(request: Request) -> Response:
    """POST /verify."""
    service = Service.of(request)
    service.guard.admit(request, VERIFY)
    form = request.query_params.get("form", "json")
    recovery = request.query_params.get("recover", "true")
    if form not in _FORMS or recovery not in {"true", "false"}:
        raise Refusal(
            400, "query-malformed", f"form is one of {', '.join(_FORMS)}; recover is true or false."
        )
    uploads = await _uploads(request, service)
    if form != "json" and len(uploads) != 1:
        raise Refusal(400, "one-file-only", f"A {form} report is about one file; {len(uploads)} were sent.")
    assets: list[dict[str, Any]] = []
    for upload in uploads:
        if isinstance(upload, Refusal):
            assets.append({"status": str(Status.ERROR), "error": upload.message, "code": upload.code})
            continue
        judged = await service.work(judge_upload, upload, service.settings, with_recovery=recovery == "true")
        if form != "json":
            return await service.work(_download, judged, service, form)
        assets.append(await service.work(_asset, judged, service))
    if form != "json":
        raise next(upload for upload in uploads if isinstance(upload, Refusal))
    status = worst(Status(asset["status"]) for asset in assets)
    return JSONResponse({"schema_version": 1, "status": str(status), "assets": assets})


async def _uploads(request: Request, service: Service) -> Sequence[Upload | Refusal]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    limits = service.limits
    if kind == "application/json":
        return await _addresses(await read_body(request, limits, limit=limits.json), service)
    if kind == "multipart/form-data":
        body = await read_body(request, limits, limit=limits.upload)
        return await parse_multipart(body, request.headers, limits)
    if kind.startswith(("image/", "video/", "audio/")) or kind in {
        "application/octet-stream",
        "application/pdf",
    }:
        return [Upload("upload", await read_body(request, limits, limit=limits.upload))]
    raise Refusal(
        415,
        "type-unsupported",
        "Send a file as multipart/form-data or with its media type, or JSON with urls.",
    )


async def _addresses(body: bytes, service: Service) -> Sequence[Upload | Refusal]:
    """What lies at the addresses of {"urls": [...]}; one that fails is an error of its own."""
    try:
        urls = json.loads(body)["urls"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refusal(400, "json-malformed", 'Expected {"urls": ["https://...", ...]}.') from error
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        raise Refusal(400, "json-malformed", 'Expected {"urls": ["https://...", ...]}.')
    if not service.settings.online:
        raise Refusal(403, "not-online", "This service fetches no addresses; upload the files.")
    if len(urls) > service.limits.files:
        raise Refusal(413, "too-many-files", f"At most {service.limits.files} files in one request.")
    found: list[Upload | Refusal] = []
    left = service.limits.upload
    for url in urls:
        try:
            private = service.settings.private_networks
            fetched = await service.work(fetch, url, limit=left, private_networks=private)
        except Refusal as refusal:
            found.append(refusal)
            continue
        left -= len(fetched.data)
        found.append(Upload(url.partition("?")[0].rpartition("/")[2] or "index", fetched.data))
    return found


def _asset(judged: Judged, service: Service) -> dict[str, Any]:
    report = judged.report
    return {
        "name": report.name,
        "sha256": report.sha256,
        "size": report.size,
        "verdict": report.evidence.checks[0].value,
        **report.evidence.to_json(),
        "report": sign_report(report, service.settings.identity),
    }


def _download(judged: Judged, service: Service, form: str) -> Response:
    identity = service.settings.identity
    envelope = sign_report(judged.report, identity)
    name = f"detection-report-{judged.report.sha256[:16]}"
    if form == "dsse":
        body, kind, suffix = (
            json.dumps(envelope).encode(),
            "application/vnd.dsse.envelope.v1+json",
            "dsse.json",
        )
    else:
        body = render_pdf(judged.report, envelope, identity, comparison_png=judged.comparison_png)
        kind, suffix = "application/pdf", "pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}.{suffix}"'}
    return Response(body, media_type=kind, headers=headers)
