"""Every generated image is read back before its row says that it passed, and states the energy that it took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit import job
from audit.cli.main import main
from audit.evidence import Check, Status
from audit.provenance.published_gate import check_published
from audit.provenance.read import read_manifests
from audit.provenance.rubric import IDS
from audit.provenance.trust import TrustLists
from audit.run import RunDirectory
from benchmarks.forgeries import Authority, flip, picture, sign

WORDS = ("generate", "--prompt", "a portrait of a nurse")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_an_image_that_we_publish_keeps_every_statement_and_says_its_energy(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, "--format", suffix, "--count", "2", "--out", str(tmp_path / "run")]) == 0
    run = RunDirectory.open(tmp_path / "run")
    for row in run.rows("images").to_dict("records"):
        assert (row["rubric"], row["status"]) == (len(IDS), "pass")
        manifest = read_manifests(run.path / row["path"], TrustLists()).active_manifest
        data = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
        energy = data["c2pa.environmental-sustainability"]["energy_kwh"]
        assert energy["value"] == pytest.approx(row["energy_kwh"])
        assert 0 < energy["value"] < 0.01
        assert energy["measurementMethod"].endswith("equal share of 2 images")
        assert energy["measurementMethod"].startswith(("measured by", "estimated, not measured"))


def test_an_image_that_fails_the_gate_is_a_finding_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Path] = []

    def refuse(path: Path) -> Check:
        seen.append(path)
        return Check("c2pa.rubric", Status.FAIL, "One statement does not hold.", value=30.0)

    monkeypatch.setattr(job, "check_published", refuse)
    assert main([*WORDS, "--out", str(tmp_path / "run"), "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["images"]
    assert (row["status"], row["rubric"]) == ("fail", 30.0)
    assert row["reason"] == "One statement does not hold."
    assert seen == [tmp_path / "run" / row["path"]]


def test_the_gate_reads_what_is_on_the_disk(tmp_path: Path) -> None:
    signed = sign(picture(), Authority().issue())
    path = tmp_path / "asset.png"
    path.write_bytes(signed)
    assert check_published(path).status is Status.FAIL  # the naive manifest of the test writer
    assert "statements" in check_published(path).reason
    path.write_bytes(flip(signed, -60))
    assert "assertion.dataHash.mismatch" in check_published(path).reason
    path.write_bytes(picture())
    assert check_published(path).status is Status.FAIL
