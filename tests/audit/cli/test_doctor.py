"""`assay doctor`: reasons, remedies, exit codes, and chains that it makes and the engine accepts."""

from __future__ import annotations

import argparse
import io
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from PIL import Image

from audit.cli import doctor
from audit.provenance.read import ManifestState, read_manifests
from audit.provenance.trust import load_trust
from generator.errors import InputError
from generator.marking.certificates import CLAIM_SIGNING
from generator.marking.credentials import sign
from generator.marking.identity import development_identity, load_identity
from generator.marking.manifest import ManifestFacts, build_manifest
from generator.marking.signing_keys import ALGORITHMS


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    doctor.add_parser(parser.add_subparsers())
    args = parser.parse_args(["doctor", *map(str, words)])
    return int(args.run(args))


def judged(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and name -> check of the one certificate."""
    capsys.readouterr()
    code = run(*words, "--json")
    (found,) = json.loads(capsys.readouterr().out)["certificates"]
    return code, {check["name"]: check for check in found["checks"]}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_chain_that_it_makes_passes_and_signs(
    algorithm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "dev"
    assert run("--make", folder, "--algorithm", algorithm) == 0
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    code, checks = judged(capsys, folder / "chain.pem", "--key", folder / "key.pem")
    assert code == 0
    assert {c["status"] for c in checks.values()} == {"pass", "skipped"}
    identity = load_identity(folder / "chain.pem", folder / "key.pem", algorithm=algorithm)
    assert identity.is_development
    facts = ManifestFacts("t", "0" * 16, datetime(2026, 11, 24, tzinfo=UTC), "g", "1", "", "")
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "PNG")
    signed = sign(pixel.getvalue(), "image/png", manifest=build_manifest(facts), identity=identity)
    trust = load_trust(folder / "root.pem")
    assert read_manifests(signed.data, trust).state is ManifestState.TRUSTED


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    run("--make", tmp_path)
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(InputError, match="never overwritten"):
        run("--make", tmp_path)
    assert (tmp_path / "key.pem").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chain.pem", "key.pem", "root.pem"]


def test_reasons_remedies_and_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    development_identity(tmp_path)
    code, checks = judged(capsys, tmp_path / "root.pem")
    assert code == 1
    failed = {name for name, check in checks.items() if check["status"] == "fail"}
    assert failed == {
        "certificate.basic_constraints",
        "certificate.key_usage",
        "certificate.extended_key_usage",
        "certificate.authority_key_identifier",
    }
    for name in failed:
        assert checks[name]["next_step"]
        assert checks[name]["source"]


def test_text_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    development_identity(tmp_path)
    assert run(tmp_path / "root.pem") == 1
    out = capsys.readouterr().out
    assert "root.pem: fail" in out
    assert "It is a certificate authority (CA=true)" in out
    assert "Ask for emailProtection together with C2PA claim signing" in out


def test_validity_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--make", tmp_path)
    code, checks = judged(capsys, tmp_path / "chain.pem", "--at", "2099-01-01T00:00:00Z")
    assert (code, checks["certificate.validity"]["status"]) == (1, "fail")
    assert "expired on" in checks["certificate.validity"]["reason"]
    for bad in ("tomorrow", "2099-01-01"):
        with pytest.raises(InputError, match="--at"):
            run(tmp_path / "chain.pem", "--at", bad)


def test_key_of_another_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--make", tmp_path / "a")
    run("--make", tmp_path / "b")
    chain = tmp_path / "a" / "chain.pem"
    code, checks = judged(capsys, chain, "--key", tmp_path / "b" / "key.pem")
    assert (code, checks["certificate.private_key"]["status"]) == (1, "fail")
    code, checks = judged(capsys, chain, "--key", chain)
    assert (code, checks["certificate.private_key"]["status"]) == (4, "error")


def test_the_programme_asks_for_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--make", tmp_path)
    _, checks = judged(capsys, tmp_path / "chain.pem")
    outlook = checks["certificate.programme"]
    assert outlook["status"] == "skipped"
    code, checks = judged(capsys, tmp_path / "chain.pem", "--profile", "programme")
    failed = [name.removeprefix("certificate.") for name, c in checks.items() if c["status"] == "fail"]
    assert code == 1
    assert failed == outlook["details"]["missed"]
    assert {"policies", "assurance_level", "product_record"} <= set(failed)


def test_a_file_without_a_certificate_cannot_be_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pem"
    path.write_text("hello")
    code, checks = judged(capsys, path)
    assert code == 4
    assert "no PEM certificate" in checks["certificate.readable"]["reason"]


def test_a_request_for_an_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEW_PASSWORD", "pass phrase")
    who = ["--name", "Camera app", "--organization", "Org", "--country", "de"]
    assert (
        run("--make", tmp_path, "--request", "--algorithm", "es384", *who, "--password-env", "NEW_PASSWORD")
        == 0
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.pem", "request.csr"]
    assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()
    request = x509.load_pem_x509_csr((tmp_path / "request.csr").read_bytes())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=Camera app,O=Org,C=DE"
    purposes = request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {x509.ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to do"),
        (["--make", "DIR", "--request"], "--name, --organization and --country"),
        (["--make", "DIR", "--algorithm", "md5"], "unknown; use one of es256"),
        (["--make", "DIR", "x.pem"], "give no others"),
        (
            ["--make", "DIR", "--request", "--name", "n", "--organization", "o", "--country", "DEU"],
            "two letters",
        ),
        (["--make", "DIR", "--password-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"),
    ],
)
def test_usage_errors(words: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        run(*[str(tmp_path / "new") if word == "DIR" else word for word in words])
    assert not (tmp_path / "new").exists()
