"""From the bias table of a run to its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from audit.bias.amplification_checks import check_amplification
from audit.bias.analysis import Analysis, PromptNumbers, analyse
from audit.bias.cell_checks import check_cells
from audit.bias.details import SOURCE
from audit.bias.group_checks import check_prompt_groups
from audit.bias.policy import Policy
from audit.bias.reading_checks import check_reader, check_transport, check_undetermined
from audit.bias.readings import ErrorMatrix, Floats
from audit.bias.sampling import Sample, Schema, Tables
from audit.bias.significance import adjust, adjust_holm
from audit.bias.verdicts import check_overall, check_prompt, check_spread
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
        matrices: attribute -> error matrix; None says that its readings are the truth; an attribute that is missing
            is concluded only from labels.
        policy: what to decide, and how strictly.
        source: where the matrices come from, for the report.
        labels: human labels of audited images, drawn at random: image_id, attribute, value, annotator.
        training: attribute -> prompt_id -> group -> images of the generator's training data, for amplification.
        prompt_groups: prompt_id -> group of prompts (a field of work), to be described together.

    Raises:
        InputError: a matrix, a label or a reference names an attribute that the schema lacks.
    """

    schema: Schema
    matrices: Mapping[str, Confusion | None] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    source: str = ""
    labels: pd.DataFrame | None = None
    training: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    prompt_groups: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labelled = set() if self.labels is None else set(self.labels["attribute"])
        named = (
            ("error matrix", self.matrices),
            ("reference", self.policy.references),
            ("labels", labelled),
            ("training data", self.training),
        )
        for what, names in named:
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
        tables = Tables(table, images, self.labels)
        analyses = [
            self._analyse(tables.sample(attribute, groups)) for attribute, groups in self.schema.items()
        ]
        checks = _checks(analyses, self.policy) + check_cells(analyses, tables, policy=self.policy)
        for analysis in analyses:
            if self.prompt_groups:
                checks.append(check_prompt_groups(analysis, self.prompt_groups, policy=self.policy))
            if analysis.sample.attribute in self.training:
                counted = self.training[analysis.sample.attribute]
                checks.append(check_amplification(analysis, counted, policy=self.policy))
        return Evidence("bias", tuple(checks))

    def _analyse(self, sample: Sample) -> Analysis:
        matrices = {
            name: None if found is None else ErrorMatrix(found.counts, tuple(found.groups), self.source)
            for name, found in self.matrices.items()
            if name == sample.attribute
        }
        return analyse(sample, matrices, policy=self.policy)


def _prompts(analysis: Analysis) -> tuple[PromptNumbers, ...]:
    return analysis.numbers[0].prompts if analysis.numbers else ()


def _adjusted_over_prompts(analyses: Sequence[Analysis], policy: Policy) -> list[Floats]:
    """Adjusted p-values per analysis, the family being all prompts x attributes that were tested."""
    tested = [
        (index, row)
        for index, analysis in enumerate(analyses)
        if _prompts(analysis) and analysis.sample.has_prompts
        for row in np.flatnonzero(analysis.sample.readings.determined >= policy.min_images)
    ]
    adjusted = [np.ones(len(analysis.sample.unread)) for analysis in analyses]
    raw = np.array([_prompts(analyses[index])[0].p_values[row] for index, row in tested], dtype=np.float64)
    for (index, row), value in zip(tested, adjust(raw, method=policy.correction), strict=True):
        adjusted[index][row] = value
    return adjusted


def _holm(p_values: Sequence[float | None]) -> list[float]:
    """Adjusted over the attributes that were tested; 1 for the others."""
    tested = [value for value in p_values if value is not None]
    adjusted = iter(adjust_holm(np.array(tested, dtype=np.float64)))
    return [1.0 if value is None else float(next(adjusted)) for value in p_values]


def _checks(analyses: Sequence[Analysis], policy: Policy) -> list[Check]:
    overall = _holm([one.numbers[0].overall_p if one.numbers else None for one in analyses])
    spread = _holm([_prompts(one)[0].spread.reference.p_value if _prompts(one) else None for one in analyses])
    prompts = _adjusted_over_prompts(analyses, policy)
    checks = []
    for index, analysis in enumerate(analyses):
        checks += [
            check_overall(analysis, policy=policy, p_adjusted=overall[index]),
            check_spread(analysis, policy=policy, p_adjusted=spread[index]),
            check_reader(analysis, policy=policy),
            check_transport(analysis, policy=policy),
            check_undetermined(analysis, policy=policy),
        ]
        if _prompts(analysis) and analysis.sample.has_prompts:
            checks += [
                check_prompt(
                    analysis,
                    _prompts(analysis)[0],
                    row=row,
                    policy=policy,
                    p_adjusted=float(prompts[index][row]),
                )
                for row in range(len(analysis.sample.unread))
            ]
    return checks
