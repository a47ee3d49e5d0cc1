"""The one form in which every benchmark prints its figures."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from audit.evidence import Interval


@dataclass(frozen=True)
class Figure:
    """One measured number and what it has to reach.

    Attributes:
        name: dotted.
        value: as measured.
        unit: of value and bound.
        floor: least value allowed; None when there is none.
        ceiling: largest value allowed; None when there is none.
        interval: of the value, when it is an estimate.
        note: how it was measured, in a few words.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    ceiling: float | None = None
    interval: Interval | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the value lies within its bounds."""
        above = self.floor is None or self.value >= self.floor
        return bool(above and (self.ceiling is None or self.value <= self.ceiling))

    def to_json(self) -> dict[str, object]:
        """As one object of the document."""
        interval = [self.interval.low, self.interval.high] if self.interval else None
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "interval": interval,
            "floor": self.floor,
            "ceiling": self.ceiling,
            "met": self.met,
            "note": self.note,
        }


def describe_machine() -> dict[str, object]:
    """Processor, cores, load and versions: a time means little without them."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model
        )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
    }


def _line(figure: Figure) -> str:
    bound = f">= {figure.floor:g}" if figure.floor is not None else ""
    bound += f"<= {figure.ceiling:g}" if figure.ceiling is not None else ""
    interval = f" [{figure.interval.low:.3f}, {figure.interval.high:.3f}]" if figure.interval else ""
    mark = "ok  " if figure.met else "MISS"
    return (
        f"{mark} {figure.name:<44} {figure.value:>10.4g} {figure.unit:<10}{interval} {bound}  {figure.note}"
    )


def run_benchmark(name: str, measure: Callable[[], Iterable[Figure]]) -> int:
    """Measure, print a table (or with --json one document), and return 1 when a bound is missed."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return print_figures(name, measure(), as_json=parser.parse_args().json)


def print_figures(
    name: str, figures: Iterable[Figure], *, as_json: bool, peers: Sequence[Mapping[str, object]] = ()
) -> int:
    """Print figures as they are measured, or with `as_json` one document at the end.

    Args:
        name: of the benchmark.
        figures: measured while they are taken.
        as_json: one JSON document in place of the table.
        peers: what other tools reach; read after the last figure, so that it may grow with them.

    Returns:
        Exit code: 1 when a bound is missed.
    """
    machine = describe_machine()
    measured = []
    for figure in figures:
        measured.append(figure)
        if not as_json:
            print(_line(figure), flush=True)
    if as_json:
        document = {
            "benchmark": name,
            "machine": machine,
            "peers": list(peers),
            "figures": [figure.to_json() for figure in measured],
        }
        print(json.dumps(document, indent=2))
    return 0 if all(figure.met for figure in measured) else 1
