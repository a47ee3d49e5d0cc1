"""What the C2PA manifest of an asset says: a definition in JSON values, built from facts. Pure; signs nothing.

The manifest follows specification 2.4 and the conformance programme 0.2: claim v2, every assertion `created` (so
that the signer answers for it), one actions assertion that starts with `c2pa.created`, or with `c2pa.opened` when the
asset builds on another one. It holds no prompt text and nothing about the user unless `prompt` is given.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from generator.errors import InputError
from generator.marking.energy import Energy
from generator.marking.fingerprint import ALGORITHM as FINGERPRINT
from generator.marking.fingerprint import encode_unit
from generator.marking.labels import MADE_BY_A_MODEL, TRAINED_ALGORITHMIC_MEDIA

NAMESPACE = "io.github.assay-audit"
"""Reverse-DNS prefix of every assertion and parameter that C2PA does not define. Private: nobody registered it."""

ASSET_LABEL = f"{NAMESPACE}.asset"
"""Label of our own assertion: the asset id, and whether the watermark's algorithm is on C2PA's list."""

SPEC_VERSION = "2.4.0"
ENERGY_LABEL = "c2pa.environmental-sustainability"

PARENT, COMPONENT, INPUT = RELATIONSHIPS = ("parentOf", "componentOf", "inputTo")
"""How an ingredient relates to the asset: it was opened and changed, placed into it, or given to the generator."""

MINING_USES = ("allowed", "notAllowed", "constrained")
MINING_ENTRIES = (
    "cawg.ai_generative_training",
    "cawg.ai_inference",
    "cawg.ai_training",
    "cawg.data_mining",
)
"""Uses that `cawg.training-mining` speaks of. Source: CAWG training and data mining assertion 1.1."""

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = {
    name: _IPTC + name
    for name in (
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "compositeSynthetic",
        "algorithmicMedia",
        "algorithmicallyEnhanced",
        "composite",
        "compositeCapture",
        "computationalCapture",
        "dataDrivenMedia",
        "digitalCapture",
        "digitalCreation",
        "humanEdits",
        "screenCapture",
        "virtualRecording",
    )
} | {
    "empty": "http://c2pa.org/digitalsourcetype/empty",
    "trainedAlgorithmicData": "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData",
}
"""Short name -> digital source type. Source: IPTC NewsCodes, and C2PA 2.4 section 18.15."""

_HASHED_AT_ONCE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Another asset that this one builds on.

    Attributes:
        title: shown to readers.
        source: its file, or its content.
        mime: its media type.
        relationship: one of `RELATIONSHIPS`.
        acknowledge_failures: take it in although its own credentials do not verify; the failures are then recorded
            in the manifest, which says that the signer knew.
    """

    title: str
    source: Path | bytes = field(repr=False)
    mime: str
    relationship: str = COMPONENT
    acknowledge_failures: bool = False

    def open(self) -> IO[bytes]:
        """Its content as a stream."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    @property
    def digest(self) -> str:
        """Digest of its content, "sha256:...": names it inside the manifest."""
        with self.open() as stream:
            return digest_of(stream)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What is said about how an asset came to be. The defaults are true of an image that a model made from a prompt.

    Attributes:
        digital_source_type: full URI, see `SOURCE_TYPES`.
        model_type: C2PA asset type of the model.
        oversight: C2PA's humanOversightLevel; empty when unknown.
        mining: (entry, use) pairs of `cawg.training-mining`; empty: nothing is said.
        energy: that making it took; None: nothing is said.
        is_edit: the generator changed the parent (image to image); a `c2pa.edited` action says so.
        visible_label: text that was drawn into the picture; empty when none was.
        prompt: text of the prompt, only when its owner agreed to publish it.
    """

    digital_source_type: str = TRAINED_ALGORITHMIC_MEDIA
    model_type: str = "c2pa.types.model.pytorch"
    oversight: str = "prompt_guided"
    mining: tuple[tuple[str, str], ...] = ()
    energy: Energy | None = None
    is_edit: bool = False
    visible_label: str = ""
    prompt: str | None = field(default=None, repr=False)

    @property
    def is_by_a_model(self) -> bool:
        """Whether the digital source type says that a trained model made it or a part of it."""
        return self.digital_source_type in MADE_BY_A_MODEL


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What the manifest of one asset says.

    Attributes:
        title: shown to readers; not the file name, which may repeat words of the prompt.
        asset_id: 16 lower-case hex digits, the value of the soft binding.
        created: when the asset was made, aware.
        generator: name of the model or service that made it.
        version: its version.
        weights_digest: "sha256:..." of its weights; empty when unknown (a hosted service).
        soft_binding_alg: name of the watermark scheme; empty when there is no watermark.
        disclosure: how the asset came to be.
        image_code: ISCC image code of the picture, see `fingerprint`; a second soft binding. Empty: none is written.
        ingredients: what it builds on; at most one parent.
        mime: media type of the asset; with a parent of another type, `c2pa.converted` says so. Empty: not said.
    """

    title: str
    asset_id: str
    created: datetime
    generator: str
    version: str
    weights_digest: str
    soft_binding_alg: str
    disclosure: Disclosure = Disclosure()
    image_code: bytes = field(default=b"", repr=False)
    ingredients: tuple[Ingredient, ...] = ()
    mime: str = ""


def build_manifest(facts: ManifestFacts) -> dict[str, Any]:
    """The manifest definition for `credentials.sign`, JSON values only; the same facts give the same definition.

    Raises:
        InputError: `created` has no time zone, more than one parent, or an unknown relationship or mining entry.

    Source: C2PA 2.4, c2pa.actions.v2, c2pa.soft-binding and c2pa.ai-disclosure; asset rubric
    "conformance 0.2 / spec 2.4" of the conformance task force.
    """
    _check(facts)
    when = facts.created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    assertions: list[tuple[str, dict[str, Any]]] = [
        ("c2pa.actions.v2", {"allActionsIncluded": True, "actions": _actions(facts, when)}),
        *(("c2pa.soft-binding", binding) for binding in _soft_bindings(facts)),
    ]
    disclosure = facts.disclosure
    if disclosure.is_by_a_model:
        assertions.append(("c2pa.ai-disclosure", _ai_disclosure(facts)))
    if disclosure.mining:
        entries = {entry: {"use": use} for entry, use in disclosure.mining}
        assertions.append(("cawg.training-mining", {"entries": entries}))
    if disclosure.energy is not None:
        energy = {"value": disclosure.energy.kwh, "measurementMethod": disclosure.energy.method}
        assertions.append((ENERGY_LABEL, {"energy_kwh": energy}))
    assertions.append((ASSET_LABEL, {"assetId": facts.asset_id, "softBindingAlgorithmListed": False}))
    return {
        "claim_version": 2,
        "title": facts.title,
        "claim_generator_info": [{"name": "Assay", "version": own_version(), "specVersion": SPEC_VERSION}],
        "assertions": [{"label": label, "created": True, "data": data} for label, data in assertions],
    }


def digest_of(stream: IO[bytes]) -> str:
    """Digest of a stream from its beginning, "sha256:..."; afterwards it stands at its beginning again."""
    stream.seek(0)
    digest = hashlib.sha256()
    while chunk := stream.read(_HASHED_AT_ONCE):
        digest.update(chunk)
    stream.seek(0)
    return f"sha256:{digest.hexdigest()}"


@functools.cache
def own_version() -> str:
    """Version of this project."""
    from importlib import metadata  # 25 ms that a verifier need not pay

    try:
        return metadata.version("assay-audit")
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        return "0"


def _check(facts: ManifestFacts) -> None:
    if facts.created.tzinfo is None:
        raise InputError(f"created {facts.created.isoformat()}: no time zone; give an aware datetime")
    for ingredient in facts.ingredients:
        if ingredient.relationship not in RELATIONSHIPS:
            raise InputError(
                f"ingredient {ingredient.title!r}: relationship {ingredient.relationship!r} is unknown; "
                f"use {', '.join(RELATIONSHIPS)}"
            )
    parents = [i.title for i in facts.ingredients if i.relationship == PARENT]
    if len(parents) > 1:
        raise InputError(
            f"parents {', '.join(parents)}: an asset has at most one; make the others {COMPONENT}"
        )
    for entry, use in facts.disclosure.mining:
        if entry not in MINING_ENTRIES or use not in MINING_USES:
            raise InputError(
                f"training-mining {entry}={use}: use one of {', '.join(MINING_ENTRIES)} and "
                f"{', '.join(MINING_USES)}"
            )


def _actions(facts: ManifestFacts, when: str) -> list[dict[str, Any]]:
    disclosure = facts.disclosure
    by_relationship: dict[str, list[str]] = {relationship: [] for relationship in RELATIONSHIPS}
    for ingredient in facts.ingredients:
        by_relationship[ingredient.relationship].append(ingredient.digest)
    own = {"when": when, "softwareAgent": {"name": "Assay", "version": own_version()}}
    actions = [_first_action(facts, when, by_relationship)]
    if disclosure.is_edit:
        actions.append(
            {
                "action": "c2pa.edited",
                "when": when,
                "digitalSourceType": disclosure.digital_source_type,
                "softwareAgent": {"name": facts.generator, "version": facts.version},
            }
        )
    for digest in by_relationship[COMPONENT]:
        actions.append({"action": "c2pa.placed", **own, "parameters": {"ingredientIds": [digest]}})
    parents = [ingredient for ingredient in facts.ingredients if ingredient.relationship == PARENT]
    if facts.mime and any(parent.mime != facts.mime for parent in parents):
        actions.append({"action": "c2pa.converted", **own})
    if disclosure.visible_label:
        by_rule = SOURCE_TYPES["algorithmicMedia"]  # text drawn by a program, not by a model
        actions.append({"action": "c2pa.addedText", **own, "digitalSourceType": by_rule})
    if facts.soft_binding_alg:
        actions.append({"action": "c2pa.watermarked.bound", **own})
    return actions


def _first_action(facts: ManifestFacts, when: str, ingredients: dict[str, list[str]]) -> dict[str, Any]:
    """How the asset began: opened from its parent, or created; inputs belong to what created it."""
    parameters: dict[str, Any] = {}
    if facts.disclosure.prompt is not None:
        parameters[f"{NAMESPACE}.prompt"] = facts.disclosure.prompt
    if ingredients[PARENT]:
        parameters["ingredientIds"] = ingredients[PARENT]
        return {"action": "c2pa.opened", "when": when, "parameters": parameters}
    if ingredients[INPUT]:
        parameters["ingredientIds"] = ingredients[INPUT]
    created: dict[str, Any] = {
        "action": "c2pa.created",
        "when": when,
        "digitalSourceType": facts.disclosure.digital_source_type,
        "softwareAgent": {"name": facts.generator, "version": facts.version},
    }
    return created | ({"parameters": parameters} if parameters else {})


def _soft_bindings(facts: ManifestFacts) -> list[dict[str, Any]]:
    """The watermark, whose algorithm is ours and on no list, and the fingerprint, whose algorithm is listed."""
    values = {}
    if facts.soft_binding_alg:
        values[facts.soft_binding_alg] = facts.asset_id
    if facts.image_code:
        values[FINGERPRINT] = base64.b64encode(encode_unit(facts.image_code)).decode("ascii")
    return [{"alg": alg, "blocks": [{"scope": {}, "value": value}]} for alg, value in values.items()]


def _ai_disclosure(facts: ManifestFacts) -> dict[str, Any]:
    found: dict[str, Any] = {"modelType": facts.disclosure.model_type, "modelName": facts.generator}
    if facts.weights_digest:
        found["modelIdentifier"] = facts.weights_digest
    if facts.disclosure.oversight:
        found["contentProfile"] = {"humanOversightLevel": facts.disclosure.oversight}
    return found
