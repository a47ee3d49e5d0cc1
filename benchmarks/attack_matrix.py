"""Attacks on signed pictures, made with fresh keys: a name, the file, and the overall words that are right for it.

None may end in a pass, but for the few good files among them that only look like attacks. `attack_case` runs them;
this module holds those on bytes, manifests and certificates.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta

from PIL import Image

from audit.provenance.containers import locate_store
from benchmarks.attack_case import OPEN, TAMPERED, TIME_STAMPING, UNKNOWN, Case, Kit, words
from benchmarks.attack_histories import histories
from benchmarks.attack_hostile import hostile
from benchmarks.attack_marks import marks
from benchmarks.forgeries import DAY, EMAIL, Authority, Leaf, flip, picture, sign
from benchmarks.store_surgery import forge, manifest_chunk, strip


def cases(kit: Kit) -> Iterator[Case]:
    """Every attack."""
    for group in (_bytes, _manifests, histories, _certificates, _stamps, marks, hostile):
        yield from group(kit)


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
    yield Case("png: filled padding", forge(kit.signed, kit.leaf, pad=7), words("trusted"), "c2pa.unsigned")
    checksum = locate_store(kit.signed).pieces[0][1]
    yield Case("png: checksum changed", flip(kit.signed, checksum), words("trusted"), "c2pa.unsigned")


def _manifests(kit: Kit) -> Iterator[Case]:
    """Manifests that belong to another file, are there twice, or are not there."""
    bare, chunk = kit.plain, manifest_chunk(kit.other)
    yield Case("stripped", strip(kit.signed), OPEN)
    yield Case("manifest of another picture", bare[:33] + chunk + bare[33:], TAMPERED)
    twice = kit.signed[:33] + manifest_chunk(kit.signed) + kit.signed[33:]
    yield Case("the same manifest twice", twice, TAMPERED)
    yield Case("two manifests", kit.signed[:33] + chunk + kit.signed[33:], TAMPERED)
    for kind, mime in (("JPEG", "image/jpeg"), ("WEBP", "image/webp")):
        signed = sign(picture(kind), kit.leaf, mime=mime)
        yield Case(f"{kind.lower()}: the same manifest twice", _doubled(signed, kind), TAMPERED)
    late = bare[:-12] + manifest_chunk(kit.signed) + bare[-12:]
    yield Case("manifest moved to the end", late, TAMPERED)
    yield Case("store without a picture", sign(kit.plain, kit.leaf, embed=False), OPEN)
    mixed = Leaf(kit.leaf.certificate, kit.unknown.key, kit.leaf.issuer)
    yield Case("key of somebody else", sign(kit.plain, mixed), TAMPERED, "c2pa.signature")


def _doubled(signed: bytes, kind: str) -> bytes:
    """The file with the container's parts that hold the store written twice."""
    place = locate_store(signed)
    start, end = place.framing[0][1][0][0], place.pieces[-1][1]
    if kind == "WEBP":
        end += end & 1
    doubled = signed[:end] + signed[start:end] + signed[end:]
    size = len(doubled) - 8
    return doubled[:4] + size.to_bytes(4, "little") + doubled[8:] if kind == "WEBP" else doubled


def _certificates(kit: Kit) -> Iterator[Case]:
    """Signers whom nobody should trust."""
    issue, signed = kit.authority.issue, kit.signed
    unfit, expired = words("signer not acceptable"), words("expired, no time stamp")
    trust = "c2pa.trust"
    yield Case("signer on no list", sign(kit.plain, kit.unknown), UNKNOWN, trust)
    yield Case("signer under a time-stamp anchor", sign(kit.plain, kit.clock.issue("Clock")), UNKNOWN, trust)
    for name, purposes in (
        ("code signing", ["1.3.6.1.5.5.7.3.3"]),
        ("time stamping", [TIME_STAMPING]),
        ("OCSP signing beside e-mail", [EMAIL, "1.3.6.1.5.5.7.3.9"]),
        ("time stamping beside e-mail", [EMAIL, TIME_STAMPING]),
        ("any purpose", ["2.5.29.37.0"]),
        ("no purpose", []),
    ):
        yield Case(f"certificate for {name}", forge(signed, issue(purposes=purposes)), unfit, trust)
    hidden = sign(kit.plain, issue(purposes=[TIME_STAMPING]), compressed=True)
    yield Case(
        "certificate that a compressed manifest hides",
        hidden,
        words("intact, signer not checked"),
        "c2pa.trust",
    )
    yield Case("certificate of an authority", forge(signed, issue(is_authority=True)), unfit, trust)
    yield Case("certificate that may not sign", forge(signed, issue(signs=False)), unfit, trust)
    past, future = issue(start=-20 * DAY, end=-DAY), issue(start=DAY, end=20 * DAY)
    yield Case("expired, no time stamp", forge(signed, past), expired, "c2pa.time")
    yield Case("not yet valid", forge(signed, future), expired, "c2pa.time")
    revoked = issue("Revoked")
    values = {"rVals": {"ocspVals": [kit.authority.revocation(revoked)]}}
    yield Case("revoked", forge(signed, revoked, values), words("signer revoked"), trust)
    twin = sign(kit.plain, Authority().issue())
    yield Case("signer and root of the same names", twin, UNKNOWN, trust)


def _stamps(kit: Kit) -> Iterator[Case]:
    """Certificates that ended, beside time stamps that prove something and time stamps that do not."""
    time, ended = "c2pa.time", kit.authority.issue(start=-20 * DAY, end=-DAY)
    refuted = words("time stamp does not hold", "expired, no time stamp")
    unproven = words("expired, time stamp not trusted")

    def stamped(leaf: Leaf, stamper: Leaf, ago: timedelta) -> bytes:
        return forge(kit.stamped, leaf, stamp=kit.tokens(stamper, ago))

    clock, before = kit.stamper(), 5 * DAY
    yield Case("expired, stamped before", stamped(ended, clock, before), words("trusted"), time, passes=True)
    yield Case("expired, stamped afterwards", stamped(ended, clock, DAY / 2), refuted, time)
    yield Case("expired, stamped before it was valid", stamped(ended, clock, 30 * DAY), refuted, time)
    foreign = kit.stamper(kit.stranger)
    yield Case("expired, stamped by an unknown authority", stamped(ended, foreign, before), unproven, time)
    by_signers = kit.stamper(kit.authority)
    yield Case("expired, stamped under a signers' anchor", stamped(ended, by_signers, before), unproven, time)
    no_stamper = kit.clock.issue("Not For Time", start=-90 * DAY)
    unfit = stamped(ended, no_stamper, before)
    unfit_words = words("signer not acceptable")
    yield Case("expired, stamped by a certificate not for time", unfit, unfit_words, "c2pa.trust")
    other = kit.tokens(clock, before)(b"another signature")
    copied = forge(kit.stamped, ended, stamp=lambda _: other)
    yield Case("expired, with the time stamp of another file", copied, refuted, time)
    future = kit.authority.issue(start=DAY, end=20 * DAY)
    yield Case("not yet valid, stamped", stamped(future, clock, before), refuted, time)
