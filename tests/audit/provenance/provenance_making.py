"""Makes signed files at test time with fresh keys, independently of the project's own signing code."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier
from PIL import Image

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_EMAIL_PROTECTION = ObjectIdentifier("1.3.6.1.5.5.7.3.4")


@dataclass(frozen=True)
class Signer:
    root: str
    chain: bytes
    key: bytes


def _usage(**wanted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign "
        "crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{**dict.fromkeys(names.split(), False), **wanted})


def _name(common: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def make_signer(
    common: str = "Test Signer",
    organisation: str = "Test Press",
    *,
    lives: dt.timedelta = dt.timedelta(days=30),
) -> Signer:
    """A root and a leaf that ends `lives` from now."""
    now = dt.datetime.now(dt.UTC)
    root_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name("Test Root", "Test Authority")

    def builder(
        subject: x509.Name, key: ec.EllipticCurvePrivateKey, end: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    root = (
        builder(root_name, root_key, now + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        builder(_name(common, organisation), leaf_key, now + lives)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_EMAIL_PROTECTION]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Signer(
        root.public_bytes(pem).decode(),
        leaf.public_bytes(pem) + root.public_bytes(pem),
        leaf_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def picture(kind: str = "PNG", *, seed: int = 0, side: int = 96, **options: Any) -> bytes:
    """A noisy picture as a file."""
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind, **options)
    return target.getvalue()


def sign(
    data: bytes,
    signer: Signer,
    *,
    mime: str = "image/png",
    title: str = "picture",
    parents: Sequence[tuple[str, bytes]] = (),
    assertions: Sequence[dict[str, Any]] = (),
) -> bytes:
    """A signed copy; `parents` are (title, file) of the same kind that go in as ingredients, as they are."""
    if parents:
        actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent0"]}}]
    else:
        actions = [{"action": "c2pa.created", "digitalSourceType": GENERATED}]
    manifest = {
        "claim_generator_info": [{"name": "test writer", "version": "1"}],
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "created": True, "data": {"actions": actions}},
            *assertions,
        ],
    }
    settings = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
    target = io.BytesIO()
    info = c2pa.C2paSignerInfo(b"es256", signer.chain, signer.key, None)
    with c2pa.Builder(manifest, context=c2pa.Context.from_dict(settings)) as builder:
        for number, (name, parent) in enumerate(parents):
            ingredient = {
                "title": name,
                "relationship": "parentOf" if number == 0 else "componentOf",
                "instance_id": f"parent{number}",
                "label": f"parent{number}",
            }
            builder.add_ingredient(ingredient, mime, io.BytesIO(parent))
        builder.sign(c2pa.Signer.from_info(info), mime, io.BytesIO(data), target)
    return target.getvalue()


def flip(data: bytes, position: int) -> bytes:
    """A copy with one byte changed."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


def trust_folder(folder: Path, *signers: Signer, name: str = "signers.pem") -> Path:
    """A folder with one PEM list."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(signer.root for signer in signers))
    return folder
