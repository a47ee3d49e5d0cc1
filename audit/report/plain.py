"""The plain-language summary: a few sentences, each of them the answer of checks that are named beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from audit.evidence import Check, Evidence, Status

MAX_NAMED = 5  # prompts named in a sentence
_WHOLE = ("overall", "spread", "prompt_groups", "amplification", "undetermined", "transport", "sequential")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement.

    Attributes:
        text: in plain words.
        status: of the checks it rests on, the worst.
        checks: their names.
    """

    text: str
    status: Status
    checks: tuple[str, ...]


def summarise_bias(evidence: Evidence) -> list[Sentence]:
    """The bias room in a few sentences: each attribute's mean and spread, its prompts counted, what is open."""
    attributes = [check.name.split(".")[1] for check in evidence.checks if check.name.endswith(".overall")]
    found: list[Sentence] = []
    for attribute in attributes:
        mine = [check for check in evidence.checks if check.name.startswith(f"bias.{attribute}.")]
        whole = {check.name.rpartition(".")[2]: check for check in mine if "prompt_id" not in check.details}
        for name in _WHOLE:
            if name in whole and (
                whole[name].status is not Status.SKIPPED or "by_group" in whole[name].details
            ):
                found.append(_from_check(whole[name], attribute))
        prompts = [check for check in mine if "prompt_id" in check.details]
        if prompts:
            found.append(_count_prompts(attribute, prompts))
    return found


def _from_check(check: Check, attribute: str) -> Sentence:
    return Sentence(f"Perceived {attribute}: {check.reason}", check.status, (check.name,))


def _count_prompts(attribute: str, prompts: Sequence[Check]) -> Sentence:
    """How many prompts depart, stay, or are undecided, and which depart most."""
    counts = Counter(check.status for check in prompts)
    departing = sorted(
        (check for check in prompts if check.status is Status.FAIL),
        key=lambda check: -float(str(check.details.get("gap", 0))),
    )
    text = (
        f"Perceived {attribute}: {counts[Status.FAIL]} of {len(prompts)} prompts depart from the reference by "
        "more than "
        f"the margin, {counts[Status.PASS]} stay within it, and "
        f"{len(prompts) - counts[Status.FAIL] - counts[Status.PASS]}"
        " are undecided."
    )
    if departing:
        named = ", ".join(f"“{check.details['prompt_id']}”" for check in departing[:MAX_NAMED])
        text += f" Most: {named}."
    status = (
        Status.FAIL
        if departing
        else Status.PASS
        if counts[Status.PASS] == len(prompts)
        else Status.INCONCLUSIVE
    )
    return Sentence(text, status, tuple(check.name for check in prompts))
