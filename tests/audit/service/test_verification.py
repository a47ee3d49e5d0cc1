"""POST /verify: what is found is signed, what is sent is kept nowhere, and what is hostile is turned away."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recovery_making import CORPUS, copy
from starlette.testclient import TestClient

from audit.provenance.gather import build_setup
from audit.provenance.read import read_manifests
from audit.provenance.trust import load_trust
from audit.report.detection_report import verify_report
from audit.service import judging
from audit.service.settings import Limits
from generator.errors import CannotCheckError
from generator.marking.identity import development_identity
from generator.marking.payload import AssetId

Make = Callable[..., TestClient]
MARKER = b"marker-that-must-not-stay-7f3a91c2"


def png(number: int = 7, *, tail: bytes = b"") -> bytes:
    target = io.BytesIO()
    Image.fromarray(CORPUS.drawing(number, 128)).save(target, "PNG")
    return target.getvalue() + tail


def post(client: TestClient, data: bytes, query: str = "", kind: str = "image/png") -> Any:
    return client.post(f"/verify{query}", content=data, headers={"content-type": kind})


def test_published_file_and_its_signed_report(make_client: Make, published: list[Path]) -> None:
    data = published[0].read_bytes()
    answer = post(make_client(), data).json()
    (asset,) = answer["assets"]
    assert asset["sha256"] == hashlib.sha256(data).hexdigest()
    checks = {check["name"]: check for check in asset["checks"]}
    assert checks["c2pa.signature"]["status"] == "pass"
    assert checks["watermark.payload"]["details"]["payload"] == AssetId.from_int(1).hex
    verified = verify_report(asset["report"], content=data, trusted_pem=development_identity().root_pem)
    assert verified.statement["predicate"]["verdict"] == asset["verdict"]
    assert "recovered" not in checks  # nothing was lost


def test_stripped_copy_gets_its_manifest_back(
    make_client: Make, published: list[Path], tmp_path: Path
) -> None:
    data = copy(published[0], tmp_path / "copy.jpg", crop=0.9, quality=85).read_bytes()
    client = make_client()
    (asset,) = post(client, data, kind="image/jpeg").json()["assets"]
    checks = {check["name"]: check for check in asset["checks"]}
    assert asset["verdict"] == "recovered, bytes differ"
    assert checks["recovered"]["value"] == "recovered"
    assert checks["recovered.signature"]["status"] == "pass"
    (without,) = post(client, data, "?recover=false", kind="image/jpeg").json()["assets"]
    assert "recovered" not in {check["name"] for check in without["checks"]}


def test_form_with_several_files_and_hostile_names(make_client: Make, published: list[Path]) -> None:
    files = [
        ("file", ("../../etc/passwd", png(), "image/png")),
        ("file", ("<script>\x1b[31m.png", b"no picture", "image/png")),
    ]
    answer = make_client().post("/verify", files=files).json()
    assert [asset["name"] for asset in answer["assets"]][0] == "passwd"
    assert "\x1b" not in answer["assets"][1]["name"]
    assert answer["status"] == "error"  # the worst of both: the second could not be read


def test_downloads(make_client: Make, published: list[Path]) -> None:
    pytest.importorskip("reportlab")
    client, data = make_client(), png()
    envelope = post(client, data, "?form=dsse")
    assert "attachment" in envelope.headers["content-disposition"]
    verify_report(envelope.json(), content=data, trusted_pem=development_identity().root_pem)
    pdf = post(client, data, "?form=pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    assert read_manifests(pdf.content, load_trust(None)).codes.has("claimSignature.validated")
    assert envelope.headers["cache-control"] == "no-store"


@pytest.fixture
def written() -> Iterator[list[str]]:
    """Names of everything that Python code opens for writing or creates while the test runs."""
    found: list[str] = []
    watching = [True]
    flags = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    creating = {"os.mkdir", "os.rename", "os.link", "tempfile.mkstemp", "tempfile.mkdtemp"}

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if not watching[0]:
            return
        opened = event == "open" and (args[2] or 0) & flags and not isinstance(args[0], int)
        if opened or event in creating:
            found.append(str(args[0]))

    sys.addaudithook(hook)
    yield found
    watching[0] = False


def holds_marker(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and MARKER in path.read_bytes()]


def test_nothing_is_kept(
    make_client: Make, published: list[Path], assay_home: Path, tmp_path: Path, written: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The storage probe: 3 MB that parsers like to spool, with a marker, sent in every way."""
    pytest.importorskip("reportlab")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    quick = dataclasses.replace(build_setup(), search="quick")
    client, data = make_client(setup=quick), png(tail=MARKER + os.urandom(3 << 20))
    post(client, data)  # modules are loaded and caches filled
    before = sorted(path for path in assay_home.rglob("*"))
    written.clear()
    for query in ("", "?form=pdf", "?form=dsse"):
        assert post(client, data, query).status_code == 200
    assert client.post("/verify", files={"file": ("x.png", data, "image/png")}).status_code == 200
    client.post("/v1/matches/byContent", content=data, headers={"content-type": "image/png"})
    assert not list((tmp_path / "temp").iterdir())
    assert not [name for name in written if not name.startswith(("/proc/self/fd/", "/dev/null"))], written
    assert not holds_marker(assay_home)
    assert [path for path in assay_home.rglob("*") if "sqlite-" not in path.name] == [
        path for path in before if "sqlite-" not in path.name
    ] or sorted(assay_home.rglob("*")) == before


BAD = {
    "unknown form": ("?form=exe", b"x", "image/png", 400),
    "recover": ("?recover=perhaps", b"x", "image/png", 400),
    "empty": ("", b"", "image/png", 400),
    "type": ("", b"x", "text/html", 415),
    "no type": ("", b"x", "", 415),
    "broken form": ("", b"x", "multipart/form-data; boundary=a", 400),
    "no boundary": ("", b"x", "multipart/form-data", 400),
    "no JSON": ("", b"{", "application/json", 400),
    "no urls": ("", b'{"urls": "https://a"}', "application/json", 400),
    "offline": ("", b'{"urls": ["https://a"]}', "application/json", 403),
}


@pytest.mark.parametrize(("query", "body", "kind", "status"), BAD.values(), ids=BAD.keys())
def test_bad_requests(make_client: Make, query: str, body: bytes, kind: str, status: int) -> None:
    answer = post(make_client(), body, query, kind)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "code"}


def test_bounds(make_client: Make) -> None:
    client = make_client(limits=Limits(upload=1_000, files=2, pixels=10_000))
    assert post(client, bytes(1_001)).status_code == 413

    def endless() -> Iterator[bytes]:  # without a length
        yield from [bytes(600)] * 3

    unknown = client.post("/verify", content=endless(), headers={"content-type": "image/png"})
    assert (unknown.status_code, unknown.json()["code"]) == (413, "body-too-large")
    target = io.BytesIO()
    Image.fromarray(np.zeros((200, 200), np.uint8)).save(target, "PNG")
    bomb = post(client, target.getvalue())
    assert (bomb.status_code, bomb.json()["code"]) == (413, "picture-too-large")
    many = client.post("/verify", files=[("file", (f"{i}.png", b"x", "image/png")) for i in range(3)])
    assert many.status_code == 400
    two = [("file", (f"{i}.png", b"x", "image/png")) for i in range(2)]
    assert client.post("/verify?form=pdf", files=two).json()["code"] == "one-file-only"


def test_too_many_at_once(make_client: Make) -> None:
    client = make_client(limits=Limits(workers=1, waiting=1))
    service = client.app.state.service
    assert service.enter()
    assert post(client, png()).status_code == 200
    assert service.enter()
    answer = post(client, png())
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    service.leave()
    assert post(client, png()).status_code == 200


def test_our_own_failure_is_not_a_finding(make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client()

    def fail(*_: object, **__: object) -> None:
        raise CannotCheckError("/secret/ledger.sqlite is damaged")

    monkeypatch.setattr(judging, "examine", fail)
    answer = post(client, png())
    assert answer.status_code == 500
    assert "secret" not in answer.text
    monkeypatch.setattr(judging, "examine", lambda *_, **__: 1 / 0)
    answer = post(client, png())
    assert (answer.status_code, answer.json()["code"]) == (500, "failed")


def test_payload_is_plain_json(make_client: Make) -> None:
    (asset,) = post(make_client(), png()).json()["assets"]
    statement = json.loads(base64.b64decode(asset["report"]["payload"]))
    assert statement["predicate"]["errorRates"]["c2pa.trust"]["falsePositive"] == "not measured"
