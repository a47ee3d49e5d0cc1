"""A manifest store beside its file, as `assay mark --sidecar` writes it, and which of two stores counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from provenance_making import flip, make_signer, picture, sign, trust_folder

from audit.cli.main import main
from audit.evidence import Evidence
from audit.provenance import sidecar
from audit.provenance.gather import Setup, examine
from audit.provenance.trust import load_trust
from audit.provenance.verdict import judge
from benchmarks.store_surgery import store_of, strip
from generator.marking.sign_file import SIDECAR_SUFFIX

SIGNER = make_signer()


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(trust=load_trust(trust_folder(tmp_path / "trust", SIGNER)), search="off")


def verify(path: Path, setup: Setup) -> Evidence:
    return judge(examine(path, setup))


def test_what_mark_writes_verify_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(range(256)) * 40)
    assert main(["mark", str(weights), "--sidecar", "--generator", "Model"]) == 0
    capsys.readouterr()
    main(["verify", str(weights), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert '"value": "intact, development identity"' in json.dumps(document)
    assert sidecar.SUFFIX == SIDECAR_SUFFIX


@pytest.mark.parametrize("name", ["photo.png.c2pa", "photo.c2pa"])
def test_both_names_are_found(name: str, setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    signed = sign(picture(), SIGNER)
    path.write_bytes(strip(signed))
    assert verify(path, setup).find("verdict").value == "nothing found"
    (tmp_path / name).write_bytes(store_of(signed))
    assert verify(path, setup).find("c2pa.signature").value == "valid"
    assert (
        verify(path, setup).find("c2pa.integrity").value == "altered"
    )  # its hash leaves the embedded store out


def test_an_embedded_manifest_counts_before_one_beside_it(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(sign(picture(), SIGNER))
    (tmp_path / "photo.png.c2pa").write_bytes(b"anything")
    assert verify(path, setup).find("verdict").value == "trusted"
    path.write_bytes(flip(path.read_bytes(), -60))
    assert verify(path, setup).find("verdict").value == "tampered"


def test_a_sidecar_that_cannot_be_read_is_as_none(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(picture())
    (tmp_path / "photo.png.c2pa").mkdir()
    (tmp_path / "photo.c2pa").symlink_to(tmp_path / "photo.c2pa")
    assert verify(path, setup).find("verdict").value == "nothing found"
