"""The watermark: survival, strength, cost, false positives, forgery, and the same for other tools.

    python -m benchmarks.watermark [--json] [--quick] [--images N] [--no-peers] [--photographs FOLDER]
        [--parts FOLDER] [--only NAME ...] [--any-code] [--pareto FILE]

All figures are measured here except the one marked as published. Times are CPU time of one core. The whole takes some
twenty minutes; with --parts every finished part is kept and the next run goes on where this one ended.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2

from audit.memory import keep_memory
from benchmarks.attacks import Pixels
from benchmarks.document import Figure, print_figures
from benchmarks.watermark_averaging import measure_averaging
from benchmarks.watermark_content import measure_content
from benchmarks.watermark_null import measure_false_positives, measure_tail
from benchmarks.watermark_pareto import draw_pareto
from benchmarks.watermark_parts import Done, Findings, Part, run_part
from benchmarks.watermark_peers import PEERS, TRUSTMARK_PUBLISHED, Peer, missing_packages
from benchmarks.watermark_pictures import (
    PHOTOGRAPHS,
    draw_portraits,
    list_photographs,
    load_photographs,
)
from benchmarks.watermark_survival import measure_survival
from benchmarks.watermark_tables import GRID, TABLES, Table
from benchmarks.watermark_times import LARGE_SIDE, measure_large, measure_times
from generator.marking.watermark.interface import Search
from generator.marking.watermark.registry import DEFAULT

_PEER_SIDE = 512  # px
_PSNR = 44.5  # dB
_AVERAGED, _VICTIMS = 60, 10
_SEED = 20_261_124
_DECODES: dict[Search, int] = {"quick": 20_000, "full": 4_000}
_QUICK_DECODES: dict[Search, int] = {"quick": 1500, "full": 20}
_TAIL_TESTS = 80_000


def list_parts(options: argparse.Namespace) -> Iterator[Part]:
    """All parts, in the order of the document."""

    def pictures(side: int, count: int) -> Iterator[Pixels]:
        if side == 256:
            return draw_portraits(count)
        return load_photographs(options.photographs, side=side, count=count)

    def table(table: Table) -> Findings:
        entry = measure_survival(
            table.contender(), pictures(table.side, options.images), attacks=table.attacks
        )
        return Findings(tuple(table.figures(entry)), (entry,))

    def times(side: int) -> Findings:
        return Findings(tuple(measure_times(list(pictures(side, min(options.images, 8))))))

    def null(search: Search) -> Findings:
        count = (_QUICK_DECODES if options.quick else _DECODES)[search]
        return Findings(
            tuple(
                measure_false_positives(DEFAULT, options.photographs, search=search, count=count, seed=_SEED)
            )
        )

    def tail() -> Findings:
        count = 4 * _QUICK_DECODES["quick"] if options.quick else _TAIL_TESTS
        return Findings(tuple(measure_tail(options.photographs, count=count, seed=_SEED)))

    def averaging() -> Findings:
        averaged, victims = (16, 4) if options.quick else (_AVERAGED, _VICTIMS)
        many = list(pictures(512, averaged + victims))
        return Findings(tuple(measure_averaging(DEFAULT, many, victims=victims, psnr=_PSNR)))

    def content() -> Findings:
        return Findings(tuple(measure_content(list(pictures(512, max(2, options.images))), psnr=_PSNR)))

    def peer(other: Peer) -> Findings:
        few = pictures(_PEER_SIDE, min(options.images, other.most_pictures))
        entry = measure_survival(other.contender, few, attacks=GRID)
        return Findings(entries=(entry,))

    yield Part("times.512px", partial(times, 512))
    yield Part("times.1024px", partial(times, 1024))
    for one in TABLES:
        yield Part(f"survival.{one.name}", partial(table, one))
    for search in _DECODES:
        yield Part(f"null.{search}", partial(null, search))
    yield Part("null.tail", tail)
    yield Part("averaging", averaging)
    yield Part("content", content)
    if not options.quick:
        yield Part("large", lambda: Findings(tuple(measure_large(LARGE_SIDE))))
    for other in [] if options.no_peers else _usable_peers():
        yield Part(f"peer.{other.contender.name}", partial(peer, other))


def _usable_peers() -> Iterator[Peer]:
    for peer in PEERS:
        if missing_packages(peer):
            continue
        peer.prepare()
        yield peer


class Benchmark:
    """One run: the figures of all its parts, and what goes beside them."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.done: list[Done] = []
        self.peers: list[dict[str, object]] = []

    def figures(self) -> Iterator[Figure]:
        """All figures, each part's as soon as it is measured."""
        deciding = {"images": self.options.images, "quick": self.options.quick}
        for part in list_parts(self.options):
            if self.options.only and not any(part.name.startswith(name) for name in self.options.only):
                continue
            done = run_part(part, folder=self.options.parts, options=deciding, any_code=self.options.any_code)
            self.done.append(done)
            yield from done.findings.figures
            if not self.options.json:
                print(f"     {part.name}: {done.cpu_seconds:.0f} CPU seconds, code {done.code}", flush=True)
        yield Figure("cost.cpu", sum(done.cpu_seconds for done in self.done), "s", note="all parts together")
        entries = [entry for done in self.done for entry in done.findings.entries]
        self.peers += [entry.to_json() for entry in entries if not entry.name.startswith("ours")]
        if not self.options.no_peers:
            for peer in PEERS:
                if missing := missing_packages(peer):
                    self.peers.append({"name": peer.contender.name, "not_run": f"needs {', '.join(missing)}"})
            self.peers.append(TRUSTMARK_PUBLISHED)
        if self.options.pareto and entries:
            draw_pareto(entries, self.options.pareto)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watermark")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--quick", action="store_true", help="few pictures and decodes: minutes, not a result"
    )
    parser.add_argument("--images", type=int, metavar="N", help="pictures per table (default 24, quick 4)")
    parser.add_argument("--no-peers", action="store_true", help="leave the other tools out")
    parser.add_argument(
        "--photographs", type=Path, default=PHOTOGRAPHS, metavar="FOLDER", help="where they are"
    )
    parser.add_argument(
        "--parts", type=Path, metavar="FOLDER", help="keep finished parts here, and go on from them"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="parts whose names begin so, such as times or survival.512px",
    )
    parser.add_argument(
        "--any-code", action="store_true", help="take finished parts although the code has changed since"
    )
    parser.add_argument(
        "--pareto", type=Path, metavar="FILE", help="also draw cost and strength against survival, SVG"
    )
    options = parser.parse_args()
    if options.images is None:
        options.images = 4 if options.quick else 24
    if options.images < 1:
        parser.error("--images: expected at least 1")
    if not list_photographs(options.photographs):
        parser.error(f"--photographs {options.photographs}: no pictures there; give a folder of photographs")
    return options


def main() -> int:
    """Run everything; exit code 1 when a floor is missed."""
    options = _options()
    cv2.setNumThreads(1)
    keep_memory()  # as the command does
    benchmark = Benchmark(options)
    code = print_figures("watermark", benchmark.figures(), as_json=options.json, peers=benchmark.peers)
    if not options.json:
        for peer in benchmark.peers:
            print(peer)
    return code


if __name__ == "__main__":
    sys.exit(main())
