"""How fast and how large verification of many files is, beside the engines that it stands on and competes with.

Peers are measured interleaved, on the same files; each number is a median of several rounds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import c2pa

from audit.batch import judge_all
from audit.inputs import Source
from audit.provenance.gather import Setup, examine
from audit.provenance.read import build_context
from audit.provenance.trust import TrustLists
from audit.provenance.verdict import judge
from audit.verification import Verification
from benchmarks.attack_case import Kit
from benchmarks.document import Figure
from benchmarks.forgeries import picture, sign
from generator.marking.identity import assay_home
from generator.marking.watermark.keys import KEY_FILE, load_or_create_key

FILES = 2_000
DISTINCT = 40  # different pictures; the others are further names of them
SIDE = 1024  # px
ROUNDS = 3
MARKED = 8  # files for the modes that look for the watermark
SMALL, LARGE = 1_000, 20_000  # files of the memory figure


def make_files(
    folder: Path, kit: Kit, count: int, *, side: int = SIDE, distinct: int = DISTINCT
) -> list[Path]:
    """Mixed files: signed PNG, JPEG and WebP, one in ten changed after signing, one in ten never signed."""
    originals = [_content(number, kit, side) for number in range(distinct)]
    folder.mkdir(parents=True)
    paths: list[Path] = []
    for number in range(count):
        suffix, data = originals[number % distinct]
        path = folder / f"{number:06d}.{suffix}"
        if number < distinct:
            path.write_bytes(data)
        else:
            os.link(paths[number % distinct], path)
        paths.append(path)
    return paths


def _content(number: int, kit: Kit, side: int) -> tuple[str, bytes]:
    suffix, kind, mime = (
        ("png", "PNG", "image/png"),
        ("jpg", "JPEG", "image/jpeg"),
        ("webp", "WEBP", "image/webp"),
    )[number % 3]
    plain = picture(kind, seed=number, side=side, **({} if kind == "PNG" else {"quality": 80}))
    if number % 10 == 9:
        return suffix, plain
    signed = sign(plain, kit.leaf, mime=mime)
    return suffix, signed + b"x" if number % 10 == 4 else signed


def read_state(path: Path, context: c2pa.Context) -> str:
    """The least that a program on c2pa-python can do with a file."""
    try:
        with c2pa.Reader(str(path), context=context) as reader:
            return str(reader.get_validation_state())
    except c2pa.C2paError:
        return ""


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """By the wall, and of processors: of this process and of the workers that the work starts and ends."""
    before, started = os.times(), time.perf_counter()
    work()
    wall, after = time.perf_counter() - started, os.times()
    return wall, sum(after[:4]) - sum(before[:4])  # user and system, own and of ended children


def _medians(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds of each, see `_seconds`; medians over interleaved rounds."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(_seconds(work))
    columns = {name: tuple(zip(*pairs, strict=True)) for name, pairs in taken.items()}
    return {name: (statistics.median(wall), statistics.median(cpu)) for name, (wall, cpu) in columns.items()}


def _encypher(paths: Sequence[Path], trust: TrustLists) -> Callable[[], object] | None:
    os.environ["ENCYPHER_C2PA_TELEMETRY"] = "off"
    try:
        import encypher_c2pa
    except ImportError:
        return None
    anchors = "".join(trust.signers)

    def work() -> None:
        for path in paths:
            encypher_c2pa.verify(path, trust_pem=anchors, no_default_trust=True, online=False)

    return work


def throughput(folder: Path, kit: Kit) -> Iterator[Figure]:
    """All files in one run, against loops over the peers."""
    paths = make_files(folder / "mixed", kit, FILES)
    setup = Setup(trust=kit.trust, search="off")
    context = build_context(kit.trust)
    jobs = os.cpu_count() or 1

    def ours() -> None:
        sources = (Source(str(path), path) for path in paths)
        assert sum(1 for _ in judge_all(sources, Verification(setup), jobs=jobs)) == len(paths)

    works: dict[str, Callable[[], object]] = {
        "ours": ours,
        "c2pa_python": lambda: [read_state(path, context) for path in paths],
    }
    encypher = _encypher(paths, kit.trust)
    if encypher is not None:
        works["encypher"] = encypher
    taken = _medians(works, ROUNDS)
    rates = {name: FILES / wall for name, (wall, _) in taken.items()}
    for name, (_, processor) in taken.items():
        note = f"{1e3 * processor / FILES:.2f} ms of processor time a file; medians of {ROUNDS}"
        note += f"; {jobs} processes" if name == "ours" else "; one process"
        yield Figure(f"verify.rate_{name}", rates[name], "files/s", note=note)
    yield Figure("verify.faster_than_c2pa_python", rates["ours"] / rates["c2pa_python"], "x", floor=1.6)
    if "encypher" in rates:
        yield Figure("verify.faster_than_encypher", rates["ours"] / rates["encypher"], "x", floor=1.5)
    yield from _marked(paths, setup)


def _key_file() -> Path:
    """The watermark key of the benchmark's own home, made when it is not there."""
    load_or_create_key(assay_home())
    return assay_home() / KEY_FILE


def _marked(paths: Sequence[Path], setup: Setup) -> Iterator[Figure]:
    """Modes that look for the watermark, stated beside; the key is made by the caller's home."""
    for search in ("quick", "full"):
        verification = Verification(replace(setup, search=search, key_file=_key_file()))
        few = paths[:MARKED]
        seconds, _ = _seconds(lambda: [verification(Source(str(path), path)) for path in few])  # noqa: B023
        yield Figure(
            f"verify.rate_{search}", len(few) / seconds, "files/s", note=f"{MARKED} files, one process"
        )


def overhead(folder: Path, kit: Kit) -> Iterator[Figure]:
    """Processor time of our verdict over that of reading the state alone, file by file and interleaved."""
    setup, context = Setup(trust=kit.trust, search="off"), build_context(kit.trust)
    works: dict[str, Callable[[Path], object]] = {
        "bare": lambda path: read_state(path, context),
        "ours": lambda path: judge(examine(path, setup, with_crjson=False)),
    }
    for side in (SIDE, SIDE // 2):
        paths = make_files(folder / f"overhead{side}", kit, 120, side=side)
        taken = dict.fromkeys(works, 0.0)
        for number, path in enumerate(paths * ROUNDS):
            for name in (("bare", "ours"), ("ours", "bare"))[number % 2]:
                started = time.thread_time()
                works[name](path)
                taken[name] += time.thread_time() - started
        growth = 100 * (taken["ours"] / taken["bare"] - 1)
        note = f"processor time, 120 mixed files of {side} px"
        yield Figure(f"verify.overhead_{side}", growth, "%", ceiling=25, note=note)


_CHILD = """
import resource, sys
from audit.cli.main import main
main(["verify", sys.argv[1], "--watermark", "off", "--out", sys.argv[2]])
who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
sys.stderr.write("peak " + " ".join(str(resource.getrusage(w).ru_maxrss) for w in who))
"""


def memory(folder: Path, kit: Kit) -> Iterator[Figure]:
    """Peak memory of `assay verify FOLDER --out FILE`: its own, and that of the largest of its workers."""
    peaks: dict[int, tuple[float, ...]] = {}
    for count in (SMALL, LARGE):
        files = folder / f"memory{count}"
        make_files(files, kit, count, side=48)
        command = [sys.executable, "-c", _CHILD, str(files), str(folder / f"{count}.jsonl")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[count] = tuple(int(word) / 1024 for word in done.stderr.rpartition("peak ")[2].split())
    for who, small, large in zip(("parent", "worker"), peaks[SMALL], peaks[LARGE], strict=True):
        note = f"{small:.0f} MiB at {SMALL} files, {large:.0f} MiB at {LARGE}"
        yield Figure(f"verify.memory_growth_{who}", 100 * (large / small - 1), "%", ceiling=15, note=note)
