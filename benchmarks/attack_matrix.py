"""Attacks on signed pictures, made with fresh keys: a name, the file, and the overall words that are right for it.

None may end in a pass. `cases` makes them all in about a second of processor time; watermarks are another matter and
have their own tests.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from PIL import Image

from audit.provenance.containers import locate_store
from audit.provenance.trust import TrustLists, build_lists
from benchmarks.forgeries import (
    DAY,
    EMAIL,
    GENERATED,
    Authority,
    Leaf,
    flip,
    forge,
    manifest_chunk,
    picture,
    sign,
    strip,
)
from generator.marking.labels import build_xmp

TAMPERED = frozenset({"tampered", "manifest damaged", "could not check"})
OPEN = frozenset({"nothing found", "could not check"})
HOSTILE = "\"><script>alert(1)</script>\x1b[31m\u202e{{7*7}}';DROP TABLE x;--"


@dataclass(frozen=True)
class Case:
    """One attack.

    Attributes:
        name: of the attack.
        data: the file.
        words: overall words that are right.
        check: name of the check that has to fail or stay open; "" for the overall status alone.
    """

    name: str
    data: bytes = field(repr=False)
    words: frozenset[str]
    check: str = "c2pa.integrity"


class Kit:
    """Keys and pictures that the attacks are made from."""

    def __init__(self) -> None:
        """Make fresh keys."""
        self.authority, self.stranger, self.clock = (
            Authority(),
            Authority("Stranger"),
            Authority("Clock Root"),
        )
        self.leaf, self.unknown = self.authority.issue(), self.stranger.issue("Somebody Else")
        self.plain = picture()
        self.signed = sign(self.plain, self.leaf)
        self.other = sign(picture(seed=1), self.leaf)

    @property
    def trust(self) -> TrustLists:
        """The lists of a reader: the authority for signers, the clock for time stamps."""
        return build_lists([self.authority.pem], [self.clock.pem], [], source="attack matrix")


def cases(kit: Kit) -> Iterator[Case]:
    """Every attack."""
    for group in (_bytes, _manifests, _ingredients, _certificates, _labels, _hostile):
        yield from group(kit)


def _words(*words: str) -> frozenset[str]:
    return frozenset(words)


def _bytes(kit: Kit) -> Iterator[Case]:
    """Changed, cut and appended bytes, by region and by format."""
    for kind, mime in (("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")):
        signed = kit.signed if kind == "PNG" else sign(picture(kind), kit.leaf, mime=mime)
        start, end = locate_store(signed).pieces[0]
        name = kind.lower()
        pixel = len(signed) // 3 if kind == "WEBP" else len(signed) - 60  # WebP keeps its manifest at the end
        yield Case(f"{name}: pixel byte flipped", flip(signed, pixel), TAMPERED)
        yield Case(f"{name}: byte appended", signed + b"x", TAMPERED)
        yield Case(f"{name}: megabyte appended", signed + bytes(1 << 20), TAMPERED)
        yield Case(f"{name}: last byte cut", signed[:-1], TAMPERED)
        yield Case(f"{name}: half a file", signed[: len(signed) // 2], TAMPERED | OPEN)
        signature = "c2pa.signature"
        for what, place in (
            ("claim", signed.index(b"test writer")),
            ("certificate", signed.index(b"Forgery Signer")),
            ("signature", end - 4),
        ):
            yield Case(f"{name}: {what} byte flipped", flip(signed, place), TAMPERED, signature)
        assertion = signed.index(b"c2pa.created")
        yield Case(f"{name}: assertion byte flipped", flip(signed, assertion), TAMPERED)
        yield Case(f"{name}: hash byte flipped", flip(signed, signed.index(b"dhash") + 12), TAMPERED)
        yield Case(
            f"{name}: store blanked", signed[:start] + bytes(end - start) + signed[end:], TAMPERED | OPEN
        )
        target = io.BytesIO()
        Image.open(io.BytesIO(signed)).save(target, kind)
        yield Case(f"{name}: re-encoded", target.getvalue(), OPEN)
    header = kit.signed.index(b"IHDR") + 4
    yield Case("png: header byte flipped", flip(kit.signed, header + 3), TAMPERED)
    yield Case("png: filled padding", forge(kit.signed, kit.leaf, pad=7), _words("trusted"), "c2pa.unsigned")
    checksum = locate_store(kit.signed).pieces[0][1]
    yield Case("png: checksum changed", flip(kit.signed, checksum), _words("trusted"), "c2pa.unsigned")


def _manifests(kit: Kit) -> Iterator[Case]:
    """Manifests that belong to another file, are there twice, or are not there."""
    bare, chunk = kit.plain, manifest_chunk(kit.other)
    yield Case("stripped", strip(kit.signed), OPEN)
    yield Case("manifest of another picture", bare[:33] + chunk + bare[33:], TAMPERED)
    twice = kit.signed[:33] + manifest_chunk(kit.signed) + kit.signed[33:]
    yield Case("the same manifest twice", twice, TAMPERED)
    yield Case("two manifests", kit.signed[:33] + chunk + kit.signed[33:], TAMPERED)
    late = bare[:-12] + manifest_chunk(kit.signed) + bare[-12:]
    yield Case("manifest moved to the end", late, TAMPERED)
    yield Case("store without a picture", sign(kit.plain, kit.leaf, embed=False), OPEN)
    mixed = Leaf(kit.leaf.certificate, kit.unknown.key, kit.leaf.issuer)
    yield Case("key of somebody else", sign(kit.plain, mixed), TAMPERED, "c2pa.signature")


def _ingredients(kit: Kit) -> Iterator[Case]:
    """Histories that do not hold."""
    laundered = _words("laundered ingredient")
    parent = flip(kit.signed, -40)
    for depth in range(1, 6):
        parent = sign(parent, kit.leaf, parents=[(f"generation {depth}", parent)])
        if depth in (1, 2, 5):
            yield Case(f"laundered parent at depth {depth}", parent, laundered, "c2pa.chain")
    broken = flip(kit.other, -40)
    beside = sign(kit.signed, kit.leaf, parents=[("good", kit.signed), ("broken", broken)])
    yield Case("laundered component beside a good parent", beside, laundered, "c2pa.chain")
    claim = flip(kit.signed, kit.signed.index(b"c2pa.created"))
    edited = sign(kit.plain, kit.leaf, parents=[("edited", claim)])
    yield Case("parent with an edited assertion", edited, laundered, "c2pa.chain")
    foreign = sign(kit.plain, kit.leaf, parents=[("foreign", sign(kit.plain, kit.unknown))])
    yield Case("parent of an unknown signer", foreign, _words("trusted"), "c2pa.chain")
    by_clock = kit.clock.issue("Stamp Signer")
    stamped = sign(kit.plain, kit.leaf, parents=[("stamped", sign(kit.plain, by_clock))])
    yield Case("parent signed under a time-stamp anchor", stamped, _words("trusted"), "c2pa.chain")
    covered = sign(kit.plain, by_clock, parents=[("trusted", kit.signed)])
    unknown = _words("intact, signer not on a trust list")
    yield Case("signer under a time-stamp anchor with a trusted parent", covered, unknown, "c2pa.trust")


def _certificates(kit: Kit) -> Iterator[Case]:
    """Signers whom nobody should trust."""
    issue, signed = kit.authority.issue, kit.signed
    unfit, expired = _words("signer not acceptable"), _words("expired, no time stamp")
    unknown = _words("intact, signer not on a trust list")
    trust = "c2pa.trust"
    yield Case("signer on no list", sign(kit.plain, kit.unknown), unknown, trust)
    yield Case("signer under a time-stamp anchor", sign(kit.plain, kit.clock.issue("Clock")), unknown, trust)
    for name, purposes in (
        ("code signing", ["1.3.6.1.5.5.7.3.3"]),
        ("time stamping", ["1.3.6.1.5.5.7.3.8"]),
        ("OCSP signing beside e-mail", [EMAIL, "1.3.6.1.5.5.7.3.9"]),
        ("time stamping beside e-mail", [EMAIL, "1.3.6.1.5.5.7.3.8"]),
        ("any purpose", ["2.5.29.37.0"]),
        ("no purpose", []),
    ):
        yield Case(f"certificate for {name}", forge(signed, issue(purposes=purposes)), unfit, trust)
    yield Case("certificate of an authority", forge(signed, issue(is_authority=True)), unfit, trust)
    yield Case("certificate that may not sign", forge(signed, issue(signs=False)), unfit, trust)
    past, future = issue(start=-20 * DAY, end=-DAY), issue(start=DAY, end=20 * DAY)
    yield Case("expired, no time stamp", forge(signed, past), expired, "c2pa.time")
    yield Case("not yet valid", forge(signed, future), expired, "c2pa.time")
    revoked = issue("Revoked")
    values = {"rVals": {"ocspVals": [kit.authority.revocation(revoked)]}}
    yield Case("revoked", forge(signed, revoked, values), _words("signer revoked"), trust)
    twin = sign(kit.plain, Authority().issue())
    yield Case("signer and root of the same names", twin, unknown, trust)


def _labelled(source_type: str) -> bytes:
    xmp = build_xmp(
        asset_id="00112233445566aa",
        producer="maker",
        system="model",
        version="1",
        created=datetime(2026, 11, 1, tzinfo=UTC),
    )
    return picture("JPEG", xmp=xmp.replace(GENERATED, source_type).encode())


def _labels(kit: Kit) -> Iterator[Case]:
    """Marks that say different things."""
    disagree = _words("marks disagree")
    camera = GENERATED.replace("trainedAlgorithmicMedia", "digitalCapture")
    contradiction = sign(_labelled(camera), kit.leaf, mime="image/jpeg")
    yield Case("XMP contradicts C2PA", contradiction, disagree, "labels.iptc")
    from generator.marking.watermark.registry import DEFAULT

    blocks = [{"scope": {}, "value": "ffffffffffffffff"}]
    binding = {"label": "c2pa.soft-binding", "created": True, "data": {"alg": DEFAULT.name, "blocks": blocks}}
    other = sign(_labelled(GENERATED), kit.leaf, mime="image/jpeg", assertions=[binding])
    yield Case("soft binding names another picture", other, disagree, "agreement.asset_id")
    yield Case("labels without a signature", _labelled(GENERATED), _words("labels only (unsigned)"))


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _bomb_header() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)


def _hostile(kit: Kit) -> Iterator[Case]:
    """Files made to exhaust, crash or deceive the reader."""
    inflating = _chunk(b"IDAT", zlib.compress(bytes(1 << 26), 9)) + _chunk(b"IEND", b"")
    yield Case("decompression bomb", _bomb_header() + inflating, OPEN)
    text = b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(b"<" * (1 << 26), 9)
    yield Case("compressed label bomb", kit.plain[:33] + _chunk(b"iTXt", text) + kit.plain[33:], OPEN)
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    yield Case("entities in a label", picture("JPEG", xmp=entities), OPEN)
    deep = b"\xa1\x61a" * 100_000
    nested = _chunk(b"caBX", struct.pack(">I4s", len(deep) + 8, b"jumb") + deep)
    yield Case("deeply nested store", kit.plain[:33] + nested + kit.plain[33:], TAMPERED | OPEN)
    store = kit.signed[slice(*locate_store(kit.signed).pieces[0])]
    huge = _chunk(b"caBX", b"\x7f\xff\xff\xff" + store[4:])
    longer = kit.plain[:33] + huge + kit.plain[33:]
    yield Case("box longer than the file", longer, _words("trusted"), "c2pa.unsigned")
    assertion = {"label": "org.example.note", "created": True, "data": {HOSTILE: HOSTILE}}
    signer = kit.stranger.issue(HOSTILE[:60], organisation=HOSTILE[:60])
    hostile = sign(
        kit.plain,
        signer,
        title=HOSTILE,
        generator=HOSTILE,
        parents=[(HOSTILE, kit.plain)],
        assertions=[assertion],
    )
    yield Case("script in every text", hostile, _words("intact, signer not on a trust list"), "c2pa.trust")
    for name, data in {
        "empty file": b"",
        "text called picture": b"This is no picture.\n",
        "random bytes": bytes(range(256)) * 8,
        "only a header": kit.plain[:33],
    }.items():
        yield Case(name, data, OPEN)
