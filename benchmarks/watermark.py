"""The watermark: survival, strength, cost, false positives, forgery, and the same for other tools.

    python -m benchmarks.watermark [--json] [--quick] [--images N] [--no-peers] [--photographs FOLDER] [--pareto FILE]

All figures are measured here except the one marked as published. Times are CPU time of one core.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from audit.statistics import clopper_pearson
from benchmarks import attacks
from benchmarks.attacks import Pixels
from benchmarks.document import Figure, print_figures
from benchmarks.watermark_averaging import measure_averaging
from benchmarks.watermark_null import measure_null
from benchmarks.watermark_pareto import draw_pareto
from benchmarks.watermark_peers import TRUSTMARK_PUBLISHED, installed_peers
from benchmarks.watermark_pictures import PHOTOGRAPHS, draw_portraits, list_photographs, load_photographs
from benchmarks.watermark_survival import Registered, Survival, measure_survival
from generator.marking.watermark.interface import Search
from generator.marking.watermark.keys import WatermarkKey
from generator.marking.watermark.registry import DEFAULT

GRID = (*attacks.COMMON, *attacks.STRONG, *attacks.HARD, *attacks.BENT)
FLOORS_512 = {
    **dict.fromkeys(attacks.COMMON, 0.98),
    **dict.fromkeys(attacks.STRONG, 0.95),
    **dict.fromkeys(attacks.HARD, 0.85),
    **dict.fromkeys(attacks.BENT, 0.70),
}
_LARGE = {**dict.fromkeys(attacks.HEAVY, 0.9), **dict.fromkeys(attacks.STACKED, 0.7)}
FLOORS_1024 = {**dict.fromkeys(GRID, 0.98), **_LARGE}
FLOORS_1024_46 = {**dict.fromkeys(GRID, 0.95), **_LARGE}
FLOORS_256 = dict.fromkeys(("none", "jpeg75", "resize3/4", "crop90", "flip"), 0.95)
_GEOMETRIC = ("rotation5", "rotation30", "crop75_restored", "screenshot")  # for the time of a real search
_PEER_SIDE = 512  # px
_AVERAGED, _VICTIMS = 60, 10
_SEED = 20_261_124


@dataclass(frozen=True)
class Table:
    """One set of pictures at one strength.

    Attributes:
        side: px; 256 are drawings, all others photographs.
        psnr: dB.
        floors: attack -> least share of pictures read.
        attacks: which ones.
    """

    side: int
    psnr: float
    floors: dict[str, float]
    attacks: Sequence[str]

    @property
    def name(self) -> str:
        """For the figures' names."""
        return f"{self.side}px.{self.psnr:g}dB"


TABLES = (
    Table(512, 44, FLOORS_512, GRID),
    Table(512, 46, {}, GRID),
    Table(1024, 44, FLOORS_1024, tuple(FLOORS_1024)),
    Table(1024, 46, FLOORS_1024_46, tuple(FLOORS_1024)),
    Table(256, 42, FLOORS_256, GRID),
)
_EMBED_MS = {512: 5.0, 1024: 20.0}
_UNMARKED_MS: dict[Search, float] = {"quick": 15.0, "full": 250.0}
_READ_MS = {512: 60.0, 1024: 100.0}


@dataclass
class Benchmark:
    """One run: its options, and what it has found so far."""

    options: argparse.Namespace
    entries: list[Survival]
    peers: list[dict[str, object]]

    def figures(self) -> Iterator[Figure]:
        """All figures, each as soon as it is measured."""
        for table in TABLES:
            yield from self._table(table)
        yield from self._unmarked_times()
        quick, full = (1500, 20) if self.options.quick else (20_000, 1000)
        yield from measure_null(DEFAULT, self.options.photographs, quick=quick, full=full, seed=_SEED)
        averaged, victims = (16, 4) if self.options.quick else (_AVERAGED, _VICTIMS)
        pictures = list(load_photographs(self.options.photographs, side=512, count=averaged + victims))
        yield from measure_averaging(DEFAULT, pictures, victims=victims, psnr=44)
        if not self.options.no_peers:
            self._measure_peers()
        if self.options.pareto:
            draw_pareto(self.entries, self.options.pareto)

    def _pictures(self, side: int, count: int) -> Iterator[Pixels]:
        if side == 256:
            return draw_portraits(count)
        return load_photographs(self.options.photographs, side=side, count=count)

    def _table(self, table: Table) -> Iterator[Figure]:
        pictures = self._pictures(table.side, self.options.images)
        contender = Registered(DEFAULT, table.psnr, name=f"ours, {table.psnr:g} dB")
        entry = measure_survival(contender, pictures, attacks=table.attacks)
        self.entries.append(entry)
        note = f"mean of {entry.pictures} pictures, {entry.refused} refused"
        yield Figure(f"{table.name}.psnr", entry.psnr, "dB", floor=table.psnr, note=note)
        ssim_floor = 0.988 if (table.side, table.psnr) == (512, 44) else None
        yield Figure(f"{table.name}.ssim", entry.ssim, "", floor=ssim_floor, note=note)
        for name, read in entry.read.items():
            yield Figure(
                f"{table.name}.{name}",
                read / entry.pictures,
                "share",
                floor=table.floors.get(name),
                interval=clopper_pearson(read, entry.pictures),
            )
        if table.side in _EMBED_MS and table.psnr == 44:
            yield from self._times(table, entry)

    def _times(self, table: Table, entry: Survival) -> Iterator[Figure]:
        geometric = statistics.median(entry.read_ms[name] for name in _GEOMETRIC)
        times = (
            ("embed", entry.embed_ms, _EMBED_MS[table.side]),
            ("read_untouched", entry.read_ms["none"], 15.0),
            ("read_geometric", geometric, _READ_MS[table.side]),
        )
        for name, value, ceiling in times:
            yield Figure(f"time.{table.side}px.{name}", value, "ms", ceiling=ceiling, note="CPU, median")

    def _unmarked_times(self) -> Iterator[Figure]:
        for side in (512, 1024):
            pictures = list(self._pictures(side, min(self.options.images, 8)))
            for search, ceiling in _UNMARKED_MS.items():
                value = statistics.median(_read_ms(pixels, search) for pixels in pictures)
                name = f"time.{side}px.unmarked_{search}"
                yield Figure(name, value, "ms", ceiling=ceiling, note="CPU, median")

    def _measure_peers(self) -> None:
        for peer in installed_peers():
            count = min(self.options.images, peer.most_pictures)
            entry = measure_survival(peer.contender, self._pictures(_PEER_SIDE, count), attacks=GRID)
            self.entries.append(entry)
            self.peers.append({**entry.to_json(), "bits": peer.contender.bits})
        self.peers.append(TRUSTMARK_PUBLISHED)


def _read_ms(pixels: Pixels, search: Search) -> float:
    started = time.process_time()
    DEFAULT.detect(pixels, key=WatermarkKey(bytes(32)), search=search)
    return 1000 * (time.process_time() - started)


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
    benchmark = Benchmark(options, entries=[], peers=[])
    code = print_figures("watermark", benchmark.figures(), as_json=options.json, peers=benchmark.peers)
    if not options.json:
        for peer in benchmark.peers:
            print(peer)
    return code


if __name__ == "__main__":
    sys.exit(main())
