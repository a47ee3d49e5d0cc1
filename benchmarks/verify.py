"""Verification: cold start, and the official rubric on what we publish.

python -m benchmarks.verify [--json]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from audit.provenance.read import read_manifests
from audit.provenance.rubric import IDS, evaluate_rubric
from audit.provenance.trust import load_trust
from benchmarks.document import Figure, run_benchmark
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.identity import assay_home, development_identity
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import publish
from generator.marking.watermark.keys import load_or_create_key
from generator.portraits import Corpus, Rates

REPEATS = 7
HEAVY = ("torch", "streamlit", "pandas", "pyarrow", "sklearn")


def _publish(folder: Path) -> dict[str, Path]:
    pixels = Corpus(3, Rates.default(), 1).drawing(0, 256)
    image = GeneratedImage(pixels, Request(Prompt("p", "a portrait"), 0, 0), "benchmark", "1", "")
    paths = {}
    with Ledger(assay_home() / LEDGER_FILE) as ledger:
        for number, suffix in enumerate((".png", ".jpg", ".webp")):
            paths[suffix] = folder / f"image{suffix}"
            publish(
                image,
                paths[suffix],
                asset_id=AssetId.from_int(number + 1),
                identity=development_identity(),
                ledger=ledger,
                key=load_or_create_key(assay_home()),
                created=datetime.now(UTC),
            )
    return paths


def _cold_start(path: Path) -> tuple[float, str]:
    """Median wall seconds of `assay verify` in a fresh process, and the heavy modules it imported."""
    code = (
        "import sys; from audit.cli.main import main; main(sys.argv[1:]); "
        f"sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    seconds = []
    heavy = ""
    for _ in range(REPEATS):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, "verify", str(path)], capture_output=True, text=True, check=True
        )
        seconds.append(time.perf_counter() - started)
        heavy = done.stderr.strip()
    return statistics.median(seconds), heavy


def measure() -> Iterator[Figure]:
    """All figures, with keys and ledger of their own."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["ASSAY_HOME"] = f"{name}/home"
        (Path(name) / "home").mkdir()
        paths = _publish(Path(name))
        seconds, heavy = _cold_start(paths[".jpg"])
        yield Figure("verify.cold_start_jpeg", seconds, "s", ceiling=0.6, note=f"median of {REPEATS}, wall")
        yield Figure("verify.heavy_imports", len(heavy.split()), "modules", ceiling=0, note=heavy or "none")
        for suffix, path in paths.items():
            report = read_manifests(path, load_trust(None))
            passed = sum(statement.passed for statement in evaluate_rubric(report.crjson))
            yield Figure(f"publish.rubric_{suffix[1:]}", passed, "statements", floor=len(IDS))


if __name__ == "__main__":
    raise SystemExit(run_benchmark("verify", measure))
