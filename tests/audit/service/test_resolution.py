"""The Soft Binding Resolution API: paths, shapes, scopes and bounds, and never a wrong manifest."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from recovery_making import CORPUS, copy, entry_of
from starlette.testclient import TestClient

from audit.collection import load_pixels
from audit.provenance.gather import build_setup
from audit.provenance.recovery_algorithms import FILE, AlgorithmList
from audit.provenance.trust_store import ALGORITHMS, Store, import_list, load_algorithms
from audit.service.guard import RateLimiter
from audit.service.settings import (
    FETCH,
    SCOPES,
    VERIFY,
    Client,
    Limits,
    add_client,
    find_client,
    load_clients,
)
from generator.errors import InputError
from generator.marking.fingerprint import ALGORITHM, compute_image_code, encode_unit
from generator.marking.payload import AssetId
from generator.marking.watermark.keys import load_key
from generator.marking.watermark.registry import DEFAULT

Make = Callable[..., TestClient]
ASSET = AssetId.from_int(1).hex


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_by_binding_then_the_manifest(make_client: Make, published: list[Path], assay_home: Path) -> None:
    client, entry = make_client(), entry_of(assay_home / "ledger.sqlite", 1)
    query = {"alg": DEFAULT.name, "value": b64(ASSET.encode())}
    expected = {"matches": [{"manifestId": entry.manifest_id}]}
    assert client.get("/v1/matches/byBinding", params=query).json() == expected
    assert client.post("/v1/matches/byBinding", json=query).json() == expected
    answer = client.get(f"/v1/manifests/{entry.manifest_id}")
    assert answer.headers["content-type"] == "application/c2pa"
    assert answer.content == entry.manifest
    assert (
        client.get(f"/v1/manifests/{entry.manifest_id}?returnActiveManifest=true").content == entry.manifest
    )
    nobody = {"alg": DEFAULT.name, "value": b64(AssetId.from_int(9).hex.encode())}
    assert client.get("/v1/matches/byBinding", params=nobody).json() == {"matches": []}


def test_by_fingerprint_with_a_score(make_client: Make, published: list[Path], assay_home: Path) -> None:
    code = compute_image_code(load_pixels(published[1]))
    query = {"alg": ALGORITHM, "value": b64(encode_unit(code)), "maxResults": "1"}
    matches = make_client().get("/v1/matches/byBinding", params=query).json()["matches"]
    assert matches == [
        {"manifestId": entry_of(assay_home / "ledger.sqlite", 2).manifest_id, "similarityScore": 100}
    ]


def test_by_content(make_client: Make, published: list[Path], assay_home: Path, tmp_path: Path) -> None:
    client, entry = make_client(), entry_of(assay_home / "ledger.sqlite", 1)
    path = copy(published[0], tmp_path / "copy.jpg", crop=0.9, quality=85)
    answer = client.post(
        "/v1/matches/byContent", content=path.read_bytes(), headers={"content-type": "image/jpeg"}
    )
    assert [match["manifestId"] for match in answer.json()["matches"]] == [entry.manifest_id]
    assert answer.json()["matches"][0]["similarityScore"] > 80
    from PIL import Image

    forged = DEFAULT.embed(CORPUS.drawing(5, 256), AssetId.from_int(1), key=load_key(build_setup().key_file))
    Image.fromarray(forged.pixels).save(tmp_path / "forged.png")
    hostile = client.post(
        "/v1/matches/byContent",
        content=(tmp_path / "forged.png").read_bytes(),
        headers={"content-type": "image/png"},
    )
    assert hostile.json() == {"matches": []}  # a transplanted watermark finds nothing


def test_what_the_service_says_of_itself(make_client: Make, published: list[Path]) -> None:
    client = make_client()
    discovery = client.get("/.well-known/c2pa-soft-binding-resolution").json()
    assert discovery["apiEndpoint"] == "http://testserver/v1"
    assert discovery["c2paSpecificationVersion"] == "2.4.0"
    assert client.get(discovery["statusEndpoint"]).json()["status"] == "ok"
    assert client.get(discovery["capabilitiesEndpoint"]).json()["supportedCapabilities"] == ["queryByContent"]
    proxied = make_client(public_url="https://c2pa.example/").get("/.well-known/c2pa-soft-binding-resolution")
    assert proxied.json()["apiEndpoint"] == "https://c2pa.example/v1"
    online = make_client(online=True).get("/v1/services/capabilities").json()
    assert online["supportedCapabilities"] == ["queryByContent", "queryByReference"]
    supported = client.get("/v1/services/supportedAlgorithms").json()
    assert [entry["alg"] for entry in supported["fingerprints"]] == [ALGORITHM]
    assert supported["fingerprints"][0]["listed"] is None  # no list was imported: unknown, not yes
    assert "private" in supported["watermarks"][0]["note"]
    broken = dataclasses.replace(build_setup(), ledger=Path("/nowhere/ledger.sqlite"))
    assert make_client(setup=broken).get("/v1/services/status").json()["status"] == "degraded"


def test_official_list(make_client: Make, published: list[Path], shared_data: Path, tmp_path: Path) -> None:
    official = shared_data / "c2pa" / FILE
    store = import_list(Store(tmp_path), official, kind=ALGORITHMS, name="algorithms")
    imported = load_algorithms(store)
    assert imported.digest == hashlib.sha256(official.read_bytes()).hexdigest()
    assert len(imported.algorithms) == 32
    assert (imported.is_listed(ALGORITHM), imported.is_listed(DEFAULT.name)) == (True, False)
    assert AlgorithmList().is_listed(ALGORITHM) is None
    supported = make_client(algorithms=imported).get("/v1/services/supportedAlgorithms").json()
    assert supported["fingerprints"][0]["listed"] is True
    assert supported["watermarks"][0]["listed"] is False
    assert supported["algorithmList"] == imported.digest
    entries = json.loads(official.read_bytes())
    for broken in (b"[", b"{}", b"[]", b"[1]", json.dumps([{**entries[0], "alg": "no dots"}]).encode()):
        (tmp_path / "broken.json").write_bytes(broken)
        with pytest.raises(InputError):
            import_list(
                Store(tmp_path / "kept"), tmp_path / "broken.json", kind=ALGORITHMS, name="algorithms"
            )
    assert not (tmp_path / "kept").exists()


BAD = {
    "no value": ("GET", "/v1/matches/byBinding?alg=" + DEFAULT.name, None, 400),
    "unknown algorithm": ("GET", "/v1/matches/byBinding?alg=com.evil&value=AA==", None, 400),
    "not base64": ("GET", f"/v1/matches/byBinding?alg={DEFAULT.name}&value=%21%21", None, 400),
    "not an id": ("GET", f"/v1/matches/byBinding?alg={DEFAULT.name}&value=AA==", None, 400),
    "not an ISCC": ("GET", f"/v1/matches/byBinding?alg={ALGORITHM}&value=AA==", None, 400),
    "maxResults": ("GET", f"/v1/matches/byBinding?alg={DEFAULT.name}&value=AA==&maxResults=0", None, 400),
    "too long": ("GET", f"/v1/matches/byBinding?alg={DEFAULT.name}&value=" + "A" * 3000, None, 414),
    "no JSON": ("POST", "/v1/matches/byBinding", b"{", 400),
    "deep JSON": ("POST", "/v1/matches/byBinding", b"[" * 100_000, 400),
    "no object": ("POST", "/v1/matches/byBinding", b"[1]", 400),
    "wrong types": ("POST", "/v1/matches/byBinding", b'{"alg": {}, "value": []}', 400),
    "empty": ("POST", "/v1/matches/byBinding", b"", 400),
    "unknown manifest": ("GET", "/v1/manifests/urn:c2pa:' OR 1=1 --", None, 404),
    "endless id": ("GET", "/v1/manifests/" + "x" * 5000, None, 404),
    "no boolean": ("GET", "/v1/manifests/x?returnActiveManifest=maybe", None, 400),
    "no such path": ("GET", "/v1/elsewhere", None, 404),
    "method": ("DELETE", "/v1/manifests/x", None, 405),
    "offline": ("POST", "/v1/matches/byReference", b"{}", 501),
}


@pytest.mark.parametrize(("method", "path", "body", "status"), BAD.values(), ids=BAD.keys())
def test_bad_queries_get_a_clear_answer(
    make_client: Make, published: list[Path], method: str, path: str, body: bytes | None, status: int
) -> None:
    answer = make_client().request(method, path, content=body)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "code"}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_content_that_is_no_picture(make_client: Make, published: list[Path]) -> None:
    client = make_client()
    for kind, body in (("text/plain", b"x"), ("image/png", b"no picture"), ("", b"x")):
        answer = client.post("/v1/matches/byContent", content=body, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["code"]) == (415, "type-unsupported")
    for query in ("hintAlg=" + ALGORITHM, "alg=com.evil", "hintAlg=com.evil&hintValue=AA=="):
        answer = client.post(
            f"/v1/matches/byContent?{query}", content=b"x", headers={"content-type": "image/png"}
        )
        assert answer.status_code == 400


def test_scopes(make_client: Make, published: list[Path], tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    tokens = {scope: add_client(file, scope, [scope]) for scope in SCOPES}
    assert file.stat().st_mode & 0o077 == 0
    assert not any(token in file.read_text() for token in tokens.values())
    client = make_client(clients=load_clients(file))
    query = f"/v1/matches/byBinding?alg={DEFAULT.name}&value={b64(ASSET.encode())}"

    def ask(path: str, token: str | None, method: str = "GET") -> tuple[int, str]:
        answer = client.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
        return answer.status_code, answer.headers.get("www-authenticate", "")

    assert ask(query, tokens[FETCH])[0] == 200
    assert ask(query, None) == (401, "Bearer")
    assert ask(query, "guess") == (401, 'Bearer error="invalid_token"')
    assert ask(query, tokens[VERIFY]) == (403, 'Bearer error="insufficient_scope", scope="fetch:manifests"')
    assert ask("/v1/manifests/x", tokens[VERIFY])[0] == 403
    assert ask("/verify", tokens[FETCH], "POST")[0] == 403
    assert ask("/v1/matches/byContent", None, "POST")[0] == 401
    assert ask("/v1/services/status", None)[0] == 200
    basic = client.get(query, headers={"Authorization": "Basic " + tokens[FETCH]})
    assert basic.status_code == 401


def test_token_file_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = add_client(file, "press", [FETCH])
    found = find_client(load_clients(file), token)
    assert found == Client("press", hashlib.sha256(token.encode()).hexdigest(), frozenset({FETCH}))
    for name, scopes in (("press", [FETCH]), ("other", ["admin"]), ("", [FETCH]), ("none", [])):
        with pytest.raises(InputError):
            add_client(file, name, scopes)
    for broken in (
        "[]",
        "{",
        '{"clients": []}',
        '{"clients": [{"name": "a", "sha256": "b", "scopes": ["all"]}]}',
    ):
        file.write_text(broken)
        with pytest.raises(InputError):
            load_clients(file)


def test_rate_limit(make_client: Make, published: list[Path]) -> None:
    client = make_client(limits=Limits(requests=3))
    codes = [client.get("/v1/services/capabilities").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]
    assert int(client.get("/v1/services/capabilities").headers["retry-after"]) >= 1


def test_bucket_refills_and_clients_do_not_share() -> None:
    now = [0.0]
    limiter = RateLimiter(2, clock=lambda: now[0])
    assert [limiter.take("a"), limiter.take("a")] == [0.0, 0.0]
    assert limiter.take("a") == pytest.approx(30.0)
    assert limiter.take("b") == 0.0
    now[0] = 31.0
    assert limiter.take("a") == 0.0
    for number in range(11_000):
        limiter.take(f"host {number}")
    assert len(limiter._buckets) <= 10_000
