"""Private keys for C2PA: making one, reading one from PEM, and which signature algorithms it can serve.

Pure: works on bytes and objects, touches no file.
"""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from generator.errors import InputError

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

MINIMUM_RSA_BITS = 2048
"""Least size of an RSA key. Source: C2PA specification, digital signatures."""

_NEW_RSA_BITS = 3072  # the strength of P-256; NIST SP 800-57 part 1, table 2
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_RSA = ("ps256", "ps384", "ps512")
ALGORITHMS = (*_CURVES.values(), *_RSA, "ed25519")
"""C2PA's names of the signature algorithms."""


class PasswordError(InputError):
    """The key file is encrypted and no password, or a wrong one, was given."""


def generate_key(algorithm: str) -> SigningKey:
    """A new key that can sign with one of `ALGORITHMS`; RSA keys have 3072 bits."""
    if algorithm in _RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=_NEW_RSA_BITS)
    if algorithm == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"es256": ec.SECP256R1(), "es384": ec.SECP384R1(), "es512": ec.SECP521R1()}
    return ec.generate_private_key(curves[algorithm])


def key_to_pem(key: SigningKey, *, password: str | None = None) -> str:
    """The private key as PKCS8 PEM text; not encrypted (what c2pa reads) unless a password is given."""
    encryption = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, encryption).decode("ascii")


def parse_key(content: bytes, *, where: str, password: str | None = None) -> SigningKey:
    """The private key in PEM bytes.

    Raises:
        PasswordError: the key is encrypted and the password is missing or wrong.
        InputError: no key, a password for a plain key, or a kind of key that C2PA cannot use; `where` is named.
    """
    try:
        key = serialization.load_pem_private_key(content, password=password.encode() if password else None)
    except TypeError as error:  # encrypted without a password, or a password for a plain key
        if password:
            raise InputError(f"{where}: the private key is not encrypted; leave the password out") from error
        raise PasswordError(
            f"{where}: the private key is encrypted; give its password "
            "(--password-file, --password-env, or type it when asked)"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if password and b"ENCRYPTED" in content:
            raise PasswordError(
                f"{where}: wrong password for this private key (or a damaged file)"
            ) from error
        raise InputError(f"{where}: no readable PEM private key in it; expected PKCS8 or SEC1 PEM") from error
    if not isinstance(key, SigningKey):
        raise InputError(f"{where}: {type(key).__name__} cannot sign C2PA; use EC, RSA or Ed25519")
    return key


def algorithms_of(key: object, *, where: str) -> tuple[str, ...]:
    """The algorithms that a public key can serve; the first is what is used when nothing else is asked.

    Raises:
        InputError: RSA shorter than 2048 bits, or a curve or kind of key that C2PA does not allow.
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ("ed25519",)
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < MINIMUM_RSA_BITS:
            raise InputError(
                f"{where}: RSA key of {key.key_size} bits; C2PA asks for at least {MINIMUM_RSA_BITS}"
            )
        return _RSA
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name in _CURVES:
            return (_CURVES[key.curve.name],)
        raise InputError(f"{where}: curve {key.curve.name}; C2PA allows P-256, P-384 and P-521")
    raise InputError(f"{where}: {type(key).__name__} cannot sign C2PA; use EC, RSA or Ed25519")


def choose_algorithm(key: object, *, where: str, wanted: str | None = None) -> str:
    """The algorithm wanted, or the key's first.

    Args:
        key: public key.
        where: named in the message.
        wanted: one of `ALGORITHMS`, or None.

    Raises:
        InputError: the key cannot serve it, or C2PA cannot use the key at all.
    """
    possible = algorithms_of(key, where=where)
    if wanted is None:
        return possible[0]
    if wanted not in possible:
        raise InputError(f"{where}: this key cannot sign {wanted}; it can sign {', '.join(possible)}")
    return wanted
