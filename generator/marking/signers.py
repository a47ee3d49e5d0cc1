"""Keys that stay where they are: a command that signs (a cloud key service), or a PKCS#11 token.

The bytes to be signed go in, a signature comes out; the private key is never seen here. Every signature is checked
against the certificate before it is used, so that a wrong key is met at once and named.
"""

from __future__ import annotations

import importlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from generator.errors import CannotCheckError, InputError

_SECONDS = 60.0  # that a signing command may take; a key service answers in well under ten
_SAID = 400  # characters of the command's complaint that are repeated
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


class RemoteKey(Protocol):
    """A private key that another program or device holds; hashable, and equal when it is the same key."""

    def sign(self, data: bytes, *, algorithm: str) -> bytes:
        """The signature of data; ECDSA as r||s or DER.

        Raises:
            InputError: it cannot be used as configured.
            CannotCheckError: it did not answer, or refused.
        """


@dataclass(frozen=True, slots=True)
class CommandKey:
    """A command that reads the bytes to be signed from stdin and writes the signature to stdout.

    Attributes:
        command: program and arguments; no shell is involved.
        seconds: the time it may take.
    """

    command: tuple[str, ...]
    seconds: float = _SECONDS

    def sign(self, data: bytes, *, algorithm: str) -> bytes:  # noqa: ARG002 - the command knows its algorithm
        """Run the command; see `RemoteKey`."""
        name = self.command[0]
        try:
            done = subprocess.run(
                self.command, input=data, capture_output=True, timeout=self.seconds, check=False
            )
        except (FileNotFoundError, PermissionError) as error:
            raise InputError(f"signing command {name}: cannot be run ({error.strerror})") from error
        except subprocess.TimeoutExpired as error:
            raise CannotCheckError(
                f"signing command {name}: no answer within {self.seconds:g} s; nothing was signed"
            ) from error
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()[-_SAID:]
            raise CannotCheckError(
                f"signing command {name}: exit code {done.returncode}: {said or 'no message'}"
            )
        return done.stdout


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key in a PKCS#11 token (smart card, hardware security module); needs the package `python-pkcs11`.

    Attributes:
        module: the vendor's PKCS#11 library.
        token: label of the token.
        label: label of the private key.
        pin: user PIN; hidden from repr.
    """

    module: Path
    token: str
    label: str
    pin: str = field(repr=False)

    def sign(self, data: bytes, *, algorithm: str) -> bytes:
        """Open a session, sign, close it; see `RemoteKey`."""
        try:
            pkcs11: Any = importlib.import_module("pkcs11")
        except ImportError as error:
            raise InputError(
                "PKCS#11 needs the package python-pkcs11; install it with `pip install assay-audit[pkcs11]`"
            ) from error
        where = f"PKCS#11 token {self.token!r}, key {self.label!r}"
        try:
            token = pkcs11.lib(str(self.module)).get_token(token_label=self.token)
            with token.open(user_pin=self.pin) as session:
                private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self.label)
                return bytes(self._sign(pkcs11, private, data, algorithm))
        except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
            said = str(error) or type(error).__name__
            raise CannotCheckError(f"{where} in {self.module}: {said}; nothing was signed") from error

    @staticmethod
    def _sign(pkcs11: Any, private: Any, data: bytes, algorithm: str) -> bytes:  # noqa: ANN401 - no types
        mechanism = pkcs11.Mechanism
        if algorithm == "ed25519":
            return bytes(private.sign(data, mechanism=mechanism.EDDSA))
        size = algorithm[2:]
        if algorithm.startswith("es"):
            digest = hashes.Hash(_HASHES[size])
            digest.update(data)
            return bytes(private.sign(digest.finalize(), mechanism=mechanism.ECDSA))
        scheme = (
            getattr(mechanism, f"SHA{size}"),
            getattr(pkcs11.MGF, f"SHA{size}"),
            _HASHES[size].digest_size,
        )
        chosen = getattr(mechanism, f"SHA{size}_RSA_PKCS_PSS")
        return bytes(private.sign(data, mechanism=chosen, mechanism_param=scheme))


def is_signature(signature: bytes, data: bytes, *, key: object, algorithm: str) -> bool:
    """Whether a signature is the key's, in C2PA's form of the algorithm (ECDSA as r||s or DER).

    Args:
        signature: from a `RemoteKey`.
        data: what was signed.
        key: public key of the certificate.
        algorithm: C2PA's name.
    """
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey):
            chosen = _HASHES[algorithm[2:]]
            key.verify(signature, data, padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_to_der(signature, key.key_size), data, ec.ECDSA(_HASHES[algorithm[2:]]))
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _to_der(signature: bytes, bits: int) -> bytes:
    half = (bits + 7) // 8
    if len(signature) != 2 * half:
        return signature
    return utils.encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )
