"""The door: who asks, how often, and how much. What does not fit is answered in JSON before any work is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import anyio
from starlette.requests import Request

from audit.service.settings import Client, Limits, Settings, find_client

_MINUTE = 60.0  # seconds
_MAX_KNOWN = 10_000  # clients whose recent requests are remembered


class Refusal(Exception):  # noqa: N818 - an answer, not a malfunction
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        code: short symbol for programs.
        message: one plain sentence.
        headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass
class RateLimiter:
    """A bucket of requests for each client, which refills evenly.

    Attributes:
        per_minute: size of the bucket.
        clock: seconds, monotonic.
    """

    per_minute: int
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str) -> float:
        """Take one request; 0.0 when it is granted, else the seconds to wait for the next."""
        now = self.clock()
        left, since = self._buckets.pop(name, (float(self.per_minute), now))
        left = min(float(self.per_minute), left + (now - since) * self.per_minute / _MINUTE)
        granted = left >= 1.0
        self._buckets[name] = (left - 1.0 if granted else left, now)
        if len(self._buckets) > _MAX_KNOWN:  # the longest unseen ones have refilled most
            del self._buckets[next(iter(self._buckets))]
        return 0.0 if granted else (1.0 - left) * _MINUTE / self.per_minute


@dataclass(frozen=True)
class Guard:
    """Admits requests.

    Attributes:
        settings: of the deployment.
        limiter: shared by all requests.
    """

    settings: Settings
    limiter: RateLimiter

    def admit(self, request: Request, scope: str | None) -> None:
        """Let a request pass.

        Args:
            request: with or without a bearer token.
            scope: what it needs; None: nothing, but it counts.

        Raises:
            Refusal: 401 without a valid token, 403 without the scope, 429 when it comes too often.

        Source: RFC 6750.
        """
        host = request.client.host if request.client is not None else "unknown"
        try:
            client = self._client(request)
        except Refusal:
            self._count(f"host {host}")  # guessing tokens is slow
            raise
        self._count(f"client {client.name}" if client is not None else f"host {host}")
        if scope is None or not self.settings.clients:
            return
        if client is None:
            raise Refusal(401, "token-missing", "Give a bearer token.", {"WWW-Authenticate": "Bearer"})
        if scope not in client.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            message = f"The token does not permit {scope}."
            raise Refusal(403, "scope-missing", message, {"WWW-Authenticate": challenge})

    def _client(self, request: Request) -> Client | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if not kind or not self.settings.clients:
            return None
        client = find_client(self.settings.clients, token.strip()) if kind.lower() == "bearer" else None
        if client is None:
            challenge = 'Bearer error="invalid_token"'
            raise Refusal(
                401, "token-invalid", "The bearer token is not valid.", {"WWW-Authenticate": challenge}
            )
        return client

    def _count(self, name: str) -> None:
        wait = self.limiter.take(name)
        if wait:
            seconds = str(int(wait) + 1)
            raise Refusal(429, "too-many-requests", f"Ask again in {seconds} s.", {"Retry-After": seconds})


async def read_body(request: Request, limits: Limits, *, limit: int) -> bytes:
    """The body in memory.

    Args:
        request: whose body was not read yet.
        limits: of the deployment.
        limit: bytes.

    Raises:
        Refusal: 413 when it is larger (from its declared length, where given), 408 when too slow, 400 when empty.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        with anyio.fail_after(limits.seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
    except TimeoutError as error:
        raise Refusal(408, "upload-too-slow", f"The upload took longer than {limits.seconds:g} s.") from error
    if not size:
        raise Refusal(400, "body-empty", "The request has no body.")
    return b"".join(chunks)


def _too_large(limit: int) -> Refusal:
    return Refusal(
        413, "body-too-large", f"The body is larger than {limit:,} bytes.", {"Connection": "close"}
    )
