"""Walk the ingredients of a manifest, and what was recorded about each when it was taken in.

A signer who takes in a tampered picture records the failure in the new manifest, and engines then call the new
picture trusted: what was recorded is "known", so it is not reported again. That launders a tampered picture. This
walk reads every recorded list of every manifest that the active one builds on, plus what the engine finds today,
and keeps where each finding stands.

Source: C2PA 2.4 section 15.11 step 5 (recorded validation results are to be returned) and 18.16 (ingredient).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audit.provenance.codes import Code, Part, parse_code_list, parse_codes
from audit.provenance.read import Manifests
from audit.provenance.trust import DEVELOPMENT_LIST, TIME_LIST

MAX_LINKS = 10_000  # ingredients walked; a hostile store may hold more
MAX_DEPTH = 64  # generations
MAX_FINDINGS = 100  # kept; the counts go on
_MAX_TITLE = 80  # characters of an ingredient's title in a path

# Failures that break a parent although they speak about its signer.
_BREAKING = frozenset({"signingCredential.ocsp.revoked", "signingCredential.invalid"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One failure somewhere below the active manifest.

    Attributes:
        path: titles from the active manifest's ingredient down to the one it is about; they come from the file.
            Empty for what the engine found now, whose code's address names the manifest.
        code: the status code.
        is_recorded: True when a manifest's author recorded it, False when the engine found it now.
        breaks: True when the ingredient was altered or its signature does not hold; False when only its signer or
            time could not be established.
    """

    path: tuple[str, ...]
    code: Code
    is_recorded: bool
    breaks: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """What the walk saw.

    Attributes:
        ingredients: number of ingredients, over all generations.
        with_manifest: how many of them bring a manifest of their own.
        depth: generations below the active manifest.
        findings: the first `MAX_FINDINGS`, breaking ones first.
        breaking: number of all breaking findings.
        open: number of all other findings.
        cycles: paths that lead back to a manifest they come from.
        missing: paths whose manifest is named but not in the file.
        is_cut: True when a bound stopped the walk.
    """

    ingredients: int = 0
    with_manifest: int = 0
    depth: int = 0
    findings: tuple[Finding, ...] = ()
    breaking: int = 0
    open: int = 0
    cycles: tuple[tuple[str, ...], ...] = ()
    missing: tuple[tuple[str, ...], ...] = ()
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class _Link:
    path: tuple[str, ...]
    ingredient: Mapping[str, Any]
    lineage: frozenset[str]


def walk_chain(report: Manifests) -> Chain:
    """Walk every ingredient below the active manifest; bounded in number, depth and memory.

    Args:
        report: of a file with a manifest; any other gives an empty chain.
    """
    trusted_now = _trusted_now(report)
    findings = list(_found_now(report))
    cycles: list[tuple[str, ...]] = []
    missing: list[tuple[str, ...]] = []
    ingredients = with_manifest = depth = 0
    seen = {report.active}
    is_cut = False
    stack = list(_links(report.active_manifest, (), frozenset({report.active})))
    while stack:
        if ingredients >= MAX_LINKS:
            is_cut = True
            break
        link = stack.pop()
        ingredients += 1
        depth = max(depth, len(link.path))
        findings.extend(_recorded(link, trusted_now))
        label = link.ingredient.get("active_manifest")
        if not isinstance(label, str):
            continue
        with_manifest += 1
        manifest = report.manifests.get(label)
        if label in link.lineage:
            cycles.append(link.path)
        elif not isinstance(manifest, Mapping):
            missing.append(link.path)
        elif len(link.path) >= MAX_DEPTH:
            is_cut = True
        elif label not in seen:
            seen.add(label)
            stack.extend(_links(manifest, link.path, link.lineage | {label}))
    breaking = sum(finding.breaks for finding in findings)
    return Chain(
        ingredients=ingredients,
        with_manifest=with_manifest,
        depth=depth,
        findings=tuple(sorted(findings, key=lambda finding: not finding.breaks)[:MAX_FINDINGS]),
        breaking=breaking,
        open=len(findings) - breaking,
        cycles=tuple(cycles[:MAX_FINDINGS]),
        missing=tuple(missing[:MAX_FINDINGS]),
        is_cut=is_cut,
    )


def _found_now(report: Manifests) -> Iterator[Finding]:
    """What this reading found about ingredients: failures, and signers that only a wrong list vouches for."""
    for delta in report.deltas:
        for code in delta.failure:
            yield Finding((), code, False, _breaks(code))
    for code, by_signers in _vouched(report):
        if not by_signers:
            yield Finding((), Code("signingCredential.untrusted", code.url, code.explanation), False, False)


def _links(manifest: Mapping[str, Any], path: tuple[str, ...], lineage: frozenset[str]) -> list[_Link]:
    entries = manifest.get("ingredients")
    if not isinstance(entries, list):
        return []
    return [
        _Link((*path, str(entry.get("title") or "untitled")[:_MAX_TITLE]), entry, lineage)
        for entry in entries[: MAX_LINKS + 1]
        if isinstance(entry, Mapping)
    ]


def _recorded(link: _Link, trusted_now: frozenset[str]) -> Iterator[Finding]:
    """Failures that the author of the manifest above recorded about this ingredient, in any claim version's form."""
    label = link.ingredient.get("active_manifest")
    results = link.ingredient.get("validation_results")
    codes = list(parse_code_list(link.ingredient.get("validation_status")))
    if isinstance(results, Mapping):
        codes.extend(parse_codes(results.get("activeManifest")).failure)
        deltas = results.get("ingredientDeltas")
        for delta in deltas if isinstance(deltas, list) else ():
            if isinstance(delta, Mapping):
                codes.extend(parse_codes(delta.get("validationDeltas")).failure)
    for code in dict.fromkeys(codes):
        settled = code.code == "signingCredential.untrusted" and (label in trusted_now)
        if not code.is_harmless and not settled:
            yield Finding(link.path, code, True, _breaks(code))


def _breaks(code: Code) -> bool:
    return code.part in {Part.INTEGRITY, Part.SIGNATURE} or code.code in _BREAKING


def _vouched(report: Manifests) -> Iterator[tuple[Code, bool]]:
    """Signers of ingredients that the engine calls trusted now, and whether a list of signers says so.

    The engine does not hold its lists apart: an authority for time, or our own development root, must not vouch for
    an ingredient's signer (the latter may beside a development identity, where nobody claims more).
    """
    apart = [TIME_LIST, *([] if report.trust_list == DEVELOPMENT_LIST else [DEVELOPMENT_LIST])]
    for delta in report.deltas:
        for code in delta.success:
            if code.code == "signingCredential.trusted":
                yield code, not any(f"[{name}]" in code.explanation for name in apart)


def _trusted_now(report: Manifests) -> frozenset[str]:
    """Labels of ingredient manifests whose signer the reader's own lists vouch for, whatever was recorded then."""
    urls = [code.url for code, by_signers in _vouched(report) if by_signers]
    return frozenset(label for label in report.manifests if any(f"/{label}/" in url for url in urls))
