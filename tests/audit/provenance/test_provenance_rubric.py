"""The official rubric: identifiers and lists as published, and each statement flipped alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from audit.evidence import Status
from audit.provenance import rubric_names
from audit.provenance.read import read_manifests
from audit.provenance.rubric import IDS, STATEMENT_IDS, Rubric, evaluate_rubric
from audit.provenance.rubric_gate import check_rubric
from audit.provenance.trust import TrustLists

Json = dict[str, Any]
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
PREFIX = "validation:"


def careful() -> Json:
    """A manifest that keeps every statement, with one ingredient of each kind."""
    return {
        "label": "urn:c2pa:11111111-1111-4111-8111-111111111111",
        "claim.v2": {
            "claim_generator_info": {"name": "writer", "specVersion": "2.4.0"},
            "created_assertions": [
                {"url": "self#jumbf=c2pa.assertions/c2pa.hash.data"},
                {"url": "self#jumbf=c2pa.assertions/c2pa.actions.v2"},
            ],
        },
        "assertions": {
            "c2pa.actions.v2": {
                "allActionsIncluded": True,
                "actions": [
                    {
                        "action": "c2pa.created",
                        "digitalSourceType": GENERATED,
                        "parameters": {"org.example.seed": 7},
                    },
                    {"action": "c2pa.cropped", "digitalSourceType": GENERATED},
                    {"action": "org.example.polish"},
                ],
            },
            "c2pa.hash.data": {"alg": "sha256", "hash": "x"},
            "c2pa.ingredient.v3": {
                "relationship": "componentOf",
                "dc:title": "part",
                "activeManifest": {"url": "self#jumbf=/c2pa/other"},
                "validationResults": {"activeManifest": {}},
            },
            "c2pa.ingredient.v3__1": {"relationship": "inputTo", "dc:title": "prompt"},
            "org.example.note": {"text": "hello"},
        },
        "validationResults": {"success": [], "informational": [], "failure": []},
    }


def failed(manifest: Json) -> set[str]:
    return {s.id.removeprefix(PREFIX) for s in evaluate_rubric({"manifests": [manifest]}) if not s.passed}


def actions(manifest: Json) -> list[Json]:
    found: list[Json] = manifest["assertions"]["c2pa.actions.v2"]["actions"]
    return found


def opened(manifest: Json, **changes: Any) -> None:
    """Make it the manifest of a file that was opened and saved."""
    action = {"action": "c2pa.opened", "parameters": {"ingredients": [{"url": "x"}]}, **changes}
    manifest["assertions"]["c2pa.actions.v2"]["actions"] = [action]


def with_assertion(label: str, value: Json) -> Callable[[Json], None]:
    return lambda manifest: manifest["assertions"].update({label: value})


def with_failure(code: str) -> Callable[[Json], None]:
    return lambda manifest: manifest["validationResults"]["failure"].append({"code": code})


def set_actions(**values: Any) -> Callable[[Json], None]:
    return lambda manifest: manifest["assertions"]["c2pa.actions.v2"].update(values)


def set_version(version: object) -> Callable[[Json], None]:
    return lambda manifest: manifest["claim.v2"]["claim_generator_info"].update(specVersion=version)


def add_action(**values: Any) -> Callable[[Json], None]:
    return lambda manifest: actions(manifest).append(values)


def ingredient(number: int, **values: Any) -> Callable[[Json], None]:
    label = "c2pa.ingredient.v3" + (f"__{number}" if number else "")
    return lambda manifest: manifest["assertions"][label].update(values)


def swap_first_actions(manifest: Json) -> None:
    actions(manifest).insert(0, actions(manifest).pop(1))


def gather_actions(manifest: Json) -> None:
    manifest["claim.v2"]["created_assertions"].pop()


def box_hash_of_tiff(manifest: Json) -> None:
    manifest["assertions"]["c2pa.hash.boxes"] = {}
    manifest["assertions"]["c2pa.asset-type.v2"] = {"dc:format": "image/tiff"}


def opened_with_source_type(manifest: Json) -> None:
    opened(manifest, digitalSourceType=GENERATED)


def opened_without_reference(manifest: Json) -> None:
    opened(manifest, parameters={"ingredients": []})


def opened_not_all_included(manifest: Json) -> None:
    opened(manifest)
    manifest["assertions"]["c2pa.actions.v2"]["allActionsIncluded"] = False


def no_results(manifest: Json) -> None:
    del manifest["validationResults"]


NO_RESULTS = {"well_formed_data_present", "well_formed_success", "valid_data_present", "valid_success"}
EXIF = "exif.originalPreservationImage"

MUTATIONS: list[tuple[set[str], Callable[[Json], None]]] = [
    ({"mandatory_dst_for_perceptible_transformations"}, add_action(action="c2pa.edited")),
    ({"mandatory_spec_version"}, set_version("2.3.0")),
    ({"mandatory_spec_version"}, set_version(None)),
    ({"mandatory_spec_version"}, set_version(2.4)),
    ({"mandatory_all_actions_included"}, set_actions(allActionsIncluded=None)),
    ({"no_dst_for_opened_action"}, opened_with_source_type),
    (NO_RESULTS, no_results),
    ({"well_formed_success"}, with_failure("assertion.cbor.invalid")),
    ({"valid_success"}, with_failure("assertion.dataHash.mismatch")),
    (set(), with_failure("signingCredential.untrusted")),
    ({"inception_action_position"}, swap_first_actions),
    ({"inception_action_position"}, gather_actions),
    ({"no_deprecated_assertions"}, with_assertion("stds.exif", {})),
    ({"no_unsupported_assertions"}, with_assertion("c2pa.invented", {})),
    (set(), with_assertion("c2pa.ingredient.v3__2", {})),
    ({"no_deprecated_actions"}, add_action(action="c2pa.watermarked")),
    (set(), add_action(action="c2pa.watermarked.bound")),
    ({"no_unsupported_actions"}, add_action(action="c2pa.invented", digitalSourceType=GENERATED)),
    ({"no_unrecognized_custom_assertions"}, with_assertion("note", {})),
    ({"no_unrecognized_custom_actions"}, add_action(action="polish")),
    (
        {"no_unrecognized_custom_action_parameters"},
        add_action(action="org.example.polish", parameters={"seed": 7}),
    ),
    (set(), add_action(action="org.example.polish", parameters={"description": "told twice"})),
    ({"active_manifest_urn"}, lambda manifest: manifest.update(label="urn:uuid:1")),
    (
        {"review_ratings_datasource"},
        with_assertion(
            "org.example.review", {"reviewRatings": [5], "dataSource": {"type": "humanEntry.anonymous"}}
        ),
    ),
    ({"ingredient_v3_no_active_manifest"}, ingredient(1, validationResults={})),
    ({"ingredient_v3_mandatory_validation_results"}, ingredient(0, validationResults=None)),
    ({"ingredient_relationship_values"}, ingredient(1, relationship="cousinOf")),
    (
        {"mandatory_dst_for_created_action"},
        lambda manifest: actions(manifest)[0].pop("digitalSourceType"),
    ),
    ({"no_deprecated_claim_fields"}, lambda manifest: manifest["claim.v2"].update(specVersion="2.4.0")),
    ({"ingredient_v3_choice"}, ingredient(0, digitalSourceType=GENERATED)),
    (
        {"alternative_content_representation_choice"},
        with_assertion("c2pa.alternative-content-representation", {"type": EXIF}),
    ),
    (
        set(),
        with_assertion(
            "c2pa.alternative-content-representation",
            {"type": EXIF, "parameters": {"multiAssetPartIndex": 1}},
        ),
    ),
    (
        {"forbidden_labels_in_external_references"},
        with_assertion("c2pa.external-reference", {"label": "c2pa.hash.data", "url": "x"}),
    ),
    ({"no_url_in_hashes"}, lambda manifest: manifest["assertions"]["c2pa.hash.data"].update(url="x")),
    ({"all_actions_included_opened"}, opened_not_all_included),
    ({"opened_action_ingredient_reference"}, opened_without_reference),
    ({"no_box_hash_for_tiff"}, box_hash_of_tiff),
]


def test_a_careful_manifest_keeps_all_statements() -> None:
    assert failed(careful()) == set()
    plain_opened = careful()
    opened(plain_opened)
    assert failed(plain_opened) == set()


@pytest.mark.parametrize("number", range(len(MUTATIONS)))
def test_mutation_flips_exactly_what_is_meant(number: int) -> None:
    expected, mutate = MUTATIONS[number]
    manifest = copy.deepcopy(careful())
    mutate(manifest)
    assert failed(manifest) == expected


def test_every_statement_can_fail_but_the_one_that_only_warns() -> None:
    flipped = set().union(*(expected for expected, _ in MUTATIONS))
    assert set(IDS) - {PREFIX + name for name in flipped} == {PREFIX + "discouraged_legacy_action_parameters"}


def test_the_warning_names_what_is_discouraged() -> None:
    manifest = careful()
    actions(manifest).append({"action": "org.example.polish", "parameters": {"description": "told twice"}})
    results = {s.id: s for s in evaluate_rubric({"manifests": [manifest]})}
    warning = results[PREFIX + "discouraged_legacy_action_parameters"]
    assert warning.passed
    assert warning.matches == ("org.example.polish",)


@pytest.mark.parametrize(
    "crjson", [{}, {"manifests": []}, {"manifests": [{"assertions": 3, "claim.v2": [], "label": None}]}]
)
def test_hostile_shapes_fail_and_do_not_raise(crjson: Json) -> None:
    results = evaluate_rubric(crjson)
    assert tuple(s.id for s in results) == IDS
    assert not all(s.passed for s in results)


_FILES = {
    Rubric.CONFORMANCE_2_4: "asset-rubric-conformance0.2-spec2.4.yml",
    Rubric.CONFORMANCE_2_2: "asset-rubric-conformance0.2-spec2.2.yml",
    Rubric.INTEGRITY: "asset-rubric-integrity.yml",
    Rubric.SIGNALS: "asset-rubric-signals-local.yml",
}


def _official(shared_data: Path, rubric: Rubric) -> tuple[Json, list[Json]]:
    path = shared_data / "c2pa" / "rubrics" / _FILES[rubric]
    head, statements = yaml.safe_load_all(path.read_text("utf-8"))
    return head["variables"], statements


@pytest.mark.parametrize("rubric", Rubric)
def test_identifiers_are_the_official_ones(shared_data: Path, rubric: Rubric) -> None:
    _, statements = _official(shared_data, rubric)
    assert tuple(statement["id"] for statement in statements) == STATEMENT_IDS[rubric]
    assert tuple(s.id for s in evaluate_rubric({"manifests": [careful()]}, rubric)) == STATEMENT_IDS[rubric]


@pytest.mark.parametrize("rubric", Rubric)
def test_lists_are_the_official_ones(shared_data: Path, rubric: Rubric) -> None:
    variables, _ = _official(shared_data, rubric)
    lists = rubric_names.VOCABULARIES["2.2" if rubric is Rubric.CONFORMANCE_2_2 else "2.4"]
    ours = {
        "$inception_actions": rubric_names.INCEPTION_ACTIONS,
        "$non_editorial_actions": rubric_names.NON_EDITORIAL_ACTIONS,
        "$dst_exempt_perceptible_actions": rubric_names.SOURCE_TYPE_EXEMPT_ACTIONS,
        "$well_formed_error_codes": rubric_names.STRUCTURAL_CODES,
        "$valid_error_codes": rubric_names.MISMATCH_CODES,
        "$trust_error_codes": rubric_names.TRUST_CODES,
        "$valid_relationship_values": rubric_names.RELATIONSHIPS,
        "$human_entry_source_types": rubric_names.HUMAN_ENTRY,
        "$tiff_media_types": rubric_names.TIFF_TYPES,
        "$allowed_assertions": lists.allowed_assertions,
        "$allowed_actions": lists.allowed_actions,
        "$deprecated_assertion_labels": rubric_names.DEPRECATED_ASSERTIONS,
        "$deprecated_action_labels": lists.deprecated_actions,
        "$standard_parameters": lists.standard_parameters,
        "$genai_dst_types": rubric_names.GENAI_SOURCE_TYPES,
        "$possibly_genai_dst_types": rubric_names.POSSIBLY_GENAI_SOURCE_TYPES,
    }
    assert variables.keys() <= ours.keys()
    assert {name: set(values) for name, values in variables.items()} == {
        name: set(ours[name]) for name in variables
    }


def results_of(manifest: Json, rubric: Rubric) -> dict[str, bool]:
    return {s.id: s.passed for s in evaluate_rubric({"manifests": [manifest]}, rubric)}


def failed_old(manifest: Json) -> set[str]:
    found = results_of(manifest, Rubric.CONFORMANCE_2_2)
    return {name.removeprefix(PREFIX) for name, passed in found.items() if not passed}


def test_specification_2_2_asks_less_and_knows_fewer_names() -> None:
    old = careful()
    old["claim.v2"]["claim_generator_info"] = {"name": "writer"}
    assert failed_old(old) == set()
    assert failed_old(careful()) == {"mandatory_spec_version"}  # it says 2.4.0
    old["claim.v2"]["claim_generator_info"] = {"specVersion": "2.2.0"}
    opened(old, digitalSourceType=GENERATED)  # not forbidden yet
    assert failed_old(old) == set()
    add_action(action="c2pa.watermarked.bound")(old)
    assert failed_old(old) == {"no_unsupported_actions"}
    with_assertion("c2pa.ai-disclosure", {})(old)
    assert failed_old(old) == {"no_unsupported_actions", "no_unsupported_assertions"}


def test_specification_2_2_does_not_deprecate_watermarked() -> None:
    old = careful()
    old["claim.v2"]["claim_generator_info"] = {}
    add_action(action="c2pa.watermarked", parameters={"relatedAssertions": []})(old)
    assert failed_old(old) == {"no_unrecognized_custom_action_parameters"}


@pytest.mark.parametrize(
    ("code", "statement"),
    [
        ("claim.malformed", "well_formed_success"),
        ("assertion.dataHash.mismatch", "valid_success"),
        ("signingCredential.untrusted", "trusted_success"),
    ],
)
def test_integrity_statement_of_a_code(code: str, statement: str) -> None:
    manifest = careful()
    assert all(results_of(manifest, Rubric.INTEGRITY).values())
    with_failure(code)(manifest)
    found = results_of(manifest, Rubric.INTEGRITY)
    assert [name for name, passed in found.items() if not passed] == [PREFIX + statement]


def test_integrity_of_nothing_fails_throughout() -> None:
    assert not any(statement.passed for statement in evaluate_rubric({}, Rubric.INTEGRITY))


def begins_as(source_type: str) -> Callable[[Json], None]:
    return lambda manifest: actions(manifest)[0].update(digitalSourceType=source_type)


IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
BASE = {"inception:signal_fullyGenAIMedia"}
SIGNALS: list[tuple[set[str], Callable[[Json], None]]] = [
    (BASE, lambda manifest: None),
    ({"inception:signal_blankCanvas"}, begins_as("http://c2pa.org/digitalsourcetype/empty")),
    ({"inception:signal_capturedMedia"}, begins_as(IPTC + "digitalCapture")),
    ({"inception:signal_capturedMedia"}, begins_as(IPTC + "computationalCapture")),
    ({"inception:signal_capturedMediaStitched"}, begins_as(IPTC + "compositeCapture")),
    ({"inception:signal_compositionMayContainGenAI"}, begins_as(IPTC + "composite")),
    ({"inception:signal_nonGenAIDigitalCreation"}, begins_as(IPTC + "digitalCreation")),
    (
        {"inception:signal_partlyGenAICreation"},
        begins_as(IPTC + "compositeWithTrainedAlgorithmicMedia"),
    ),
    ({"inception:signal_screenCaptureMayContainGenAI"}, begins_as(IPTC + "screenCapture")),
    (
        BASE | {"inception:signal_mediaUnknownProvenance"},
        with_assertion("c2pa.ingredient.v3", {"relationship": "parentOf"}),
    ),
    (BASE | {"transformation:signal_ambiguousActions"}, add_action(action="org.example.polish")),
    (BASE | {"transformation:signal_ambiguousActions"}, set_actions(allActionsIncluded=False)),
    (
        BASE | {"transformation:signal_ambiguousActions"},
        lambda manifest: manifest["claim.v2"].update(gathered_assertions=[{"url": "x/c2pa.actions.v2"}]),
    ),
    (BASE | {"transformation:signal_nonEditorial"}, add_action(action="c2pa.converted")),
    (
        BASE | {"transformation:signal_perceptibleGenAI"},
        add_action(action="c2pa.edited", digitalSourceType=GENERATED),
    ),
    (
        BASE | {"transformation:signal_perceptibleNonGenAI"},
        add_action(action="c2pa.edited", digitalSourceType=IPTC + "humanEdits"),
    ),
    (
        BASE
        | {"transformation:signal_perceptibleNonGenAI", "transformation:signal_perceptiblePossiblyGenAI"},
        add_action(action="c2pa.edited", digitalSourceType=IPTC + "composite"),
    ),
]


@pytest.mark.parametrize("number", range(len(SIGNALS)))
def test_signals_are_exactly_those_meant(number: int) -> None:
    expected, mutate = SIGNALS[number]
    manifest = careful()
    del actions(manifest)[1:]
    mutate(manifest)
    assert {name for name, there in results_of(manifest, Rubric.SIGNALS).items() if there} == expected


def test_every_signal_is_met() -> None:
    assert set().union(*(expected for expected, _ in SIGNALS)) == set(STATEMENT_IDS[Rubric.SIGNALS])


def test_the_gate_names_what_does_not_hold() -> None:
    broken = careful()
    set_version("2.3.0")(broken)
    good, bad = check_rubric({"manifests": [careful()]}), check_rubric({"manifests": [broken]})
    assert (good.status, good.value, dict(good.details)) == (Status.PASS, 31.0, {})
    assert bad.status is Status.FAIL
    assert dict(bad.details) == {"validation:mandatory_spec_version": ["2.3.0"]}
    assert "validation:mandatory_spec_version" in bad.reason
    assert check_rubric({}).status is Status.SKIPPED


def test_the_gate_of_signals_judges_nothing() -> None:
    check = check_rubric({"manifests": [careful()]}, Rubric.SIGNALS)
    assert (check.name, check.status) == ("c2pa.rubric.signals", Status.PASS)
    assert "inception:signal_fullyGenAIMedia" in check.details["signals"]
    unknown = careful()
    begins_as("x")(unknown)
    assert check_rubric({"manifests": [unknown]}, Rubric.SIGNALS).status is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("name", "passed"), [("chatgpt-1.png", 27), ("firefly-1.png", 27), ("flux-1.jpg", 28)]
)
def test_vendor_samples_as_the_official_evaluator_counts_them(
    shared_data: Path, name: str, passed: int
) -> None:
    """27, 27 and 28 of 31 is what the official evaluator gave for these files in the project's field notes."""
    report = read_manifests(shared_data / "c2pa" / "samples" / name, TrustLists())
    assert sum(statement.passed for statement in evaluate_rubric(report.crjson)) == passed
