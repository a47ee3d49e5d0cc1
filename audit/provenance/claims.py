"""What the active manifest claims, picked out of the engine's JSON. Claims, not facts: `verdict` says what holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audit.provenance.read import JsonObject, Manifests

_ASSET_ID = re.compile(r"(?:[0-9a-f]{16}){1,2}")
_SOFT_BINDING = "c2pa.soft-binding"
_MAX_ENTRIES = 1_000  # assertions, actions or bindings looked at


@dataclass(frozen=True, slots=True)
class SoftBinding:
    """A watermark or fingerprint that the manifest names.

    Attributes:
        alg: name of the technique.
        value: what it should read.
    """

    alg: str
    value: str


@dataclass(frozen=True, slots=True)
class Action:
    """One recorded action.

    Attributes:
        name: e.g. "c2pa.created".
        when: as written; "" when not given.
        agent: what did it.
        digital_source_type: IPTC code as full URI; "" when not given.
    """

    name: str
    when: str
    agent: str
    digital_source_type: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What the active manifest says; every text is from the file, unchecked, and "" when absent.

    Attributes:
        title: of the asset.
        generator: claim generator with version.
        signer: common name of the signing certificate.
        organisation: of the signing certificate; the engine calls it issuer.
        issuer: who issued the signing certificate.
        algorithm: of the signature.
        not_after: end of the signing certificate's validity.
        signed_at: time of the RFC 3161 token.
        time_authority: who made that token.
        digital_source_type: of the first `c2pa.created` action, else of the first action that has one.
        actions: in order.
        soft_bindings: in order.
        asset_id: 16 hex digits of our own assertion.
    """

    title: str = ""
    generator: str = ""
    signer: str = ""
    organisation: str = ""
    issuer: str = ""
    algorithm: str = ""
    not_after: str = ""
    signed_at: str = ""
    time_authority: str = ""
    digital_source_type: str = ""
    actions: tuple[Action, ...] = ()
    soft_bindings: tuple[SoftBinding, ...] = ()
    asset_id: str = ""


def extract_claims(report: Manifests, *, asset_label: str = "") -> Claims:
    """Pick the claims out of a report; a report without a manifest gives empty claims.

    Args:
        report: of one file.
        asset_label: label of the assertion in which Assay writes its asset id.
    """
    manifest = report.active_manifest
    signature = _object(manifest.get("signature_info"))
    certificate, stamp = _crjson_signature(report)
    actions = tuple(_actions(manifest))
    typed = [action for action in actions if action.digital_source_type]
    created = [action for action in typed if action.name == "c2pa.created"]
    own = [data for label, data in _assertions(manifest) if asset_label and label == asset_label]
    asset_id = _text(own[0].get("assetId")) if own else ""
    return Claims(
        title=_text(manifest.get("title")),
        generator=_agent(_first(manifest.get("claim_generator_info")))
        or _text(manifest.get("claim_generator")),
        signer=_text(signature.get("common_name")),
        organisation=_text(signature.get("issuer")),
        issuer=_name(_object(certificate.get("issuer"))),
        algorithm=_text(signature.get("alg")),
        not_after=_text(_object(certificate.get("validity")).get("notAfter")),
        signed_at=_text(signature.get("time")),
        time_authority=_name(_object(_object(stamp.get("certificateInfo")).get("subject"))),
        digital_source_type=(created or typed)[0].digital_source_type if typed else "",
        actions=actions,
        soft_bindings=tuple(_soft_bindings(manifest)),
        asset_id=asset_id if is_asset_id(asset_id) else "",
    )


def is_asset_id(value: str) -> bool:
    """Whether a text is an asset id of Assay: 16 or 32 lower-case hexadecimal digits."""
    return _ASSET_ID.fullmatch(value) is not None


def _object(value: object) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value[:_MAX_ENTRIES] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _agent(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{_text(value.get('name'))} {_text(value.get('version'))}".strip()
    return _text(value)


def _name(value: JsonObject) -> str:
    return _text(value.get("CN")) or _text(value.get("O"))


def _assertions(manifest: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for entry in _list(manifest.get("assertions")):
        if isinstance(entry, Mapping):
            yield _text(entry.get("label")), _object(entry.get("data"))


def _actions(manifest: JsonObject) -> Iterator[Action]:
    for label, data in _assertions(manifest):
        if label.startswith("c2pa.actions"):
            for entry in _list(data.get("actions")):
                action = _object(entry)
                yield Action(
                    _text(action.get("action")),
                    _text(action.get("when")),
                    _agent(action.get("softwareAgent")),
                    _text(action.get("digitalSourceType")),
                )


def _soft_bindings(manifest: JsonObject) -> Iterator[SoftBinding]:
    for label, data in _assertions(manifest):
        if label.split("__")[0] == _SOFT_BINDING:
            for block in _list(data.get("blocks")):
                yield SoftBinding(_text(data.get("alg")), _text(_object(block).get("value")))


def _crjson_signature(report: Manifests) -> tuple[JsonObject, JsonObject]:
    manifests = _list(report.crjson.get("manifests"))
    signature = _object(_object(manifests[0]).get("signature")) if manifests else {}
    return _object(signature.get("certificateInfo")), _object(signature.get("timeStampInfo"))
