"""Fetch an address that a client named, without being led into our own network.

The host is resolved once, every address it has must be public, and the connection goes to exactly the address that
was checked (a second look-up could answer otherwise). Only https, no redirects, no credentials, and size and time
are bounded.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from audit.service.guard import Refusal

_SECONDS = 15.0  # for the whole fetch
_CHUNK = 1 << 16  # bytes
_MAX_URL = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Fetched:
    """What lay there.

    Attributes:
        data: its bytes.
        media_type: as the server calls it, without parameters; lower case.
    """

    data: bytes
    media_type: str


def fetch(url: str, *, limit: int, private_networks: bool = False) -> Fetched:
    """The content at an address.

    Args:
        url: https.
        limit: bytes; more is refused.
        private_networks: also private addresses, and plain http; for tests and closed networks.

    Raises:
        Refusal: 400 for an address that is not acceptable, 413 when there is too much, 502 when fetching fails.
    """
    host, port, target, secure = _parse(url, private_networks=private_networks)
    address = _resolve(host, port, private_networks=private_networks)
    deadline = time.monotonic() + _SECONDS
    try:
        connection = _connect(host, address, port, secure=secure)
        try:
            connection.request("GET", target, headers={"Host": _host_header(url), "User-Agent": "assay"})
            with connection.getresponse() as answer:
                if answer.status != 200:
                    raise _failed(f"the server answered HTTP {answer.status}; redirects are not followed")
                data = _read(answer, limit=limit, deadline=deadline)
                media_type = answer.headers.get_content_type().lower()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failed(type(error).__name__) from error
    return Fetched(data, media_type)


def _parse(url: str, *, private_networks: bool) -> tuple[str, int, str, bool]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _not_acceptable("it is malformed") from error
    secure = parts.scheme == "https"
    plain_is_fine = private_networks and parts.scheme == "http"
    if not (secure or plain_is_fine) or not parts.hostname:
        raise _not_acceptable("only https addresses are fetched")
    if parts.username or parts.password or len(url) > _MAX_URL or not url.isascii() or not url.isprintable():
        raise _not_acceptable("it holds credentials, is too long, or has characters that are not ASCII")
    target = (parts.path or "/").replace(" ", "%20") + (f"?{parts.query}" if parts.query else "")
    return parts.hostname, port or (443 if secure else 80), target, secure


def _resolve(host: str, port: int, *, private_networks: bool) -> str:
    """One address of the host; all of them must be public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _failed("the host is not known") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not private_networks and not all(map(is_public, addresses)):
        raise _not_acceptable("its host lies in a private network")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also when it is wrapped into an IPv6 one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is not None and not is_public(str(inner)):
            return False
        if parsed in ipaddress.IPv6Network("64:ff9b::/96") and not is_public(
            str(ipaddress.IPv4Address(parsed.packed[-4:]))
        ):
            return False
    return parsed.is_global and not parsed.is_multicast


def _connect(host: str, address: str, port: int, *, secure: bool) -> http.client.HTTPConnection:
    raw = socket.create_connection((address, port), timeout=_SECONDS)
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        connection.sock = (
            ssl.create_default_context().wrap_socket(raw, server_hostname=host) if secure else raw
        )
    except OSError:
        raw.close()
        raise
    return connection


def _read(answer: http.client.HTTPResponse, *, limit: int, deadline: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := answer.read1(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise Refusal(413, "content-too-large", f"There is more than {limit:,} bytes at the address.")
        if time.monotonic() > deadline:
            raise _failed(f"it took longer than {_SECONDS:g} s")
        chunks.append(chunk)
    return b"".join(chunks)


def _host_header(url: str) -> str:
    return urlsplit(url).netloc


def _not_acceptable(why: str) -> Refusal:
    return Refusal(400, "address-refused", f"The address is not fetched: {why}.")


def _failed(why: str) -> Refusal:
    return Refusal(502, "fetch-failed", f"The address could not be fetched: {why}.")
