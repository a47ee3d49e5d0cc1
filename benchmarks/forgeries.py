"""Makes signed pictures and forged ones with fresh keys, independently of the project's own signing code."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import c2pa
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID, ObjectIdentifier
from PIL import Image

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EMAIL, CLAIM_SIGNING = "1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.62558.2.1"
DAY = dt.timedelta(days=1)
_SETTINGS = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}


@dataclass(frozen=True)
class Leaf:
    """A signing certificate with its key and issuer, PEM chain included."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuer: x509.Certificate

    @property
    def chain(self) -> bytes:
        """PEM, leaf first."""
        return _pem(self.certificate) + _pem(self.issuer)

    @property
    def key_pem(self) -> bytes:
        """PKCS8."""
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(pem, form, serialization.NoEncryption())


class Authority:
    """A root that issues whatever it is asked to."""

    def __init__(self, name: str = "Forgery Root") -> None:
        """Make a key and its self-signed certificate."""
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name, "Test Authority")
        now = dt.datetime.now(dt.UTC)
        self.certificate = (
            _builder(self._name, self._name, self.key, now - 3650 * DAY, now + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """The anchor."""
        return _pem(self.certificate).decode()

    def issue(
        self,
        common: str = "Forgery Signer",
        *,
        organisation: str = "Test Press",
        start: dt.timedelta = -DAY,
        end: dt.timedelta = 30 * DAY,
        purposes: Sequence[str] = (EMAIL, CLAIM_SIGNING),
        is_authority: bool = False,
        signs: bool = True,
    ) -> Leaf:
        """A certificate valid from `start` to `end`, both relative to now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        builder = (
            _builder(_name(common, organisation), self._name, key, now + start, now + end)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=signs, key_cert_sign=is_authority), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if purposes:
            stamps = list(purposes) == ["1.3.6.1.5.5.7.3.8"]
            builder = builder.add_extension(
                x509.ExtendedKeyUsage(list(map(ObjectIdentifier, purposes))), critical=stamps
            )
        return Leaf(builder.sign(self.key, hashes.SHA256()), key, self.certificate)

    def revocation(self, leaf: Leaf) -> bytes:
        """An OCSP response (DER) that says the leaf was revoked a day ago."""
        now = dt.datetime.now(dt.UTC)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf.certificate,
                issuer=self.certificate,
                algorithm=hashes.SHA1(),
                cert_status=ocsp.OCSPCertStatus.REVOKED,
                this_update=now - dt.timedelta(hours=1),
                next_update=now + DAY,
                revocation_time=now - DAY,
                revocation_reason=x509.ReasonFlags.key_compromise,
            )
            .responder_id(ocsp.OCSPResponderEncoding.NAME, self.certificate)
            .certificates([self.certificate])
            .sign(self.key, hashes.SHA256())
        )
        return response.public_bytes(serialization.Encoding.DER)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(common: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(**wanted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign "
        "crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{**dict.fromkeys(names.split(), False), **wanted})


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    start: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def picture(kind: str = "PNG", *, seed: int = 0, side: int = 96, **options: object) -> bytes:
    """A noisy picture as a file."""
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind, **options)
    return target.getvalue()


def sign(
    data: bytes,
    leaf: Leaf,
    *,
    mime: str = "image/png",
    title: str = "picture",
    parents: Sequence[tuple[str, bytes]] = (),
    assertions: Sequence[dict[str, Any]] = (),
    generator: str = "test writer",
    time_authority: str | None = None,
    embed: bool = True,
    compressed: bool = False,
) -> bytes:
    """A signed copy; with `embed` False, the manifest store alone; `compressed`, the manifest in brotli."""
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent0"]}}
    created = {"action": "c2pa.created", "digitalSourceType": GENERATED}
    actions = {"actions": [opened if parents else created]}
    manifest = {
        "claim_generator_info": [{"name": generator, "version": "1"}],
        "title": title,
        "assertions": [{"label": "c2pa.actions.v2", "created": True, "data": actions}, *assertions],
    }
    settings = _SETTINGS | {"core": {"prefer_compress_manifests": compressed}}
    target = io.BytesIO()
    info = c2pa.C2paSignerInfo(b"es256", leaf.chain, leaf.key_pem, time_authority)
    with c2pa.Builder(manifest, context=c2pa.Context.from_dict(settings)) as builder:
        if not embed:
            builder.set_no_embed()
        for number, (name, parent) in enumerate(parents):
            ingredient = {
                "title": name,
                "relationship": "componentOf" if number else "parentOf",
                "instance_id": f"parent{number}",
                "label": f"parent{number}",
            }
            builder.add_ingredient(ingredient, mime, io.BytesIO(parent))
        store = builder.sign(c2pa.Signer.from_info(info), mime, io.BytesIO(data), target)
    return target.getvalue() if embed else bytes(store)


def flip(data: bytes, position: int, mask: int = 1) -> bytes:
    """A copy with one byte changed."""
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)
