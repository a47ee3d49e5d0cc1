"""Verification: cold start, rubric, files of others, attacks, one-byte changes, speed and memory.

python -m benchmarks.verify [--json]
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from audit.provenance.read import read_manifests
from audit.provenance.rubric import IDS, evaluate_rubric
from audit.provenance.trust import load_trust
from benchmarks.attack_case import Kit, run_case
from benchmarks.attack_matrix import cases
from benchmarks.document import Figure, run_benchmark
from benchmarks.forgeries import picture, sign
from benchmarks.verify_corpus import EXPECTED, corpus_setup, parts_of
from benchmarks.verify_mutations import Mutant, mutate
from benchmarks.verify_speed import memory, overhead, throughput
from generator.interface import GeneratedImage, Prompt, Request
from generator.marking.identity import assay_home, development_identity
from generator.marking.ledger import LEDGER_FILE, Ledger
from generator.marking.payload import AssetId
from generator.marking.publish import publish
from generator.marking.watermark.keys import load_or_create_key
from generator.portraits import Corpus, Rates

REPEATS = 7
MUTATIONS = 20_000
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "c2pa"
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


def _corpus() -> Iterator[Figure]:
    """Files signed by others, where the development data are there."""
    if not CORPUS.is_dir():
        return
    setup = corpus_setup(CORPUS)
    met = sum(parts_of(CORPUS / name, setup) == row for name, row in EXPECTED.items())
    yield Figure("verify.corpus", 100 * met / len(EXPECTED), "%", floor=100, note=f"{len(EXPECTED)} files")


def _attacks(folder: Path, kit: Kit) -> Iterator[Figure]:
    """Every kind of the attack matrix: what is wrong with any verdict, the slowest and the largest."""
    outcomes = {case.name: (case, run_case(case, kit, folder)) for case in cases(kit)}
    wrong = [f"{name} {outcome.wrong}" for name, (_, outcome) in outcomes.items() if outcome.wrong]
    yield Figure("verify.attacks", len(outcomes), "kinds", floor=40)
    yield Figure("verify.attacks_missed", len(wrong), "kinds", ceiling=0, note="; ".join(wrong) or "none")
    common = [outcome for case, outcome in outcomes.values() if case.size == 0]
    slowest = max(outcome.seconds for outcome in common)
    yield Figure("verify.attack_slowest", slowest, "s", ceiling=2, note="processor time; but for 2 GB files")
    most = max(outcome.mebibytes for outcome in common)
    yield Figure(
        "verify.attack_memory", most, "MiB", ceiling=400, note="added at the peak; but for 2 GB files"
    )
    huge = [outcome for case, outcome in outcomes.values() if case.size]
    seconds, mebibytes = max(o.seconds for o in huge), max(o.mebibytes for o in huge)
    note = f"processor time; {mebibytes} MiB added at the peak"
    yield Figure("verify.attack_2gb", seconds, "s", ceiling=30, note=note)


def _mutations(kit: Kit) -> Iterator[Figure]:
    counts: Counter[str] = Counter()
    channels: Counter[str] = Counter()
    for kind, mime in (("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")):
        signed = sign(picture(kind, side=24), kit.leaf, mime=mime)
        rng = random.Random(f"mutations of {kind}")
        for _ in range(MUTATIONS // 3 + 1):
            outcome = mutate(signed, Mutant(rng.randrange(len(signed)), rng.randrange(1, 256)), kit.trust)
            counts[outcome.kind] += 1
            channels[outcome.channel] += outcome.kind == "unsigned"
    named = ", ".join(f"{name} {count}" for name, count in channels.most_common() if count)
    yield Figure("verify.mutations", counts.total(), "files", floor=MUTATIONS, note=f"unsigned: {named}")
    yield Figure("verify.mutations_accepted", counts["accepted"], "files", ceiling=0)


def measure() -> Iterator[Figure]:
    """All figures, with keys and ledger of their own."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["ASSAY_HOME"] = f"{name}/home"
        kit = Kit(Path(name))
        for figures in (
            _published(name),
            _corpus(),
            _attacks(Path(name), kit),
            _mutations(kit),
            overhead(Path(name), kit),
            throughput(Path(name), kit),
            memory(Path(name), kit),
        ):
            yield from figures


def _published(name: str) -> Iterator[Figure]:
    """Cold start and rubric on what we publish ourselves."""
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
