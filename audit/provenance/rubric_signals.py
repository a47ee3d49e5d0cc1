"""The official rubrics "integrity" (6 statements) and "signals" (14 statements).

Integrity asks the engine's failure codes for structure, hashes and trust. A signal says what kind of asset a manifest
describes, and judges nothing: its statement holds when the signal is there.

Source: C2PA asset rubrics 1.0 (2026-08-06), integrity and signals (local).
"""

from __future__ import annotations

from collections.abc import Callable

from audit.provenance import rubric_names as names
from audit.provenance.rubric_reading import Manifest, as_object, as_objects, assertions, claim, failure_codes

Signal = Callable[[Manifest], bool]

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_C2PA = "http://c2pa.org/digitalsourcetype/"


def _results_present(manifest: Manifest) -> list[str]:
    return [] if manifest.get("validationResults") is not None else [names.NO_RESULTS]


def _codes_among(listed: frozenset[str]) -> Callable[[Manifest], list[str]]:
    return lambda manifest: [code for code in failure_codes(manifest) if code in listed]


INTEGRITY: tuple[tuple[str, Callable[[Manifest], list[str]]], ...] = (
    ("validation:well_formed_data_present", _results_present),
    ("validation:well_formed_success", _codes_among(names.STRUCTURAL_CODES)),
    ("validation:valid_data_present", _results_present),
    ("validation:valid_success", _codes_among(names.MISMATCH_CODES)),
    ("validation:trusted_data_present", _results_present),
    ("validation:trusted_success", _codes_among(names.TRUST_CODES)),
)
"""(identifier, what it finds wrong), in the rubric's order."""


def _actions(manifest: Manifest) -> list[Manifest]:
    """Actions of the assertion `c2pa.actions.v2` alone, as this rubric reads them."""
    return as_objects(as_object(assertions(manifest).get("c2pa.actions.v2")).get("actions"))


def _begins_as(*source_types: str) -> Signal:
    return lambda manifest: any(
        action.get("action") in names.INCEPTION_ACTIONS and action.get("digitalSourceType") in source_types
        for action in _actions(manifest)
    )


def _ingredient_without_manifest(manifest: Manifest) -> bool:
    ingredient = assertions(manifest).get("c2pa.ingredient.v3")
    return ingredient is not None and as_object(ingredient).get("activeManifest") is None


def _is_ambiguous(manifest: Manifest) -> bool:
    actions = _actions(manifest)
    named = [str(action["action"]) for action in actions if action.get("action") is not None]
    included = as_object(assertions(manifest).get("c2pa.actions.v2")).get("allActionsIncluded")
    gathered = as_objects(claim(manifest).get("gathered_assertions"))
    return (
        not actions
        or included is not True
        or any(not name.startswith("c2pa.") or name == "c2pa.unknown" for name in named)
        or any("c2pa.actions" in str(entry.get("url") or "") for entry in gathered)
    )


def _is_non_editorial(manifest: Manifest) -> bool:
    return any(action.get("action") in names.NON_EDITORIAL_ACTIONS for action in _actions(manifest))


def _perceptible(is_meant: Callable[[object], bool]) -> Signal:
    """Whether an action that changes what is seen has a digital source type of the kind that is meant."""
    other = names.INCEPTION_ACTIONS | names.NON_EDITORIAL_ACTIONS
    return lambda manifest: any(
        action.get("action") is not None
        and action["action"] not in other
        and is_meant(action.get("digitalSourceType"))
        for action in _actions(manifest)
    )


SIGNALS: tuple[tuple[str, Signal], ...] = (
    ("inception:signal_blankCanvas", _begins_as(_C2PA + "empty")),
    (
        "inception:signal_capturedMedia",
        _begins_as(_IPTC + "digitalCapture", _IPTC + "computationalCapture"),
    ),
    ("inception:signal_capturedMediaStitched", _begins_as(_IPTC + "compositeCapture")),
    ("inception:signal_compositionMayContainGenAI", _begins_as(_IPTC + "composite")),
    ("inception:signal_fullyGenAIMedia", _begins_as(_IPTC + "trainedAlgorithmicMedia")),
    ("inception:signal_mediaUnknownProvenance", _ingredient_without_manifest),
    ("inception:signal_nonGenAIDigitalCreation", _begins_as(_IPTC + "digitalCreation")),
    (
        "inception:signal_partlyGenAICreation",
        _begins_as(_IPTC + "compositeWithTrainedAlgorithmicMedia"),
    ),
    ("inception:signal_screenCaptureMayContainGenAI", _begins_as(_IPTC + "screenCapture")),
    ("transformation:signal_ambiguousActions", _is_ambiguous),
    ("transformation:signal_nonEditorial", _is_non_editorial),
    ("transformation:signal_perceptibleGenAI", _perceptible(lambda kind: kind in names.GENAI_SOURCE_TYPES)),
    (
        "transformation:signal_perceptibleNonGenAI",
        _perceptible(lambda kind: kind is not None and kind not in names.GENAI_SOURCE_TYPES),
    ),
    (
        "transformation:signal_perceptiblePossiblyGenAI",
        _perceptible(lambda kind: kind in names.POSSIBLY_GENAI_SOURCE_TYPES),
    ),
)
"""(identifier, whether the signal is there), in the rubric's order."""
