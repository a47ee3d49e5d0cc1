"""Signing: from a manifest definition to a file with Content Credentials. The only module of marking with c2pa in it.

Signing embeds, or writes the manifest store beside the file (a sidecar, for files that cannot hold one). It never
changes a pixel. The network is used for nothing but the time-stamp authority that the caller names.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import c2pa
from cryptography import x509
from PIL import Image

from generator.errors import AssayError, CannotCheckError, InputError
from generator.marking.identity import Identity
from generator.marking.labels import TRAINED_ALGORITHMIC_MEDIA
from generator.marking.manifest import ASSET_LABEL as ASSET_LABEL  # readers of credentials look for it here
from generator.marking.manifest import ENERGY_LABEL, Ingredient, digest_of
from generator.marking.signers import is_signature

# The default thumbnail costs 90 to 130 ms an image; verifying afterwards is the reader's job and doubles the time
_SETTINGS: dict[str, Any] = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False},
}
_SIDECAR_TYPE = "application/octet-stream"
# A reader without its own lists records these; they say nothing about the ingredient's integrity
_ONLY_UNTRUSTED = frozenset({"signingCredential.untrusted", "timeStamp.untrusted"})


class TimeStampError(CannotCheckError):
    """The time-stamp authority did not answer, or its answer cannot be used."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed file.

    Attributes:
        data: the complete file; as it was when the manifest is a sidecar.
        manifest: the manifest store alone (application/c2pa).
        manifest_id: label of the active manifest, "urn:c2pa:...".
    """

    data: bytes = field(repr=False)
    manifest: bytes = field(repr=False)
    manifest_id: str


@functools.cache
def signable_types() -> frozenset[str]:
    """Media types that the installed engine can write a manifest into."""
    return frozenset(c2pa.Builder.get_supported_mime_types()) - {"application/c2pa", "c2pa"}


def carries_credentials(source: Path | bytes, mime: str) -> bool:
    """Whether a file holds a manifest store, or names one elsewhere, in whatever state."""
    context = _context(os.getpid())
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
            return c2pa.Reader.try_create(mime, stream, context=context) is not None
    except c2pa.C2paError.NotSupported:
        return False
    except c2pa.C2paError:  # there is one, and it cannot be read
        return True


def derive_manifest_id(
    source: bytes | IO[bytes], manifest: dict[str, Any], *, identity: Identity, time_stamped: bool = False
) -> str:
    """The label that a signed file will carry: a function of file, manifest and signer, so that a re-run finds it.

    Args:
        source: the unsigned file.
        manifest: from `build_manifest`. Its energy is left out: it is measured anew in every run.
        identity: who will sign.
        time_stamped: whether a time stamp will be asked for.

    Returns:
        "urn:c2pa:" and a UUID in version 4 form (c2pa-rs refuses other versions), its bits taken from SHA-256.
    """
    # bytes are hashed where they lie: a stream would copy them
    content = (
        f"sha256:{hashlib.sha256(source).hexdigest()}" if isinstance(source, bytes) else digest_of(source)
    )
    kept = [a for a in manifest["assertions"] if a["label"] != ENERGY_LABEL]
    digest = hashlib.sha256(content.encode())
    digest.update(json.dumps({**manifest, "assertions": kept}, sort_keys=True).encode())
    digest.update(identity.chain_pem.encode())
    if time_stamped:
        digest.update(b"time-stamped")
    return f"urn:c2pa:{uuid.UUID(bytes=digest.digest()[:16], version=4)}"


def sign(
    data: bytes,
    mime: str,
    *,
    manifest: dict[str, Any],
    identity: Identity,
    ingredients: Sequence[Ingredient] = (),
    time_authority: str = "",
    anchors: str = "",
    manifest_id: str = "",
) -> Signed:
    """Embed and sign a manifest over a finished file in memory; arguments and errors as `sign_stream`.

    A caller that has derived the manifest's label already passes it as `manifest_id`: deriving hashes the file.
    """
    target = io.BytesIO()
    manifest_id = manifest_id or derive_manifest_id(
        data, manifest, identity=identity, time_stamped=bool(time_authority)
    )
    store = sign_stream(
        io.BytesIO(data),
        target,
        mime,
        manifest={**manifest, "label": manifest_id},
        identity=identity,
        ingredients=ingredients,
        time_authority=time_authority,
        anchors=anchors,
    )
    return Signed(target.getvalue(), store, manifest_id)


def sign_sidecar(
    source: IO[bytes], *, manifest: dict[str, Any], identity: Identity, time_authority: str = ""
) -> bytes:
    """Sign a manifest store for a file that stays as it is, of any kind (model weights).

    Returns:
        The store, to be kept beside the file as `NAME.c2pa`.

    Raises:
        InputError, TimeStampError, CannotCheckError: as `sign_stream`.
    """
    label = derive_manifest_id(source, manifest, identity=identity)
    with _translated(manifest, identity, time_authority) as signer:
        builder = c2pa.Builder({**manifest, "label": label}, context=_context(os.getpid()))
        with builder:
            builder.set_no_embed()
            return bytes(builder.sign(signer, _SIDECAR_TYPE, source, _Discarded()))


def sign_stream(
    source: IO[bytes],
    target: IO[bytes],
    mime: str,
    *,
    manifest: dict[str, Any],
    identity: Identity,
    ingredients: Sequence[Ingredient] = (),
    time_authority: str = "",
    anchors: str = "",
) -> bytes:
    """Embed and sign a manifest over a finished file.

    Args:
        source: the file; credentials that it carries are replaced, so name it as parent to keep them.
        target: where the signed file goes.
        mime: one of `signable_types`.
        manifest: from `build_manifest`, with the label it shall have.
        identity: who signs.
        ingredients: those named in the manifest's facts.
        time_authority: address of an RFC 3161 authority; empty: no time stamp.
        anchors: PEM of authorities to judge the ingredients' signers by.

    Returns:
        The manifest store, as embedded.

    Raises:
        InputError: a file type that cannot be signed, bytes that are no such file, an identity that c2pa refuses, or
            an ingredient whose own credentials do not verify and whose failures are not acknowledged.
        TimeStampError: the authority is down or its answer does not verify; nothing usable was written.
        CannotCheckError: the remote key did not sign.
    """
    if mime not in signable_types():
        raise InputError(f"{mime}: the C2PA engine cannot write a manifest into this kind of file")
    context = _context(os.getpid(), anchors)
    with _translated(manifest, identity, time_authority, mime) as signer:
        with c2pa.Builder(manifest, context=context) as builder:
            for ingredient in ingredients:
                _add_ingredient(builder, ingredient, context)
            store = builder.sign(signer, mime, source, target)
        if time_authority:
            _check_time_stamp(mime, target, context, time_authority)
        return bytes(store)


class _Discarded(io.BytesIO):
    """A target that keeps nothing: the engine copies a file whose manifest is a sidecar."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer
        return len(data)


@contextmanager
def _translated(
    manifest: dict[str, Any], identity: Identity, time_authority: str, mime: str = "file"
) -> Iterator[Any]:
    """A signer; the engine's errors and those of a remote key become ours."""
    held = _signer(identity, time_authority, os.getpid())
    held.error = None
    try:
        yield held.signer
    except c2pa.C2paError as error:
        if held.error is not None:
            raise held.error from error
        # the identity itself was tried out before, so what fails about the signature now is its time stamp
        if time_authority and isinstance(error, c2pa.C2paError.Signature):
            raise TimeStampError(
                f"time-stamp authority {time_authority}: no usable answer ({error}); try again, choose another "
                "authority, or sign with --without-time"
            ) from error
        raise InputError(
            f"signing {manifest.get('title', 'file')} as {identity.name!r} failed: {error}; check that the file is "
            f"a complete {mime} and that the certificate is valid until {identity.not_after:%Y-%m-%d}"
        ) from error


def _add_ingredient(builder: Any, ingredient: Ingredient, context: Any) -> None:  # noqa: ANN401 - no types
    facts = {
        "title": ingredient.title,
        "relationship": ingredient.relationship,
        "instance_id": ingredient.digest,
    }
    with ingredient.open() as stream:
        if not ingredient.acknowledge_failures:
            problems = _failures(ingredient.mime, stream, context)
            if problems:
                raise InputError(
                    f"ingredient {ingredient.title!r}: its own credentials do not verify ({', '.join(problems)}); "
                    "signing over them would vouch for it. Leave it out, or acknowledge the failures"
                )
            stream.seek(0)
        builder.add_ingredient(facts, ingredient.mime, stream)


def _failures(mime: str, stream: IO[bytes], context: Any) -> list[str]:  # noqa: ANN401 - no types
    """Failures of an ingredient's credentials, found now or recorded in any manifest beneath it."""
    try:
        with c2pa.Reader(mime, stream, context=context) as reader:
            results, document = reader.get_validation_results() or {}, json.loads(reader.json())
    except (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.NotSupported):
        return []
    except c2pa.C2paError as error:
        return [str(error)]
    lists = [results, *(delta["validationDeltas"] for delta in results.get("ingredientDeltas") or ())]
    for manifest in document["manifests"].values():
        lists += [i.get("validation_results") or {} for i in manifest.get("ingredients", ())]
    found = {
        entry["code"]
        for codes in lists
        for entry in (codes.get("activeManifest") or codes).get("failure") or ()
        if entry["code"] not in _ONLY_UNTRUSTED
    }
    return sorted(found)


def _check_time_stamp(mime: str, target: IO[bytes], context: Any, authority: str) -> None:  # noqa: ANN401
    """Read the time stamp back: an answer that nobody can verify is no time stamp."""
    target.seek(0)
    with c2pa.Reader(mime, target, context=context) as reader:
        results = reader.get_validation_results()["activeManifest"]
    codes = {
        kind: {e["code"] for e in results.get(kind) or ()} for kind in ("success", "informational", "failure")
    }
    if "timeStamp.validated" not in codes["success"]:
        said = sorted(c for found in codes.values() for c in found if c.startswith("timeStamp"))
        raise TimeStampError(
            f"time-stamp authority {authority}: its answer does not verify ({', '.join(said) or 'no time stamp'}); "
            "choose another authority, or sign with --without-time"
        )


@functools.lru_cache(maxsize=4)
def _context(process: int, anchors: str = "") -> Any:  # noqa: ANN401, ARG001 - c2pa has no types
    """One context per process, for the same reason as `_signer`."""
    trust = {"trust": {"user_anchors": anchors}} if anchors else {}
    return c2pa.Context.from_dict(_SETTINGS | trust)


@dataclass(slots=True)
class _Held:
    """A signer, and what its remote key last complained about: the engine itself forgets it."""

    signer: Any = None
    error: AssayError | None = None


@functools.lru_cache(maxsize=4)
def _signer(identity: Identity, time_authority: str, process: int) -> _Held:  # noqa: ARG001
    """One signer per identity and process: a forked child must not use native locks and handles of its parent."""
    held = _Held()
    try:
        problems = _try_out(_make_signer(identity, "", held))
        held.signer = _make_signer(identity, time_authority, held)
    except c2pa.C2paError as error:
        if held.error is not None:
            raise held.error from error
        raise InputError(
            f"identity {identity.name!r}: c2pa refuses its key or certificate ({error})"
        ) from error
    if problems:
        raise InputError(f"identity {identity.name!r}: every reader would refuse its signatures: {problems}")
    return held


def _make_signer(identity: Identity, time_authority: str, held: _Held) -> Any:  # noqa: ANN401 - no types
    address = time_authority or None
    if identity.remote is None:
        key, chain, algorithm = (
            text.encode() for text in (identity.key_pem, identity.chain_pem, identity.algorithm)
        )
        return c2pa.Signer.from_info(
            c2pa.C2paSignerInfo(algorithm, chain, key, address.encode() if address else None)
        )
    algorithm_code = c2pa.C2paSigningAlg[identity.algorithm.upper()]
    callback = functools.partial(_sign_remotely, identity, held)
    return c2pa.Signer.from_callback(callback, algorithm_code, identity.chain_pem, address)


def _sign_remotely(identity: Identity, held: _Held, data: bytes) -> bytes:
    """The engine's callback; an empty answer makes it stop, and the reason waits in `held`."""
    assert identity.remote is not None  # by construction
    public = x509.load_pem_x509_certificate(identity.chain_pem.encode()).public_key()
    try:
        signature = identity.remote.sign(data, algorithm=identity.algorithm)
        if not is_signature(signature, data, key=public, algorithm=identity.algorithm):
            raise InputError(
                f"identity {identity.name!r}: what the remote key returned ({len(signature)} bytes) is no "
                f"{identity.algorithm} signature by the certificate's key; the key belongs to another certificate, "
                "or the algorithm differs"
            )
    except AssayError as error:
        held.error = error
        return b""
    return signature


def _try_out(signer: Any) -> str:  # noqa: ANN401 - c2pa has no types
    """Sign one pixel and read it back: some certificates sign without complaint, and then never verify.

    Returns:
        The engine's failure codes when the result is invalid (not being trusted is no failure here), else "".
    """
    pixel, target = io.BytesIO(), io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "PNG")
    created = {"action": "c2pa.created", "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA}
    actions = {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [created]}}
    definition = {"claim_version": 2, "claim_generator_info": [{"name": "Assay"}], "assertions": [actions]}
    context = _context(os.getpid())
    with c2pa.Builder(definition, context=context) as builder:
        builder.sign(signer, "image/png", pixel, target)
    target.seek(0)
    with c2pa.Reader("image/png", target, context=context) as reader:
        if reader.get_validation_state() != "Invalid":
            return ""
        return ", ".join(f["code"] for f in reader.get_validation_results()["activeManifest"]["failure"])
