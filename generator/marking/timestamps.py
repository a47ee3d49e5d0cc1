"""A small RFC 3161 time-stamp authority, for development and tests: it signs what this machine's clock says.

It proves nothing to others; a real time stamp comes from an authority's address. The server listens on the loopback
interface only, for as long as the context lasts.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from generator.errors import InputError
from generator.marking import asn1 as der
from generator.marking.certificates import utc_now
from generator.marking.signing_keys import SigningKey

POLICY = x509.ObjectIdentifier("2.25.190617043846105126104563190447126183431")
"""Policy named in every token: a UUID-based identifier that means "this machine's clock, no promise"."""

_REJECTED = 2  # PKIStatus. Source: RFC 3161 section 2.4.2
_VERSION = 3  # of SignedData whose content is not plain data. Source: RFC 5652 section 5.1
_MAX_REQUEST = 1 << 16  # bytes; a request of a C2PA engine has about 100
_DIGEST_SIZES = {
    "2.16.840.1.101.3.4.2.1": 32,  # SHA-256
    "2.16.840.1.101.3.4.2.2": 48,  # SHA-384
    "2.16.840.1.101.3.4.2.3": 64,  # SHA-512
}


@dataclass(frozen=True, slots=True)
class TimeAuthority:
    """Who stamps.

    Attributes:
        chain: certificates, the time-stamping leaf first.
        key: the leaf's private key, P-256; hidden from repr.
        clock: gives the time, aware.
    """

    chain: tuple[x509.Certificate, ...]
    key: SigningKey = field(repr=False)
    clock: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        if not isinstance(self.key, ec.EllipticCurvePrivateKey):
            raise InputError(f"time-stamp authority: {type(self.key).__name__}; give a P-256 key")

    def respond(self, request: bytes) -> bytes:
        """The TimeStampResp (DER) to a TimeStampReq (DER); rejected when it cannot be read or its hash is unknown."""
        try:
            asked = asn1.decode_der(der.Request, request)
        except ValueError:
            return _rejection()
        size = _DIGEST_SIZES.get(asked.imprint.algorithm.algorithm.dotted_string)
        if size is None or len(asked.imprint.digest) != size:
            return _rejection()
        return asn1.encode_der(der.Response(status=der.PkiStatus(status=0), token=self._stamp(asked)))

    def _stamp(self, asked: der.Request) -> der.Token:
        statement = asn1.encode_der(
            der.TimeStampInfo(
                version=1,
                policy=POLICY,
                imprint=asked.imprint,
                serial=secrets.randbits(63),
                time=asn1.GeneralizedTime(self.clock().replace(microsecond=0)),
                nonce=asked.nonce,
            )
        )
        return der.Token(
            kind=der.SIGNED_DATA,
            content=der.SignedData(
                version=_VERSION,
                digest_algorithms=asn1.SetOf([der.Algorithm(algorithm=der.SHA256)]),
                content=der.Encapsulated(kind=der.TST_INFO, content=statement),
                certificates=asn1.SetOf([_raw(c.public_bytes(Encoding.DER)) for c in self.chain]),
                signers=asn1.SetOf([self._signer_info(statement)]),
            ),
        )

    def _signer_info(self, statement: bytes) -> der.SignerInfo:
        leaf = self.chain[0]
        fingerprint = der.CertificateHash(digest=leaf.fingerprint(hashes.SHA256()))
        attributes = asn1.SetOf(
            [
                _attribute(der.CONTENT_TYPE, der.TST_INFO),
                _attribute(der.MESSAGE_DIGEST, _sha256(statement)),
                _attribute(der.SIGNING_CERTIFICATE, der.SigningCertificate(certificates=[fingerprint])),
            ]
        )
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)  # by construction
        return der.SignerInfo(
            version=1,
            signer=der.SignerId(issuer=_raw(leaf.issuer.public_bytes()), serial=leaf.serial_number),
            digest_algorithm=der.Algorithm(algorithm=der.SHA256),
            attributes=attributes,
            signature_algorithm=der.Algorithm(algorithm=der.ECDSA_WITH_SHA256),
            signature=self.key.sign(asn1.encode_der(attributes), ec.ECDSA(hashes.SHA256())),
        )


@contextlib.contextmanager
def serve_time(authority: TimeAuthority) -> Iterator[str]:
    """Serve an authority on a free port of the loopback interface; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # s; a caller that stalls does not hold its thread for ever

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > _MAX_REQUEST:
                self.send_error(413)
                return
            body = authority.respond(self.rfile.read(length))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="assay-time", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def _rejection() -> bytes:
    return asn1.encode_der(der.Response(status=der.PkiStatus(status=_REJECTED)))


def _attribute(kind: x509.ObjectIdentifier, value: object) -> der.Attribute:
    return der.Attribute(kind=kind, values=asn1.SetOf([_raw(asn1.encode_der(value))]))


def _raw(encoded: bytes) -> asn1.TLV:
    """DER as a value that is written as it is."""
    return asn1.decode_der(asn1.TLV, encoded)


def _sha256(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()
