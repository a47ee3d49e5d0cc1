"""Evidence of a run that was stopped because of what it showed.

Single prompts get the verdicts of their sequential audit and intervals that hold at any stop; an ordinary p-value or
interval at a stopping time holds nothing. What is said of all prompts together rests on the first images of each
prompt, whose number was fixed before anyone looked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from audit.bias.details import SOURCE, percent, to_list
from audit.bias.indices import total_variation
from audit.bias.measures import prompt_shares
from audit.bias.policy import Policy
from audit.bias.readings import Counts, ErrorMatrix, Floats, Readings
from audit.bias.sequential import Progress, SequentialAudit, Verdict
from audit.bias.significance import adjust_benjamini_hochberg
from audit.bias.verdicts import departs_beyond_margin, prompt_check_name
from audit.evidence import JSON, Check, Evidence, Interval, Status
from audit.statistics import Bounds

METHOD = "confidence sequence (e-process inverted), e-BH over prompts"
_WORDS = {
    Verdict.OUTSIDE: "it departs from the reference",
    Verdict.WITHIN: "it stays within the margin",
    Verdict.OPEN: "undecided when the images were spent",
}


def first_images(images: pd.DataFrame, first: int) -> pd.DataFrame:
    """Rows of the images that were made before anyone looked."""
    return images[images["replicate"].astype("Int64").fillna(first) < first]


@dataclass(frozen=True)
class StoppedSummary:
    """Tables to evidence for a run that stopped early.

    Attributes:
        summarise: as for a run with a fixed number of images.
        stop: what the run record keeps, see `audit.bias.stopping.StopRule.record`.
        policy: margin.
    """

    summarise: Callable[[pd.DataFrame, pd.DataFrame], Evidence]
    stop: Mapping[str, Any]
    policy: Policy = dataclasses.field(default_factory=Policy)

    def __call__(self, rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
        """Evidence of the whole run: see the head of this module."""
        from audit.bias.resummary import read_schema

        early = first_images(images, int(self.stop["first"]))
        evidence = self.summarise(rows[rows["image_id"].isin(early["image_id"])], early)
        schema = read_schema(evidence)
        checks = {check.name: check for check in evidence.checks}
        for attribute, counts in self.stop["counts"].items():
            transport = checks.get(f"bias.{attribute}.transport")
            audit = self._replay(
                attribute, np.array(counts, dtype=np.int64), checks, schema.matrices.get(attribute)
            )
            if audit is None:
                continue
            blocked = transport is not None and transport.status is Status.FAIL
            checks |= self._judge(attribute, audit, checks, blocked=blocked)
        checks = {name: self._mention(check) for name, check in checks.items()}
        return Evidence(evidence.subject, tuple(checks.values()))

    def _replay(
        self, attribute: str, counts: Counts, checks: Mapping[str, Check], matrix: ErrorMatrix | None
    ) -> SequentialAudit | None:
        """The audit at its stop; None where single prompts were not judged at all."""
        mine = [checks.get(prompt_check_name(attribute, prompt)) for prompt in self.stop["prompt_ids"]]
        reference = [check.details["reference"] for check in mine if check is not None]
        if len(reference) != len(mine):
            return None
        table = np.array(reference, dtype=np.float64)  # as checks keep it, six decimals
        audit = SequentialAudit(
            tuple(self.stop["prompt_ids"]), table / table.sum(axis=1, keepdims=True), matrix=matrix,
            margin=self.policy.margin, alpha=self.stop["alpha"], per_prompt=max(self.stop["limits"]),
        )  # fmt: skip
        audit.update(counts)
        return audit

    def _judge(
        self, attribute: str, audit: SequentialAudit, checks: Mapping[str, Check], *, blocked: bool
    ) -> dict[str, Check]:
        found, progress, bounds = {}, audit.progress(), audit.bounds()
        groups = tuple(map(str, checks[f"bias.{attribute}.reader"].details["groups"]))  # type: ignore[arg-type]
        shares = prompt_shares(Readings(audit.counts, groups, audit.prompt_ids), audit.matrix)
        inside = Bounds(low=np.minimum(bounds.low, shares), high=np.maximum(bounds.high, shares))
        adjusted = adjust_benjamini_hochberg(np.exp(-np.maximum(progress.log_e, 0.0)))
        for row, prompt in enumerate(audit.prompt_ids):
            name = prompt_check_name(attribute, prompt)
            found[name] = self._prompt(
                checks[name], audit, progress, row=row, shares=shares[row], blocked=blocked,
                bounds=Bounds(low=inside.low[row], high=inside.high[row]), p_adjusted=float(adjusted[row]),
            )  # fmt: skip
        name = f"bias.{attribute}.sequential"
        found[name] = self._design(name, progress, blocked=blocked)
        overall = checks[f"bias.{attribute}.overall"]
        if "prompt_estimates" in overall.details:
            table = {"prompt_estimates": shares, "prompt_lows": inside.low, "prompt_highs": inside.high}
            found[overall.name] = dataclasses.replace(
                overall,
                details={
                    **overall.details,
                    **{key: [to_list(one) for one in values] for key, values in table.items()},
                    "prompt_n": [int(n) for n in audit.counts.sum(axis=1)],
                    "prompt_undetermined": [int(n) for n in audit.counts[:, -1]],
                },
            )
        return found

    def _prompt(
        self, check: Check, audit: SequentialAudit, progress: Progress, *, row: int, shares: Floats, bounds: Bounds,
        p_adjusted: float, blocked: bool,
    ) -> Check:  # fmt: skip
        reference, verdict = audit.reference[row], progress.verdicts[row]
        words, status = _WORDS[verdict], Status.INCONCLUSIVE
        if blocked:
            words = "the reader's error matrix does not fit these images, so nothing is concluded"
        elif verdict is Verdict.WITHIN:
            status = Status.PASS
        elif verdict is Verdict.OUTSIDE:
            if departs_beyond_margin(shares, reference=reference, policy=self.policy):
                status = Status.FAIL
            else:
                words += ", but not shown to do so by more than the margin"
        group, counts = int(np.argmax(np.abs(shares - reference))), audit.counts[row]
        groups = check.details["groups"]
        low, high = float(bounds.low[group]), float(bounds.high[group])
        reason = (
            f"Perceived {groups[group]} makes up {percent(shares[group])} ({percent(low)} to {percent(high)}, valid "  # type: ignore[index]
            f"at any stop) of {int(counts.sum())} images, reference {percent(reference[group])}: {words}."
        )
        details: dict[str, JSON] = {
            **check.details, "n": int(counts.sum()), "counts": [int(n) for n in counts],
            "undetermined": int(counts[-1]), "estimates": to_list(shares), "lows": to_list(bounds.low),
            "highs": to_list(bounds.high), "gap": round(float(total_variation(shares, reference)), 6),
            "p_value": float(np.exp(-max(progress.log_e[row], 0.0))), "p_adjusted": p_adjusted,
            "correction": "e-BH", "verdict": str(verdict), "group": groups[group],  # type: ignore[index]
        }  # fmt: skip
        return dataclasses.replace(
            check, status=status, reason=reason, value=float(shares[group]), unit="share",
            interval=Interval(low, high, 1 - audit.alpha, METHOD), threshold=float(reference[group]),
            next_step="" if status is not Status.INCONCLUSIVE else "Raise --count or --budget.", details=details,
        )  # fmt: skip

    def _design(self, name: str, progress: Progress, *, blocked: bool) -> Check:
        """Whether every prompt was decided, and what the stop saved."""
        spent, planned = int(self.stop["images"]), int(self.stop["planned"])
        decided = sum(verdict is not Verdict.OPEN for verdict in progress.verdicts)
        reason = (
            f"{decided} of {len(progress.verdicts)} prompts are decided. The run made {spent} images; a fixed number "
            f"for every prompt would have been {planned}; {planned - spent} ({percent(1 - spent / planned)}) were "
            "saved."
        )
        done = decided == len(progress.verdicts) and not blocked
        return Check(
            name,
            Status.PASS if done else Status.INCONCLUSIVE,
            reason,
            value=spent / planned,
            unit="of the images of a fixed design",
            source=SOURCE,
            next_step="" if done else "Raise --count or --budget.",
            details={"images": spent, "planned": planned, "decided": decided, "budget": self.stop["budget"]},
        )

    def _mention(self, check: Check) -> Check:
        """Say of what concerns all prompts that it rests on the first images."""
        if check.name.rpartition(".")[2] not in ("overall", "spread") or "prompt_id" in check.details:
            return check
        words = f" (From the first {self.stop['first']} images of each prompt, made before anyone looked.)"
        return dataclasses.replace(check, reason=check.reason + words)
