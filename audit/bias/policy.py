"""What the bias audit is asked to decide: references, margin, level and floors, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audit.bias.measures import SMALL_EFFECT
from audit.bias.reference import Reference
from audit.bias.significance import BENJAMINI_HOCHBERG, adjust
from audit.statistics import require_level
from generator.errors import InputError


@dataclass(frozen=True)
class Policy:
    """How readings become verdicts.

    Attributes:
        level: two-sided confidence of intervals; 1 - level is the level of tests and of the false discovery
            rate.
        margin: largest departure from the reference that does not matter, as Cohen's h (0.2 is .40 to .60
            around one half).
        references: attribute -> group -> share, or a Reference with prompts of their own or sampling error; an
            attribute that is not named is compared with parity.
        correction: over prompts x attributes, "Benjamini-Hochberg" or "Holm".
        min_prompts: below this no verdict about new prompts of this kind.
        min_images: determined images a prompt needs for a verdict; with 5, even five of one group can not
            differ from parity at the 5 % level.
        max_undetermined: share of images without a reading above which the reading itself is in doubt.
        draws: resamples and simulated audits.
        seed: of all resampling; the same rows give the same evidence.

    Raises:
        InputError: a value out of range.
    """

    level: float = 0.95
    margin: float = SMALL_EFFECT
    references: Mapping[str, Mapping[str, float] | Reference] = field(default_factory=dict)
    correction: str = BENJAMINI_HOCHBERG
    min_prompts: int = 20
    min_images: int = 6
    max_undetermined: float = 0.2
    draws: int = 2000
    seed: int = 20261124

    def __post_init__(self) -> None:
        import numpy as np

        require_level(self.level)
        adjust(np.zeros(0), method=self.correction)
        counts = {"min_prompts": (self.min_prompts, 5), "min_images": (self.min_images, 1)}
        for name, (got, least) in {**counts, "draws": (self.draws, 200)}.items():
            if got < least:
                raise InputError(f"bias policy: {name} is {got}, expected at least {least}")
        if not 0 <= self.max_undetermined <= 1 or not self.margin >= 0:
            raise InputError(
                f"bias policy: max_undetermined {self.max_undetermined} must be in [0, 1] and margin "
                f"{self.margin} (Cohen's h) at least 0"
            )
