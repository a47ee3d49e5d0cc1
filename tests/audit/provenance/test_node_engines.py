"""Engines in Node: asked where the user installed them, never from beside the files; their words become opinions."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest

from audit.evidence import Check, Status
from audit.provenance.engines import Content, check_engines
from audit.provenance.gather import Setup, examine
from audit.provenance.node_engines import MODULES, ask_node
from audit.provenance.trust import build_lists
from benchmarks.forgeries import Authority, picture, sign

ROOT = Authority()
TRUST = build_lists([ROOT.pem], [], [], source="test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "asset.png"
    file.write_bytes(sign(picture(), ROOT.issue()))
    return file


def install(folder: Path, *modules: str) -> None:
    for name in modules:
        (folder / "node_modules" / name).mkdir(parents=True)
        (folder / "node_modules" / name / "package.json").write_text('{"version": "9.9"}')


@pytest.fixture
def fake_node(assay_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `node` that answers what `answer` holds, and keeps what it was asked."""
    install(assay_home / "node", MODULES[0])
    folder = tmp_path / "bin"
    folder.mkdir()
    node = folder / "node"
    node.write_text(
        f'#!/bin/sh\nprintf %s "$3" > "{folder}/asked"\ncat > "{folder}/script"\ncat "{folder}/answer"\n'
    )
    node.chmod(node.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def _check(path: Path) -> Check:
    return check_engines(examine(path, Setup(trust=TRUST, search="off")), path, TRUST)


def _answer(folder: Path, content: str, trusted: bool | None) -> None:
    found = {"engine": "c2pa-ts 9.9", "content": content, "trusted": trusted, "said": "so"}
    (folder / "answer").write_text(json.dumps([found]))


def test_an_opinion_of_node_counts_like_any_other(path: Path, fake_node: Path) -> None:
    _answer(fake_node, "intact", None)
    agreed = _check(path)
    assert (agreed.value, agreed.status) == ("agree", Status.PASS)
    assert "c2pa-ts 9.9: intact" in agreed.reason
    asked = json.loads((fake_node / "asked").read_text())
    assert (asked["path"], asked["mime"], asked["modules"]) == (str(path), "image/png", [MODULES[0]])
    assert "".join(TRUST.signers) in json.loads(asked["settings"])["trust"]["user_anchors"]
    assert "ManifestStore" in (fake_node / "script").read_text()
    _answer(fake_node, "broken", None)
    assert _check(path).value == "disagree"
    _answer(fake_node, "intact", trusted=False)
    assert _check(path).value == "disagree"


@pytest.mark.parametrize(
    "answer", ["", "[", "[{}]", '[{"engine": 1, "content": "odd", "trusted": 0, "said": ""}]']
)
def test_an_engine_that_breaks_says_so_and_does_not_stop_us(answer: str, path: Path, fake_node: Path) -> None:
    (fake_node / "answer").write_text(answer)
    (opinion,) = ask_node(path, TRUST)
    assert opinion.content is Content.UNREADABLE


def test_what_is_not_installed_is_not_asked(
    path: Path, assay_home: Path, fake_node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer(fake_node, "broken", None)
    shutil.rmtree(assay_home / "node")
    install(path.parent, *MODULES)  # beside the file: somebody else's code
    monkeypatch.chdir(path.parent)
    assert ask_node(path, TRUST) == []
    install(assay_home / "node", *MODULES)
    assert len(ask_node(path, TRUST)) == 1
    monkeypatch.setenv("PATH", str(path.parent))
    assert ask_node(path, TRUST) == []


def test_a_file_that_was_refused_for_its_size_is_given_to_nobody(
    path: Path, fake_node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit.provenance import engines

    _answer(fake_node, "intact", None)
    monkeypatch.setattr(engines, "costly_store", lambda _: "too much")
    assert len(_check(path).details["opinions"]) == 2
