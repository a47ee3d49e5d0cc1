"""The application: routes, and every error as JSON. The edge to Starlette (BSD), the extra `service`."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from audit.service import resolution
from audit.service.guard import Refusal
from audit.service.settings import Settings
from audit.service.verification import verify
from audit.service.work import Service
from generator.errors import AssayError

_LOG = logging.getLogger("assay.service")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def build_app(settings: Settings) -> Starlette:
    """The application of a deployment."""
    api: list[BaseRoute] = [
        Route("/matches/byBinding", resolution.by_binding, methods=["GET", "POST"]),
        Route("/matches/byContent", resolution.by_content, methods=["POST"]),
        Route("/matches/byReference", resolution.by_reference, methods=["POST"]),
        Route("/manifests/{manifest_id}", resolution.get_manifest, methods=["GET"]),
        Route("/services/supportedAlgorithms", resolution.supported_algorithms, methods=["GET"]),
        Route("/services/capabilities", resolution.capabilities, methods=["GET"]),
        Route("/services/status", resolution.status, methods=["GET"]),
    ]
    app = Starlette(
        routes=[
            Mount("/v1", routes=api),
            Route("/.well-known/c2pa-soft-binding-resolution", resolution.well_known, methods=["GET"]),
            Route("/verify", verify, methods=["POST"]),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_bounded)],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _not_routed,
            AssayError: _cannot_check,
            Exception: _failed,
        },
    )
    app.state.service = Service(settings)
    return app


async def _bounded(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Turn away what would not fit into memory, before its body is read."""
    service = Service.of(request)
    if not service.enter():
        return _error(503, "busy", "Too many requests at the same time.", {"Retry-After": "5"})
    try:
        response = await call_next(request)
    finally:
        service.leave()
    response.headers.update(_HEADERS)
    return response


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message, "code": code}, status, {**_HEADERS, **(headers or {})})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _error(error.status, error.code, error.message, error.headers)


async def _not_routed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "refused")
    return _error(error.status_code, code, str(error.detail), dict(error.headers or {}))


async def _cannot_check(_: Request, error: Exception) -> Response:
    """Our own key, ledger or identity fails: the client learns that, the log learns why."""
    _LOG.error("%s", error)
    return _error(
        500, "cannot-check", "The service's own ledger, key or identity cannot be used; its log says why."
    )


async def _failed(_: Request, error: Exception) -> Response:
    _LOG.error("unexpected %s", type(error).__name__, exc_info=error)
    return _error(500, "failed", "Something unexpected happened; nothing was concluded.")
