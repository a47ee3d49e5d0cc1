"""The checks of the other layers: watermark, labels, ledger, and whether all of them name one asset.

Pure functions from what the layers say to one check each; a check's `value` is a short symbol, listed at its
function. A mark that was not found is inconclusive, except beside intact Content Credentials that do not promise
it: there nothing is missing, and the check is skipped.
"""

from __future__ import annotations

import dataclasses
import math

from audit.combination import check_combined
from audit.evidence import JSON, Check, Status
from audit.provenance.checks_sampling import judge_sampling
from audit.provenance.claims import is_asset_id
from audit.provenance.layers import Layers, LedgerState, Others, WatermarkState
from audit.provenance.text import clean_text
from generator.marking.labels import LabelStatus


def _absent(name: str, layers: Layers, *, what: str, source: str) -> Check:
    """A layer that is not there: nothing is missing beside intact credentials, else it is inconclusive."""
    if layers.is_intact:
        reason = f"There is no {what}; the Content Credentials do not speak of one."
        return Check(name, Status.SKIPPED, reason, value="absent", source=source)
    reason = f"There is no {what}; that says nothing about the file."
    return Check(name, Status.INCONCLUSIVE, reason, value="absent", source=source)


def check_watermark(layers: Layers) -> Check:
    """Do the pixels carry our watermark?

    Values: found, absent, promised-not-found, promised-no-key, off, no-key, undecodable, not-decoded.
    """
    check = _judge_watermark(layers)
    others = layers.watermark.others
    more: dict[str, JSON] = {}
    if others.asked:
        more["other_techniques"] = [str(one) for one in others.asked]
    if others.public:
        more["public_marks"] = list(others.public)
    said = _say_others(others) + "".join(f" A mark of others: {sentence}." for sentence in others.public)
    return dataclasses.replace(check, reason=check.reason + said, details={**check.details, **more})


def _say_others(others: Others) -> str:
    """Which other techniques found a mark, and what their number means."""
    answers = [one for one in others.asked if one.detection is not None]
    if not answers:
        return ""
    found = [one.title for one in answers if one.detection is not None and one.detection.found]
    return (
        f" Of {len(answers)} other techniques, {' and '.join(found) or 'none'} found a mark. How many are asked is "
        f"settled beforehand: each was held to p <= {others.level:.2g}, so all together are wrong on at most one "
        "unmarked picture in a million."
    )


def _judge_watermark(layers: Layers) -> Check:
    mark = layers.watermark
    name, source = "watermark.payload", "generator.marking.watermark"
    promised = any(binding.alg in layers.schemes for binding in layers.claims.soft_bindings)
    details: dict[str, JSON] = {"scheme": mark.scheme, "key_id": mark.key_id, "search": mark.search}
    match mark.state:
        case WatermarkState.FOUND:
            details |= {"payload": mark.payload, "log10_p": mark.log10_p}
            identifier = f"identifier {mark.payload}" if mark.payload else "no identifier that could be read"
            technique = "" if mark.scheme in layers.schemes else f", by the technique {mark.scheme}"
            reason = (
                f"The pixels carry our watermark with {identifier}{technique}; the chance that an unmarked picture "
                f"looks like this is at most 10^{math.ceil(mark.log10_p)}."
            )
            return Check(name, Status.PASS, reason, value="found", source=source, details=details)
        case WatermarkState.OFF:
            return Check(name, Status.SKIPPED, mark.reason, value="off", source=source)
        case WatermarkState.NO_KEY if promised:
            reason = f"The Content Credentials promise a watermark. {mark.reason}"
            return Check(name, Status.INCONCLUSIVE, reason, value="promised-no-key", source=source)
        case WatermarkState.NO_KEY:
            return Check(name, Status.SKIPPED, mark.reason, value="no-key", source=source)
        case WatermarkState.UNDECODABLE:
            said = clean_text(mark.reason, limit=300)
            if layers.is_intact:
                reason = f"No pixels could be decoded to look for a watermark: {said}."
                return Check(name, Status.SKIPPED, reason, value="not-decoded", source=source)
            return Check(
                name, Status.ERROR, f"No pixels could be decoded: {said}.", value="undecodable", source=source
            )
    if promised:
        reason = "The Content Credentials promise a watermark, but it was not found in the pixels."
        step = "Look harder with --watermark full, or with the key that it was made with."
        return Check(
            name,
            Status.INCONCLUSIVE,
            reason,
            value="promised-not-found",
            source=source,
            next_step=step,
            details=details,
        )
    return _absent(name, layers, what="watermark of ours", source=source)


def check_all_watermarks(layers: Layers) -> tuple[Check, ...]:
    """What all techniques under secret keys say together; nothing unless several were asked.

    One key is behind most of them, so their p-values are merged by the rule that holds under any dependence. Where
    they reach nothing, it is missing as much as `check_watermark` says.
    """
    searched = dict(layers.watermark.searched)
    if len(searched) < 2:
        return ()
    together = check_combined(searched, rule="any")
    if together.status is Status.PASS:
        return (together,)
    return (dataclasses.replace(together, status=check_watermark(layers).status),)


def check_sampling(layers: Layers) -> tuple[Check, ...]:
    """Which issued seed made the picture; nothing unless seeds were given."""
    others = layers.watermark.others
    best = min(others.sampling, key=lambda found: found.log10_p, default=None)
    if best is None:
        return ()
    absent = Status.SKIPPED if layers.is_intact else Status.INCONCLUSIVE
    return (judge_sampling(best, level=others.level, absent=absent),)


def check_aigc(layers: Layers) -> Check:
    """Does a TC260 label say that it is AI-generated? Values: found, conflicting, incomplete, damaged, absent."""
    labels = layers.labels
    name, source = "labels.aigc", "GB 45438-2025 annex E"
    if labels.status is LabelStatus.DAMAGED:
        return _damaged_labels(name, layers, source=source)
    if not labels.aigc:
        return _absent(name, layers, what="AIGC label", source=source)
    details: dict[str, JSON] = {
        clean_text(key): clean_text(value) for key, value in list(labels.aigc.items())[:20]
    }
    if "aigc" in labels.conflicts:
        reason = "The file carries several AIGC labels that differ."
        return Check(name, Status.FAIL, reason, value="conflicting", source=source, details=details)
    kind = {"1": "is", "2": "is possibly", "3": "is suspected to be"}.get(labels.aigc.get("Label", ""))
    if kind is None:
        reason = "The AIGC label does not say whether the content is AI-generated."
        return Check(name, Status.INCONCLUSIVE, reason, value="incomplete", source=source, details=details)
    producer = clean_text(labels.aigc.get("ContentProducer")) or "nobody"
    reason = f"The label says that the content {kind} AI-generated and names {producer} as producer.{_cover(layers)}"
    return Check(name, Status.PASS, reason, value="found", source=source, details=details)


def check_iptc(layers: Layers) -> Check:
    """Do IPTC labels say how it was made? Values: found, contradicts, conflicting, damaged, absent."""
    labels = layers.labels
    name, source = "labels.iptc", "IPTC Photo Metadata 2025.1"
    if labels.status is LabelStatus.DAMAGED:
        return _damaged_labels(name, layers, source=source)
    if not (labels.digital_source_type or labels.system):
        return _absent(name, layers, what="IPTC label", source=source)
    kind, claimed = labels.digital_source_type, layers.claims.digital_source_type
    details: dict[str, JSON] = {
        "digital_source_type": clean_text(kind, limit=200),
        "system": clean_text(labels.system),
        "system_version": clean_text(labels.system_version),
        "created": clean_text(labels.created),
    }
    if {"digital_source_type", "system", "system_version"} & set(labels.conflicts):
        reason = "The file carries several IPTC labels that differ."
        return Check(name, Status.FAIL, reason, value="conflicting", source=source, details=details)
    if kind and claimed and _source_code(kind) != _source_code(claimed):
        reason = f"The label says {_source_code(kind)}, the Content Credentials say {_source_code(claimed)}."
        return Check(name, Status.FAIL, reason, value="contradicts", source=source, details=details)
    said = _source_code(kind) if kind else "no digital source type"
    system = f" and names {clean_text(labels.system)}" if labels.system else ""
    reason = f"The label says {said}{system}.{_cover(layers)}"
    return Check(name, Status.PASS, reason, value="found", source=source, details=details)


def _damaged_labels(name: str, layers: Layers, *, source: str) -> Check:
    reason = clean_text(layers.labels.reason, limit=300)
    return Check(name, Status.INCONCLUSIVE, reason, value="damaged", source=source)


def _source_code(uri: str) -> str:
    """Last part of an IPTC source type: both http and https, with or without a slash, are in use."""
    return clean_text(uri.rstrip("/").rpartition("/")[2])


def _cover(layers: Layers) -> str:
    if layers.is_intact:
        return " The signature covers it."
    return " It is not signed: anybody can write or remove it."


def check_ledger(layers: Layers) -> Check:
    """Does our ledger know the file? Values: entry, other-manifest, no-entry, no-id, off."""
    answer, report = layers.ledger, layers.manifests
    name, source = "ledger.entry", "generator.marking.ledger"
    match answer.state:
        case LedgerState.OFF:
            return Check(
                name, Status.SKIPPED, "There is no ledger on this machine.", value="off", source=source
            )
        case LedgerState.NO_ID:
            reason = "The file brings no identifier of ours to look up in the ledger."
            return Check(name, Status.SKIPPED, reason, value="no-id", source=source)
    entry = answer.entry
    if entry is None:
        reason = "The ledger does not know the identifiers of this file."
        step = "Name the ledger of the machine that published it with --ledger FILE."
        return Check(name, Status.INCONCLUSIVE, reason, value="no-entry", source=source, next_step=step)
    details: dict[str, JSON] = {
        "asset_id": entry.asset_id,
        "manifest_id": entry.manifest_id,
        "matched_by": answer.matched_by,
        "same_file": answer.is_same_file,
        "generator": clean_text(entry.generator),
        "weights_digest": clean_text(entry.weights_digest),
        "created": clean_text(entry.created),
    }
    known = {entry.manifest_id, *answer.earlier_manifests}
    if report.is_present and not known & set(report.manifests):
        reason = (
            f"The ledger knows identifier {entry.asset_id} with other Content Credentials than this file has."
        )
        return Check(name, Status.FAIL, reason, value="other-manifest", source=source, details=details)
    same = (
        "This is byte for byte the published file."
        if answer.is_same_file
        else "The published file had other bytes."
    )
    reason = f"The ledger knows it as {entry.asset_id}, made by {clean_text(entry.generator)}. {same}"
    return Check(name, Status.PASS, reason, value="entry", source=source, details=details)


def check_agreement(layers: Layers) -> Check:
    """Do all identifiers of the file name one asset? Values: agree, disagree, single, none."""
    name, source = "agreement.asset_id", "audit.provenance.verdict"
    found = asset_ids(layers)
    details: dict[str, JSON] = {place: clean_text(value) for place, value in found.items()}
    distinct = sorted(set(found.values()))
    if not distinct:
        reason = "The file carries no identifier of ours."
        return Check(name, Status.SKIPPED, reason, value="none", source=source)
    if len(distinct) > 1:
        named = ", ".join(f"{place} says {clean_text(value)}" for place, value in found.items())
        reason = f"The marks name different assets: {named}."
        step = "One of the marks was copied from another file; trust none of them before you know which."
        return Check(
            name, Status.FAIL, reason, value="disagree", source=source, next_step=step, details=details
        )
    if len(found) == 1:
        reason = (
            f"Only the {next(iter(found))} carries the identifier, so there is nothing to compare it with."
        )
        return Check(name, Status.SKIPPED, reason, value="single", source=source, details=details)
    reason = f"{len(found)} places name the same asset, {distinct[0]}: {', '.join(found)}."
    return Check(name, Status.PASS, reason, value="agree", source=source, details=details)


def asset_ids(layers: Layers) -> dict[str, str]:
    """Place -> identifier, for every place of the file (and the ledger) that names one of ours."""
    claims = layers.claims
    bindings = [binding.value for binding in claims.soft_bindings if binding.alg in layers.schemes]
    found = {f"soft binding {number}": value for number, value in enumerate(bindings, start=1)}
    if len(found) == 1:
        found = {"soft binding": bindings[0]}
    entry = layers.ledger.entry
    others = {
        "manifest": claims.asset_id,
        "watermark": layers.watermark.payload,
        "label": layers.labels.asset_id if _is_ours(layers, found) else "",
        "ledger": entry.asset_id if entry is not None else "",
    }
    return found | {place: value for place, value in others.items() if value}


def _is_ours(layers: Layers, bindings: dict[str, str]) -> bool:
    """Whether the label's number is to be compared: a foreign producer's number is not one of our identifiers."""
    number = layers.labels.asset_id
    return is_asset_id(number) or bool(bindings or layers.claims.asset_id or layers.watermark.payload)
