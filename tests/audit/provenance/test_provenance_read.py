"""Reading: every kind of file gets a state, no exception; trust lists are kept apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from provenance_making import flip, make_signer, picture, sign, trust_folder

from audit.provenance.codes import Code, Part
from audit.provenance.read import ManifestState, read_manifests
from audit.provenance.trust import DEVELOPMENT_LIST, SIGNER_LIST, TIME_LIST, TrustLists, load_trust
from generator.errors import InputError

SIGNER = make_signer()


@pytest.fixture(scope="module")
def signed() -> bytes:
    return sign(picture(), SIGNER)


@pytest.mark.parametrize(
    ("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_bytes_and_paths_give_the_same_report(kind: str, mime: str, tmp_path: Path) -> None:
    data = sign(picture(kind), SIGNER, mime=mime)
    path = tmp_path / "misnamed.txt"
    path.write_bytes(data)
    lists = load_trust(trust_folder(tmp_path / "trust", SIGNER))
    reports = [read_manifests(source, lists) for source in (data, path)]
    for report in reports:
        assert report.state is ManifestState.TRUSTED
        assert report.trust_list == SIGNER_LIST
        assert report.crjson["manifests"][0]["label"] == report.active
    assert reports[0].manifests == reports[1].manifests


def test_crjson_is_left_out_when_not_wanted(signed: bytes) -> None:
    assert not read_manifests(signed, TrustLists(), with_crjson=False).crjson


def test_lists_are_kept_apart(signed: bytes, tmp_path: Path) -> None:
    """The engine calls a signer trusted whose anchor stands among the time-stamp authorities: we see which list."""
    times = load_trust(trust_folder(tmp_path / "times", SIGNER, name="my-TSA-list.pem"))
    assert times.signers == ()
    assert read_manifests(signed, times).trust_list == TIME_LIST
    own = load_trust(None, development=SIGNER.root)
    assert read_manifests(signed, own).trust_list == DEVELOPMENT_LIST


def test_the_development_root_is_no_trust_list(signed: bytes, tmp_path: Path) -> None:
    both = trust_folder(tmp_path / "both", SIGNER, make_signer())
    lists = load_trust(both, development=SIGNER.root)
    assert len(lists.signers) == 1
    assert read_manifests(signed, lists).trust_list == DEVELOPMENT_LIST


def test_trust_folders_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_trust(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no certificate"):
        load_trust(tmp_path / "empty")
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(InputError, match="certificate 1 of 1 is damaged"):
        load_trust(tmp_path / "bad.pem")


def test_the_digest_names_the_content_of_the_lists(tmp_path: Path) -> None:
    one = trust_folder(tmp_path / "one", SIGNER, name="a.pem")
    other = trust_folder(tmp_path / "other", SIGNER, name="b.pem")
    third = trust_folder(tmp_path / "third", make_signer())
    assert load_trust(one).digest == load_trust(other).digest != load_trust(third).digest


def test_states_of_files_without_a_valid_manifest(signed: bytes) -> None:
    claim = signed.index(b"claim_generator_info")
    cases = {
        ManifestState.ABSENT: [picture(), picture("JPEG"), picture("WEBP"), picture("GIF")],
        ManifestState.UNSUPPORTED: [picture("BMP")],
        ManifestState.UNREADABLE: [
            b"",
            b"\x00",
            b"just text",
            signed[:100],
            picture()[:300],
            picture("JPEG")[:40],
        ],
        ManifestState.MALFORMED: [flip(signed, claim - 1)],
        ManifestState.INVALID: [flip(signed, len(signed) - 40), signed + b"x"],
    }
    for state, files in cases.items():
        for data in files:
            assert read_manifests(data, TrustLists()).state is state, (state, data[:20])


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_half_files_never_raise(signed: bytes, share: float) -> None:
    for data in (signed, sign(picture("JPEG"), SIGNER, mime="image/jpeg")):
        report = read_manifests(data[: int(len(data) * share)], TrustLists())
        assert report.state not in {ManifestState.TRUSTED, ManifestState.VALID}


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    report = read_manifests(tmp_path / "absent.png", TrustLists())
    assert report.state is ManifestState.UNREADABLE
    assert "No such file" in report.reason


def test_a_sidecar_is_checked_against_the_picture(signed: bytes, tmp_path: Path) -> None:
    start = signed.index(b"caBX") - 4
    length = int.from_bytes(signed[start : start + 4], "big")
    store, bare = signed[start + 8 : start + 8 + length], signed[:start] + signed[start + 12 + length :]
    report = read_manifests(bare, TrustLists(), sidecar=store)
    assert report.codes.of(Part.INTEGRITY)[0].code == "assertion.dataHash.mismatch"
    assert "without the picture" in read_manifests(store, TrustLists()).reason


@pytest.mark.parametrize(
    ("code", "part"),
    [
        ("assertion.dataHash.mismatch", Part.INTEGRITY),
        ("something.nobody.listed", Part.INTEGRITY),
        ("claimSignature.mismatch", Part.SIGNATURE),
        ("claimSignature.outsideValidity", Part.TIME),
        ("signingCredential.expired", Part.TIME),
        ("signingCredential.untrusted", Part.TRUST),
        ("timeStamp.mismatch", Part.TIME),
        ("cawg.x509.credential.untrusted", Part.IDENTITY),
    ],
)
def test_every_code_belongs_to_one_part(code: str, part: Part) -> None:
    assert Code(code).part is part
