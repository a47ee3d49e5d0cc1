"""Gather what every layer of one file says. The edge to `generator.marking` and to the pixels.

A file can be anything: each layer answers with a state and a reason, and only a broken set-up of ours (key, ledger,
engine) raises.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Literal, get_args

from audit.provenance.channels import Channels, find_channels
from audit.provenance.claims import Claims, extract_claims, is_asset_id
from audit.provenance.known_signers import recall, remember
from audit.provenance.layers import Layers, LedgerAnswer, LedgerState, Watermark, WatermarkState, is_intact
from audit.provenance.moment import report_at
from audit.provenance.read import Manifests, ManifestState, read_manifests
from audit.provenance.sidecar import read_sidecar
from audit.provenance.signer import amend, amend_ingredients, signer_facts
from audit.provenance.stamps import distrust_foreign_stamp
from audit.provenance.trust import TrustLists, load_trust
from audit.provenance.trust_store import load_stored, open_store
from generator.errors import CannotCheckError, InputError
from generator.marking.credentials import ASSET_LABEL
from generator.marking.identity import assay_home, development_root
from generator.marking.labels import Labels, LabelStatus, read_labels
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.watermark.interface import Detection, Pixels
from generator.marking.watermark.keyring import Keyring, read_keyring
from generator.marking.watermark.keys import KEY_FILE
from generator.marking.watermark.registry import SCHEMES
from generator.sampling_keys import Issued

Search = Literal["quick", "full", "off", "auto"]
_WITHOUT_OWN = frozenset(  # an embedded manifest counts before one beside the file, also a damaged one
    {ManifestState.ABSENT, ManifestState.REMOTE, ManifestState.UNSUPPORTED, ManifestState.UNREADABLE}
)
MAX_HELD = 128 << 20  # bytes of a file that is kept in memory; larger ones are read by each layer on its own


@dataclass(frozen=True, slots=True)
class Setup:
    """What to look with; picklable, so that worker processes can have it.

    Attributes:
        trust: anchors by purpose.
        key_file: the deployment's watermark key, with retired ones beside it; None: watermarks are not looked for.
        ledger: SQLite file or postgresql:// address; None: no ledger is asked.
        search: how hard to look for the watermark. "auto": quick, and full when nothing intact was found.
        at: moment at which certificates are judged, aware; None: now.
        issued: seeds whose pictures "full" is to recognise.
    """

    trust: TrustLists = TrustLists()
    key_file: Path | None = None
    ledger: Path | str | None = None
    search: Search = "auto"
    at: datetime | None = None
    issued: tuple[Issued, ...] = ()


def build_setup(
    *,
    trust: Path | None = None,
    ledger: Path | str | None = None,
    key_folder: Path | None = None,
    search: Search = "auto",
    at: datetime | None = None,
    issued: Sequence[Issued] = (),
) -> Setup:
    """The set-up of this machine; what does not exist is left out, nothing is created.

    Args:
        trust: folder or file of PEM trust lists; None: those that the user imported.
        ledger: default: the one in `assay_home()`, if there is one.
        key_folder: folder of the watermark key; default `assay_home()`.
        search: how hard to look for the watermark.
        at: moment at which certificates are judged, aware; None: now.
        issued: seeds whose pictures the full search is to recognise.

    Raises:
        InputError: the trust list or a named ledger does not exist or cannot be used, an unknown search mode, or
            seeds without the full search.
        CannotCheckError: the ledger, the key or the development root is damaged.
    """
    if search not in get_args(Search):
        raise InputError(f"watermark search {search!r}: expected one of {', '.join(get_args(Search))}")
    if issued and search != "full":
        raise InputError("issued seeds are looked for by the full search only; add --watermark full")
    home = assay_home()
    root = development_root(home / "identity")
    if trust is None:
        lists = load_stored(open_store(home), development=root)
    else:
        purposes = open_store(home).purposes
        lists = load_trust(trust, development=root, purposes=purposes)
    if ledger is None and (home / LEDGER_FILE).is_file():
        ledger = home / LEDGER_FILE
    if ledger is not None:
        Ledger(ledger, read_only=True).close()
    key_file = (key_folder or home) / KEY_FILE
    has_key = key_file.is_file()
    if has_key:
        _keys(key_file)
    return Setup(lists, key_file if has_key else None, ledger, search, at, tuple(issued))


def examine(path: Path, setup: Setup, *, with_crjson: bool = True) -> Layers:
    """Ask every layer of one file.

    Args:
        path: of the file; it may be anything, or not there.
        setup: what to look with.
        with_crjson: keep crJSON, which the rubric needs; without, it is made only where a time stamp or an ended
            certificate has to be explained.

    Raises:
        CannotCheckError: the ledger or the key fails; never because of what the file holds.
    """
    content = _content(path)
    channels = Channels() if content is None else find_channels(content)
    known = None if with_crjson else recall(channels, setup.trust)
    manifests = read_manifests(path, setup.trust, content=content, known=known, with_crjson=with_crjson)
    if known is None:
        remember(channels, setup.trust, manifests.codes)
    beside = read_sidecar(path) if manifests.state in _WITHOUT_OWN else None
    if beside is not None:
        manifests = read_manifests(
            path, setup.trust, content=content, sidecar=beside, with_crjson=with_crjson
        )
    claims = extract_claims(manifests, asset_label=ASSET_LABEL)
    if not manifests.is_present:
        channels = Channels()
    elif content is None or beside is not None:
        channels = _channels(path, beside)
    facts = signer_facts(channels.chain[0], setup.trust.purposes) if channels.chain else None
    if facts is not None:
        claims = dataclasses.replace(claims, not_after=facts.end.isoformat())
    manifests = amend(manifests, channels.chain, channels.ocsp, purposes=setup.trust.purposes)
    manifests = amend_ingredients(manifests, channels.ingredients, purposes=setup.trust.purposes)
    checked = distrust_foreign_stamp(manifests, path, setup.trust, content=content, sidecar=beside)
    at = setup.at or (None if checked is manifests else datetime.now(UTC))
    if at is not None:
        manifests = report_at(checked, channels.chain, trust=setup.trust, at=at, signed_at=claims.signed_at)
    watermark = _find_watermark(path, setup, intact=is_intact(manifests))
    labels = _labels(path if content is None else content)
    return Layers(
        subject=path.name,
        manifests=manifests,
        claims=claims,
        watermark=watermark,
        labels=labels,
        ledger=_ask_ledger(
            path, setup, content=content, manifests=manifests, ids=list(_ids(claims, watermark, labels))
        ),
        has_trust_list=bool(setup.trust.signers),
        schemes=tuple(SCHEMES),
        channels=channels,
    )


def _content(path: Path) -> bytes | None:
    """A file's bytes, read once for all layers; None when they are too many to hold, or cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read() if os.fstat(stream.fileno()).st_size <= MAX_HELD else None
    except OSError:
        return None


def _ids(claims: Claims, watermark: Watermark, labels: Labels) -> Iterator[str]:
    candidates = [claims.asset_id, *(binding.value for binding in claims.soft_bindings)]
    for value in dict.fromkeys([*candidates, watermark.payload, labels.asset_id]):
        if is_asset_id(value):
            yield value


def _channels(path: Path, beside: bytes | None) -> Channels:
    """Channels of the store beside a file, or in a file that is too large to hold."""
    if beside is not None:
        return find_channels(beside)
    with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as mapped:
        return find_channels(mapped)


def _labels(source: bytes | Path) -> Labels:
    try:
        return read_labels(source)
    except OSError as error:
        return Labels(LabelStatus.DAMAGED, f"The file cannot be read: {error.strerror or error}.")


_keys = functools.lru_cache(maxsize=4)(read_keyring)


def _find_watermark(path: Path, setup: Setup, *, intact: bool) -> Watermark:
    if setup.search == "off":
        return Watermark(WatermarkState.OFF, "The watermark was not looked for.")
    no_key = Watermark(
        WatermarkState.NO_KEY,
        "This machine holds no watermark key; a watermark can be read only with the key it was made with.",
    )
    if setup.key_file is None and setup.search != "full":
        return no_key
    from audit.collection import load_pixels  # pixels are decoded only when a watermark is looked for

    keys = None if setup.key_file is None else _keys(setup.key_file)
    try:
        pixels = load_pixels(path)
    except CannotCheckError as error:
        return no_key if keys is None else Watermark(WatermarkState.UNDECODABLE, str(error))
    if setup.search == "full":
        return _ask_all(pixels, keys, setup.issued, no_key)
    assert keys is not None, "returned above"
    found = _ask_ours(pixels, keys, "quick")
    if found.found or intact or setup.search == "quick":
        return _describe(found, "quick")
    return _describe(_ask_ours(pixels, keys, "full"), "full")


def _ask_all(pixels: Pixels, keys: Keyring | None, issued: Sequence[Issued], no_key: Watermark) -> Watermark:
    """What all techniques say; a mark of sampling is told beside ours, never as ours."""
    from audit.provenance.techniques import ask_others

    ours = None if keys is None else _ask_ours(pixels, keys, "full")
    others = ask_others(pixels, keys, ours=ours, issued=issued)
    if ours is None:
        return dataclasses.replace(no_key, others=others)
    marks = (ours, *others.detections)
    first = min((one for one in marks if one.found), key=_p_value, default=ours)
    secret = (*marks, *(one for one in others.sampling if not one.is_public))
    return dataclasses.replace(
        _describe(ours if ours.found else first, "full"),
        searched=tuple((one.scheme, one.log10_p) for one in secret),
        others=others,
    )


def _ask_ours(pixels: Pixels, keys: Keyring, search: Literal["quick", "full"]) -> Detection:
    return min((keys.detect(scheme, pixels, search=search) for scheme in SCHEMES.values()), key=_p_value)


def _describe(found: Detection, search: Literal["quick", "full"]) -> Watermark:
    return Watermark(
        WatermarkState.FOUND if found.found else WatermarkState.ABSENT,
        found.reason,
        payload=found.payload.hex if found.payload is not None else "",
        log10_p=found.log10_p,
        scheme=found.scheme,
        key_id=found.key_id,
        search=search,
        geometry=found.geometry,
    )


def _p_value(detection: Detection) -> float:
    return detection.log10_p


def _sha256(path: Path, content: bytes | None) -> str:
    if content is not None:
        return hashlib.sha256(content).hexdigest()
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _ask_ledger(
    path: Path, setup: Setup, *, content: bytes | None, manifests: Manifests, ids: list[str]
) -> LedgerAnswer:
    if setup.ledger is None:
        return LedgerAnswer(LedgerState.OFF)
    digest = _sha256(path, content)
    with Ledger(setup.ledger, read_only=True) as ledger:
        queries = (
            ("asset id", ledger.find, ids),
            ("manifest", ledger.find_manifest, [manifests.active] if manifests.active else []),
            ("file", ledger.find_file, [digest] if digest else []),
        )
        for name, find, keys in queries:
            for key in keys:
                entry = find(key)
                if entry is not None:
                    earlier = tuple(replaced.manifest_id for replaced in ledger.replaced(entry.asset_id))
                    return LedgerAnswer(LedgerState.ENTRY, name, entry, entry.sha256 == digest, earlier)
    has_id = bool(ids)
    return LedgerAnswer(LedgerState.NO_ENTRY if has_id else LedgerState.NO_ID)
