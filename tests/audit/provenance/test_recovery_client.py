"""The client of a resolution server: against our own service, and against servers that answer nonsense."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from recovery_making import copy, entry_of, publish_portrait

from audit.provenance.recovery import RecoveryState, recover
from audit.provenance.recovery_client import ResolutionClient
from audit.provenance.recovery_sources import ServerSource
from generator.errors import CannotCheckError, InputError
from generator.marking.payload import AssetId


class Stub(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, bytes]]
    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        status, body = self.answers.get(path, (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


Serve = Callable[[dict[str, tuple[int, bytes]]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(answers: dict[str, tuple[int, bytes]]) -> str:
        Stub.answers, Stub.asked = answers, []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


QUERY = "/v1/matches/byBinding"


def matches(*found: Any) -> dict[str, tuple[int, bytes]]:
    return {QUERY: (200, json.dumps({"matches": found}).encode())}


def test_query_sends_value_token_and_no_picture(serve: Serve) -> None:
    url = serve(matches({"manifestId": "urn:c2pa:1", "similarityScore": 93}, {"manifestId": "urn:c2pa:2"}))
    found = ResolutionClient(url + "/", token="secret").by_binding("io.iscc.v0", b"\x00\xff")
    assert [(match.manifest_id, match.score) for match in found] == [("urn:c2pa:1", 93), ("urn:c2pa:2", None)]
    assert Stub.asked == [(QUERY + "?alg=io.iscc.v0&value=AP8%3D&maxResults=5", "Bearer secret")]


def test_other_hosts_endless_ids_and_floods_are_left_alone(serve: Serve) -> None:
    found = [{"manifestId": "a", "endpoint": "https://elsewhere.example/v1"}, {"manifestId": "x" * 400}]
    found += [{"manifestId": str(number)} for number in range(100)]
    assert len(ResolutionClient(serve(matches(*found))).by_binding("a.b", b"")) == 3


NONSENSE = {
    "html": (200, b"<html>"), "list": (200, b"[]"), "null": (200, b'{"matches": null}'),
    "no id": (200, b'{"matches": [{}]}'), "numbers": (200, b'{"matches": [1]}'), "deep": (200, b"[" * 100_000),
    "unauthorised": (401, b""), "busy": (429, b""), "moved": (302, b""), "large": (200, bytes(1_100_000)),
}  # fmt: skip


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_no_answer(serve: Serve, answer: tuple[int, bytes]) -> None:
    client = ResolutionClient(serve({QUERY: answer}), token="s3cret")
    with pytest.raises(CannotCheckError) as caught:
        client.by_binding("a.b", b"x")
    assert "s3cret" not in str(caught.value)
    assert all(path.startswith("/v1") for path, _ in Stub.asked)  # the redirect was not followed


@pytest.mark.parametrize(
    "url", ["ftp://a/v1", "http://example.org/v1", "https://u:p@example.org", "https://", "x"]
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(InputError):
        ResolutionClient(url)


def test_server_that_is_down() -> None:
    with pytest.raises(CannotCheckError, match="cannot be reached"):
        ResolutionClient("http://127.0.0.1:1/v1").by_binding("a.b", b"x")


def test_lying_server_gives_no_manifest(serve: Serve, assay_home: Path, tmp_path: Path) -> None:
    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    publish_portrait(assay_home, 2)
    other = entry_of(assay_home / "ledger.sqlite", 2)
    name = "/v1/manifests/other"
    for body, state in ((other.manifest, RecoveryState.CONTRADICTS), (b"junk", RecoveryState.DAMAGED)):
        source = ServerSource(ResolutionClient(serve(matches({"manifestId": "other"}) | {name: (200, body)})))
        assert recover(path, [source], payload=AssetId.from_int(1).hex).state is state


def test_our_own_service_over_the_wire(assay_home: Path, tmp_path: Path) -> None:
    uvicorn = pytest.importorskip("uvicorn")
    from audit.provenance.gather import build_setup
    from audit.service.app import build_app
    from audit.service.settings import Settings, add_client, load_clients
    from generator.marking.identity import development_identity

    path = copy(publish_portrait(assay_home, 1), tmp_path / "copy.png")
    token = add_client(tmp_path / "tokens.json", "me", ["fetch:manifests"])
    clients = load_clients(tmp_path / "tokens.json")
    app = build_app(Settings(setup=build_setup(), identity=development_identity(), clients=clients))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for _ in range(600):
            if server.started:
                break
            time.sleep(0.05)
        url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
        found = recover(
            path, [ServerSource(ResolutionClient(url, token=token))], payload=AssetId.from_int(1).hex
        )
        refused = recover(path, [ServerSource(ResolutionClient(url))], payload=AssetId.from_int(1).hex)
    finally:
        server.should_exit = True
        thread.join(30)
    entry = entry_of(assay_home / "ledger.sqlite", 1)
    assert (found.manifest, found.source, found.manifest_id) == (entry.manifest, url, entry.manifest_id)
    assert found.state is RecoveryState.RECOVERED  # by the fingerprint that the manifest signs
    assert refused.state is RecoveryState.UNREACHABLE
    assert "token" in refused.reason
