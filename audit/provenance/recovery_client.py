"""A client of the C2PA Soft Binding Resolution API 2.4: identifiers and manifests from somebody else's server.

Used only when the user names a server. What it sends is the value of a soft binding, never the picture. Every answer
is bounded, redirects are refused, and a match that lives on another host is left alone.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import IO, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from generator.errors import CannotCheckError, InputError

MAX_MATCHES = 5  # manifests fetched for one query
MAX_MANIFEST = 50_000_000  # bytes
_MAX_ANSWER = 1_000_000  # bytes of JSON
_SECONDS = 20.0
_MAX_ID = 300  # characters of a manifest id


@dataclass(frozen=True, slots=True)
class Match:
    """One answer to a query.

    Attributes:
        manifest_id: label of the manifest.
        score: 0 to 100 as the server rates it; None when it gives none.
    """

    manifest_id: str
    score: int | None


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> NoReturn:
        raise urllib.error.HTTPError(req.full_url, code, "redirects are not followed", headers, fp)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class ResolutionClient:
    """One server.

    Args:
        url: base address with the version, for example "https://resolver.example/v1".
        token: bearer token; "" for none.

    Raises:
        InputError: no http(s) address, or plain http to another machine.
    """

    def __init__(self, url: str, *, token: str = "") -> None:  # noqa: S107 - none given
        parts = urlsplit(url)
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.username or parts.query:
            raise InputError(f"resolution server {url!r}: expected https://HOST/v1")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise InputError(f"resolution server {url!r}: plain http only to this machine; use https")
        self.name = url.rstrip("/")
        self._host = parts.netloc
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        handlers: list[urllib.request.BaseHandler] = [_RefuseRedirects()]
        if parts.scheme == "http":  # the token stays on this machine
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def by_binding(self, algorithm: str, value: bytes) -> tuple[Match, ...]:
        """Manifests bound to a value, best first, at most `MAX_MATCHES`.

        Raises:
            CannotCheckError: the server cannot be reached, refuses, or answers in another form.
        """
        query = {"alg": algorithm, "value": base64.b64encode(value).decode(), "maxResults": MAX_MATCHES}
        data = self._get(
            f"/matches/byBinding?{urlencode(query)}", accept="application/json", limit=_MAX_ANSWER
        )
        try:
            matches = json.loads(data)["matches"][:MAX_MATCHES]
            return tuple(
                Match(str(match["manifestId"]), _score(match.get("similarityScore")))
                for match in matches
                if self._is_here(match.get("endpoint")) and 0 < len(str(match["manifestId"])) <= _MAX_ID
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CannotCheckError(
                f"{self.name}: the answer is not that of a soft binding resolution server; check the address"
            ) from error

    def manifest(self, manifest_id: str) -> bytes:
        """The manifest store that holds this manifest.

        Raises:
            CannotCheckError: as `by_binding`.
        """
        path = f"/manifests/{quote(manifest_id, safe='')}"
        return self._get(path, accept="application/c2pa", limit=MAX_MANIFEST)

    def _is_here(self, endpoint: object) -> bool:
        return endpoint is None or (
            isinstance(endpoint, str) and urlsplit(endpoint).netloc in {"", self._host}
        )

    def _get(self, path: str, *, accept: str, limit: int) -> bytes:
        request = urllib.request.Request(self.name + path, headers={**self._headers, "Accept": accept})  # noqa: S310
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                data = bytes(answer.read(limit + 1))
        except urllib.error.HTTPError as error:
            with error:
                said = f"{self.name}: refused with HTTP {error.code}; {_advice(error.code)}"
                raise CannotCheckError(said) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CannotCheckError(f"{self.name}: cannot be reached ({error}); try again later") from error
        if len(data) > limit:
            raise CannotCheckError(f"{self.name}: the answer is larger than {limit:,} bytes and was not read")
        return data


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _score(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 <= value <= 100 else None


def _advice(code: int) -> str:
    advice = {
        401: "give a token that it accepts",
        403: "the token lacks the scope fetch:manifests",
        404: "check the address, which ends in /v1",
        429: "it was asked too often; wait",
    }
    return advice.get(code, "try again later")
