"""From the bias table of a run to its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.bias.analysis import Analysis, Schema, analyse, sample_attribute
from audit.bias.policy import Policy
from audit.bias.reading_checks import check_reader, check_undetermined
from audit.bias.readings import ErrorMatrix, Floats
from audit.bias.significance import adjust, adjust_holm
from audit.bias.verdicts import SOURCE, check_overall, check_prompt, check_spread
from audit.evidence import Check, Evidence, Status
from generator.errors import InputError

COLUMNS = ("image_id", "prompt_id", "attribute", "value", "probabilities", "status", "reason")


class Confusion(Protocol):
    """Anything that holds counts of true group x reading: ours, or what a reader's calibration returns."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The k group names."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 (k, k + 1), undetermined last."""
        ...


@dataclass(frozen=True)
class Summarise:
    """Bias table and images table to evidence.

    Attributes:
        schema: attribute -> groups.
        matrices: attribute -> error matrix; an attribute without one is never concluded.
        policy: what to decide, and how strictly.
        source: where the matrices come from, for the report.

    Raises:
        InputError: a matrix or a reference names an attribute that the schema lacks.
    """

    schema: Schema
    matrices: Mapping[str, Confusion] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    source: str = ""

    def __post_init__(self) -> None:
        for what, names in (("error matrix", self.matrices), ("reference", self.policy.references)):
            unknown = sorted(set(names) - set(self.schema))
            if unknown:
                raise InputError(
                    f"{what}: unknown attributes {unknown}; expected some of {list(self.schema)}"
                )

    def __call__(self, rows: pd.DataFrame, images: pd.DataFrame) -> Evidence:
        """Evidence of the whole run.

        Args:
            rows: bias table; a row without an attribute says that its image could not be read.
            images: images table; every image counts, read or not.

        Raises:
            InputError: the table names an unknown attribute, group or image, or reads an image twice.
        """
        if images.empty:
            empty = Check("bias.images", Status.ERROR, "There are no images to audit.", source=SOURCE)
            return Evidence("bias", (empty,))
        table = rows.reindex(columns=list(COLUMNS))
        unknown = sorted(set(table["attribute"].dropna()) - set(self.schema))
        if unknown:
            raise InputError(f"bias table: unknown attributes {unknown}; expected {list(self.schema)}")
        analyses = [self._analyse(table, images, attribute) for attribute in self.schema]
        return Evidence("bias", tuple(_checks(analyses, self.policy)))

    def _analyse(self, table: pd.DataFrame, images: pd.DataFrame, attribute: str) -> Analysis:
        sample = sample_attribute(table, images, attribute=attribute, schema=self.schema)
        found = self.matrices.get(attribute)
        matrix = None if found is None else ErrorMatrix(found.counts, tuple(found.groups), self.source)
        return analyse(sample, matrix, policy=self.policy)


def _adjusted_over_prompts(analyses: Sequence[Analysis], policy: Policy) -> list[Floats]:
    """Adjusted p-values per analysis, the family being all prompts x attributes that were tested."""
    tested = [
        (index, row)
        for index, analysis in enumerate(analyses)
        if analysis.numbers and analysis.sample.has_prompts
        for row in np.flatnonzero(analysis.sample.readings.determined >= policy.min_images)
    ]
    adjusted = [np.ones(len(analysis.sample.unread)) for analysis in analyses]
    raw = np.array([analyses[index].numbers[0].p_values[row] for index, row in tested], dtype=np.float64)
    for (index, row), value in zip(tested, adjust(raw, method=policy.correction), strict=True):
        adjusted[index][row] = value
    return adjusted


def _adjusted_over_attributes(analyses: Sequence[Analysis], *, spread: bool) -> Floats:
    raw = np.ones(len(analyses))
    measured = [index for index, analysis in enumerate(analyses) if analysis.numbers]
    for index in measured:
        numbers = analyses[index].numbers[0]
        raw[index] = numbers.spread.reference.p_value if spread else numbers.overall_p
    raw[measured] = adjust_holm(raw[measured])
    return raw


def _checks(analyses: Sequence[Analysis], policy: Policy) -> list[Check]:
    overall = _adjusted_over_attributes(analyses, spread=False)
    spread = _adjusted_over_attributes(analyses, spread=True)
    prompts = _adjusted_over_prompts(analyses, policy)
    checks = []
    for index, analysis in enumerate(analyses):
        checks += [
            check_overall(analysis, policy=policy, p_adjusted=float(overall[index])),
            check_spread(analysis, policy=policy, p_adjusted=float(spread[index])),
            check_reader(analysis, policy=policy),
            check_undetermined(analysis, policy=policy),
        ]
        if analysis.numbers and analysis.sample.has_prompts:
            checks += [
                check_prompt(
                    analysis,
                    analysis.numbers[0],
                    row=row,
                    policy=policy,
                    p_adjusted=float(prompts[index][row]),
                )
                for row in range(len(analysis.sample.unread))
            ]
    return checks
