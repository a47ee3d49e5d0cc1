"""Identities: made once, mode 0600, renewed, never overwritten, refused with a reason."""

from __future__ import annotations

import multiprocessing
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.marking import certificates, identity
from generator.marking.certificates import CLAIM_SIGNING, DEVELOPMENT_NAME
from generator.marking.files import write_private_once
from generator.marking.identity import (
    assay_home,
    development_identity,
    development_root,
    development_time_authority,
    load_identity,
)
from generator.marking.profile import refusal_reasons
from generator.marking.signing_keys import (
    ALGORITHMS,
    SigningKey,
    algorithms_of,
    choose_algorithm,
    generate_key,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def leaf_of(made: identity.Identity) -> x509.Certificate:
    return x509.load_pem_x509_certificates(made.chain_pem.encode())[0]


def test_assay_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "here"))
    assert assay_home() == tmp_path / "here"
    made = development_identity()
    assert (tmp_path / "here" / "identity" / "root.pem").exists()
    assert made.root_pem == development_root()
    monkeypatch.delenv("ASSAY_HOME")
    assert assay_home().name == "assay"


def test_development_root_makes_nothing(tmp_path: Path) -> None:
    assert development_root(tmp_path / "none") == ""
    assert not (tmp_path / "none").exists()


def test_files_are_private_and_reused(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = development_identity(folder)
    files = sorted(folder.iterdir())
    assert [f.name for f in files] == ["root.pem", "signer-1.pem"]
    assert [stat.S_IMODE(f.stat().st_mode) for f in files] == [0o600, 0o600]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = [f.read_bytes() for f in files]
    assert development_identity(folder) == first
    assert [f.read_bytes() for f in files] == before
    assert first.is_development
    assert first.name == DEVELOPMENT_NAME
    assert first.algorithm == "es256"


def test_repr_hides_the_key(tmp_path: Path) -> None:
    made = development_identity(tmp_path)
    assert "PRIVATE KEY" in made.key_pem
    assert "PRIVATE KEY" not in repr(made)


def test_leaf_follows_the_profile(tmp_path: Path) -> None:
    made = development_identity(tmp_path, now=NOW)
    leaf, root = x509.load_pem_x509_certificates(made.chain_pem.encode())
    leaf.verify_directly_issued_by(root)
    assert leaf.version is x509.Version.v3
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=366)
    extensions = {type(e.value): e for e in leaf.extensions}
    assert extensions[x509.BasicConstraints].critical
    assert not extensions[x509.BasicConstraints].value.ca
    usage = extensions[x509.KeyUsage]
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.content_commitment
    assert set(extensions[x509.ExtendedKeyUsage].value) == {
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        CLAIM_SIGNING,
    }
    issuer_id = extensions[x509.AuthorityKeyIdentifier].value.key_identifier
    root_extensions = {type(e.value): e for e in root.extensions}
    assert issuer_id == root_extensions[x509.SubjectKeyIdentifier].value.digest
    assert root_extensions[x509.BasicConstraints].value.ca
    assert root_extensions[x509.KeyUsage].value.key_cert_sign
    assert root_extensions[x509.KeyUsage].value.crl_sign
    assert DEVELOPMENT_NAME in leaf.subject.rfc4514_string()
    assert DEVELOPMENT_NAME in root.subject.rfc4514_string()
    assert refusal_reasons(leaf, now=NOW) == []


def make_in_process(folder: Path, gate: object, answers: object) -> None:
    gate.wait()
    answers.put(development_identity(folder).chain_pem)


def test_processes_at_first_use_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(3), context.Queue()
    workers = [
        context.Process(target=make_in_process, args=(tmp_path / "keys", gate, answers)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    chains = {answers.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert len(chains) == 1
    assert sorted(f.name for f in (tmp_path / "keys").iterdir()) == ["root.pem", "signer-1.pem"]


def test_late_process_keeps_the_winners_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = development_identity(tmp_path)
    kept = (tmp_path / "root.pem").read_bytes()
    write_private_once(tmp_path / "root.pem", certificates.make_root(NOW))  # lost the race
    assert (tmp_path / "root.pem").read_bytes() == kept
    assert development_identity(tmp_path) == winner


@pytest.mark.parametrize("days", [340, 400])
def test_expiring_leaf_is_renewed_under_the_same_root(tmp_path: Path, days: int) -> None:
    first = development_identity(tmp_path, now=NOW)
    old = (tmp_path / "signer-1.pem").read_bytes()
    later = NOW + timedelta(days=days)
    second = development_identity(tmp_path, now=later)
    assert second.root_pem == first.root_pem
    assert second.not_after > later + timedelta(days=300)
    assert (tmp_path / "signer-1.pem").read_bytes() == old
    assert development_identity(tmp_path, now=later) == second


def test_clock_outside_the_root(tmp_path: Path) -> None:
    development_identity(tmp_path, now=NOW)
    with pytest.raises(InputError, match="set the clock"):
        development_identity(tmp_path, now=NOW - timedelta(days=400))


def test_damaged_file(tmp_path: Path) -> None:
    development_identity(tmp_path)
    (tmp_path / "signer-1.pem").write_text("-----BEGIN NOTHING")
    with pytest.raises(CannotCheckError, match=r"signer-1\.pem: damaged"):
        development_identity(tmp_path)


def test_key_of_another_certificate(tmp_path: Path) -> None:
    development_identity(tmp_path / "a")
    development_identity(tmp_path / "b")
    mixed = (tmp_path / "a" / "signer-1.pem").read_text()
    other = (tmp_path / "b" / "signer-1.pem").read_text()
    end = "-----END PRIVATE KEY-----\n"
    path = tmp_path / "a" / "signer-1.pem"
    path.write_text(other.split(end)[0] + end + mixed.split(end)[1])
    with pytest.raises(CannotCheckError, match="does not match"):
        development_identity(tmp_path / "a")
    path.write_text(other)
    with pytest.raises(CannotCheckError, match="two identities were mixed"):
        development_identity(tmp_path / "a")


def test_key_open_to_others(tmp_path: Path) -> None:
    development_identity(tmp_path)
    (tmp_path / "root.pem").chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        development_identity(tmp_path)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="ASSAY_HOME"):
        development_identity(tmp_path / "file" / "keys")


def test_disk_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(identity.os, "fsync", full)
    with pytest.raises(DiskFullError, match="free space"):
        development_identity(tmp_path)
    assert list(tmp_path.iterdir()) == []


def save(folder: Path, made: identity.Identity) -> tuple[Path, Path]:
    (folder / "chain.pem").write_text(made.chain_pem)
    (folder / "key.pem").write_text(made.key_pem)
    return folder / "chain.pem", folder / "key.pem"


def test_own_identity(tmp_path: Path) -> None:
    made = development_identity(tmp_path / "keys")
    assert load_identity(*save(tmp_path, made)) == made


def test_own_key_that_does_not_match(tmp_path: Path) -> None:
    made = development_identity(tmp_path / "a")
    chain, key = save(tmp_path, made)
    key.write_text(development_identity(tmp_path / "b").key_pem)
    with pytest.raises(InputError, match="does not belong"):
        load_identity(chain, key)


def test_own_encrypted_key(tmp_path: Path) -> None:
    made = development_identity(tmp_path / "keys")
    chain, key = save(tmp_path, made)
    private = serialization.load_pem_private_key(made.key_pem.encode(), None)
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"right")
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, cipher))
    assert load_identity(chain, key, password="right") == made
    with pytest.raises(InputError, match="give its password"):
        load_identity(chain, key)
    with pytest.raises(InputError, match="wrong password"):
        load_identity(chain, key, password="wrong")


def test_own_files_absent_or_no_pem(tmp_path: Path) -> None:
    chain, key = save(tmp_path, development_identity(tmp_path / "keys"))
    with pytest.raises(CannotCheckError, match="absent"):
        load_identity(tmp_path / "absent", key)
    chain.write_text("hello")
    with pytest.raises(InputError, match="no PEM certificate"):
        load_identity(chain, key)


def test_refusals_name_every_reason(tmp_path: Path) -> None:
    development_identity(tmp_path, now=NOW)
    root_file = tmp_path / "root.pem"
    with pytest.raises(InputError) as caught:
        load_identity(root_file, root_file, now=NOW + timedelta(days=365 * 30))
    for reason in ("expired", "CA=true", "digitalSignature", "emailProtection", "authority key identifier"):
        assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (ec.generate_private_key(ec.SECP384R1()), ("es384",)),
        (ec.generate_private_key(ec.SECP521R1()), ("es512",)),
        (ed25519.Ed25519PrivateKey.generate(), ("ed25519",)),
        (rsa.generate_private_key(65537, 2048), ("ps256", "ps384", "ps512")),
    ],
)
def test_algorithms_of_a_key(key: SigningKey, expected: tuple[str, ...]) -> None:
    assert algorithms_of(key.public_key(), where="k") == expected
    assert [choose_algorithm(key.public_key(), where="k", wanted=name) for name in expected] == list(expected)
    with pytest.raises(InputError, match="cannot sign es256"):
        choose_algorithm(key.public_key(), where="k", wanted="es256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_new_keys_serve_their_algorithm(algorithm: str) -> None:
    assert algorithm in algorithms_of(generate_key(algorithm).public_key(), where="k")


def test_weak_keys_are_refused() -> None:
    with pytest.raises(InputError, match="P-256"):
        algorithms_of(ec.generate_private_key(ec.SECP256K1()).public_key(), where="k")
    with pytest.raises(InputError, match="2048"):
        algorithms_of(rsa.generate_private_key(65537, 1024).public_key(), where="k")


def test_development_time_authority_is_made_once_and_renewed_by_hand(tmp_path: Path) -> None:
    made = development_time_authority(tmp_path, now=NOW)
    assert development_time_authority(tmp_path, now=NOW).chain == made.chain
    assert stat.S_IMODE((tmp_path / "time.pem").stat().st_mode) == 0o600
    with pytest.raises(InputError, match="move the file away"):
        development_time_authority(tmp_path, now=NOW + timedelta(days=400))
