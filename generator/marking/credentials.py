"""The C2PA manifest of a generated image: what it says, and signing it. The only module of marking that imports c2pa.

The manifest follows specification 2.4 and the conformance programme 0.2: claim v2, every assertion `created` (so
that the signer answers for it), one actions assertion that starts with `c2pa.created`. It holds no prompt text and
nothing about the user unless `prompt` is given. Signing embeds; it never changes a pixel.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import c2pa
from PIL import Image

from generator.errors import InputError
from generator.marking.identity import Identity
from generator.marking.labels import TRAINED_ALGORITHMIC_MEDIA

NAMESPACE = "io.github.assay-audit"
"""Reverse-DNS prefix of every assertion and parameter that C2PA does not define. Private: nobody registered it."""

ASSET_LABEL = f"{NAMESPACE}.asset"
"""Label of our own assertion: the asset id, and whether the soft binding's algorithm is on C2PA's list."""

SPEC_VERSION = "2.4.0"
SIGNABLE = ("image/png", "image/jpeg", "image/webp")

# The default thumbnail costs 90 to 130 ms an image; verifying afterwards is the reader's job and doubles the time
_SETTINGS = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What the manifest of one generated image says.

    Attributes:
        title: shown to readers; not the file name, which may repeat words of the prompt.
        asset_id: 16 lower-case hex digits, the value of the soft binding.
        created: when the image was made, aware.
        generator: name of the model or service that made it.
        version: its version.
        weights_digest: "sha256:..." of its weights; empty when unknown (a hosted service).
        soft_binding_alg: name of the watermark scheme.
        model_type: C2PA asset type of the model.
        prompt: text of the prompt, only when its owner agreed to publish it.
    """

    title: str
    asset_id: str
    created: datetime
    generator: str
    version: str
    weights_digest: str
    soft_binding_alg: str
    model_type: str = "c2pa.types.model.pytorch"
    prompt: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed image.

    Attributes:
        data: the complete file.
        manifest: the manifest store alone (application/c2pa), as embedded.
        manifest_id: label of the active manifest, "urn:c2pa:...".
    """

    data: bytes = field(repr=False)
    manifest: bytes = field(repr=False)
    manifest_id: str


def build_manifest(facts: ManifestFacts) -> dict[str, Any]:
    """The manifest definition for `sign`, JSON values only; the same facts always give the same definition.

    Raises:
        InputError: `created` has no time zone.

    Source: C2PA 2.4, c2pa.actions.v2, c2pa.soft-binding and c2pa.ai-disclosure; asset rubric
    "conformance 0.2 / spec 2.4" of the conformance task force.
    """
    if facts.created.tzinfo is None:
        raise InputError(f"created {facts.created.isoformat()}: no time zone; give an aware datetime")
    when = facts.created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    assertions = {
        "c2pa.actions.v2": {"allActionsIncluded": True, "actions": _actions(facts, when)},
        "c2pa.soft-binding": {
            "alg": facts.soft_binding_alg,
            "blocks": [{"scope": {}, "value": facts.asset_id}],
        },
        "c2pa.ai-disclosure": _disclosure(facts),
        ASSET_LABEL: {"assetId": facts.asset_id, "softBindingAlgorithmListed": False},
    }
    return {
        "claim_version": 2,
        "title": facts.title,
        "claim_generator_info": [
            {"name": "Assay", "version": _own_version(), "specVersion": SPEC_VERSION},
        ],
        "assertions": [{"label": label, "created": True, "data": data} for label, data in assertions.items()],
    }


def derive_manifest_id(data: bytes, manifest: dict[str, Any], *, identity: Identity) -> str:
    """The label that a signed image will carry: a function of file, manifest and signer, so that a re-run finds it.

    Args:
        data: the unsigned file.
        manifest: from `build_manifest`.
        identity: who will sign.

    Returns:
        "urn:c2pa:" and a UUID in version 4 form (c2pa-rs refuses other versions), its bits taken from SHA-256.
    """
    digest = hashlib.sha256(hashlib.sha256(data).digest())
    digest.update(json.dumps(manifest, sort_keys=True).encode())
    digest.update(identity.chain_pem.encode())
    return f"urn:c2pa:{uuid.UUID(bytes=digest.digest()[:16], version=4)}"


def sign(data: bytes, mime: str, *, manifest: dict[str, Any], identity: Identity) -> Signed:
    """Embed and sign a manifest over a finished file, in memory; no pixel changes.

    Args:
        data: PNG, JPEG or WebP file with its labels already written.
        mime: one of `SIGNABLE`.
        manifest: from `build_manifest`.
        identity: who signs.

    Raises:
        InputError: another file type, bytes that are no such file, or an identity that c2pa refuses.
    """
    if mime not in SIGNABLE:
        raise InputError(f"{mime}: cannot be signed here; use one of {', '.join(SIGNABLE)}")
    label = derive_manifest_id(data, manifest, identity=identity)
    target = io.BytesIO()
    try:
        with c2pa.Builder({**manifest, "label": label}, context=_context(os.getpid())) as builder:
            store = builder.sign(_signer(identity, os.getpid()), mime, io.BytesIO(data), target)
    except c2pa.C2paError as error:
        raise InputError(
            f"signing {manifest.get('title', 'image')} as {identity.name!r} failed: {error}; check that the file is "
            f"a complete {mime} and that the certificate is valid until {identity.not_after:%Y-%m-%d}"
        ) from error
    return Signed(target.getvalue(), bytes(store), label)


def _actions(facts: ManifestFacts, when: str) -> list[dict[str, Any]]:
    created: dict[str, Any] = {
        "action": "c2pa.created",
        "when": when,
        "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA,
        "softwareAgent": {"name": facts.generator, "version": facts.version},
    }
    if facts.prompt is not None:
        created["parameters"] = {f"{NAMESPACE}.prompt": facts.prompt}
    watermarked = {
        "action": "c2pa.watermarked.bound",
        "when": when,
        "softwareAgent": {"name": "Assay", "version": _own_version()},
    }
    return [created, watermarked]


def _disclosure(facts: ManifestFacts) -> dict[str, Any]:
    disclosure: dict[str, Any] = {
        "modelType": facts.model_type,
        "modelName": facts.generator,
        "contentProfile": {"humanOversightLevel": "prompt_guided"},
    }
    if facts.weights_digest:
        disclosure["modelIdentifier"] = facts.weights_digest
    return disclosure


@functools.cache
def _own_version() -> str:
    from importlib import metadata  # 25 ms that a verifier need not pay

    try:
        return metadata.version("assay-audit")
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        return "0"


@functools.lru_cache(maxsize=1)
def _context(process: int) -> Any:  # noqa: ANN401 - c2pa has no types
    """One context per process, for the same reason as `_signer`."""
    return c2pa.Context.from_dict(_SETTINGS)


@functools.lru_cache(maxsize=4)
def _signer(identity: Identity, process: int) -> Any:  # noqa: ANN401, ARG001 - c2pa has no types
    """One signer per identity and process: a forked child must not use native locks and handles of its parent."""
    algorithm, chain, key = (
        text.encode() for text in (identity.algorithm, identity.chain_pem, identity.key_pem)
    )
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, chain, key, None))
        problems = _try_out(signer)
    except c2pa.C2paError as error:
        raise InputError(
            f"identity {identity.name!r}: c2pa refuses its key or certificate ({error})"
        ) from error
    if problems:
        raise InputError(f"identity {identity.name!r}: every reader would refuse its signatures: {problems}")
    return signer


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
