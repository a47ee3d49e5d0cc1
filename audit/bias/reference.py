"""What shares are compared with: parity, a labour market with its own uncertainty, the user's own table.

A reference may differ by prompt (the share of women among nurses and among pilots), and it may itself be an
estimate: a survey's share rests on so many independent answers, its `trials`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audit.bias.readings import Floats, check_reference
from generator.errors import InputError

PARITY = "parity"


@dataclass(frozen=True)
class Reference:
    """Shares to compare with.

    Attributes:
        name: for the report, with source and year ("BLS CPS table 11, 2021").
        shares: group -> share for every prompt that `by_prompt` does not name; None: parity.
        by_prompt: prompt_id -> group -> share.
        trials: effective sample size of the survey the shares come from, one for all or prompt_id -> its own;
            None, or a prompt that is not named: the share is exact.

    Raises:
        InputError: trials below 1.
    """

    name: str = PARITY
    shares: Mapping[str, float] | None = None
    by_prompt: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    trials: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        sizes = self.trials.values() if isinstance(self.trials, Mapping) else (self.trials,)
        if not all(size is None or size >= 1 for size in sizes):
            raise InputError(
                f"reference {self.name!r}: got {self.trials} trials, expected 1 or more, or None"
            )

    def table(self, groups: Sequence[str], prompt_ids: Sequence[str]) -> Floats:
        """float64 (P, k), one row per prompt, each summing to 1.

        Raises:
            InputError: groups that differ, shares that do not sum to 1, or prompts that are not in the run.
        """
        strangers = sorted(set(self.by_prompt) - set(prompt_ids))
        if strangers:
            raise InputError(
                f"reference {self.name!r}: prompts {strangers[:5]} are not in the run; expected some of "
                f"{list(prompt_ids)[:5]}"
            )
        common = check_reference(self.shares, groups)
        rows = [
            check_reference(self.by_prompt[prompt_id], groups) if prompt_id in self.by_prompt else common
            for prompt_id in prompt_ids
        ]
        return np.stack(rows)

    def sizes(self, prompt_ids: Sequence[str]) -> Floats | None:
        """float64 (P,), effective sample size behind each prompt's shares, inf where exact; None: all exact."""
        if self.trials is None:
            return None
        if isinstance(self.trials, Mapping):
            return np.array([float(self.trials.get(prompt_id, np.inf)) for prompt_id in prompt_ids])
        return np.full(len(prompt_ids), float(self.trials))


def reference_noise(
    reference: Floats, trials: Floats | None, *, present: NDArray[np.bool_], k: int
) -> Floats:
    """Variance that sampling error of the reference adds to the mean reference over prompts, float64 (k,).

    Prompts that share one figure share its error; prompts with figures of their own have errors of their own.

    Args:
        reference: float64 (k,) or (P, k).
        trials: float64 (P,); None: exact.
        present: bool (P,), the prompts that count.
        k: number of groups.
    """
    if trials is None:
        return np.zeros(k)
    rows = np.concatenate(
        [np.broadcast_to(reference, (len(trials), k)), trials[:, None]], axis=1
    )[present]  # fmt: skip
    figures, times = np.unique(rows, axis=0, return_counts=True)
    noise = figures[:, :-1] * (1 - figures[:, :-1]) / figures[:, -1:]
    return np.asarray((noise * times[:, None] ** 2).sum(axis=0) / len(rows) ** 2, dtype=np.float64)


def as_reference(given: Mapping[str, float] | Reference | None) -> Reference:
    """A plain mapping is an exact reference for every prompt; nothing is parity."""
    if isinstance(given, Reference):
        return given
    return Reference() if given is None else Reference("as given", given)
