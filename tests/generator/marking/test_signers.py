"""Keys held elsewhere: a command for every algorithm, a PKCS#11 token, and each way in which they fail."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import c2pa
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from small_files import picture

from generator.errors import AssayError, CannotCheckError, InputError
from generator.marking.credentials import sign
from generator.marking.identity import Identity, load_identity
from generator.marking.issuing import Subject, make_development_chain
from generator.marking.manifest import ManifestFacts, build_manifest
from generator.marking.signers import CommandKey, RemoteKey, TokenKey, is_signature
from generator.marking.signing_keys import ALGORITHMS, generate_key, parse_key

FACTS = ManifestFacts("t", "0" * 16, datetime(2026, 11, 24, tzinfo=UTC), "g", "1", "", "")
SCRIPT = """
import sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
key = serialization.load_pem_private_key(open(sys.argv[1], "rb").read(), None)
algorithm, data = sys.argv[2], sys.stdin.buffer.read()
if algorithm == "ed25519":
    out = key.sign(data)
else:
    kind = getattr(hashes, "SHA" + algorithm[2:])()
    if algorithm.startswith("es"):
        out = key.sign(data, ec.ECDSA(kind))
    else:
        out = key.sign(data, padding.PSS(padding.MGF1(kind), kind.digest_size), kind)
sys.stdout.buffer.write(out)
"""


def chain(folder: Path, algorithm: str = "es256") -> tuple[Path, Path, str]:
    """Certificate file, key file, and PEM of the root."""
    make_development_chain(folder, algorithm=algorithm, subject=Subject("Somebody", "Org", "DE"))
    return folder / "chain.pem", folder / "key.pem", (folder / "root.pem").read_text()


def state(identity: Identity, root: str) -> str:
    signed = sign(picture("PNG"), "image/png", manifest=build_manifest(FACTS), identity=identity)
    context = c2pa.Context.from_dict({"trust": {"user_anchors": root}})
    with c2pa.Reader("image/png", io.BytesIO(signed.data), context=context) as reader:
        assert reader.get_active_manifest()["signature_info"]["alg"].lower() == identity.algorithm
        return str(reader.get_validation_state())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_from_a_key_file_is_trusted(algorithm: str, tmp_path: Path) -> None:
    certificate, key, root = chain(tmp_path, algorithm)
    assert state(load_identity(certificate, key, algorithm=algorithm), root) == "Trusted"


@pytest.mark.parametrize("algorithm", ["es256", "es512", "ps384", "ed25519"])
def test_a_command_signs(algorithm: str, tmp_path: Path) -> None:
    certificate, key, root = chain(tmp_path, algorithm)
    command = CommandKey((sys.executable, "-c", SCRIPT, str(key), algorithm))
    identity = load_identity(certificate, command, algorithm=algorithm)
    assert identity.key_pem == ""
    assert state(identity, root) == "Trusted"


def failing(*, code: str, name: str = sys.executable, seconds: float = 30.0) -> CommandKey:
    return CommandKey((name, "-c", code), seconds)


@pytest.mark.parametrize(
    ("key", "kind", "said"),
    [
        (failing(code="", name="no-such-program"), InputError, "no-such-program: cannot be run"),
        (failing(code="import sys; sys.exit('denied')"), CannotCheckError, "exit code 1: denied"),
        (failing(code=""), InputError, r"returned \(0 bytes\) is no es256 signature"),
        (failing(code="print('x' * 64, end='')"), InputError, r"returned \(64 bytes\) is no es256 signature"),
        (
            failing(code="import time; time.sleep(60)", seconds=0.2),
            CannotCheckError,
            "no answer within 0.2 s",
        ),
    ],
)
def test_a_command_that_fails(key: CommandKey, kind: type[AssayError], said: str, tmp_path: Path) -> None:
    certificate, _, root = chain(tmp_path)
    with pytest.raises(kind, match=said):
        state(load_identity(certificate, key), root)


def test_a_command_with_the_key_of_another_certificate(tmp_path: Path) -> None:
    certificate, _, root = chain(tmp_path / "a")
    _, other, _ = chain(tmp_path / "b")
    command = CommandKey((sys.executable, "-c", SCRIPT, str(other), "es256"))
    with pytest.raises(InputError, match="belongs to another certificate"):
        state(load_identity(certificate, command), root)


def test_both_forms_of_an_ecdsa_signature_are_known() -> None:
    key = generate_key("es384")
    encoded = key.sign(b"data", ec.ECDSA(hashes.SHA384()))
    first, second = utils.decode_dss_signature(encoded)
    raw = first.to_bytes(48) + second.to_bytes(48)
    for signature in (encoded, raw):
        assert is_signature(signature, b"data", key=key.public_key(), algorithm="es384")
        assert not is_signature(signature, b"other", key=key.public_key(), algorithm="es384")
    assert not is_signature(raw, b"data", key=generate_key("es384").public_key(), algorithm="es384")


def token(module: Path, label: str = "es256", pin: str = "1234") -> RemoteKey:
    return TokenKey(module, "assay", label, pin)


def test_the_pin_is_hidden() -> None:
    assert "secret-pin" not in repr(token(Path("x"), pin="secret-pin"))


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    certificate, _, root = chain(tmp_path)
    with pytest.raises(InputError, match=r"assay-audit\[pkcs11\]"):
        state(load_identity(certificate, token(Path("x"))), root)


def test_a_token_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("pkcs11", reason="the package python-pkcs11 is not installed")
    certificate, _, root = chain(tmp_path)
    with pytest.raises(CannotCheckError, match="PKCS#11 token 'assay'"):
        state(load_identity(certificate, token(tmp_path / "absent.so")), root)


def softhsm() -> SimpleNamespace:
    """A software token, where one is installed."""
    pytest.importorskip("pkcs11", reason="the package python-pkcs11 is not installed")
    tool = shutil.which("softhsm2-util")
    folders = ("/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm", "/usr/local/lib/softhsm")
    places = [os.environ.get("SOFTHSM2_MODULE", ""), *(f"{folder}/libsofthsm2.so" for folder in folders)]
    module = next((Path(place) for place in places if place and Path(place).exists()), None)
    if tool is None or module is None:
        pytest.skip("SoftHSM is not installed")
    return SimpleNamespace(tool=tool, module=module)


def test_a_token_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hsm = softhsm()
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    algorithms = ("es256", "es384", "ps256", "ps512")
    chains = {algorithm: chain(tmp_path / algorithm, algorithm) for algorithm in algorithms}
    tool = [hsm.tool, "--module", str(hsm.module), "--pin", "1234"]
    subprocess.run([*tool, "--init-token", "--free", "--label", "assay", "--so-pin", "5678"], check=True)
    for number, (algorithm, (_, key, _)) in enumerate(chains.items()):
        names = ["--token", "assay", "--label", algorithm, "--id", f"0{number}"]
        subprocess.run([*tool, "--import", str(key), *names], check=True)
    for algorithm, (certificate, _, root) in chains.items():
        identity = load_identity(certificate, token(hsm.module, algorithm), algorithm=algorithm)
        assert state(identity, root) == "Trusted"
    with pytest.raises(CannotCheckError, match="nothing was signed"):
        state(load_identity(certificate, token(hsm.module, pin="9999"), algorithm=algorithm), root)
    with pytest.raises(InputError, match="belongs to another certificate"):
        state(load_identity(chains["es256"][0], token(hsm.module, "es384")), root)


def test_encrypted_key_files_open_with_their_password_only(tmp_path: Path) -> None:
    make_development_chain(tmp_path, algorithm="es256", subject=Subject(), password="right")
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    assert b"ENCRYPTED" in key.read_bytes()
    identity = load_identity(certificate, key, password="right")
    assert identity.is_development
    for password, said in ((None, "is encrypted"), ("wrong", "wrong password")):
        with pytest.raises(InputError, match=said):
            load_identity(certificate, key, password=password)
    assert parse_key(identity.key_pem.encode(), where="x").public_key() is not None
