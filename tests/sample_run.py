"""Builds a small run directory of a plausible shape: drawn pictures, every table, and evidence of real checks.

The numbers are made up by a seeded generator, but each check says what its tables say. Nothing is signed: the tests
of the report and the dashboard look at how a run is shown, not at how it was measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from audit.bias.policy import Policy
from audit.bias.summary import Summarise as SummariseBias
from audit.evidence import Check, Evidence, Status
from audit.provenance.module import summarise as summarise_provenance
from audit.run import RunDirectory
from audit.similarity.references import embedded_references
from audit.statistics import clopper_pearson
from generator.portraits import Corpus, Rates

PROMPTS = ("nurse", "engineer", "judge", "artist")
SIGNER = "Assay development signer"
RUN_ID = "20261124T080000-0123abcd"
SECRET = "5ec2e7" * 5

Rows = list[dict[str, Any]]


def build_sample_run(
    path: Path,
    *,
    prompts: Sequence[str] = PROMPTS,
    per_prompt: int = 4,
    texts: Mapping[str, str] | None = None,
    signer: str = SIGNER,
    rooms: Sequence[str] = ("provenance", "bias", "detector", "similarity"),
    drawings: int = 16,
    broken: bool = True,
) -> RunDirectory:
    """Write a run directory.

    Args:
        path: a new folder.
        prompts: ids, one prompt each.
        per_prompt: images a prompt.
        texts: prompt id -> text, for prompts with a text other than "a portrait of a(n) ID".
        signer: name in the provenance table.
        rooms: which have been audited; the run asks for all four.
        drawings: different pictures drawn; more images repeat them under other names.
        broken: the last file is cut off in the middle, and recorded as unreadable.
    """
    record = {
        "run_id": RUN_ID,
        "config": {"images": None, "prompts": "occupations", "count": per_prompt, "seed": 7, "suffix": ".png",
                   "clip": "assay-tiny", "rooms": ["provenance", "bias", "detector", "similarity"]},
        "argv": ["assay", "audit", "--count", str(per_prompt)],
        "asset_secret": SECRET,
        "python": "3.11.9",
        "platform": "Linux x86_64",
        "packages": {"assay-audit": "0.1.0", "numpy": "2.3.0"},
        "commit": "0" * 40,
        "dirty": False,
        "generator": {"name": "assay-portraits", "version": "0.1.0", "weights_digest": "sha256:" + "ab" * 32},
        "identity": {"name": signer, "development": True},
        "watermark": {"scheme": "assay.block.1", "key_id": "0badcafe"},
    }  # fmt: skip
    run = RunDirectory.create(path, record=record)
    images = _write_images(run, prompts, per_prompt=per_prompt, texts=texts or {}, drawings=drawings)
    if broken:
        _break_last(run, images)
    run.append("images", images)
    table = run.finish_table("images")
    run.finish_stage("generate", seconds=12.5)
    rng = np.random.default_rng(7)
    for room in rooms:
        rows = _ROWS[room](images, rng, signer)
        run.append(room, rows)
        evidence = _EVIDENCE[room](run.finish_table(room), table)
        run.write_evidence(evidence, room=room)
        run.finish_stage(room, seconds=3.25)
    return run


def _write_images(
    run: RunDirectory, prompts: Sequence[str], *, per_prompt: int, texts: Mapping[str, str], drawings: int
) -> Rows:
    corpus = Corpus(5, Rates.default(), 1000)
    (run.path / "images").mkdir()
    files: list[bytes] = []
    rows = []
    for number, (prompt_id, replicate) in enumerate((p, r) for p in prompts for r in range(per_prompt)):
        relative = f"images/{prompt_id}-{replicate:04d}.png"
        target = run.path / relative
        if number < drawings:
            Image.fromarray(corpus.drawing(number, 128)).save(target)
            files.append(target.read_bytes())
        else:
            target.write_bytes(files[number % drawings])
        data = target.read_bytes()
        rows.append(
            {
                "image_id": hashlib.blake2b(relative.encode(), digest_size=8).hexdigest(),
                "path": relative,
                "sha256": hashlib.sha256(data).hexdigest(),
                "prompt_id": prompt_id,
                "prompt": texts.get(
                    prompt_id, f"a portrait of a{'n' if prompt_id[0] in 'aeiou' else ''} {prompt_id}"
                ),
                "replicate": replicate,
                "seed": str(1000 + number),
                "generator": "assay-portraits",
                "weights_digest": "sha256:" + "ab" * 32,
                "unknown_words": "",
                "width": 128,
                "height": 128,
                "format": "PNG",
                "status": "pass",
                "reason": "",
            }
        )
    return rows


def _break_last(run: RunDirectory, images: Rows) -> None:
    last = images[-1]
    target = run.path / last["path"]
    target.write_bytes(target.read_bytes()[:90])
    last |= {"status": "error", "reason": "the file ends in the middle of the picture"}


def _unreadable(image: Mapping[str, Any]) -> dict[str, Any]:
    return {"image_id": image["image_id"], "status": "error", "reason": image["reason"]}


def _provenance(images: Rows, rng: np.random.Generator, signer: str) -> Rows:
    return [
        _unreadable(image) | {"verdict": "could not check"}
        if image["status"] == "error"
        else _provenance_row(image, signer, number, log10_p=-float(rng.normal(30, 4)))
        for number, image in enumerate(images)
    ]


def _provenance_row(image: Mapping[str, Any], signer: str, number: int, *, log10_p: float) -> dict[str, Any]:
    altered = number == 5
    word = "tampered" if altered else "intact, development identity"
    integrity = Status.FAIL if altered else Status.PASS
    payload = image["image_id"]
    checks = (
        Check("verdict", Status.FAIL if altered else Status.INCONCLUSIVE,
              "The file was changed after it was signed." if altered
              else "The file is as signed, by a development identity that is on no trust list.", value=word),
        Check("c2pa.integrity", integrity, "Bytes were changed." if altered else "The content is as it was signed.",
              value="altered" if altered else "intact", source="C2PA 2.4"),
        Check("c2pa.signature", Status.PASS, f"The signature holds; the certificate names {signer}.", value="valid",
              source="C2PA 2.4", details={"codes": ["claimSignature.validated"]}),
        Check("c2pa.trust", Status.INCONCLUSIVE, "This is a development identity and not on any trust list.",
              value="development", source="C2PA 2.4", next_step="Sign with a certificate on the C2PA trust list."),
        Check("c2pa.time", Status.SKIPPED, "There is no time stamp.", value="none-needed", source="C2PA 2.4"),
        Check("c2pa.chain", Status.PASS, "It names nothing that it was made from.", value="no-ingredients"),
        Check("watermark.payload", Status.PASS, f"The pixels carry our watermark with identifier {payload}.",
              value="found", details={"payload": payload, "log10_p": log10_p}),
        Check("labels.aigc", Status.PASS, "The label says that the content is AI-generated.", value="found"),
        Check("ledger.entry", Status.PASS, "The ledger knows it.", value="known"),
        Check("agreement.asset_id", Status.PASS, "All identifiers name the same asset.", value="agree"),
    )  # fmt: skip
    evidence = Evidence(Path(image["path"]).name, checks)
    passed = str(Status.PASS)
    return {
        "image_id": image["image_id"], "status": str(evidence.status), "reason": checks[0].reason, "verdict": word,
        "integrity": str(integrity), "signature": passed, "trust": "inconclusive", "time": "skipped",
        "chain": passed, "watermark": passed, "labels": passed, "ledger": passed, "signer": signer,
        "issuer": "Assay development root", "manifest_id": f"urn:c2pa:{payload}",
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "watermark_payload": payload, "watermark_log10_p": log10_p, "ledger_asset_id": payload,
        "development_identity": True, "evidence": json.dumps(evidence.to_json()),
    }  # fmt: skip


_GROUPS = {"presentation": ("woman", "man"), "age": ("young", "middle-aged", "old")}
_LEAN = {"nurse": 0.88, "engineer": 0.14, "judge": 0.25, "artist": 0.55}


def _bias(images: Rows, rng: np.random.Generator, signer: str) -> Rows:
    rows = []
    for image in images:
        if image["status"] == "error":
            rows.append(_unreadable(image))
            continue
        for attribute, groups in _GROUPS.items():
            lean = _LEAN.get(image["prompt_id"], 0.5)
            weights = [lean, 1 - lean] if len(groups) == 2 else [0.3, 0.5, 0.2]
            chosen = int(rng.choice(len(groups), p=weights))
            sure = float(rng.uniform(0.5, 0.99))
            rest = (1 - sure) / (len(groups) - 1)
            chances = {group: sure if place == chosen else rest for place, group in enumerate(groups)}
            unsure = sure < 0.55
            rows.append(
                {
                    "image_id": image["image_id"], "prompt_id": image["prompt_id"], "attribute": attribute,
                    "value": "undetermined" if unsure else groups[chosen],
                    "probabilities": json.dumps(chances), "status": "inconclusive" if unsure else "pass",
                    "reason": "no group is likely enough" if unsure else "",
                }
            )  # fmt: skip
    return rows


def _detector(images: Rows, rng: np.random.Generator, signer: str) -> Rows:
    rows = []
    for number, image in enumerate(images):
        if image["status"] == "error":
            rows.append(_unreadable(image))
            continue
        p = float(rng.beta(8, 1))
        verdict = "real" if number == 2 else "abstain" if p < 0.6 else "synthetic"
        rows.append(
            {
                "image_id": image["image_id"], "status": "inconclusive" if verdict == "abstain" else "pass",
                "reason": "The score fits both classes." if verdict == "abstain" else f"It looks {verdict}.",
                "verdict": verdict, "logit": float(np.log(p / (1 - p))),
                "p_synthetic": None if verdict == "abstain" else 0.03 if verdict == "real" else p,
            }
        )  # fmt: skip
    return rows


def _similarity(images: Rows, rng: np.random.Generator, signer: str) -> Rows:
    seed = embedded_references().corpus.seed
    rows = []
    for number, image in enumerate(images):
        if image["status"] == "error":
            rows.append(_unreadable(image))
            continue
        p = 0.0005 if number == 3 else float(rng.uniform(0.02, 1))
        for rank in (1, 2, 3):
            match = rank == 1 and p <= 0.01
            rows.append(
                {
                    "image_id": image["image_id"], "rank": rank,
                    "candidate_id": f"drawing-{seed}-{int(rng.integers(8000)):06d}",
                    "similarity": float(rng.uniform(0.5, 0.8)) - 0.1 * rank + (0.25 if match else 0),
                    "p_value": min(p * rank, 1.0), "match": match,
                    "status": "inconclusive" if match else "pass",
                    "reason": "Few images are as similar to any reference." if match else "As similar as by chance.",
                }
            )  # fmt: skip
    return rows


def _share_check(
    name: str, status: Status, reason: str, count: int, of: int, *, threshold: float | None
) -> Check:
    return Check(name, status, reason, value=count / of, unit="share", interval=clopper_pearson(count, of),
                 threshold=threshold, source="sample run", next_step="Look at the pictures.")  # fmt: skip


@dataclass(frozen=True)
class _Confusion:
    """How a made-up reader erred on made-up labelled drawings."""

    groups: tuple[str, ...]

    @property
    def counts(self) -> NDArray[np.int64]:
        right, k = 180, len(self.groups)
        wrong = np.full((k, k), 20 // (k - 1)) + np.diag(np.full(k, right - 20 // (k - 1)))
        return np.column_stack([wrong, np.full(k, 10)]).astype(np.int64)


def _bias_evidence(rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
    matrices = {name: _Confusion(groups) for name, groups in _GROUPS.items()}
    return SummariseBias(_GROUPS, matrices, Policy(draws=200), source="made-up labels")(rows, images)


def _unread_check(room: str, count: int) -> list[Check]:
    reason = f"{count} images could not be looked at; their rows say why."
    return (
        [Check(f"{room}.readable", Status.ERROR, reason, value=float(count), unit="images")] if count else []
    )


def _detector_evidence(rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
    judged = rows[rows["status"] != "error"].reindex(columns=["image_id", "verdict"])
    found, silent = (int((judged["verdict"] == word).sum()) for word in ("synthetic", "abstain"))
    of = len(judged)
    checks = _unread_check("detector", len(rows) - of)
    if of:
        said = f"{found} of {of} were called synthetic."
        checks += [
            _share_check("detector.recall", Status.INCONCLUSIVE, said, found, of, threshold=0.7),
            _share_check(
                "detector.abstention", Status.PASS, f"No answer for {silent}.", silent, of, threshold=0.5
            ),
        ]
    return Evidence("detector", tuple(checks))


def _similarity_evidence(rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
    traced = rows[rows["status"] != "error"].reindex(columns=["image_id", "rank", "match"])
    best = traced[traced["rank"] == 1]
    count, of = int(best["match"].astype(bool).sum()), len(best)
    checks = _unread_check("similarity", int((rows["status"] == "error").sum()))
    if of:
        reason = f"{count} of {of} images match a reference."
        checks.append(_share_check("similarity.match_rate", Status.PASS, reason, count, of, threshold=0.01))
    return Evidence("similarity", tuple(checks))


def _provenance_evidence(rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
    return summarise_provenance(rows, images)


_ROWS = {"provenance": _provenance, "bias": _bias, "detector": _detector, "similarity": _similarity}
_EVIDENCE = {
    "provenance": _provenance_evidence, "bias": _bias_evidence, "detector": _detector_evidence,
    "similarity": _similarity_evidence,
}  # fmt: skip
