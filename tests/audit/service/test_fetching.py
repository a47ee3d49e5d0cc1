"""Fetching for a client never reaches our own network, and is bounded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from recovery_making import copy, entry_of
from starlette.testclient import TestClient

from audit.service import fetching
from audit.service.fetching import fetch, is_public
from audit.service.guard import Refusal

Make = Callable[..., TestClient]


class Site(BaseHTTPRequestHandler):
    content = b"content"

    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1/secret")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg; x=y")
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


PRIVATE = (
    "127.0.0.1 10.1.2.3 192.168.0.1 172.16.5.5 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 ::1 fe80::1%eth0 "
)
PRIVATE += "fc00::1 ::ffff:127.0.0.1 2002:7f00:1:: 64:ff9b::a00:1 ::"


@pytest.mark.parametrize("address", PRIVATE.split())
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


def test_public_addresses() -> None:
    assert all(map(is_public, ("93.184.216.34", "2606:4700::1111")))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a", "file:///etc/passwd", "ftp://example.org", "https://", "https://u:p@example.org/",
        "https://example.org:port/", "https://127.0.0.1/", "https://[::1]/", "https://example.org/\r\nHost: x",
        "https://ex\u00e4mple.org/",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(Refusal) as caught:
        fetch(url, limit=100)
    assert caught.value.status in {400, 502}
    assert caught.value.code in {"address-refused", "fetch-failed"}


def test_name_that_leads_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """One private address among public ones is enough, and no connection is tried."""
    answers = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    monkeypatch.setattr(fetching, "_connect", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(Refusal, match="private network"):
        fetch("https://innocent.example/", limit=100)


def test_the_checked_address_is_the_one_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look-up could answer otherwise: the connection must go to the address that was checked."""
    used: list[str] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("93.184.216.34", 443))])

    def connect(host: str, address: str, port: int, *, secure: bool) -> None:
        used.append(address)
        raise OSError

    monkeypatch.setattr(fetching, "_connect", connect)
    with pytest.raises(Refusal, match="could not be fetched"):
        fetch("https://innocent.example/", limit=100)
    assert used == ["93.184.216.34"]


def test_content_bounds_and_redirects(site: str) -> None:
    fetched = fetch(f"{site}/a", limit=7, private_networks=True)
    assert (fetched.data, fetched.media_type) == (b"content", "image/jpeg")
    for path, limit, status in (("/a", 6, 413), ("/moved", 100, 502)):
        with pytest.raises(Refusal) as caught:
            fetch(site + path, limit=limit, private_networks=True)
        assert caught.value.status == status
    with pytest.raises(Refusal):
        fetch("http://127.0.0.1:1/", limit=7, private_networks=True)


def test_by_reference_and_verify_by_address(
    make_client: Make, published: list[Path], assay_home: Path, tmp_path: Path, site: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    data = copy(published[0], tmp_path / "copy.jpg", quality=85).read_bytes()
    monkeypatch.setattr(Site, "content", data)
    client = make_client(online=True, private_networks=True)
    query = {"referenceUrl": f"{site}/a.jpg", "assetLength": len(data), "assetType": "image/jpeg"}
    found = client.post("/v1/matches/byReference", json=query).json()
    assert [m["manifestId"] for m in found["matches"]] == [
        entry_of(assay_home / "ledger.sqlite", 1).manifest_id
    ]
    for change, status in (
        ({"assetLength": 10}, 413), ({"assetType": "image/png"}, 400), ({"assetLength": True}, 400),
        ({"referenceUrl": 1}, 400), ({"region": [{}]}, 400), ({"assetLength": 1 << 40}, 413),
    ):  # fmt: skip
        assert client.post("/v1/matches/byReference", json=query | change).status_code == status
    answer = client.post("/verify", json={"urls": [f"{site}/a.jpg", f"{site}/moved"]}).json()
    assert [asset.get("code", "judged") for asset in answer["assets"]] == ["judged", "fetch-failed"]
    closed = make_client(online=True).post("/verify", json={"urls": [f"{site}/a.jpg"]}).json()
    assert closed["assets"][0]["code"] == "address-refused"
    assert closed["status"] == "error"
