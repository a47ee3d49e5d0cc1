"""The official rubrics "conformance 0.2" for specification 2.2 (23 statements) and 2.4 (31 statements).

Each statement is a small function from the active manifest to the list of what it found wrong. The statements are
this module's own reading of the rubrics' expressions, which need an evaluator that is on no package index.

Source: C2PA asset rubrics 1.0 (2026-08-06), conformance 0.2, specifications 2.2 and 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from audit.provenance import rubric_names as names
from audit.provenance.rubric_reading import (
    Manifest,
    action_parameters,
    as_object,
    as_objects,
    assertion_values,
    assertions,
    claim,
    failure_codes,
    ingredients,
    named_actions,
)

Predicate = Callable[[Manifest], list[str]]

WARNS_ONLY = frozenset({"validation:discouraged_legacy_action_parameters"})
"""Statements that pass whatever they find."""


def _base(label: str) -> str:
    return label.split("__")[0]


def _perceptible_without_source_type(manifest: Manifest) -> list[str]:
    exempt = names.INCEPTION_ACTIONS | names.NON_EDITORIAL_ACTIONS | names.SOURCE_TYPE_EXEMPT_ACTIONS
    return [
        name
        for name, action in named_actions(manifest)
        if name.startswith("c2pa.") and name not in exempt and action.get("digitalSourceType") is None
    ]


def _spec_version(manifest: Manifest, *, expected: str) -> list[str]:
    info = claim(manifest).get("claim_generator_info")
    first = as_object(info[0]) if isinstance(info, list) and info else as_object(info)
    version = first.get("specVersion")
    if version is None or version == "":
        return ["missing"] if expected == "2.4" else []
    if isinstance(version, str) and version.split(".")[:2] == expected.split("."):
        return []
    return [str(version)]


def _all_actions_included(manifest: Manifest) -> list[str]:
    return [
        label
        for label, value in assertions(manifest).items()
        if isinstance(value, Mapping)
        and value.get("actions") is not None
        and value.get("allActionsIncluded") is None
    ]


def _opened_with_source_type(manifest: Manifest) -> list[str]:
    return [
        str(action["digitalSourceType"])
        for name, action in named_actions(manifest)
        if name == "c2pa.opened" and action.get("digitalSourceType") is not None
    ]


def _results_present(manifest: Manifest) -> list[str]:
    return [] if manifest.get("validationResults") is not None else [names.NO_RESULTS]


def _structural_failures(manifest: Manifest) -> list[str]:
    return [code for code in failure_codes(manifest) if code in names.STRUCTURAL_CODES]


def _mismatches(manifest: Manifest) -> list[str]:
    return [code for code in failure_codes(manifest) if code in names.MISMATCH_CODES]


def _inception_position(manifest: Manifest) -> list[str]:
    created = as_objects(claim(manifest).get("created_assertions"))
    urls = [str(entry.get("url") or "") for entry in created]
    first = next((url for url in urls if "c2pa.actions" in url), "")
    if not first.endswith("c2pa.actions.v2"):
        return [first or "no actions assertion among created_assertions"]
    actions = [name for name, _ in named_actions(manifest)]
    if "c2pa.created" in actions and actions[0] not in names.INCEPTION_ACTIONS:
        return [actions[0]]
    return []


def _deprecated_assertions(manifest: Manifest) -> list[str]:
    return [
        label
        for label in assertions(manifest)
        if label.startswith("stds.") or label in names.DEPRECATED_ASSERTIONS
    ]


def _unsupported_assertions(manifest: Manifest, *, allowed: frozenset[str]) -> list[str]:
    known = allowed | names.DEPRECATED_ASSERTIONS
    return [
        label for label in assertions(manifest) if label.startswith("c2pa.") and _base(label) not in known
    ]


def _deprecated_actions(manifest: Manifest, *, deprecated: frozenset[str]) -> list[str]:
    return [name for name, _ in named_actions(manifest) if name in deprecated]


def _unsupported_actions(manifest: Manifest, *, allowed: frozenset[str]) -> list[str]:
    return [name for name, _ in named_actions(manifest) if name.startswith("c2pa.") and name not in allowed]


def _unqualified_assertions(manifest: Manifest) -> list[str]:
    return [label for label in assertions(manifest) if not label.startswith("c2pa.") and "." not in label]


def _unqualified_actions(manifest: Manifest) -> list[str]:
    return [name for name, _ in named_actions(manifest) if not name.startswith("c2pa.") and "." not in name]


def _unqualified_parameters(manifest: Manifest, *, standard: frozenset[str]) -> list[str]:
    return [
        key
        for _, parameters in action_parameters(manifest)
        for key in parameters
        if key not in standard and "." not in key
    ]


def _legacy_parameters(manifest: Manifest) -> list[str]:
    return [
        name or "unknown"
        for name, parameters in action_parameters(manifest)
        if parameters.get("description") is not None or parameters.get("ingredient") is not None
    ]


def _old_manifest_urn(manifest: Manifest) -> list[str]:
    label = str(manifest.get("label") or "")
    return [] if label.startswith("urn:c2pa:") else [label or "missing"]


def _ratings_of_human_entry(manifest: Manifest) -> list[str]:
    return [
        label
        for label, value in assertions(manifest).items()
        if isinstance(value, Mapping)
        and value.get("reviewRatings") is not None
        and as_object(value.get("dataSource")).get("type") in names.HUMAN_ENTRY
    ]


def _title(ingredient: Manifest) -> str:
    return str(ingredient.get("dc:title") or "untitled ingredient")


def _results_without_manifest(manifest: Manifest) -> list[str]:
    return [
        _title(ingredient)
        for ingredient in ingredients(manifest)
        if ingredient.get("activeManifest") is None and ingredient.get("validationResults") is not None
    ]


def _manifest_without_results(manifest: Manifest) -> list[str]:
    return [
        _title(ingredient)
        for ingredient in ingredients(manifest)
        if ingredient.get("activeManifest") is not None and ingredient.get("validationResults") is None
    ]


def _unknown_relationships(manifest: Manifest) -> list[str]:
    relationships = [ingredient["relationship"] for ingredient in ingredients(manifest)]
    return [
        str(value)
        for value in relationships
        if not isinstance(value, str) or value not in names.RELATIONSHIPS
    ]


def _created_without_source_type(manifest: Manifest) -> list[str]:
    return [
        name
        for name, action in named_actions(manifest)
        if name == "c2pa.created" and action.get("digitalSourceType") is None
    ]


def _deprecated_claim_fields(manifest: Manifest) -> list[str]:
    return ["specVersion in claim"] if claim(manifest).get("specVersion") is not None else []


def _manifest_and_source_type(manifest: Manifest) -> list[str]:
    return [
        _title(ingredient)
        for ingredient in ingredients(manifest)
        if ingredient.get("activeManifest") is not None and ingredient.get("digitalSourceType") is not None
    ]


def _representation_choice(manifest: Manifest) -> list[str]:
    wrong = []
    for label, value in assertions(manifest).items():
        parameters = as_object(as_object(value).get("parameters"))
        if "exif.originalPreservationImage" not in (as_object(value).get("type"), parameters.get("type")):
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
        for value in assertion_values(manifest)
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
        if as_object(assertions(manifest).get(label)).get("url") is not None
    ]


def _opened_only_not_all_included(manifest: Manifest) -> list[str]:
    actions = [name for name, _ in named_actions(manifest)]
    included = as_object(assertions(manifest).get("c2pa.actions.v2")).get("allActionsIncluded")
    return actions if actions == ["c2pa.opened"] and included is not True else []


def _opened_without_ingredient(manifest: Manifest) -> list[str]:
    wrong = []
    for name, action in named_actions(manifest):
        references = as_object(action.get("parameters")).get("ingredients")
        if name == "c2pa.opened" and not (isinstance(references, list) and len(references) == 1):
            wrong.append(name)
    return wrong


def _box_hash_in_tiff(manifest: Manifest) -> list[str]:
    kind = as_object(assertions(manifest).get("c2pa.asset-type.v2")).get("dc:format")
    return (
        ["c2pa.hash.boxes"] if "c2pa.hash.boxes" in assertions(manifest) and kind in names.TIFF_TYPES else []
    )


def _nothing(manifest: Manifest) -> list[str]:
    """Specification 2.2 does not ask this yet."""
    return []


_NEW_IN_2_4: tuple[tuple[str, Predicate], ...] = (
    ("validation:no_deprecated_claim_fields", _deprecated_claim_fields),
    ("validation:ingredient_v3_choice", _manifest_and_source_type),
    ("validation:alternative_content_representation_choice", _representation_choice),
    ("validation:forbidden_labels_in_external_references", _forbidden_references),
    ("validation:no_url_in_hashes", _urls_in_hashes),
    ("validation:all_actions_included_opened", _opened_only_not_all_included),
    ("validation:opened_action_ingredient_reference", _opened_without_ingredient),
    ("validation:no_box_hash_for_tiff", _box_hash_in_tiff),
)


def conformance_statements(version: str) -> tuple[tuple[str, Predicate], ...]:
    """(identifier, what it finds wrong) of each statement, in the rubric's order.

    Args:
        version: of the specification, "2.2" or "2.4".
    """
    lists = names.VOCABULARIES[version]
    shared: tuple[tuple[str, Predicate], ...] = (
        ("validation:mandatory_dst_for_perceptible_transformations", _perceptible_without_source_type),
        ("validation:mandatory_spec_version", partial(_spec_version, expected=version)),
        ("validation:mandatory_all_actions_included", _all_actions_included),
        ("validation:no_dst_for_opened_action", _opened_with_source_type if version == "2.4" else _nothing),
        ("validation:well_formed_data_present", _results_present),
        ("validation:well_formed_success", _structural_failures),
        ("validation:valid_data_present", _results_present),
        ("validation:valid_success", _mismatches),
        ("validation:inception_action_position", _inception_position),
        ("validation:no_deprecated_assertions", _deprecated_assertions),
        (
            "validation:no_unsupported_assertions",
            partial(_unsupported_assertions, allowed=lists.allowed_assertions),
        ),
        (
            "validation:no_deprecated_actions",
            partial(_deprecated_actions, deprecated=lists.deprecated_actions),
        ),
        ("validation:no_unsupported_actions", partial(_unsupported_actions, allowed=lists.allowed_actions)),
        ("validation:no_unrecognized_custom_assertions", _unqualified_assertions),
        ("validation:no_unrecognized_custom_actions", _unqualified_actions),
        (
            "validation:no_unrecognized_custom_action_parameters",
            partial(_unqualified_parameters, standard=lists.standard_parameters),
        ),
        ("validation:discouraged_legacy_action_parameters", _legacy_parameters),
        ("validation:active_manifest_urn", _old_manifest_urn),
        ("validation:review_ratings_datasource", _ratings_of_human_entry),
        ("validation:ingredient_v3_no_active_manifest", _results_without_manifest),
        ("validation:ingredient_v3_mandatory_validation_results", _manifest_without_results),
        ("validation:ingredient_relationship_values", _unknown_relationships),
        ("validation:mandatory_dst_for_created_action", _created_without_source_type),
    )
    return shared + (_NEW_IN_2_4 if version == "2.4" else ())
