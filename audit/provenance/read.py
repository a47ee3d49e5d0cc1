"""The edge to the C2PA engine for reading: a file in, a frozen report out.

Nothing that a file holds makes this module raise: it becomes a state with a code. Settings are built explicitly, the
network is never used, and the engine's own state is only one of the things reported: `verdict` decides.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

import c2pa

from audit.provenance.bounds import costly_store
from audit.provenance.codes import Code, Codes, parse_codes
from audit.provenance.trust import DEVELOPMENT_LIST, SIGNER_LIST, TIME_LIST, TrustLists

if TYPE_CHECKING:
    from audit.provenance.known_signers import KnownSigner

JsonObject = Mapping[str, Any]

MAX_KNOWN = 16  # signers judged before whom the engine is told: its settings are built once for each
_SNIFFED = 4_096  # bytes at the start of a file in which an SVG names itself


class ManifestState(StrEnum):
    """What reading found; the first three are the engine's own words for a manifest it could validate."""

    TRUSTED = "trusted"
    VALID = "valid"
    INVALID = "invalid"
    ABSENT = "absent"  # the file holds no manifest
    REMOTE = "remote"  # the file names an address where its manifest is said to be
    MALFORMED = "malformed"  # there is a manifest, but it cannot be parsed
    PRERELEASE = "prerelease"  # there is a manifest of a format from before version 1
    UNSUPPORTED = "unsupported"  # the engine does not read this kind of file
    UNREADABLE = "unreadable"  # the file itself is damaged or cannot be opened


@dataclass(frozen=True, slots=True)
class Manifests:
    """What a file's manifest store says, and what the engine says about it.

    Attributes:
        state: see `ManifestState`.
        reason: the engine's words when there is no validated manifest; they may quote the file.
        active: label of the active manifest; "" when there is none.
        manifests: label -> manifest in the engine's JSON form.
        codes: validation of the active manifest.
        deltas: validation of the ingredients, as far as it differs from what the manifests record.
        trust_list: name of the list that holds the signer's anchor; "" when none does.
        crjson: the store in crJSON, the form that the official rubrics read; empty when not needed.
        remote_url: address of a manifest that is not embedded; "" otherwise.
    """

    state: ManifestState
    reason: str = ""
    active: str = ""
    manifests: JsonObject = field(default_factory=dict)
    codes: Codes = Codes()
    deltas: tuple[Codes, ...] = ()
    trust_list: str = ""
    crjson: JsonObject = field(default_factory=dict)
    remote_url: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "manifests", MappingProxyType(dict(self.manifests)))
        object.__setattr__(self, "crjson", MappingProxyType(dict(self.crjson)))

    @property
    def is_present(self) -> bool:
        """Whether a manifest was parsed and validated, with whatever outcome."""
        return self.state in {ManifestState.TRUSTED, ManifestState.VALID, ManifestState.INVALID}

    @property
    def active_manifest(self) -> JsonObject:
        """The active manifest; empty when there is none."""
        found = self.manifests.get(self.active)
        return found if isinstance(found, Mapping) else {}


def build_context(trust: TrustLists, *, leaf: str = "") -> c2pa.Context:
    """An engine context with every setting that matters stated; one for each set of lists and process.

    Args:
        trust: anchors by purpose.
        leaf: certificate (PEM) of a signer whom the lists are known to vouch for; empty for none.

    A forked child must not use the native handles of its parent: the engine refuses them, which would look like a
    damaged manifest.
    """
    return _context(trust, leaf, os.getpid())


@functools.lru_cache(maxsize=8 + MAX_KNOWN)
def _context(trust: TrustLists, leaf: str, process: int) -> c2pa.Context:  # noqa: ARG001 - part of the key
    lists = (
        (SIGNER_LIST, "manifest", trust.signers),
        (TIME_LIST, "tsa", trust.time_stamps),
        (DEVELOPMENT_LIST, "manifest", trust.development),
    )
    anchors = [
        {"trust_anchors": "".join(pem), "trust_uri": name, "trust_kind": kind}
        for name, kind, pem in lists
        if pem
    ]
    if leaf:
        anchors.append({"trust_anchors": "", "allowed_list": leaf, "trust_kind": "manifest"})
    return c2pa.Context.from_dict(
        {
            "verify": {"verify_trust": True, "ocsp_fetch": False, "remote_manifest_fetch": False},
            "trust": {"anchors": anchors, "trust_config": "\n".join(trust.purposes) + "\n"},
        }
    )


def read_manifests(
    source: Path | bytes,
    trust: TrustLists,
    *,
    content: bytes | None = None,
    sidecar: bytes | None = None,
    known: KnownSigner | None = None,
    with_crjson: bool = True,
) -> Manifests:
    """Read and validate the manifest store of a media file; its kind is found from its bytes, not from its name.

    Args:
        source: path or content of the file.
        trust: anchors by purpose.
        content: of the file at a path, when it was read already.
        sidecar: a manifest store kept beside the file, instead of an embedded one.
        known: the file's signer, when the lists were seen to vouch for it a moment ago.
        with_crjson: always return crJSON (needed for the rubric); else only where there are dates to explain.
    """
    context = build_context(trust, leaf=known.leaf if known else "")
    try:
        held = source if content is None else content
        if problem := costly_store(held) or costly_store(sidecar):
            return Manifests(ManifestState.UNREADABLE, problem)
        with _open(held) as stream, _reader(source, stream, sidecar, context) as reader:
            document = json.loads(reader.json())
            report = _report(document, str(reader.get_validation_state()), known)
            if report.is_present and (with_crjson or _has_dates(report.codes)):
                report = dataclasses.replace(report, crjson=json.loads(reader.crjson()))
            return report
    except c2pa.C2paError as error:
        return _refusal(source, str(error))
    except OSError as error:
        return Manifests(ManifestState.UNREADABLE, f"cannot be read: {error.strerror or error}")
    except (ValueError, RecursionError) as error:
        return Manifests(
            ManifestState.MALFORMED, f"the manifest store cannot be parsed: {error}", codes=_MALFORMED
        )


def _reader(
    source: Path | bytes, stream: IO[bytes], sidecar: bytes | None, context: c2pa.Context
) -> c2pa.Reader:
    """A reader for the kind of file that the bytes are; where the engine does not see it, for what the name says."""
    try:
        return c2pa.Reader(None, stream, sidecar, context)
    except c2pa.C2paError.NotSupported:
        stream.seek(0)
        suffix = source.suffix.lower().removeprefix(".") if isinstance(source, Path) else ""
        hint = "svg" if b"<svg" in stream.read(_SNIFFED) else suffix
        if sidecar is not None and hint not in c2pa.Reader.get_supported_mime_types():
            hint = "application/octet-stream"  # a store beside its file can bind bytes of any kind
        elif hint not in c2pa.Reader.get_supported_mime_types() or hint == "c2pa":
            raise
        stream.seek(0)
        return c2pa.Reader(hint, stream, sidecar, context)


def _open(source: Path | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


_MALFORMED = Codes(failure=(Code("claim.malformed"),))
# Beginning or part of the engine's message -> what it means. Source: messages of c2pa-rs 0.91.3, met by changing one
# byte of signed files at 1,500 places and by cutting files at every kind of place. Anything else is MALFORMED: a
# manifest store is there and the engine refuses it.
_MESSAGES = (
    ("ManifestNotFound", ManifestState.ABSENT),
    ("NotSupported", ManifestState.UNSUPPORTED),
    ("Remote", ManifestState.REMOTE),
    ("Io:", ManifestState.UNREADABLE),
    ("asset could not be parsed", ManifestState.UNREADABLE),
    ("prerelease content", ManifestState.PRERELEASE),
)
_CODE_OF_MESSAGE = (
    ("unknown algorithm", "algorithm.unsupported"),
    ("Decoding: claim", "claim.cbor.invalid"),
    ("Decoding: could not decode assertion", "assertion.cbor.invalid"),
    ("claim superbox", "claim.missing"),
    ("more than one claim", "claim.multiple"),
    ("AssertionNotFound", "assertion.missing"),
    ("claim signature box", "claimSignature.missing"),
    ("parsing certificate", "signingCredential.invalid"),
)


def _refusal(source: Path | bytes, message: str) -> Manifests:
    state = next((state for part, state in _MESSAGES if part in message), ManifestState.MALFORMED)
    if state is ManifestState.UNSUPPORTED and not _is_image(source):
        return Manifests(ManifestState.UNREADABLE, _what_it_is(source))
    if state is ManifestState.REMOTE:
        return Manifests(
            state, "the manifest is not in the file", remote_url=message.rpartition(" url ")[2].strip()
        )
    if state is ManifestState.MALFORMED:
        code = next((code for part, code in _CODE_OF_MESSAGE if part in message), "claim.malformed")
        return Manifests(state, message, codes=Codes(failure=(Code(code),)))
    return Manifests(state, message)


def _what_it_is(source: Path | bytes) -> str:
    with _open(source) as stream:
        head = stream.read(8)
    if not head:
        return "the file is empty (0 bytes)"
    if head[4:] == b"jumb":
        return "a C2PA manifest store without the picture it belongs to"
    return "not an image, video, sound or document that can be read"


def _is_image(source: Path | bytes) -> bool:
    from PIL import Image  # only for files that the engine does not know

    try:
        with _open(source) as stream, Image.open(stream):
            return True
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return False


_LIST = re.compile(r"\[(assay:[a-z-]+)\] trust anchors")


def _trust_list(codes: Codes) -> str:
    """The list that vouches for the active manifest's signer; "" when none does.

    The engine's `trustListUri` is not asked: it names the list of whichever signer was looked at last, and that may
    be an ingredient's (measured).
    """
    trusted = (code for code in codes.success if code.code == "signingCredential.trusted")
    found = next((_LIST.search(code.explanation) for code in trusted), None)
    return found[1] if found else ""


def _has_dates(codes: Codes) -> bool:
    """Whether there is a time to explain that only crJSON tells: of a time stamp, or of an ended certificate."""
    every = (*codes.failure, *codes.informational, *codes.success)
    return any(
        code.code.startswith("timeStamp.") or code.code == "signingCredential.expired" for code in every
    )


def _report(document: JsonObject, state: str, known: KnownSigner | None) -> Manifests:
    try:
        results = document["validation_results"]
        deltas = tuple(
            parse_codes(entry["validationDeltas"]) for entry in results.get("ingredientDeltas") or ()
        )
        codes = parse_codes(results["activeManifest"])
        codes = known.restore(codes) if known else codes
        return Manifests(
            ManifestState(state.lower()),
            active=document["active_manifest"],
            manifests=document["manifests"],
            codes=codes,
            deltas=deltas,
            trust_list=_trust_list(codes),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{type(error).__name__} {error} with c2pa-python {c2pa.__version__}, expected 0.38"
        return Manifests(ManifestState.UNREADABLE, f"the C2PA engine answered in an unknown form ({said})")
