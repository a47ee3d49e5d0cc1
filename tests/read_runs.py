"""Tiny runs that somebody has read: tables and evidence without a picture, readings taken as the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from audit.bias.policy import Policy
from audit.bias.summary import Summarise
from audit.plan import Plan
from audit.run import RunDirectory

GROUPS = ("woman", "man")


def build_read_run(
    path: Path,
    counts: Sequence[Sequence[int]],
    *,
    groups: tuple[str, ...] = GROUPS,
    attribute: str = "presentation",
    trusted: bool = True,
    prompts: Sequence[str] = (),
    generator: Mapping[str, str] | None = None,
) -> RunDirectory:
    """Write a run whose prompt i has `counts[i]` images of each group, then of "undetermined".

    Args:
        path: a new folder.
        counts: images a prompt and reading.
        groups: of the attribute.
        attribute: its name.
        trusted: the readings are the truth; else their errors are unknown.
        prompts: ids; default: job0, job1, ...
        generator: of the run record.
    """
    record = {"run_id": path.name, "config": Plan(rooms=("bias",)).to_json(),
              "generator": generator or {"name": "made-up", "version": "1"}}  # fmt: skip
    run = RunDirectory.create(path, record=record)
    images, rows = [], []
    for number, line in enumerate(counts):
        prompt = prompts[number] if prompts else f"job{number}"
        for value, count in zip((*groups, "undetermined"), line, strict=False):
            for _ in range(count):
                image_id = f"{prompt}-{len(images)}"
                images.append({"image_id": image_id, "path": f"images/{image_id}.png", "prompt_id": prompt,
                               "prompt": f"a {prompt}", "status": "pass", "reason": "", "generator": "made-up",
                               "unknown_words": "", "sha256": "", "replicate": 0, "weights_digest": ""})  # fmt: skip
                rows.append({"image_id": image_id, "prompt_id": prompt, "attribute": attribute, "value": value,
                             "probabilities": "{}", "status": "pass", "reason": ""})  # fmt: skip
    run.append("images", images)
    run.append("bias", rows)
    table, read = run.finish_table("images"), run.finish_table("bias")
    schema = {attribute: groups}
    matrices = dict.fromkeys(schema) if trusted else {}
    evidence = Summarise(schema, matrices, Policy(draws=200))(pd.DataFrame(read), table)
    run.write_evidence(evidence, room="bias")
    run.finish_stage("generate", seconds=1)
    run.finish_stage("bias", seconds=1)
    return run
