"""A full bias audit of a million images: time and memory, in a process of its own.

python -m benchmarks.bias_scale 1000000
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

SCHEMA = {
    "presentation": ("woman", "man"),
    "age": ("young", "middle", "old"),
    "tone": ("light", "medium", "dark"),
    "glasses": ("glasses", "none"),
}
PROMPTS = 1000


def build_tables(images: int, *, prompts: int = PROMPTS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Bias and images tables as a run writes them: one reading per image and attribute."""
    rng = np.random.default_rng(images)
    ids = np.array([f"{index:08x}-{'0' * 12}" for index in range(images)], dtype=object)
    prompt_of = np.arange(images) % min(prompts, images // 8)
    names = np.array([f"occupation-{index}" for index in range(prompts)], dtype=object)
    frames = []
    for attribute, groups in SCHEMA.items():
        shares = rng.dirichlet(np.full(len(groups), 0.6), size=prompts)
        values = np.array([*groups, "undetermined"], dtype=object)
        cumulative = np.concatenate([0.97 * shares.cumsum(axis=1), np.ones((prompts, 1))], axis=1)
        drawn = (rng.random(images)[:, None] > cumulative[prompt_of]).sum(axis=1)
        frames.append(
            pd.DataFrame({"image_id": ids, "prompt_id": names[prompt_of], "attribute": attribute,
                          "value": values[drawn], "probabilities": "{}", "status": "pass", "reason": "read"})
        )  # fmt: skip
    pictures = pd.DataFrame({"image_id": ids, "prompt_id": names[prompt_of], "prompt": names[prompt_of]})
    return pd.concat(frames, ignore_index=True), pictures


def audit_tables(images: int) -> dict[str, float]:
    """Seconds and GB of one full audit, tables already in memory; GB is the peak of this whole process."""
    from audit.bias.policy import Policy
    from audit.bias.readings import ErrorMatrix
    from audit.bias.summary import Summarise

    rows, pictures = build_tables(images)
    matrices = {
        name: ErrorMatrix((np.eye(len(groups), len(groups) + 1) * 230 + 10).astype(int), groups)
        for name, groups in SCHEMA.items()
    }
    wall, cpu = time.perf_counter(), time.process_time()
    evidence = Summarise(SCHEMA, matrices, Policy())(rows, pictures)
    spent = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {**spent, "gigabytes": peak, "checks": float(len(evidence.checks))}


def run_in_process(images: int) -> dict[str, float]:
    """The same in a fresh process, so that the peak of memory is its own."""
    done = subprocess.run(  # noqa: S603 - this very module
        [sys.executable, "-m", "benchmarks.bias_scale", str(images)],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(audit_tables(int(sys.argv[1]))))
