"""When a run that is still being made has images enough: every attribute's sequential audit over the same prompts.

The first `FIRST` images of each prompt are made whatever they show, so that what is said of all prompts together
rests on a number of images that nobody chose after looking. From then on a prompt gets more images as long as one
attribute is undecided on it. The level is shared evenly by the attributes, so all verdicts together keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.bias.policy import Policy
from audit.bias.readings import UNDETERMINED, Counts, ErrorMatrix
from audit.bias.reference import as_reference
from audit.bias.sequential import SequentialAudit, Verdict, share_out
from generator.errors import CannotCheckError, InputError

FIRST = 8  # images of each prompt before anyone looks
RECORD = "sequential"  # field of the run record


@dataclass(frozen=True, slots=True, eq=False)
class StopRule:
    """What ends the making of images, and what has been asked for and seen so far.

    Attributes:
        limits: int64 (P,), most images of each prompt.
        budget: most images in all.
        audits: attribute -> its audit, over the same prompts in the same order.
        left_out: attributes whose reader's errors forbid it -> why.
        made: int64 (P,), images asked for so far.
    """

    limits: Counts
    budget: int
    audits: Mapping[str, SequentialAudit]
    left_out: Mapping[str, str]
    made: Counts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "made", np.zeros_like(self.limits))

    def _first(self) -> Counts:
        return np.minimum(self.limits, FIRST)

    def open_prompts(self) -> NDArray[np.bool_]:
        """Prompts on which some attribute is undecided, bool (P,)."""
        waiting = [
            np.array([v is Verdict.OPEN for v in one.progress().verdicts]) for one in self.audits.values()
        ]
        return np.asarray(np.logical_or.reduce(waiting), dtype=np.bool_)

    def next_batch(self, images: int) -> Counts:
        """How many images of each prompt to make next, int64 (P,); none when all is decided or the budget is spent.

        Args:
            images: wanted in all; at least one for each open prompt is asked for where budget and limits allow.
        """
        if not self.made.any():
            return self._first()
        waiting = self.open_prompts()
        left = np.where(waiting, self.limits - self.made, 0)
        return share_out(left, min(max(images, int(waiting.sum())), self.budget - int(self.made.sum())))

    def add(self, batch: Counts, counts: Mapping[str, Counts]) -> None:
        """Enter what was made and read: int64 (P,) images, and attribute -> int64 (P, k + 1) readings."""
        self.made[:] += batch
        for attribute, audit in self.audits.items():
            audit.update(counts[attribute])

    def record(self) -> dict[str, Any]:
        """As the run record keeps it: the evidence is computed from this."""
        some = next(iter(self.audits.values()))
        return {
            "first": FIRST,
            "alpha": some.alpha,
            "budget": self.budget,
            "planned": int(self.limits.sum()),
            "images": int(self.made.sum()),
            "prompt_ids": list(some.prompt_ids),
            "limits": self.limits.tolist(),
            "counts": {name: audit.counts.tolist() for name, audit in self.audits.items()},
            "left_out": dict(self.left_out),
        }


def check_budget(limits: Mapping[str, int], budget: int | None) -> None:
    """Refuse a budget that does not make the first images of every prompt.

    Raises:
        InputError: it is too small.
    """
    least = sum(min(limit, FIRST) for limit in limits.values())
    if budget is not None and budget < least:
        raise InputError(
            f"budget of {budget} images: the first {FIRST} of each prompt are {least}; raise it or use fewer prompts"
        )


def build_stop_rule(
    limits: Mapping[str, int],
    groups: Mapping[str, tuple[str, ...]],
    matrices: Mapping[str, ErrorMatrix | None],
    *,
    budget: int | None = None,
    policy: Policy | None = None,
) -> StopRule:
    """The stop rule of a run.

    Args:
        limits: prompt -> most images of it.
        groups: attribute -> groups.
        matrices: attribute -> the reader's errors; None: its readings are the truth; missing: not measured.
        budget: most images in all, see `check_budget`; None: the limits together.
        policy: references, margin, level.

    Raises:
        CannotCheckError: of no attribute the reader's errors are known well enough.
        InputError: a reference does not fit.
    """
    rules = policy or Policy()
    prompts = tuple(limits)
    known = {name for name in groups if name in matrices}
    left_out = {name: "The reader's errors were not measured." for name in groups if name not in known}
    audits: dict[str, SequentialAudit] = {}
    for name in groups:
        if name not in known:
            continue
        reference = as_reference(rules.references.get(name)).table(groups[name], prompts)
        try:
            audits[name] = SequentialAudit(
                prompts, reference, matrix=matrices[name], margin=rules.margin,
                alpha=(1 - rules.level) / len(known), per_prompt=max(limits.values()),
            )  # fmt: skip
        except CannotCheckError as error:
            left_out[name] = str(error)
    if not audits:
        raise CannotCheckError(
            f"sequential audit: no attribute can be decided; {' '.join(f'{k}: {v}' for k, v in left_out.items())} "
            "Use the embedded reader, or make a fixed number of images and label some"
        )
    table = np.array(list(limits.values()), dtype=np.int64)
    return StopRule(table, int(table.sum()) if budget is None else budget, audits, left_out)


def count_batch(
    rows: list[dict[str, Any]], groups: Mapping[str, tuple[str, ...]], prompt_ids: tuple[str, ...]
) -> dict[str, Counts]:
    """Readings of some images as counts: attribute -> int64 (P, k + 1); an image that was not read counts nowhere."""
    row_of = {prompt: row for row, prompt in enumerate(prompt_ids)}
    columns = {name: {v: i for i, v in enumerate((*values, UNDETERMINED))} for name, values in groups.items()}
    found = {name: np.zeros((len(prompt_ids), len(of)), dtype=np.int64) for name, of in columns.items()}
    for row in rows:
        name = row.get("attribute")
        if name in found and row["value"] in columns[name]:
            found[name][row_of[row["prompt_id"]], columns[name][row["value"]]] += 1
    return found
