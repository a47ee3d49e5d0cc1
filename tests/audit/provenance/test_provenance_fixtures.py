"""Files signed by others, and what is expected of each part. A row that differs from the C2PA engine's own state
(`engine`) says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.provenance.gather import Setup, build_setup, examine
from audit.provenance.verdict import judge

# file: (engine's state, overall word, status, integrity, signature, trust, time, chain)
EXPECTED = {
    "fixtures/C.jpg": (
        "trusted",
        "trusted",
        "pass",
        "intact",
        "valid",
        "trusted",
        "stamped",
        "no-ingredients",
    ),
    "fixtures/CA.jpg": ("trusted", "trusted", "pass", "intact", "valid", "trusted", "stamped", "sound"),
    # Its time stamp is of an authority that is not among the test roots; the certificate is still valid.
    "fixtures/CACA.jpg": (
        "trusted",
        "trusted",
        "pass",
        "intact",
        "valid",
        "trusted",
        "stamp-unproven",
        "sound",
    ),
    # Engine: trusted. An ingredient two generations up has a changed assertion, as its name says; it is recorded.
    "fixtures/CACAE-uri-CA.jpg": (
        "trusted",
        "laundered ingredient",
        "fail",
        "intact",
        "valid",
        "trusted",
        "stamped",
        "laundered",
    ),
    # Engine: trusted. The ingredient's signature is invalid, as its name says, and that is recorded.
    "fixtures/CIE-sig-CA.jpg": (
        "trusted",
        "laundered ingredient",
        "fail",
        "intact",
        "valid",
        "trusted",
        "stamped",
        "laundered",
    ),
    # Engine: valid, because of the CAWG identity's certificate; the C2PA signer itself is trusted.
    "fixtures/C_with_CAWG_data.jpg": (
        "valid",
        "trusted",
        "inconclusive",
        "intact",
        "valid",
        "trusted",
        "stamp-unproven",
        "no-ingredients",
    ),
    "fixtures/E-sig-CA.jpg": ("invalid", "tampered", "fail", "intact", "mismatch", "moot", "moot", "sound"),
    "fixtures/XCA.jpg": ("invalid", "tampered", "fail", "altered", "valid", "trusted", "stamped", "sound"),
    "fixtures/boxhash.jpg": ("trusted", "trusted", "pass", "intact", "valid", "trusted", "stamped", "sound"),
    "fixtures/cloud.jpg": (
        "remote",
        "manifest elsewhere",
        "inconclusive",
        "remote",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/cloud_manifest.c2pa": (
        "unreadable",
        "could not check",
        "error",
        "unreadable",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/legacy_ingredient_hash.jpg": (
        "trusted",
        "trusted",
        "pass",
        "intact",
        "valid",
        "trusted",
        "stamped",
        "sound",
    ),
    "fixtures/no_alg.jpg": (
        "malformed",
        "manifest damaged",
        "fail",
        "damaged",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/no_manifest.jpg": (
        "absent",
        "nothing found",
        "inconclusive",
        "absent",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/ocsp.jpg": (
        "valid",
        "intact, signer not on a trust list",
        "inconclusive",
        "intact",
        "valid",
        "untrusted",
        "stamped",
        "unproven",
    ),
    "fixtures/prerelease.jpg": (
        "prerelease",
        "could not check",
        "error",
        "prerelease",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/sample1.avif": (
        "absent",
        "nothing found",
        "inconclusive",
        "absent",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/sample1.webp": (
        "absent",
        "nothing found",
        "inconclusive",
        "absent",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/tiff_poc.tiff": (
        "unreadable",
        "could not check",
        "error",
        "unreadable",
        "none",
        "none",
        "none",
        "none",
    ),
    "fixtures/update_manifest.jpg": (
        "trusted",
        "trusted",
        "pass",
        "intact",
        "valid",
        "trusted",
        "none-needed",
        "sound",
    ),
    # Engine: invalid. The content is as signed; only the certificate ended, and no time stamp helps.
    "samples/chatgpt-1.png": (
        "invalid",
        "expired, no time stamp",
        "fail",
        "intact",
        "valid",
        "untrusted",
        "expired",
        "unproven",
    ),
    "samples/firefly-1.png": (
        "valid",
        "intact, signer not on a trust list",
        "inconclusive",
        "intact",
        "valid",
        "untrusted",
        "stamped",
        "no-ingredients",
    ),
    # Engine: invalid. Its time stamp's authority is on no list given; with it the signature counts.
    "samples/flux-1.jpg": (
        "invalid",
        "expired, time stamp not trusted",
        "inconclusive",
        "intact",
        "valid",
        "untrusted",
        "expired-stamp-unproven",
        "no-ingredients",
    ),
}


@pytest.fixture
def setup(shared_data: Path) -> Setup:
    roots = shared_data / "c2pa" / "trust" / "test-roots-for-fixtures.pem"
    return build_setup(trust=roots, search="off")


@pytest.mark.parametrize("name", EXPECTED)
def test_parts_of_files_signed_by_others(name: str, shared_data: Path, setup: Setup) -> None:
    layers = examine(shared_data / "c2pa" / name, setup)
    evidence = judge(layers)
    parts = [
        evidence.find(f"c2pa.{part}").value for part in ("integrity", "signature", "trust", "time", "chain")
    ]
    found = (str(layers.manifests.state), evidence.find("verdict").value, str(evidence.status), *parts)
    assert found == EXPECTED[name]


def test_the_table_is_complete(shared_data: Path) -> None:
    folder = shared_data / "c2pa"
    present = {
        f"{path.parent.name}/{path.name}"
        for kind in ("fixtures", "samples")
        for path in (folder / kind).iterdir()
    }
    assert present == set(EXPECTED)


def test_without_a_list_nothing_is_trusted(shared_data: Path) -> None:
    setup = build_setup(search="off")
    for name in EXPECTED:
        evidence = judge(examine(shared_data / "c2pa" / name, setup))
        assert evidence.find("c2pa.trust").value != "trusted"
        assert evidence.find("verdict").value != "trusted"


def test_a_missing_list_is_named_with_the_way_to_get_one(shared_data: Path) -> None:
    trust = judge(examine(shared_data / "c2pa" / "fixtures" / "C.jpg", build_setup(search="off"))).find(
        "c2pa.trust"
    )
    assert trust.status == "inconclusive"
    assert "--trust FOLDER" in trust.next_step


def test_the_official_lists_are_read_apart(shared_data: Path) -> None:
    setup = build_setup(trust=shared_data / "c2pa" / "trust", search="off")
    assert len(setup.trust.time_stamps) == 22
    assert len(setup.trust.signers) == 38  # 30 of the C2PA list, 8 test roots
