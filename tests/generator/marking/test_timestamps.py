"""Time stamps: our own authority's tokens as the C2PA engine judges them, and authorities that fail."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import c2pa
import pytest
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ed25519
from small_files import picture

from generator.errors import InputError
from generator.marking import asn1 as der
from generator.marking.certificates import to_pem
from generator.marking.credentials import TimeStampError, sign
from generator.marking.identity import (
    Identity,
    KeyBundle,
    development_identity,
    development_time_authority,
    development_time_root,
)
from generator.marking.manifest import ManifestFacts, build_manifest
from generator.marking.timestamps import TimeAuthority, serve_time

NOW = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)
MANIFEST = build_manifest(ManifestFacts("t", "0" * 16, NOW, "g", "1", "", ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("identity")


@pytest.fixture(scope="module")
def identity(folder: Path) -> Identity:
    return development_identity(folder)


@pytest.fixture(scope="module")
def bundle(folder: Path) -> KeyBundle:
    return development_time_authority(folder)


def codes(data: bytes, *anchors: dict[str, str]) -> tuple[str, set[str], str]:
    """State, status codes, and the time of the signature."""
    context = c2pa.Context.from_dict({"trust": {"anchors": list(anchors)}})
    with c2pa.Reader("image/png", io.BytesIO(data), context=context) as reader:
        results = reader.get_validation_results()["activeManifest"]
        found = {
            e["code"] for kind in ("success", "informational", "failure") for e in results.get(kind) or ()
        }
        return (
            str(reader.get_validation_state()),
            found,
            reader.get_active_manifest()["signature_info"].get("time", ""),
        )


def anchor(kind: str, pem: str) -> dict[str, str]:
    return {"trust_anchors": pem, "trust_uri": kind, "trust_kind": kind}


def test_a_token_is_validated_and_trusted_with_its_root(
    identity: Identity, bundle: KeyBundle, folder: Path
) -> None:
    with serve_time(TimeAuthority(bundle.chain, bundle.key, clock=lambda: NOW)) as address:
        data = sign(
            picture("PNG"), "image/png", manifest=MANIFEST, identity=identity, time_authority=address
        ).data
    signer = anchor("manifest", identity.root_pem)
    assert development_time_root(folder) == to_pem(bundle.chain[1:])
    state, found, time = codes(data, signer, anchor("tsa", development_time_root(folder)))
    assert (state, time) == ("Trusted", "2026-11-24T12:30:05+00:00")
    assert {"timeStamp.validated", "timeStamp.trusted"} <= found
    _, found, _ = codes(data, signer)
    assert "timeStamp.trusted" not in found
    assert "timeStamp.untrusted" in found


def test_without_an_authority_there_is_no_token(identity: Identity) -> None:
    data = sign(picture("PNG"), "image/png", manifest=MANIFEST, identity=identity).data
    _, found, time = codes(data, anchor("manifest", identity.root_pem))
    assert not any(code.startswith("timeStamp") for code in found)
    assert time == ""


def request(digest: bytes, algorithm: str = der.SHA256.dotted_string) -> bytes:
    oid = type(der.SHA256)(algorithm)
    imprint = der.Imprint(algorithm=der.Algorithm(algorithm=oid), digest=digest)
    return asn1.encode_der(
        der.Request(version=1, imprint=imprint, policy=None, nonce=77, wants_certificate=True)
    )


def test_what_a_response_says(bundle: KeyBundle) -> None:
    authority = TimeAuthority(bundle.chain, bundle.key, clock=lambda: NOW)
    response = asn1.decode_der(der.Response, authority.respond(request(bytes(range(32)))))
    assert response.status.status == 0
    said = asn1.decode_der(der.TimeStampInfo, response.token.content.content.content)
    assert (said.imprint.digest, said.nonce) == (bytes(range(32)), 77)
    assert said.time.as_datetime().replace(tzinfo=UTC) == NOW


@pytest.mark.parametrize(
    "bad",
    [b"", b"\x30\x00", request(bytes(31)), request(bytes(20), "1.3.14.3.2.26"), request(bytes(32))[:-2]],
)
def test_what_cannot_be_stamped_is_rejected(bad: bytes, bundle: KeyBundle) -> None:
    response = asn1.decode_der(der.Response, TimeAuthority(bundle.chain, bundle.key).respond(bad))
    assert (response.status.status, response.token) == (2, None)


def test_an_authority_needs_a_key_it_can_use(bundle: KeyBundle) -> None:
    with pytest.raises(InputError, match="P-256"):
        TimeAuthority(bundle.chain, ed25519.Ed25519PrivateKey.generate())


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that gives every request the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_an_authority_that_is_down(identity: Identity) -> None:
    with pytest.raises(TimeStampError, match=r"http://127\.0\.0\.1:9/.*--without-time"):
        sign(
            picture("PNG"),
            "image/png",
            manifest=MANIFEST,
            identity=identity,
            time_authority="http://127.0.0.1:9/",
        )


@pytest.mark.parametrize("kind", ["error page", "garbage", "rejection", "stale"])
def test_an_authority_that_answers_something_else(kind: str, identity: Identity, bundle: KeyBundle) -> None:
    authority = TimeAuthority(bundle.chain, bundle.key)
    answers = {
        "error page": (500, b"down"),
        "garbage": (200, b"hello"),
        "rejection": (200, authority.respond(b"")),
        "stale": (200, authority.respond(request(bytes(32)))),  # a token for something else
    }
    with answering(*answers[kind]) as address, pytest.raises(TimeStampError, match=address):
        sign(picture("PNG"), "image/png", manifest=MANIFEST, identity=identity, time_authority=address)
