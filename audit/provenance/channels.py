"""The bytes of a signed file that neither its signature nor a hash covers, by name.

A C2PA signature covers the claim, the claim's hashes cover the assertions, and one of those covers the picture. What
is left over can be changed without breaking anything: padding in the COSE header, headers of boxes, the framing of
the container. Engines ignore those bytes, so changing them deceives nobody, but they can carry something unseen;
this module names them and says which of them hold what they should not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.provenance.containers import Data, Span, locate_store
from audit.provenance.jumbf import (
    Box,
    Cose,
    MalformedError,
    boxes,
    byte_strings,
    outer_box,
    parse_cose,
    parse_map,
)

PADDING = "COSE padding"
UNPROTECTED = "COSE unprotected header"
HEADERS = "box headers"

_PADS = frozenset({"pad", "pad2"})
_MANIFESTS = frozenset({b"c2ma", b"c2um", b"c2cm"})
_COVERED = frozenset({b"c2as", b"c2vc", b"c2db"})  # stores whose members the claim holds hashes of
_X5CHAIN = 33
_REVOCATION = "rVals"
_STAMPS = (b"sigTst", b"c2pa.time-stamp")  # headers of a signature (two versions), assertion about others
_TOGGLES = frozenset({0x03, 0x13})  # requestable with a label; with a private box (salt)
_PRIVATE_BOX = 0x10
_LABELS = {b"c2pa": (b"c2pa",), b"c2cl": (b"c2pa.claim", b"c2pa.claim.v2"), b"c2cs": (b"c2pa.signature",)}


@dataclass(frozen=True, slots=True)
class Carried:
    """What the signature of an ingredient's manifest brings; unchecked.

    Attributes:
        label: of the manifest.
        chain: DER certificates, leaf first; empty where the manifest cannot be walked (compressed, or damaged).
        ocsp: OCSP responses (DER).
    """

    label: str
    chain: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Channels:
    """What no signature covers.

    Attributes:
        spans: name -> ranges of the file.
        used: names of those that hold something other than they should.
        trailing: bytes after the end of the picture (which the hash does cover).
        chain: DER certificates of the signer, leaf first, as the signature names them; unchecked.
        ocsp: OCSP responses (DER) that the signature carries; unchecked.
        ingredients: the same of the other manifests of the store.
        is_stamped: whether the store holds a time stamp of any kind; unchecked.
    """

    spans: tuple[tuple[str, tuple[Span, ...]], ...] = ()
    used: tuple[str, ...] = ()
    trailing: int = 0
    chain: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    ingredients: tuple[Carried, ...] = ()
    is_stamped: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> number of bytes."""
        return {name: sum(end - start for start, end in spans) for name, spans in self.spans}

    def name_at(self, position: int) -> str:
        """The channel that a byte of the file belongs to; "" when it is covered or not part of the store."""
        inside = (name for name, spans in self.spans if any(a <= position < b for a, b in spans))
        return next(inside, "")


def find_channels(data: Data) -> Channels:
    """The unsigned channels of a file's active manifest; none without a store that can be walked.

    Args:
        data: the whole file.
    """
    place = locate_store(data)
    store = place.store(data)
    try:
        spans, used, cose = _walk(store)
    except MalformedError:
        return Channels(trailing=place.trailing)
    by_name: dict[str, list[Span]] = {name: list(ranges) for name, ranges in place.framing}
    for name, span in spans:
        by_name.setdefault(name, []).extend(place.in_file(span))
    found = tuple((name, tuple(ranges)) for name, ranges in by_name.items() if ranges)
    return Channels(
        found,
        tuple(dict.fromkeys([*place.damage, *used])),
        place.trailing,
        *_carried(store, cose),
        tuple(_of_ingredients(store)),
        any(word in store for word in _STAMPS),
    )


def _walk(store: bytes) -> tuple[list[tuple[str, Span]], list[str], Cose | None]:
    outer = outer_box(store)
    spans, used = [(HEADERS, (0, outer.content))], _odd(outer)
    if int.from_bytes(store[:4], "big") not in (0, 1, len(store)):
        used.append(HEADERS)
    active: Box | None = None
    for manifest in boxes(store, outer.content, outer.end):
        if manifest.uuid in _MANIFESTS:
            active = manifest
            spans.append((HEADERS, (manifest.start, manifest.body)))
    if active is None:
        raise MalformedError("no manifest")
    spans.append((HEADERS, (active.body, active.content)))
    cose: Cose | None = None
    for box in boxes(store, active.content, active.end):
        used += _odd(box)
        if box.uuid == b"c2cs":
            body = _first(store, box).body
            cose = parse_cose(store, body)
            spans += [(HEADERS, (box.start, body))]
            spans += _of_cose(store, cose)
            used += [PADDING] if _has_used_padding(store, cose) else []
        else:
            spans += _headers(store, box)
    return spans, used, cose


def _first(store: bytes, outer: Box) -> Box:
    for box in boxes(store, outer.content, outer.end):
        return box
    raise MalformedError(f"superbox at byte {outer.start} is empty")


def _headers(store: bytes, box: Box) -> Iterator[tuple[str, Span]]:
    """What no hash covers of a box below the manifest: all of it but the content that is signed or hashed."""
    if box.uuid in _COVERED:
        yield HEADERS, (box.start, box.content)
        for member in boxes(store, box.content, box.end):
            yield HEADERS, (member.start, member.body)
    elif box.uuid == b"c2cl":
        for content in boxes(store, box.content, box.end):
            yield HEADERS, (box.start, content.body)
    else:
        yield HEADERS, (box.start, box.end)


def _odd(box: Box) -> list[str]:
    """A description that is not written as the specification writes it."""
    labels = _LABELS.get(box.uuid)
    is_odd = box.toggles not in _TOGGLES or (labels is not None and box.label not in labels)
    return [HEADERS] if is_odd and box.kind == b"jumb" else []


def _of_cose(store: bytes, cose: Cose) -> Iterator[tuple[str, Span]]:
    start, end = cose.unprotected
    for key, (low, high) in sorted(cose.entries.items(), key=lambda entry: entry[1]):
        if start < low:
            yield UNPROTECTED, (start, low)
        yield (PADDING if key in _PADS else UNPROTECTED), (low, high)
        start = high
    if start < end:
        yield UNPROTECTED, (start, end)


def _has_used_padding(store: bytes, cose: Cose) -> bool:
    pads = (span for key, span in cose.entries.items() if key in _PADS)
    return any(store[a:b].strip(b"\x00") for start, _ in pads for a, b in byte_strings(store, start))


def _of_ingredients(store: bytes) -> Iterator[Carried]:
    """What the signatures of all manifests but the last, the active one, bring."""
    outer = outer_box(store)
    *earlier, _ = boxes(store, outer.content, outer.end)
    for manifest in earlier:
        label = manifest.label.decode("utf-8", "replace")
        try:
            signature = next(b for b in boxes(store, manifest.content, manifest.end) if b.uuid == b"c2cs")
            cose = parse_cose(store, _first(store, signature).body)
        except (MalformedError, StopIteration):
            yield Carried(label)
        else:
            yield Carried(label, *_carried(store, cose))


def _carried(store: bytes, cose: Cose | None) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Certificates and OCSP responses of a signature; what cannot be walked is left out."""
    if cose is None:
        return (), ()
    try:
        return _chain(store, cose), _responses(store, cose)
    except MalformedError:
        return (), ()


def _responses(store: bytes, cose: Cose) -> tuple[bytes, ...]:
    if _REVOCATION not in cose.entries:
        return ()
    values = parse_map(store, cose.entries[_REVOCATION][0])
    return (
        tuple(store[a:b] for a, b in byte_strings(store, values["ocspVals"][0]))
        if "ocspVals" in values
        else ()
    )


def _chain(store: bytes, cose: Cose) -> tuple[bytes, ...]:
    """Certificates from the protected header (claim v2) or the unprotected one (claim v1)."""
    protected = parse_map(store, cose.protected[0]) if cose.protected[1] > cose.protected[0] else {}
    for entries in (protected, cose.entries):
        for key in (_X5CHAIN, "x5chain"):
            if key in entries:
                return tuple(store[a:b] for a, b in byte_strings(store, entries[key][0]))
    return ()
