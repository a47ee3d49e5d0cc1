"""Routes of the C2PA Soft Binding Resolution API 2.4: queries, retrieval, and what the service supports.

Storing manifests over HTTP is optional in the API and not offered: the ledger is filled by publishing. A query by
content is answered only with a manifest that passed the same checks as `audit.provenance.recovery` asks.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from audit.provenance.read import read_manifests
from audit.provenance.recovery import CARRIER, Recovery, RecoveryState
from audit.provenance.recovery_sources import LedgerSource, find_near
from audit.provenance.trust import TrustLists
from audit.service.content import Upload
from audit.service.fetching import fetch
from audit.service.guard import Refusal, read_body
from audit.service.judging import find_manifest
from audit.service.settings import FETCH
from audit.service.work import Service
from generator.errors import AssayError, InputError
from generator.marking import fingerprint
from generator.marking.ledger import Entry, Ledger
from generator.marking.watermark.registry import SCHEMES

SPECIFICATION = "2.4.0"
_MAX_RESULTS = 10
_MAX_VALUE = 2_048  # characters of a value in an address
_MAX_ID = 300
_ASSET_ID = re.compile(r"(?:[0-9a-f]{16}){1,2}")
_UNLISTED = "A private name of this deployment; it is not on C2PA's list."


async def by_binding(request: Request) -> Response:
    """GET and POST /matches/byBinding."""
    service = Service.of(request)
    service.guard.admit(request, FETCH)
    results = _max_results(request)
    if request.method == "POST":
        query = _object(await read_body(request, service.limits, limit=service.limits.json))
        algorithm, value = query.get("alg"), query.get("value")
    else:
        algorithm, value = request.query_params.get("alg"), request.query_params.get("value")
        if value is not None and len(value) > _MAX_VALUE:
            raise Refusal(414, "value-too-long", "The value is too long for an address; use POST.")
    found = await service.work(_look_up, service, _algorithm(algorithm), _bytes(value))
    return JSONResponse({"matches": found[:results]})


async def by_content(request: Request) -> Response:
    """POST /matches/byContent."""
    service = Service.of(request)
    service.guard.admit(request, FETCH)
    results, hint = _max_results(request), _hint(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind.startswith("image/"):
        raise Refusal(415, "type-unsupported", "Send a picture, with its media type as Content-Type.")
    data = await read_body(request, service.limits, limit=service.limits.upload)
    return await _answer_content(service, data, hint, results)


async def by_reference(request: Request) -> Response:
    """POST /matches/byReference."""
    service = Service.of(request)
    service.guard.admit(request, FETCH)
    if not service.settings.online:
        raise Refusal(
            501, "not-offered", "This service fetches no addresses; upload the picture to byContent."
        )
    results, hint = _max_results(request), _hint(request)
    query = _object(await read_body(request, service.limits, limit=service.limits.json))
    url, length, wanted = query.get("referenceUrl"), query.get("assetLength"), query.get("assetType")
    if not isinstance(url, str) or not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise Refusal(400, "query-malformed", "Give referenceUrl (https) and assetLength (bytes).")
    if query.get("region"):
        raise Refusal(400, "region-unsupported", "Regions are not supported; leave region out.")
    if length > service.limits.upload:
        raise Refusal(413, "content-too-large", f"assetLength is more than {service.limits.upload:,} bytes.")
    private = service.settings.private_networks
    fetched = await service.work(lambda: fetch(url, limit=length, private_networks=private))
    if wanted is not None and fetched.media_type != str(wanted).lower():
        raise Refusal(400, "type-differs", "What lies at the address is not of the type that assetType says.")
    return await _answer_content(service, fetched.data, hint, results)


async def get_manifest(request: Request) -> Response:
    """GET /manifests/{id}."""
    service = Service.of(request)
    service.guard.admit(request, FETCH)
    active_only = request.query_params.get("returnActiveManifest", "false").lower()
    if active_only not in {"true", "false"}:
        raise Refusal(400, "query-malformed", "returnActiveManifest is true or false.")
    name = request.path_params["manifest_id"]
    entry = await service.work(_find_entry, service, name) if len(name) <= _MAX_ID else None
    if entry is None:
        raise Refusal(404, "manifest-unknown", "This service does not know a manifest of that identifier.")
    if active_only == "true" and await service.work(_count_manifests, entry) > 1:
        raise Refusal(400, "not-supported", "This store holds ingredients; it is handed out whole only.")
    return Response(entry.manifest, media_type="application/c2pa")


async def supported_algorithms(request: Request) -> Response:
    """GET /services/supportedAlgorithms; each with whether C2PA's list holds it, which nobody may assume."""
    service = Service.of(request)
    service.guard.admit(request, None)
    listed = service.settings.algorithms

    def describe(name: str) -> dict[str, Any]:
        known = listed.is_listed(name)
        return {"alg": name, "listed": known} | ({"note": _UNLISTED} if name in SCHEMES and not known else {})

    can_read = service.settings.setup.key_file is not None
    return JSONResponse(
        {
            "watermarks": [describe(name) for name in SCHEMES] if can_read else [],
            "fingerprints": [describe(fingerprint.ALGORITHM)],
            "algorithmList": listed.digest or "not imported",
        }
    )


async def capabilities(request: Request) -> Response:
    """GET /services/capabilities."""
    service = Service.of(request)
    service.guard.admit(request, None)
    offered = ["queryByContent", *(["queryByReference"] if service.settings.online else [])]
    return JSONResponse({"c2paSpecificationVersion": SPECIFICATION, "supportedCapabilities": offered})


async def status(request: Request) -> Response:
    """GET /services/status: degraded when the ledger does not answer."""
    service = Service.of(request)
    service.guard.admit(request, None)
    state = "ok" if await service.work(_ledger_answers, service) else "degraded"
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return JSONResponse({"status": state, "timestamp": now})


async def well_known(request: Request) -> Response:
    """GET /.well-known/c2pa-soft-binding-resolution."""
    service = Service.of(request)
    service.guard.admit(request, None)
    base = (service.settings.public_url or str(request.base_url)).rstrip("/") + "/v1"
    return JSONResponse(
        {
            "apiEndpoint": base,
            "c2paSpecificationVersion": SPECIFICATION,
            "capabilitiesEndpoint": f"{base}/services/capabilities",
            "statusEndpoint": f"{base}/services/status",
        }
    )


def _look_up(service: Service, algorithm: str, value: bytes) -> list[dict[str, Any]]:
    location = service.settings.setup.ledger
    if location is None:
        return []
    if algorithm == fingerprint.ALGORITHM:
        return _look_up_near(location, value)
    text = value.decode("ascii", "replace")
    if not _ASSET_ID.fullmatch(text):
        raise Refusal(
            400, "value-malformed", "Expected 16 or 32 lower-case hexadecimal digits, in ASCII, as base64."
        )
    return [{"manifestId": candidate.manifest_id} for candidate in LedgerSource(location).by_watermark(text)]


def _look_up_near(location: str | Path, value: bytes) -> list[dict[str, Any]]:
    try:
        code = fingerprint.find_code(value)
    except InputError as error:
        raise Refusal(400, "value-malformed", str(error)) from error
    if code is None:
        raise Refusal(400, "value-malformed", "The ISCC sequence holds no Image-Code of 256 bits.")
    with Ledger(location, read_only=True) as ledger:
        near = [(bits, ledger.find(asset_id)) for bits, asset_id in find_near(code, ledger.image_codes())]
    return [
        {"manifestId": entry.manifest_id, "similarityScore": round(100 * (256 - bits) / 256)}
        for bits, entry in near
        if entry is not None
    ]


async def _answer_content(
    service: Service, data: bytes, hint: tuple[str, bytes] | None, results: int
) -> Response:
    found = await service.work(find_manifest, Upload("upload", data), service.settings)
    if found.state is RecoveryState.UNDECODABLE:
        raise Refusal(415, "type-unsupported", "This is no picture that can be decoded.")
    matches = _matches(found)
    if not matches and hint is not None:
        matches = await service.work(_look_up, service, *hint)
    return JSONResponse({"matches": matches[:results]})


def _matches(found: Recovery) -> list[dict[str, Any]]:
    if found.state not in {RecoveryState.RECOVERED, RecoveryState.SAME_BYTES}:
        return []
    similarity = 1.0 if found.comparison is None else max(0.0, found.comparison.similarity)
    return [{"manifestId": found.manifest_id, "similarityScore": round(100 * similarity)}]


def _find_entry(service: Service, manifest_id: str) -> Entry | None:
    location = service.settings.setup.ledger
    if location is None:
        return None
    with Ledger(location, read_only=True) as ledger:
        return ledger.find_manifest(manifest_id)


def _count_manifests(entry: Entry) -> int:
    return len(read_manifests(CARRIER, TrustLists(), sidecar=entry.manifest, with_crjson=False).manifests)


def _ledger_answers(service: Service) -> bool:
    location = service.settings.setup.ledger
    try:
        if location is not None:
            Ledger(location, read_only=True).close()
    except AssayError:
        return False
    return location is not None


def _max_results(request: Request) -> int:
    text = request.query_params.get("maxResults", str(_MAX_RESULTS))
    if not (text.isascii() and text.isdecimal()) or len(text) > 6 or int(text) < 1:
        raise Refusal(400, "query-malformed", "maxResults is a positive whole number.")
    return min(int(text), _MAX_RESULTS)


def _hint(request: Request) -> tuple[str, bytes] | None:
    algorithm, value = request.query_params.get("hintAlg"), request.query_params.get("hintValue")
    chosen = request.query_params.get("alg")
    if chosen is not None:
        _algorithm(chosen)
    if (algorithm is None) != (value is None):
        raise Refusal(400, "query-malformed", "hintAlg and hintValue belong together.")
    return None if algorithm is None else (_algorithm(algorithm), _bytes(value))


def _algorithm(name: object) -> str:
    known = (*SCHEMES, fingerprint.ALGORITHM)
    if not isinstance(name, str) or name not in known:
        raise Refusal(400, "algorithm-unsupported", f"alg is one of {', '.join(known)}.")
    return name


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, "value-malformed", "value is the soft binding's value as base64.") from error


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "json-malformed", "The body is no JSON.") from error
    if not isinstance(parsed, dict):
        raise Refusal(400, "json-malformed", "The body is no JSON object.")
    return parsed
