"""The checks of the C2PA layer: integrity, signature, trust, time, chain, identity.

Pure functions from what the layers say to one check each. A check's `value` is a short symbol, listed at its
function; the table in `words` reads nothing else. Without a readable manifest only integrity speaks, and without a
valid signature the certificate and its time say nothing: those checks are then skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

from audit.evidence import JSON, Check, Status
from audit.provenance.chain import Chain, Finding, walk_chain
from audit.provenance.codes import Code, Codes, Part, names
from audit.provenance.layers import Layers
from audit.provenance.read import ManifestState
from audit.provenance.text import clean_text
from audit.provenance.trust import DEVELOPMENT_LIST, SIGNER_LIST, TIME_LIST
from generator.marking.certificates import DEVELOPMENT_NAME

C2PA = "C2PA 2.4"
ORIGINAL = "Ask for the original file: many services and programs remove or break Content Credentials."
_DEVELOPMENT = "This is a development identity and not on any trust list."
_BINDINGS = tuple(
    f"assertion.{kind}.match"
    for kind in ("dataHash", "bmffHash", "boxesHash", "collectionHash", "multiAssetHash")
)
_CONTRADICTIONS = (
    "timeStamp.mismatch",
    "timeStamp.malformed",
    "timeStamp.outsideValidity",
    "claimSignature.outsideValidity",
)


def _check(
    name: str, status: Status, value: str, reason: str, *, codes: Sequence[Code] = (), next_step: str = ""
) -> Check:
    details: dict[str, JSON] = {"codes": [clean_text(name) for name in names(codes)]} if codes else {}
    return Check(name, status, reason, value=value, source=C2PA, next_step=next_step, details=details)


def check_integrity(layers: Layers) -> Check:
    """Are the bytes those that were signed?

    Values: intact, altered, damaged, unbound, absent, remote, unsupported, prerelease, unreadable.
    """
    report = layers.manifests
    name = "c2pa.integrity"
    said = clean_text(report.reason)
    match report.state:
        case ManifestState.UNREADABLE:
            reason = f"The file could not be read: {said}."
            return _check(
                name, Status.ERROR, "unreadable", reason, next_step="Check that the file is complete."
            )
        case ManifestState.PRERELEASE:
            reason = "The Content Credentials are in a format from before version 1 that validators no longer read."
            return _check(
                name, Status.ERROR, "prerelease", reason, next_step="Ask the publisher for a new version."
            )
        case ManifestState.ABSENT:
            reason = "The file carries no Content Credentials."
            return _check(name, Status.INCONCLUSIVE, "absent", reason, next_step=ORIGINAL)
        case ManifestState.UNSUPPORTED:
            reason = "This kind of file cannot carry Content Credentials that we could read."
            return _check(name, Status.INCONCLUSIVE, "unsupported", reason, next_step=ORIGINAL)
        case ManifestState.REMOTE:
            address = clean_text(report.remote_url)
            reason = f"The Content Credentials are said to be at {address}; no network is used to fetch them."
            missing = (Code("manifest.inaccessible"),)
            step = "Fetch that manifest yourself, or ask for a file that embeds it."
            return _check(name, Status.INCONCLUSIVE, "remote", reason, codes=missing, next_step=step)
        case ManifestState.MALFORMED:
            reason = f"The Content Credentials are damaged and cannot be read ({said})."
            codes = report.codes.failure
            return _check(name, Status.FAIL, "damaged", reason, codes=codes, next_step=ORIGINAL)
    failures = report.codes.of(Part.INTEGRITY)
    if failures:
        reason = _altered_reason(failures)
        return _check(name, Status.FAIL, "altered", reason, codes=failures, next_step=ORIGINAL)
    if not report.codes.has(*_BINDINGS):
        reason = (
            "The Content Credentials hold no hash of this file's content, so they could belong to any file."
        )
        return _check(name, Status.INCONCLUSIVE, "unbound", reason, next_step=ORIGINAL)
    bound = tuple(code for code in report.codes.success if code.code in _BINDINGS)
    return _check(name, Status.PASS, "intact", "The content is as it was signed.", codes=bound)


def _altered_reason(failures: Sequence[Code]) -> str:
    found = names(failures)
    if any(name.endswith("Hash.mismatch") for name in found):
        return "The content is not what was signed: bytes were changed, added or removed afterwards."
    if any(name.endswith("hashedURI.mismatch") for name in found):
        return "A statement inside the Content Credentials was changed after signing."
    return f"The Content Credentials break the rules of their format ({clean_text(', '.join(found))})."


def check_signature(layers: Layers) -> Check:
    """Does the signature over the claim hold? Values: valid, mismatch, unchecked, none."""
    report = layers.manifests
    name = "c2pa.signature"
    if not report.is_present:
        return _without_manifest(name)
    failures = report.codes.of(Part.SIGNATURE)
    if failures:
        reason = "The signature does not fit the Content Credentials."
        return _check(name, Status.FAIL, "mismatch", reason, codes=failures, next_step=ORIGINAL)
    if not report.codes.has("claimSignature.validated"):
        reason = "The engine did not say that it checked the signature."
        return _check(name, Status.INCONCLUSIVE, "unchecked", reason)
    reason = f"The signature holds; the certificate names {_signer(layers)}."
    return _check(name, Status.PASS, "valid", reason, codes=(Code("claimSignature.validated"),))


def _without_manifest(name: str) -> Check:
    return _check(
        name, Status.SKIPPED, "none", "Without readable Content Credentials there is nothing to check."
    )


def _without_signature(name: str) -> Check:
    return _check(name, Status.SKIPPED, "moot", "Without a valid signature this says nothing about the file.")


def _signer(layers: Layers) -> str:
    claims = layers.claims
    named = [clean_text(text) for text in (claims.signer, claims.organisation) if text]
    return ", ".join(dict.fromkeys(named)) or "nobody"


def _has_signature(layers: Layers) -> bool:
    codes = layers.manifests.codes
    return codes.has("claimSignature.validated") and not codes.of(Part.SIGNATURE)


def check_trust(layers: Layers) -> Check:
    """Does somebody the reader trusts vouch for the signer?

    Values: trusted, development, untrusted, no-list, unread, revoked, unacceptable, moot, none.
    """
    report = layers.manifests
    name = "c2pa.trust"
    if not report.is_present:
        return _without_manifest(name)
    if not _has_signature(layers):
        return _without_signature(name)
    failures = report.codes.of(Part.TRUST)
    signer = _signer(layers)
    if "signingCredential.ocsp.revoked" in names(failures):
        return _check(
            name, Status.FAIL, "revoked", f"The certificate of {signer} was revoked.", codes=failures
        )
    if "signingCredential.invalid" in names(failures):
        why = next((code.explanation for code in failures if code.code == "signingCredential.invalid"), "")
        reason = f"The certificate of {signer} is not one that may sign Content Credentials"
        reason += f" ({clean_text(why)})." if why else "."
        step = "Its key usage, its key or its form is not what C2PA asks for; ask the signer."
        return _check(name, Status.FAIL, "unacceptable", reason, codes=failures, next_step=step)
    if report.trust_list == DEVELOPMENT_LIST or layers.claims.organisation == DEVELOPMENT_NAME:
        reason = f"{_DEVELOPMENT} Anybody can make one; it shows that the file is unchanged, not who made it."
        step = "Sign with a certificate from an authority on the C2PA trust list to let others trust your images."
        return _check(name, Status.INCONCLUSIVE, "development", reason, codes=failures, next_step=step)
    vouched = report.trust_list == SIGNER_LIST and report.codes.has("signingCredential.trusted")
    if vouched and not layers.channels.chain:
        reason = (
            f"An authority on your trust list vouches for {signer}, but the certificate itself could not be "
        )
        reason += "read from the file, so whether it may sign is not known."
        step = "Ask for a copy whose manifest is not compressed."
        return _check(name, Status.INCONCLUSIVE, "unread", reason, next_step=step)
    if vouched:
        reason = f"An authority on your trust list vouches for {signer}."
        return _check(name, Status.PASS, "trusted", reason, codes=(Code("signingCredential.trusted"),))
    if not layers.has_trust_list:
        reason = f"No trust list was given, so nothing is known about {signer}."
        step = "Get the C2PA trust lists with `assay trust import --online`, or give PEM files with --trust FOLDER."
        return _check(name, Status.INCONCLUSIVE, "no-list", reason, codes=failures, next_step=step)
    reason = f"No authority on your trust list vouches for {signer}."
    if report.trust_list == TIME_LIST:
        reason += " One on the list of time-stamp authorities does, and those vouch only for time."
    step = (
        "If you have your own reason to trust this signer, add the authority's certificate to --trust FOLDER."
    )
    return _check(name, Status.INCONCLUSIVE, "untrusted", reason, codes=failures, next_step=step)


def check_time(layers: Layers) -> Check:
    """Was it signed while the certificate was valid?

    Values: stamped, none-needed, stamp-unproven, expired, expired-stamp-unproven, contradicted, moot, none.
    """
    codes = layers.manifests.codes
    name = "c2pa.time"
    if not layers.manifests.is_present:
        return _without_manifest(name)
    if not _has_signature(layers):
        return _without_signature(name)
    seen = _time_codes(codes)
    if codes.has(*_CONTRADICTIONS):
        reason = "The time of the signature contradicts its time stamp, or lies outside the certificate's validity."
        return _check(name, Status.FAIL, "contradicted", reason, codes=seen, next_step=ORIGINAL)
    stamped, trusted = codes.has("timeStamp.validated"), codes.has("timeStamp.trusted")
    until = clean_text(layers.claims.not_after[:10]) or "a day it does not tell"
    authority = clean_text(layers.claims.time_authority) or "an authority it does not name"
    if codes.has("signingCredential.expired"):
        if stamped and not trusted:
            reason = (
                f"The certificate ended on {until}, and the time stamp of {authority} is on no trust list."
            )
            step = "Add the C2PA list of time-stamp authorities (a PEM file with tsa in its name) to --trust FOLDER."
            return _check(
                name, Status.INCONCLUSIVE, "expired-stamp-unproven", reason, codes=seen, next_step=step
            )
        reason = f"The certificate ended on {until}, and nothing shows that the file was signed before. "
        reason += "That is not tampering: the content still fits the signature."
        step = "Ask the publisher for a copy that carries a time stamp; this one cannot be trusted any more."
        return _check(name, Status.FAIL, "expired", reason, codes=seen, next_step=step)
    if stamped and trusted:
        at = clean_text(layers.claims.signed_at)
        reason = f"{authority} witnessed the signature at {at}, while the certificate was valid."
        return _check(name, Status.PASS, "stamped", reason, codes=seen)
    lasts = f"The certificate is valid now, so the signature counts; it stops counting on {until}."
    if stamped:
        reason = f"The time stamp is of an authority on no trust list and adds nothing. {lasts}"
        return _check(name, Status.SKIPPED, "stamp-unproven", reason, codes=seen)
    reason = f"There is no time stamp: when it was signed is the signer's word. {lasts}"
    return _check(name, Status.SKIPPED, "none-needed", reason, codes=seen)


def _time_codes(codes: Codes) -> tuple[Code, ...]:
    every = (*codes.failure, *codes.informational, *codes.success)
    return tuple(code for code in every if code.part is Part.TIME)


def check_chain(layers: Layers) -> Check:
    """Does everything it was made from hold? Values: no-ingredients, sound, laundered, cyclic, unproven, none."""
    name = "c2pa.chain"
    if not layers.manifests.is_present:
        return _without_manifest(name)
    chain = walk_chain(layers.manifests)
    if chain.breaking:
        broken = [finding for finding in chain.findings if finding.breaks]
        status, value, reason = Status.FAIL, "laundered", _laundered_reason(broken)
        step = "Treat it as you would treat the altered ingredient, whoever signed it last."
    elif chain.cycles:
        status, value, step = Status.FAIL, "cyclic", ORIGINAL
        reason = f"Ingredient {_path(chain.cycles[0])} leads back to the file that it is part of."
    elif chain.open or chain.missing or chain.is_cut:
        status, value, reason = Status.INCONCLUSIVE, "unproven", _open_reason(chain)
        step = "Give the trust list that the ingredients' signers are on (--trust FOLDER), or ask for the originals."
    elif not chain.ingredients:
        return _check(name, Status.PASS, "no-ingredients", "It names nothing that it was made from.")
    else:
        bare = chain.ingredients - chain.with_manifest
        status, value, step = Status.PASS, "sound", ""
        reason = f"Nothing speaks against the {chain.ingredients} ingredient(s)"
        reason += f"; {bare} of them carry no Content Credentials of their own." if bare else "."
    codes: list[JSON] = [clean_text(code) for code in names(finding.code for finding in chain.findings)]
    details: dict[str, JSON] = {
        "codes": codes,
        "ingredients": chain.ingredients,
        "depth": chain.depth,
        "findings": [_finding_json(finding) for finding in chain.findings[:20]],
    }
    return Check(name, status, reason, value=value, source=C2PA, next_step=step, details=details)


def _path(path: Sequence[str]) -> str:
    return " > ".join(clean_text(title, limit=60) for title in path[-4:]) or "(found now)"


def _finding_json(finding: Finding) -> JSON:
    return {
        "ingredient": _path(finding.path),
        "code": clean_text(finding.code.code),
        "recorded": finding.is_recorded,
        "breaks": finding.breaks,
    }


def _laundered_reason(broken: Sequence[Finding]) -> str:
    first = broken[0]
    what = "had been altered" if first.code.part is Part.INTEGRITY else "was not validly signed"
    known = "; whoever signed this file recorded that and signed all the same" if first.is_recorded else ""
    others = f" There are {len(broken) - 1} more such findings." if len(broken) > 1 else ""
    return f"Ingredient {_path(first.path)} {what} ({clean_text(first.code.code)}){known}.{others}"


def _open_reason(chain: Chain) -> str:
    if chain.is_cut:
        return "There are more ingredients than are looked at, so the rest of the history is unknown."
    if chain.missing:
        path = _path(chain.missing[0])
        return f"Ingredient {path} is said to have Content Credentials, but they are not in the file."
    first = chain.findings[0]
    return (
        f"For ingredient {_path(first.path)} the signer or the time is not established ({first.code.code})."
    )


def check_identity(layers: Layers) -> list[Check]:
    """Does a CAWG identity claim hold? Nothing when there is none. Values: proven, unproven, invalid."""
    codes = layers.manifests.codes
    failures = codes.of(Part.IDENTITY)
    claimed = failures or [code for code in codes.success if code.part is Part.IDENTITY]
    name = "cawg.identity"
    if not claimed:
        return []
    if not failures:
        return [
            _check(
                name, Status.PASS, "proven", "The named person or organisation is vouched for.", codes=claimed
            )
        ]
    if all(code.code.endswith(".untrusted") for code in failures):
        reason = (
            "The file names a person or organisation, but nobody on your trust list vouches for that name."
        )
        return [_check(name, Status.INCONCLUSIVE, "unproven", reason, codes=failures)]
    reason = "The file names a person or organisation, and that claim does not hold."
    return [_check(name, Status.FAIL, "invalid", reason, codes=failures)]
