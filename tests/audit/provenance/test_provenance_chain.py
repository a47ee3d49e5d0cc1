"""The walk over ingredients, on hand-made reports: recorded failures at any depth, cycles, bounds."""

from __future__ import annotations

from typing import Any

import pytest

from audit.provenance.chain import MAX_DEPTH, MAX_LINKS, walk_chain
from audit.provenance.codes import Code, Codes
from audit.provenance.read import Manifests, ManifestState
from audit.provenance.trust import DEVELOPMENT_LIST, SIGNER_LIST, TIME_LIST

Json = dict[str, Any]


def report(manifests: Json, **changes: Any) -> Manifests:
    return Manifests(ManifestState.TRUSTED, active="active", manifests=manifests, **changes)


def ingredient(title: str, manifest: str | None = None, **fields: Any) -> Json:
    return {"title": title, **({"active_manifest": manifest} if manifest else {}), **fields}


def recorded(*codes: str) -> Json:
    return {"activeManifest": {"failure": [{"code": code} for code in codes]}}


def line(length: int) -> Json:
    """A straight line of manifests, each made from the next."""
    manifests: Json = {f"m{n}": {"ingredients": [ingredient(f"i{n}", f"m{n + 1}")]} for n in range(length)}
    manifests["active"] = {"ingredients": [ingredient("first", "m0")]}
    manifests[f"m{length}"] = {}
    return manifests


def test_no_ingredients() -> None:
    chain = walk_chain(report({"active": {}}))
    assert (chain.ingredients, chain.findings, chain.is_cut) == (0, (), False)


@pytest.mark.parametrize("depth", [1, 2, 5, 40])
@pytest.mark.parametrize("form", ["validation_results", "validation_status"])
def test_a_failure_recorded_at_any_depth_breaks(depth: int, form: str) -> None:
    manifests = line(depth)
    code = "assertion.dataHash.mismatch"
    value: Any = recorded(code) if form == "validation_results" else [{"code": code}]
    last = manifests["active" if depth == 1 else f"m{depth - 2}"]["ingredients"][0]
    last[form] = value
    chain = walk_chain(report(manifests))
    assert chain.breaking == 1
    assert len(chain.findings[0].path) == depth
    assert chain.findings[0].is_recorded


def test_a_failure_recorded_about_an_ingredient_of_an_ingredient() -> None:
    results = {
        "activeManifest": {"failure": []},
        "ingredientDeltas": [{"validationDeltas": {"failure": [{"code": "claimSignature.mismatch"}]}}],
    }
    manifests = {"active": {"ingredients": [ingredient("p", "m", validation_results=results)]}, "m": {}}
    assert walk_chain(report(manifests)).breaking == 1


def test_a_failure_found_now_breaks() -> None:
    delta = Codes(failure=(Code("ingredient.manifest.mismatch"),))
    chain = walk_chain(report({"active": {}}, deltas=(delta,)))
    assert chain.breaking == 1
    assert not chain.findings[0].is_recorded


def test_successes_in_an_old_flat_list_are_no_failures() -> None:
    codes = ["claimSignature.validated", "assertion.dataHash.match", "signingCredential.trusted"]
    status = [{"code": code} for code in codes]
    manifests = {"active": {"ingredients": [ingredient("p", "m", validation_status=status)]}, "m": {}}
    assert walk_chain(report(manifests)).findings == ()


def _settled(list_name: str, *, active_list: str = SIGNER_LIST) -> Manifests:
    trusted = Code(
        "signingCredential.trusted",
        "self#jumbf=/c2pa/m/c2pa.signature",
        f"signing certificate trusted, found in [{list_name}] trust anchors",
    )
    results = recorded("signingCredential.untrusted")
    manifests = {"active": {"ingredients": [ingredient("p", "m", validation_results=results)]}, "m": {}}
    return report(manifests, deltas=(Codes(success=(trusted,)),), trust_list=active_list)


def test_a_signer_unknown_then_and_trusted_now_is_settled() -> None:
    chain = walk_chain(_settled(SIGNER_LIST))
    assert (chain.breaking, chain.open) == (0, 0)


@pytest.mark.parametrize("list_name", [TIME_LIST, DEVELOPMENT_LIST])
def test_no_other_list_vouches_for_the_signer_of_an_ingredient(list_name: str) -> None:
    chain = walk_chain(_settled(list_name))
    assert chain.breaking == 0
    assert chain.open >= 1


@pytest.mark.parametrize("list_name", [TIME_LIST, DEVELOPMENT_LIST])
def test_a_wrong_voucher_is_named_though_nothing_was_recorded(list_name: str) -> None:
    settled = _settled(list_name)
    manifests = {"active": {"ingredients": [ingredient("p", "m")]}, "m": {}}
    chain = walk_chain(report(manifests, deltas=settled.deltas, trust_list=SIGNER_LIST))
    assert (chain.breaking, chain.open) == (0, 1)
    assert chain.findings[0].code.code == "signingCredential.untrusted"
    assert not chain.findings[0].is_recorded


def test_a_development_identity_may_build_on_its_own_files() -> None:
    chain = walk_chain(_settled(DEVELOPMENT_LIST, active_list=DEVELOPMENT_LIST))
    assert (chain.breaking, chain.open) == (0, 0)


def test_a_cycle_is_named_and_ends() -> None:
    manifests = {
        "active": {"ingredients": [ingredient("a", "m")]},
        "m": {"ingredients": [ingredient("b", "active")]},
    }
    chain = walk_chain(report(manifests))
    assert chain.cycles == (("a", "b"),)


def test_a_shared_ingredient_is_no_cycle() -> None:
    manifests = {
        "active": {"ingredients": [ingredient("a", "m"), ingredient("b", "n")]},
        "m": {"ingredients": [ingredient("c", "n")]},
        "n": {},
    }
    chain = walk_chain(report(manifests))
    assert chain.cycles == ()
    assert chain.ingredients == 3


def test_a_missing_manifest_is_named() -> None:
    chain = walk_chain(report({"active": {"ingredients": [ingredient("a", "gone")]}}))
    assert chain.missing == (("a",),)


def test_depth_and_number_are_bounded() -> None:
    deep = walk_chain(report(line(5 * MAX_DEPTH)))
    assert deep.is_cut
    assert deep.depth == MAX_DEPTH
    wide = {"active": {"ingredients": [ingredient(str(n)) for n in range(MAX_LINKS + 5)]}}
    chain = walk_chain(report(wide))
    assert chain.is_cut
    assert chain.ingredients == MAX_LINKS


@pytest.mark.parametrize(
    "entry",
    [
        {"title": 3, "active_manifest": 4},
        {"validation_results": "no"},
        {"validation_results": {"activeManifest": [], "ingredientDeltas": 1}},
        {"validation_status": {"code": "x"}},
        {"validation_status": [1, {"code": 2}]},
        "no ingredient",
    ],
)
def test_hostile_shapes_do_not_raise(entry: object) -> None:
    chain = walk_chain(report({"active": {"ingredients": [entry]}}))
    assert chain.breaking in {0, 1}


def test_a_list_of_another_shape_is_no_clean_list() -> None:
    manifests = {"active": {"ingredients": [ingredient("p", validation_status=[{"kode": "x"}])]}}
    assert walk_chain(report(manifests)).breaking == 1
