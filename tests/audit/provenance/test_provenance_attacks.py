"""Attacks made at test time with fresh keys: each is judged by the part it attacks, none passes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from provenance_making import GENERATED, Signer, flip, make_signer, picture, sign, trust_folder

from audit.evidence import Evidence, Status
from audit.provenance.gather import Setup, examine
from audit.provenance.trust import load_trust
from audit.provenance.verdict import judge
from generator.marking.labels import build_xmp

SIGNER = make_signer()
OTHER = make_signer("Somebody Else")
Judge = Callable[[bytes], Evidence]


@pytest.fixture
def verify(tmp_path: Path) -> Judge:
    """Judge bytes with SIGNER on the trust list."""
    setup = Setup(trust=load_trust(trust_folder(tmp_path / "trust", SIGNER)), search="off")

    def run(data: bytes) -> Evidence:
        path = tmp_path / "asset"
        path.write_bytes(data)
        return judge(examine(path, setup))

    return run


def word(evidence: Evidence) -> object:
    return evidence.find("verdict").value


@pytest.mark.parametrize(
    ("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_good_changed_appended_stripped(verify: Judge, kind: str, mime: str) -> None:
    signed = sign(picture(kind), SIGNER, mime=mime)
    good = verify(signed)
    assert (word(good), good.status) == ("trusted", Status.PASS)
    changed = verify(flip(signed, len(signed) - 40))
    assert word(changed) in {"tampered", "could not check"}
    assert changed.status in {Status.FAIL, Status.ERROR}
    appended = verify(signed + b"\x00" * 8)
    assert (word(appended), appended.status) == ("tampered", Status.FAIL)
    assert appended.find("c2pa.integrity").details["codes"]
    assert appended.find("c2pa.signature").status is Status.PASS  # the parts stay apart
    target = io.BytesIO()
    Image.open(io.BytesIO(signed)).save(target, kind)
    stripped = verify(target.getvalue())
    assert (word(stripped), stripped.status) == ("nothing found", Status.INCONCLUSIVE)


def test_a_signer_on_no_list_is_not_trusted(verify: Judge) -> None:
    evidence = verify(sign(picture(), OTHER))
    assert word(evidence) == "intact, signer not on a trust list"
    assert evidence.status is Status.INCONCLUSIVE
    assert "Somebody Else" in evidence.find("c2pa.trust").reason


def test_a_key_that_does_not_belong_to_the_certificate(verify: Judge) -> None:
    mixed = Signer(SIGNER.root, SIGNER.chain, OTHER.key)
    evidence = verify(sign(picture(), mixed))
    assert (word(evidence), evidence.status) == ("tampered", Status.FAIL)
    assert evidence.find("c2pa.signature").value == "mismatch"
    assert evidence.find("c2pa.trust").value == "moot"


def test_the_manifest_of_another_picture(verify: Judge) -> None:
    """The manifest chunk of one PNG put into another one."""
    signed, other = sign(picture(seed=1), SIGNER), picture(seed=2)
    start = signed.index(b"caBX") - 4
    chunk = signed[start : start + 12 + int.from_bytes(signed[start : start + 4], "big")]
    evidence = verify(other[:33] + chunk + other[33:])
    assert (word(evidence), evidence.find("c2pa.integrity").value) == ("tampered", "altered")


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_tampered_parent_is_not_laundered_by_a_trusted_signer(verify: Judge, depth: int) -> None:
    """Every engine today calls these files trusted."""
    parent = flip(sign(picture(), SIGNER), -40)
    for generation in range(depth):
        parent = sign(parent, SIGNER, parents=[(f"generation {generation}", parent)])
    evidence = verify(parent)
    assert evidence.find("c2pa.integrity").status is Status.PASS
    assert evidence.find("c2pa.trust").status is Status.PASS
    assert (word(evidence), evidence.status) == ("laundered ingredient", Status.FAIL)
    chain = evidence.find("c2pa.chain")
    assert "assertion.dataHash.mismatch" in chain.details["codes"]
    assert "generation 0" in chain.reason
    assert chain.details["depth"] == depth


def test_an_honest_parent_and_a_bare_parent_are_no_findings(verify: Judge) -> None:
    parent = sign(picture(), SIGNER)
    child = verify(sign(parent, SIGNER, parents=[("parent", parent), ("bare", picture(seed=3))]))
    assert (word(child), child.status) == ("trusted", Status.PASS)
    assert "1 of them carry no Content Credentials" in child.find("c2pa.chain").reason


def test_a_parent_of_an_unknown_signer_leaves_the_chain_open(verify: Judge) -> None:
    parent = sign(picture(), OTHER)
    evidence = verify(sign(parent, SIGNER, parents=[("parent", parent)]))
    assert evidence.find("c2pa.chain").value == "unproven"
    assert (word(evidence), evidence.status) == ("trusted", Status.INCONCLUSIVE)


def test_an_authority_for_time_does_not_vouch_for_a_signer(tmp_path: Path) -> None:
    lists = load_trust(trust_folder(tmp_path / "trust", SIGNER, name="tsa.pem"))
    path = tmp_path / "asset.png"
    path.write_bytes(sign(picture(), SIGNER))
    layers = examine(path, Setup(trust=lists, search="off"))
    assert layers.manifests.state == "trusted"  # what the engine says
    trust = judge(dataclasses.replace(layers, has_trust_list=True)).find("c2pa.trust")
    assert trust.value == "untrusted"
    assert "only for time" in trust.reason
    assert judge(layers).find("c2pa.trust").value == "no-list"


def test_expired_is_not_tampered(verify: Judge, tmp_path: Path) -> None:
    brief = make_signer("Short Lived", lives=dt.timedelta(seconds=2))
    signed = sign(picture(), brief)
    time.sleep(3.1)  # validity is judged in whole seconds
    evidence = verify(signed)
    assert (word(evidence), evidence.status) == ("expired, no time stamp", Status.FAIL)
    assert evidence.find("c2pa.integrity").status is Status.PASS
    assert evidence.find("c2pa.signature").status is Status.PASS
    moment = evidence.find("c2pa.time")
    assert "signingCredential.expired" in moment.details["codes"]
    assert "not tampering" in moment.reason
    assert word(verify(signed + b"x")) == "tampered"


def test_the_development_identity_says_so(tmp_path: Path) -> None:
    setup = Setup(
        trust=load_trust(trust_folder(tmp_path / "trust", SIGNER), development=SIGNER.root), search="off"
    )
    path = tmp_path / "asset.png"
    path.write_bytes(sign(picture(), SIGNER))
    evidence = judge(examine(path, setup))
    assert (word(evidence), evidence.status) == ("intact, development identity", Status.INCONCLUSIVE)
    assert "development identity and not on any trust list" in evidence.find("c2pa.trust").reason


def test_the_own_root_given_as_a_trust_list_changes_nothing(tmp_path: Path) -> None:
    lists = load_trust(trust_folder(tmp_path / "trust", SIGNER), development=SIGNER.root)
    assert lists.signers == ()
    assert lists.development


def test_a_certificate_that_calls_itself_a_development_identity(verify: Judge) -> None:
    """Made on another machine: its root is not here, but its name says what it is."""
    evidence = verify(sign(picture(), make_signer("x", "Assay development identity")))
    assert word(evidence) == "intact, development identity"


def _labelled(source_type: str, *, asset_id: str = "00112233445566aa") -> bytes:
    xmp = build_xmp(
        asset_id=asset_id,
        producer="maker",
        system="model",
        version="1",
        created=dt.datetime(2026, 11, 1, tzinfo=dt.UTC),
    ).replace(GENERATED, source_type)
    return picture("JPEG", xmp=xmp.encode())


def test_labels_alone_are_a_statement_and_no_proof(verify: Judge) -> None:
    evidence = verify(_labelled(GENERATED))
    assert (word(evidence), evidence.status) == ("labels only (unsigned)", Status.INCONCLUSIVE)
    assert "anybody can write" in evidence.find("labels.aigc").reason


def test_a_label_that_contradicts_the_signed_manifest(verify: Judge) -> None:
    camera = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    evidence = verify(sign(_labelled(camera), SIGNER, mime="image/jpeg"))
    assert (word(evidence), evidence.status) == ("marks disagree", Status.FAIL)
    assert evidence.find("labels.iptc").value == "contradicts"
    agreeing = verify(sign(_labelled(GENERATED), SIGNER, mime="image/jpeg"))
    assert (word(agreeing), agreeing.status) == ("trusted", Status.PASS)
    assert "covers it" in agreeing.find("labels.aigc").reason


def test_a_soft_binding_that_names_another_image(verify: Judge) -> None:
    from generator.marking.watermark.registry import DEFAULT

    def bound(value: str) -> bytes:
        data = {"alg": DEFAULT.name, "blocks": [{"scope": {}, "value": value}]}
        assertion = {"label": "c2pa.soft-binding", "created": True, "data": data}
        return sign(_labelled(GENERATED), SIGNER, mime="image/jpeg", assertions=[assertion])

    evidence = verify(bound("ffffffffffffffff"))
    assert (word(evidence), evidence.status) == ("marks disagree", Status.FAIL)
    assert evidence.find("agreement.asset_id").details == {
        "soft binding": "ffffffffffffffff",
        "label": "00112233445566aa",
    }
    assert verify(bound("00112233445566aa")).find("agreement.asset_id").value == "agree"


def test_text_from_the_file_cannot_steer_a_terminal(tmp_path: Path) -> None:
    hostile = make_signer("\x1b[31mRed\u202e<script>alert(1)</script>")
    path = tmp_path / "asset.png"
    path.write_bytes(sign(picture(), hostile, title="\x1b]0;owned\x07", parents=[("\x9b2J\n", picture())]))
    evidence = judge(examine(path, Setup(search="off")))
    for check in evidence.checks:
        assert check.reason.isprintable()
        assert check.next_step.isprintable()
    assert "\\u{1b}" in evidence.find("c2pa.signature").reason
