"""The provenance room as the engine sees it: one row a file, and what that says about the whole run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from audit.collection import Item
from audit.engine import Module
from audit.evidence import JSON, Check, Evidence, Status, worst
from audit.provenance.gather import Search, Setup, build_setup, examine
from audit.provenance.layers import Layers
from audit.provenance.rubric import Rubric
from audit.provenance.rubric_gate import NAME as RUBRIC
from audit.provenance.text import clean_text
from audit.provenance.verdict import VERDICT, judge
from audit.statistics import clopper_pearson

_SOURCE = "audit.provenance.module"
_NAMED = 20  # files named in one check
COLUMNS = (
    "image_id",
    "status",
    "reason",
    "verdict",
    "integrity",
    "signature",
    "trust",
    "time",
    "chain",
    "watermark",
    "labels",
    "ledger",
    "signer",
    "issuer",
    "manifest_id",
    "digital_source_type",
    "watermark_payload",
    "watermark_log10_p",
    "ledger_asset_id",
    "development_identity",
    "evidence",
)
"""Columns of the table, in order."""

_PARTS = {
    "integrity": "c2pa.integrity",
    "signature": "c2pa.signature",
    "trust": "c2pa.trust",
    "time": "c2pa.time",
    "chain": "c2pa.chain",
    "watermark": "watermark.payload",
    "ledger": "ledger.entry",
}


def build_module(
    *,
    ledger_path: Path | None = None,
    key_folder: Path | None = None,
    trust_folder: Path | None = None,
    search: Search = "auto",
) -> Module:
    """The room.

    Args:
        ledger_path: SQLite ledger; default: the one in `assay_home()`, if there is one.
        key_folder: folder of the watermark key; default `assay_home()`; without a key no watermark is looked for.
        trust_folder: folder (or file) of PEM trust lists; without one, no signer is trusted.
        search: how hard to look for the watermark. "auto": quick, and full where no intact manifest was found.

    Raises:
        InputError: the trust list or the ledger does not exist or cannot be used.
        CannotCheckError: the ledger, the key or the development root is damaged.
    """
    setup = build_setup(trust=trust_folder, ledger=ledger_path, key_folder=key_folder, search=search)
    return Module(
        name="provenance",
        title="Verifying provenance",
        measure=Measure(setup),
        summarise=summarise,
        parallel=True,
    )


@dataclass(frozen=True, slots=True)
class Measure:
    """Judges items; picklable.

    Attributes:
        setup: what to look with.
    """

    setup: Setup

    def __call__(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """One row an item. The rubric is asked of images that have a prompt, which are this project's own."""
        rows = []
        for item in items:
            layers = examine(item.path, self.setup)
            evidence = judge(layers, rubric=Rubric.CONFORMANCE_2_4 if item.prompt_id is not None else "")
            rows.append(build_row(item.image_id, layers, evidence))
        return rows


def build_row(image_id: str, layers: Layers, evidence: Evidence) -> dict[str, Any]:
    """The table's row of one judged file; every text in it is safe to print."""
    claims, entry = layers.claims, layers.ledger.entry
    row = {
        "image_id": image_id,
        "status": str(evidence.status),
        "reason": explain(evidence),
        "verdict": str(evidence.find(VERDICT).value),
        **{column: str(evidence.find(name).status) for column, name in _PARTS.items()},
        "labels": str(_merge_labels(evidence)),
        "signer": clean_text(claims.signer or claims.organisation),
        "issuer": clean_text(claims.issuer),
        "manifest_id": clean_text(layers.manifests.active),
        "digital_source_type": clean_text(
            claims.digital_source_type or layers.labels.digital_source_type, limit=200
        ),
        "watermark_payload": layers.watermark.payload,
        "watermark_log10_p": float(layers.watermark.log10_p),
        "ledger_asset_id": entry.asset_id if entry is not None else "",
        "development_identity": evidence.find("c2pa.trust").value == "development",
        "evidence": json.dumps(evidence.to_json(), ensure_ascii=False),
    }
    return {column: row[column] for column in COLUMNS}


def explain(evidence: Evidence) -> str:
    """Why a file has its status: the reason of the first check that has it."""
    verdict, *checks = evidence.checks
    return next((check.reason for check in checks if check.status is evidence.status), verdict.reason)


def _merge_labels(evidence: Evidence) -> Status:
    """One status for both labels: a failure wins, then a label that is there, then the worse absence."""
    found = [evidence.find(name).status for name in ("labels.aigc", "labels.iptc")]
    if Status.FAIL in found:
        return Status.FAIL
    return Status.PASS if Status.PASS in found else worst(found)


def summarise(rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
    """What the rows say about the run.

    Args:
        rows: of the provenance table.
        images: of the images table; a file with a prompt is one that this project made.
    """
    rows = rows.reindex(
        columns=list(dict.fromkeys([*COLUMNS, *rows.columns]))
    )  # error rows bring three columns
    table = rows.merge(images[["image_id", "path", "prompt_id"]], on="image_id", how="left")
    if table.empty:
        reason = "There was no file to judge."
        return Evidence("provenance", (Check("provenance.files", Status.ERROR, reason, source=_SOURCE),))
    own = table[table["prompt_id"].notna()]
    checks = [
        _check_unreadable(table),
        _check_layers(table, own),
        *_check_words(table),
        _check_agreement(table),
        _check_development(table),
        _check_rubric(own),
    ]
    return Evidence("provenance", tuple(checks))


def _files(table: pd.DataFrame) -> list[JSON]:
    return [clean_text(path, limit=255) for path in table["path"].head(_NAMED)]


def _share(
    name: str,
    status: Status,
    reason: str,
    *,
    count: int,
    of: pd.DataFrame,
    next_step: str = "",
    **details: JSON,
) -> Check:
    return Check(
        name,
        status,
        reason,
        value=count / len(of),
        unit="share",
        interval=clopper_pearson(count, len(of)),
        source=_SOURCE,
        next_step=next_step,
        details={"count": count, "of": len(of), **details},
    )


def _check_unreadable(table: pd.DataFrame) -> Check:
    broken = table[table["status"] == str(Status.ERROR)]
    name = "provenance.readable"
    if broken.empty:
        return _share(name, Status.PASS, f"All {len(table)} files could be read.", count=len(table), of=table)
    reason = f"{len(broken)} of {len(table)} files could not be checked: {', '.join(map(str, _files(broken)[:5]))}."
    reasons: list[JSON] = [clean_text(text, limit=300) for text in broken["reason"].head(_NAMED)]
    return _share(
        name,
        Status.ERROR,
        reason,
        count=len(table) - len(broken),
        of=table,
        next_step="Replace or remove these files; each row of the table says what is wrong.",
        files=_files(broken),
        reasons=reasons,
    )


def _has_both(table: pd.DataFrame) -> pd.Series[bool]:
    good = str(Status.PASS)
    return (table["integrity"] == good) & (table["signature"] == good) & (table["watermark"] == good)


def _check_layers(table: pd.DataFrame, own: pd.DataFrame) -> Check:
    """Both layers: a signed manifest that holds, and the watermark."""
    name = "provenance.layers"
    both = int(_has_both(table).sum())
    said = f"{both} of {len(table)} files carry both layers, a signed manifest that holds and our watermark."
    missing = own[~_has_both(own)]
    if not missing.empty:
        step = "Look at these files: an image that this project makes must never be without its marks."
        reason = f"{said} {len(missing)} that this project made do not."
        return _share(name, Status.FAIL, reason, count=both, of=table, next_step=step, files=_files(missing))
    status = Status.PASS if both == len(table) else Status.INCONCLUSIVE
    if status is Status.INCONCLUSIVE:
        said += " The others may have lost theirs, or never had them."
    return _share(name, status, said, count=both, of=table)


def _check_words(table: pd.DataFrame) -> list[Check]:
    """One check for each overall word that occurs, most frequent first."""
    words = table["verdict"].astype(object).fillna("could not check")
    checks = []
    for word, count in words.value_counts().items():
        group = table[words == word]
        status = worst(Status(value) for value in group["status"])
        slug = "-".join(part for part in "".join(c if c.isalnum() else " " for c in str(word)).split())
        reason = f'{count} of {len(table)} files are "{word}".'
        checks.append(
            _share(
                f"provenance.verdict.{slug}", status, reason, count=int(count), of=table, files=_files(group)
            )
        )
    return checks


def _evidence_check(table: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    """The check of one name from each row's evidence; rows that have no evidence or no such check are left out."""
    found = []
    for path, text in zip(table["path"], table["evidence"], strict=True):
        checks = json.loads(text)["checks"] if isinstance(text, str) else []
        found += [{**check, "path": path} for check in checks if check["name"] == name]
    return found


def _check_agreement(table: pd.DataFrame) -> Check:
    name = "provenance.agreement"
    judged = pd.DataFrame(
        [
            check
            for check in _evidence_check(table, "agreement.asset_id")
            if check["value"] in {"agree", "disagree"}
        ]
    )
    if judged.empty:
        reason = "No file names one of our identifiers in two places, so there is nothing to compare."
        return Check(name, Status.SKIPPED, reason, source=_SOURCE)
    wrong = judged[judged["value"] == "disagree"]
    agreeing = len(judged) - len(wrong)
    reason = f"In {agreeing} of {len(judged)} files that carry several identifiers, all of them name the same asset."
    if wrong.empty:
        return _share(name, Status.PASS, reason, count=agreeing, of=judged)
    step = "A mark was copied from another file; trust none of the marks of these files."
    return _share(name, Status.FAIL, reason, count=agreeing, of=judged, next_step=step, files=_files(wrong))


def _check_development(table: pd.DataFrame) -> Check:
    name = "provenance.identity"
    signed = table[table["signature"] == str(Status.PASS)]
    if signed.empty:
        return Check(name, Status.SKIPPED, "No file carries a signature that holds.", source=_SOURCE)
    own = int((signed["development_identity"] == True).sum())  # noqa: E712 - absent is not True
    if not own:
        reason = "No file is signed with a development identity."
        return _share(name, Status.PASS, reason, count=0, of=signed)
    reason = f"{own} of {len(signed)} signed files are signed with a development identity, which is on no trust list."
    step = "Sign with a certificate from an authority on the C2PA trust list to let others trust your images."
    return _share(name, Status.INCONCLUSIVE, reason, count=own, of=signed, next_step=step)


def _check_rubric(own: pd.DataFrame) -> Check:
    name = "provenance.rubric"
    judged = pd.DataFrame([c for c in _evidence_check(own, RUBRIC) if c["status"] != str(Status.SKIPPED)])
    if judged.empty:
        reason = (
            "No image made by this project has readable Content Credentials, so the rubric was not asked."
        )
        return Check(name, Status.SKIPPED, reason, source=_SOURCE)
    wrong = judged[judged["status"] != str(Status.PASS)]
    passed = len(judged) - len(wrong)
    reason = (
        f"{passed} of {len(judged)} images made here keep all statements of the official C2PA asset rubric."
    )
    if wrong.empty:
        return _share(name, Status.PASS, reason, count=passed, of=judged)
    return _share(
        name,
        Status.FAIL,
        reason,
        count=passed,
        of=judged,
        next_step="Look at the statements named in the evidence of these files.",
        files=_files(wrong),
    )
