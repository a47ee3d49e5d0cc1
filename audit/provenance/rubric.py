"""The C2PA asset rubric "conformance 0.2 / spec 2.4", evaluated by us over crJSON.

31 statements, each a small function from the active manifest to the list of what it found wrong; a statement passes
when that list is empty. The identifiers are the official ones. The statements are this module's own reading of the
rubric's expressions, which need an evaluator that is on no package index.

Source: C2PA asset rubrics 1.0 (2026-08-06), conformance 0.2, specification 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audit.provenance import rubric_names as names

SPEC_VERSION = "2.4"

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the rubric, evaluated.

    Attributes:
        id: official identifier, e.g. "validation:mandatory_spec_version".
        passed: True when nothing was found wrong, and for a statement that only warns.
        matches: what was found wrong (or, for a statement that only warns, discouraged); from the file.
    """

    id: str
    passed: bool
    matches: tuple[str, ...] = ()


def _object(value: object) -> Manifest:
    return value if isinstance(value, Mapping) else {}


def _objects(value: object) -> list[Manifest]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _assertions(manifest: Manifest) -> Manifest:
    return _object(manifest.get("assertions"))


def _values(manifest: Manifest) -> list[Manifest]:
    return [value for value in _assertions(manifest).values() if isinstance(value, Mapping)]


def _actions(manifest: Manifest) -> list[Manifest]:
    return [action for value in _values(manifest) for action in _objects(value.get("actions"))]


def _named(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    for action in _actions(manifest):
        yield str(action.get("action") or ""), action


def _parameters(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    for name, action in _named(manifest):
        if isinstance(action.get("parameters"), Mapping):
            yield name, action["parameters"]


def _ingredients(manifest: Manifest) -> list[Manifest]:
    return [value for value in _values(manifest) if value.get("relationship") is not None]


def _claim(manifest: Manifest) -> Manifest:
    return _object(manifest.get("claim.v2"))


def _failures(manifest: Manifest) -> list[str]:
    results = manifest.get("validationResults")
    if not isinstance(results, Mapping):
        return [names.NO_RESULTS]
    return [str(entry.get("code")) for entry in _objects(results.get("failure"))]


def _base(label: str) -> str:
    return label.split("__")[0]


# One function a statement, in the rubric's order: manifest -> what is wrong.


def _perceptible_without_source_type(manifest: Manifest) -> list[str]:
    exempt = names.INCEPTION_ACTIONS | names.NON_EDITORIAL_ACTIONS | names.SOURCE_TYPE_EXEMPT_ACTIONS
    return [
        name
        for name, action in _named(manifest)
        if name.startswith("c2pa.") and name not in exempt and action.get("digitalSourceType") is None
    ]


def _spec_version(manifest: Manifest) -> list[str]:
    info = _claim(manifest).get("claim_generator_info")
    first = _object(info[0]) if isinstance(info, list) and info else _object(info)
    version = first.get("specVersion")
    if version is None or version == "":
        return ["missing"]
    if isinstance(version, str) and version.split(".")[:2] == SPEC_VERSION.split("."):
        return []
    return [str(version)]


def _all_actions_included(manifest: Manifest) -> list[str]:
    return [
        label
        for label, value in _assertions(manifest).items()
        if isinstance(value, Mapping)
        and value.get("actions") is not None
        and value.get("allActionsIncluded") is None
    ]


def _opened_with_source_type(manifest: Manifest) -> list[str]:
    return [
        str(action["digitalSourceType"])
        for name, action in _named(manifest)
        if name == "c2pa.opened" and action.get("digitalSourceType") is not None
    ]


def _results_present(manifest: Manifest) -> list[str]:
    return [] if manifest.get("validationResults") is not None else [names.NO_RESULTS]


def _structural_failures(manifest: Manifest) -> list[str]:
    return [code for code in _failures(manifest) if code in names.STRUCTURAL_CODES]


def _mismatches(manifest: Manifest) -> list[str]:
    return [code for code in _failures(manifest) if code in names.MISMATCH_CODES]


def _inception_position(manifest: Manifest) -> list[str]:
    created = _objects(_claim(manifest).get("created_assertions"))
    urls = [str(entry.get("url") or "") for entry in created]
    first = next((url for url in urls if "c2pa.actions" in url), "")
    if not first.endswith("c2pa.actions.v2"):
        return [first or "no actions assertion among created_assertions"]
    actions = [name for name, _ in _named(manifest)]
    if "c2pa.created" in actions and actions[0] not in names.INCEPTION_ACTIONS:
        return [actions[0]]
    return []


def _deprecated_assertions(manifest: Manifest) -> list[str]:
    return [
        label
        for label in _assertions(manifest)
        if label.startswith("stds.") or label in names.DEPRECATED_ASSERTIONS
    ]


def _unsupported_assertions(manifest: Manifest) -> list[str]:
    known = names.ALLOWED_ASSERTIONS | names.DEPRECATED_ASSERTIONS
    return [
        label for label in _assertions(manifest) if label.startswith("c2pa.") and _base(label) not in known
    ]


def _deprecated_actions(manifest: Manifest) -> list[str]:
    return [name for name, _ in _named(manifest) if name in names.DEPRECATED_ACTIONS]


def _unsupported_actions(manifest: Manifest) -> list[str]:
    return [
        name for name, _ in _named(manifest) if name.startswith("c2pa.") and name not in names.ALLOWED_ACTIONS
    ]


def _unqualified_assertions(manifest: Manifest) -> list[str]:
    return [label for label in _assertions(manifest) if not label.startswith("c2pa.") and "." not in label]


def _unqualified_actions(manifest: Manifest) -> list[str]:
    return [name for name, _ in _named(manifest) if not name.startswith("c2pa.") and "." not in name]


def _unqualified_parameters(manifest: Manifest) -> list[str]:
    return [
        key
        for _, parameters in _parameters(manifest)
        for key in parameters
        if key not in names.STANDARD_PARAMETERS and "." not in key
    ]


def _legacy_parameters(manifest: Manifest) -> list[str]:
    return [
        name or "unknown"
        for name, parameters in _parameters(manifest)
        if parameters.get("description") is not None or parameters.get("ingredient") is not None
    ]


def _old_manifest_urn(manifest: Manifest) -> list[str]:
    label = str(manifest.get("label") or "")
    return [] if label.startswith("urn:c2pa:") else [label or "missing"]


def _ratings_of_human_entry(manifest: Manifest) -> list[str]:
    return [
        label
        for label, value in _assertions(manifest).items()
        if isinstance(value, Mapping)
        and value.get("reviewRatings") is not None
        and _object(value.get("dataSource")).get("type") in names.HUMAN_ENTRY
    ]


def _title(ingredient: Manifest) -> str:
    return str(ingredient.get("dc:title") or "untitled ingredient")


def _results_without_manifest(manifest: Manifest) -> list[str]:
    return [
        _title(ingredient)
        for ingredient in _ingredients(manifest)
        if ingredient.get("activeManifest") is None and ingredient.get("validationResults") is not None
    ]


def _manifest_without_results(manifest: Manifest) -> list[str]:
    return [
        _title(ingredient)
        for ingredient in _ingredients(manifest)
        if ingredient.get("activeManifest") is not None and ingredient.get("validationResults") is None
    ]


def _unknown_relationships(manifest: Manifest) -> list[str]:
    relationships = [ingredient["relationship"] for ingredient in _ingredients(manifest)]
    return [
        str(value)
        for value in relationships
        if not isinstance(value, str) or value not in names.RELATIONSHIPS
    ]


def _created_without_source_type(manifest: Manifest) -> list[str]:
    return [
        name
        for name, action in _named(manifest)
        if name == "c2pa.created" and action.get("digitalSourceType") is None
    ]


def _deprecated_claim_fields(manifest: Manifest) -> list[str]:
    return ["specVersion in claim"] if _claim(manifest).get("specVersion") is not None else []


def _manifest_and_source_type(manifest: Manifest) -> list[str]:
    return [
        _title(ingredient)
        for ingredient in _ingredients(manifest)
        if ingredient.get("activeManifest") is not None and ingredient.get("digitalSourceType") is not None
    ]


def _representation_choice(manifest: Manifest) -> list[str]:
    wrong = []
    for label, value in _assertions(manifest).items():
        parameters = _object(_object(value).get("parameters"))
        if "exif.originalPreservationImage" not in (_object(value).get("type"), parameters.get("type")):
            continue
        given = [
            parameters.get(key) is not None
            for key in ("multiAssetPartIndex", "embeddedOriginalPreservationImage")
        ]
        if sum(given) != 1:
            wrong.append(label)
    return wrong


def _forbidden_references(manifest: Manifest) -> list[str]:
    labels = [
        str(value["label"])
        for value in _values(manifest)
        if value.get("label") is not None
        and value.get("url") is not None
        and value.get("relationship") is None
    ]
    return [
        label
        for label in labels
        if label in names.FORBIDDEN_REFERENCES or label.startswith(("c2pa.hash", "c2pa.ingredient"))
    ]


def _urls_in_hashes(manifest: Manifest) -> list[str]:
    return [
        label
        for label in ("c2pa.hash.data", "c2pa.hash.bmff.v3")
        if _object(_assertions(manifest).get(label)).get("url") is not None
    ]


def _opened_only_not_all_included(manifest: Manifest) -> list[str]:
    actions = [name for name, _ in _named(manifest)]
    included = _object(_assertions(manifest).get("c2pa.actions.v2")).get("allActionsIncluded")
    return actions if actions == ["c2pa.opened"] and included is not True else []


def _opened_without_ingredient(manifest: Manifest) -> list[str]:
    wrong = []
    for name, action in _named(manifest):
        references = _object(action.get("parameters")).get("ingredients")
        if name == "c2pa.opened" and not (isinstance(references, list) and len(references) == 1):
            wrong.append(name)
    return wrong


def _box_hash_in_tiff(manifest: Manifest) -> list[str]:
    kind = _object(_assertions(manifest).get("c2pa.asset-type.v2")).get("dc:format")
    return (
        ["c2pa.hash.boxes"] if "c2pa.hash.boxes" in _assertions(manifest) and kind in names.TIFF_TYPES else []
    )


_STATEMENTS: tuple[tuple[str, Callable[[Manifest], list[str]]], ...] = (
    ("mandatory_dst_for_perceptible_transformations", _perceptible_without_source_type),
    ("mandatory_spec_version", _spec_version),
    ("mandatory_all_actions_included", _all_actions_included),
    ("no_dst_for_opened_action", _opened_with_source_type),
    ("well_formed_data_present", _results_present),
    ("well_formed_success", _structural_failures),
    ("valid_data_present", _results_present),
    ("valid_success", _mismatches),
    ("inception_action_position", _inception_position),
    ("no_deprecated_assertions", _deprecated_assertions),
    ("no_unsupported_assertions", _unsupported_assertions),
    ("no_deprecated_actions", _deprecated_actions),
    ("no_unsupported_actions", _unsupported_actions),
    ("no_unrecognized_custom_assertions", _unqualified_assertions),
    ("no_unrecognized_custom_actions", _unqualified_actions),
    ("no_unrecognized_custom_action_parameters", _unqualified_parameters),
    ("discouraged_legacy_action_parameters", _legacy_parameters),
    ("active_manifest_urn", _old_manifest_urn),
    ("review_ratings_datasource", _ratings_of_human_entry),
    ("ingredient_v3_no_active_manifest", _results_without_manifest),
    ("ingredient_v3_mandatory_validation_results", _manifest_without_results),
    ("ingredient_relationship_values", _unknown_relationships),
    ("mandatory_dst_for_created_action", _created_without_source_type),
    ("no_deprecated_claim_fields", _deprecated_claim_fields),
    ("ingredient_v3_choice", _manifest_and_source_type),
    ("alternative_content_representation_choice", _representation_choice),
    ("forbidden_labels_in_external_references", _forbidden_references),
    ("no_url_in_hashes", _urls_in_hashes),
    ("all_actions_included_opened", _opened_only_not_all_included),
    ("opened_action_ingredient_reference", _opened_without_ingredient),
    ("no_box_hash_for_tiff", _box_hash_in_tiff),
)
_WARNS_ONLY = frozenset({"discouraged_legacy_action_parameters"})
IDS = tuple(f"validation:{name}" for name, _ in _STATEMENTS)
_MAX_MATCHES = 20  # kept of one statement


def evaluate_rubric(crjson: Mapping[str, Any]) -> tuple[Statement, ...]:
    """Evaluate the 31 statements over a manifest store in crJSON.

    Args:
        crjson: as the C2PA engine gives it; its first manifest is the active one. An empty store fails the statements
            that ask for something to be there.

    Returns:
        One statement for each identifier of `IDS`, in that order.
    """
    manifests = _objects(crjson.get("manifests"))
    manifest = manifests[0] if manifests else {}
    results = []
    for name, predicate in _STATEMENTS:
        matches = tuple(predicate(manifest))
        passed = not matches or name in _WARNS_ONLY
        results.append(Statement(f"validation:{name}", passed, matches[:_MAX_MATCHES]))
    return tuple(results)
