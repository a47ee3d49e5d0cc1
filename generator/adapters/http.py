"""A small HTTP client for services that charge: retries what may pass, gives up on what will not, follows nowhere.

Retried with doubling pauses, or as long as `Retry-After` says: no connection, timeout, 408, 409, 425, 429, 5xx, half
a body, and an answer that the caller cannot read. Anything else is for the caller to change.
"""

from __future__ import annotations

import email.utils
import http.client
import random
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from generator.errors import CannotCheckError, InputError

FIRST_PAUSE = 1.0  # seconds; doubles with every attempt
LONGEST_PAUSE = 60.0  # seconds
LONGEST_WISH = 600.0  # seconds that a server may ask for; beyond that the user decides
_MAX_BODY = 256 << 20  # bytes
_MAX_ERROR = 64 << 10  # bytes of an error's body that are read
_PASSING = frozenset({408, 409, 425, 429})
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class RejectedError(CannotCheckError):
    """The server understood the request and will not answer it however often it is asked.

    Args:
        status: HTTP status.
        body: of the error, without the key.
        url: that was asked.
    """

    def __init__(self, status: int, body: str, *, url: str) -> None:
        super().__init__(f"{url}: answered {status}: {body}")
        self.status, self.body = status, body


class _PassingError(Exception):
    """Worth another attempt.

    Args:
        reason: what happened.
        wish: seconds that the server asks to wait; 0 when it does not say.
    """

    def __init__(self, reason: str, *, wish: float = 0.0) -> None:
        super().__init__(reason)
        self.wish = wish


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could carry the key to another host."""

    def redirect_request(self, *_args: Any, **_named: Any) -> None:  # noqa: ANN401
        return None


class Client:
    """One server, asked again and again until it answers.

    Args:
        address: of the server, to judge whether a key may be sent there.
        key: API key; empty sends none.
        timeout: seconds without a byte after which an answer counts as lost.
        attempts: how often one request is tried, from 1.

    Raises:
        InputError: a key would be sent without encryption, or `attempts` is below 1.
    """

    def __init__(
        self,
        address: str,
        *,
        key: str,
        timeout: float,
        attempts: int,
    ) -> None:
        parts = urlsplit(address)
        if key and parts.scheme != "https" and parts.hostname not in _LOCAL:
            raise InputError(f"{address}: the API key would be sent without encryption; use https")
        if attempts < 1:
            raise InputError(f"attempts is {attempts}, expected at least 1")
        self._key, self._timeout, self._attempts = key, timeout, attempts
        self._opener = urllib.request.build_opener(
            _NoRedirect, urllib.request.HTTPSHandler(context=ssl.create_default_context())
        )

    def post(self, url: str, content: bytes, *, token: str, check: Callable[[bytes], None]) -> bytes:
        """Send JSON and return the body of the answer.

        Args:
            url: where to.
            content: JSON.
            token: the `Idempotency-Key`, the same on every attempt.
            check: raises ValueError for a body that is no complete answer; it is asked for again.

        Raises:
            RejectedError: the server will not answer this request.
            CannotCheckError: no usable answer after all attempts, or the server asks for too long a pause.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Idempotency-Key": token}
        return self._persist(self._request(url, headers, content), check)

    def get(self, url: str) -> bytes:
        """Fetch a file; errors as `post`."""
        return self._persist(self._request(url, {}), lambda _: None)

    def _request(
        self, url: str, headers: dict[str, str], content: bytes | None = None
    ) -> urllib.request.Request:
        if self._key:
            headers = headers | {"Authorization": f"Bearer {self._key}"}
        return urllib.request.Request(url, content, headers)  # noqa: S310 - the scheme was checked

    def _persist(self, request: urllib.request.Request, check: Callable[[bytes], None]) -> bytes:
        pause = FIRST_PAUSE
        for attempt in range(1, self._attempts + 1):
            try:
                body = self._try(request)
                check(body)
                return body
            except (_PassingError, ValueError) as error:
                wish = error.wish if isinstance(error, _PassingError) else 0.0
                if attempt == self._attempts or wish > LONGEST_WISH:
                    asks = f"; the server asks to wait {wish:.0f} s" if wish else ""
                    raise CannotCheckError(
                        f"{request.full_url}: {error}, after {attempt} attempt{'s' * (attempt > 1)}{asks}. What was "
                        "received is kept: run the same command again to go on"
                    ) from error
                seconds = wish or pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients, hides nothing
                sys.stderr.write(f"{request.full_url}: {error}; attempt {attempt + 1} in {seconds:.1f} s\n")
                time.sleep(seconds)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("the last attempt returns or raises")

    def _try(self, request: urllib.request.Request) -> bytes:
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                body: bytes = answer.read(_MAX_BODY)
                if (
                    answer.length
                ):  # what was announced and did not come; reading a given amount does not say so
                    raise _PassingError(f"half a body ({len(body)} bytes, then nothing)")
                return body
        except urllib.error.HTTPError as error:
            with error:
                said = self._words(error)
                if error.code not in _PASSING and error.code < 500:
                    raise RejectedError(error.code, said, url=request.full_url) from error
                wish = _retry_after(error.headers.get("Retry-After"))
                raise _PassingError(f"answered {error.code} ({said})", wish=wish) from error
        except http.client.IncompleteRead as error:
            raise _PassingError(f"half a body ({len(error.partial)} bytes, then nothing)") from error
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            raise _PassingError(f"no answer ({error})") from error

    def _words(self, error: urllib.error.HTTPError) -> str:
        """The body of an error, on one line and without the key, which some servers repeat."""
        try:
            text = error.read(_MAX_ERROR).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            text = ""
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())[:2000] or str(error.reason)


def _retry_after(value: str | None) -> float:
    """Seconds from now that a `Retry-After` header asks for (a number or a date); 0 when it does not say."""
    if not value:
        return 0.0
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0
