"""The user's own trust lists: import, digest, age, unknown keys, lists kept apart; and the verb."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.cli.trust import _fetch
from audit.cli.trust import add_parser as add_trust
from audit.provenance.gather import build_setup, examine
from audit.provenance.recovery_algorithms import FILE
from audit.provenance.trust_store import import_list, load_algorithms, load_stored, open_store, remove_list
from audit.provenance.verdict import judge
from benchmarks.forgeries import Authority, picture, sign
from generator.errors import CannotCheckError, InputError

ROOT, CLOCK = Authority(), Authority("Clock Root")
ENTRY = {
    "alg": "org.example.mark",
    "type": "watermark",
    "entryMetadata": {"dateEntered": "2026-04-15T00:00:00.000Z"},
}
STAMPING = "1.3.6.1.5.5.7.3.8"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "signers.pem").write_text("Subject: a comment\n" + ROOT.pem)
    (tmp_path / "my-tsa.pem").write_text(CLOCK.pem)
    return tmp_path


def _import(home: Path, file: Path, kind: str = "signers", name: str = "one", **options: object) -> None:
    import_list(open_store(home), file, kind=kind, name=name, **options)


def test_without_a_list_the_verdict_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "asset.png").write_bytes(sign(picture(), ROOT.issue()))
    trust = judge(examine(tmp_path / "asset.png", build_setup(search="off"))).find("c2pa.trust")
    assert trust.status == "inconclusive"
    assert "assay trust import" in trust.next_step


def test_an_imported_list_is_used_by_every_run(assay_home: Path, files: Path, tmp_path: Path) -> None:
    _import(assay_home, files / "signers.pem")
    _import(assay_home, files / "my-tsa.pem", "time-stamps", "clock")
    lists = build_setup().trust
    assert (len(lists.signers), len(lists.time_stamps), len(lists.digest)) == (1, 1, 64)
    path = tmp_path / "asset.png"
    path.write_bytes(sign(picture(), ROOT.issue()))
    assert judge(examine(path, build_setup(search="off"))).find("c2pa.trust").value == "trusted"
    path.write_bytes(sign(picture(), CLOCK.issue("Stamper")))
    assert judge(examine(path, build_setup(search="off"))).find("c2pa.trust").value == "untrusted"


def test_an_authority_for_time_is_not_imported_as_one_for_signers(assay_home: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = CLOCK.issue("Stamping CA", purposes=[STAMPING]).certificate
    (tmp_path / "ica.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    with pytest.raises(InputError, match="--kind time-stamps"):
        _import(assay_home, tmp_path / "ica.pem")
    _import(assay_home, tmp_path / "ica.pem", "time-stamps")


def test_a_list_changed_behind_our_back_is_refused(assay_home: Path, files: Path) -> None:
    _import(assay_home, files / "signers.pem")
    with (assay_home / "trust" / "one.pem").open("a") as stream:
        stream.write(CLOCK.pem)
    with pytest.raises(CannotCheckError, match="changed since it was imported"):
        build_setup()


def test_old_lists_are_named(assay_home: Path, files: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    _import(assay_home, files / "signers.pem", now=now - dt.timedelta(days=200))
    assert "200 days ago" in load_stored(open_store(assay_home)).warnings[0]
    _import(assay_home, files / "signers.pem", now=now)
    assert load_stored(open_store(assay_home)).warnings == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trust_anchors": []}, "unknown key 'trust_anchors'"),
        ({"lists": {}}, "expected a list"),
        ({"lists": [{"name": "x", "kind": "signers", "anchor": 1}]}, "unknown key 'anchor'"),
        ({"lists": [{"name": "x"}]}, "lacks the key"),
        ({"purposes": ["emailProtection"]}, "no object identifier"),
        ({"purposes": [STAMPING]}, "never one of signers"),
        ({"purposes": []}, "no purpose is left"),
        ({"schema_version": 9}, "this version reads 1"),
    ],
)
def test_configuration_that_cannot_be_understood_is_refused(
    assay_home: Path, change: dict[str, object], message: str
) -> None:
    (assay_home / "trust").mkdir()
    content = {"schema_version": 1, "lists": [], **change}
    (assay_home / "trust" / "trust.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        build_setup()


def test_purposes_of_the_configuration_decide(assay_home: Path, files: Path, tmp_path: Path) -> None:
    _import(assay_home, files / "signers.pem")
    path = assay_home / "trust" / "trust.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "purposes": ["1.3.6.1.5.5.7.3.36"]}))
    asset = tmp_path / "asset.png"
    asset.write_bytes(sign(picture(), ROOT.issue()))
    assert judge(examine(asset, build_setup(search="off"))).find("c2pa.trust").value == "unacceptable"


def test_lists_are_replaced_and_forgotten(assay_home: Path, files: Path) -> None:
    _import(assay_home, files / "signers.pem")
    _import(assay_home, files / "my-tsa.pem", "time-stamps")
    assert [entry.kind for entry in open_store(assay_home).lists] == ["time-stamps"]
    remove_list(open_store(assay_home), "one")
    assert not (assay_home / "trust" / "one.pem").exists()
    with pytest.raises(InputError, match="imported are: none"):
        remove_list(open_store(assay_home), "one")


def test_files_that_are_no_lists(assay_home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(InputError, match="no certificate found"):
        _import(assay_home, tmp_path / "empty.pem")
    (tmp_path / "a.pem").write_text(ROOT.pem)
    with pytest.raises(InputError, match="lower-case letters"):
        _import(assay_home, tmp_path / "a.pem", name="../../escape")


@pytest.fixture
def server(files: Path) -> Iterator[str]:
    (files / "C2PA-TRUST-LIST.pem").write_text(ROOT.pem)
    (files / "C2PA-TSA-TRUST-LIST.pem").write_text(CLOCK.pem)
    (files / FILE).write_text(json.dumps([ENTRY]))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(files))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def run(*words: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    add_trust(parser.add_subparsers(dest="verb"))
    args = parser.parse_args(["trust", *words])
    return int(args.run(args))


def test_the_official_lists_are_fetched_only_when_asked(
    assay_home: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", "--online", "--from", server, "--json") == 0
    out, err = capsys.readouterr()
    lists = {entry["name"]: entry for entry in json.loads(out)["lists"]}
    assert (lists["c2pa"]["kind"], lists["c2pa-tsa"]["kind"]) == ("signers", "time-stamps")
    assert lists["c2pa"]["source"] == f"{server}/C2PA-TRUST-LIST.pem"
    assert lists["c2pa"]["sha256"] in err
    assert lists["c2pa-algorithms"]["kind"] == "algorithms"
    assert load_algorithms(open_store(assay_home)).is_listed("org.example.mark")
    with pytest.raises(CannotCheckError, match="cannot be fetched"):
        _fetch(f"{server}/absent.pem")
    with pytest.raises(InputError, match="https only"):
        _fetch("http://example.org/list.pem")


def test_the_verb(assay_home: Path, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert "no list imported" in capsys.readouterr().out
    assert run("import", str(files / "signers.pem"), str(files / "my-tsa.pem")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["signers", "signers", "1"],
        ["my-tsa", "time-stamps", "1"],
    ]
    assert run("remove", "signers") == 0
    assert [entry.name for entry in open_store(assay_home).lists] == ["my-tsa"]
    with pytest.raises(InputError, match="give FILE"):
        run("import")


def test_the_official_lists_of_the_development_data(assay_home: Path, shared_data: Path) -> None:
    folder = shared_data / "c2pa" / "trust"
    run("import", str(folder / "C2PA-TRUST-LIST.pem"), str(folder / "C2PA-TSA-TRUST-LIST.pem"))
    lists = build_setup().trust
    assert (len(lists.signers), len(lists.time_stamps)) == (30, 22)
    lists = build_setup().trust
    run("import", str(shared_data / "c2pa" / FILE))
    assert build_setup().trust == lists
    assert len(load_algorithms(open_store(assay_home)).algorithms) == 32


def test_a_list_of_algorithms_is_kept_beside_the_anchors_and_is_none(
    assay_home: Path, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_algorithms(open_store(assay_home)).is_listed("org.example.mark") is None
    (files / "listed.json").write_text(json.dumps([ENTRY]))
    assert run("import", str(files / "listed.json")) == 0
    (entry,) = open_store(assay_home).lists
    assert (entry.kind, entry.certificates) == ("algorithms", 1)
    assert entry.sha256 == hashlib.sha256((files / "listed.json").read_bytes()).hexdigest()
    assert entry.sha256 in capsys.readouterr().err
    setup = build_setup()
    assert (setup.trust.signers, setup.trust.digest) == ((), "")
    assert load_algorithms(open_store(assay_home)).is_listed("org.example.mark")
    late = dt.datetime.now(dt.UTC) + dt.timedelta(days=100)
    (warning,) = load_stored(open_store(assay_home), now=late).warnings
    assert "listed was imported 100 days ago" in warning
    (assay_home / "trust" / "listed.json").write_text("[]")
    with pytest.raises(CannotCheckError, match="changed since it was imported"):
        load_algorithms(open_store(assay_home))
    assert run("remove", "listed") == 0
    assert not (assay_home / "trust" / "listed.json").exists()
