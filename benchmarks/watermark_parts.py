"""A long benchmark in parts: each is measured once and kept as a JSON file, so that a run can be taken up again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from audit.evidence import Interval
from benchmarks.document import Figure, describe_machine
from benchmarks.watermark_survival import Survival

_ROOT = Path(__file__).resolve().parents[1]
_CODE = ("generator/marking/watermark/*.py", "benchmarks/watermark*.py", "benchmarks/attacks.py")


@dataclass(frozen=True)
class Findings:
    """What one part found.

    Attributes:
        figures: with their bounds.
        entries: survival of schemes, for the pictures of the trade.
    """

    figures: tuple[Figure, ...] = ()
    entries: tuple[Survival, ...] = ()


@dataclass(frozen=True)
class Part:
    """One piece of a benchmark.

    Attributes:
        name: of its file.
        measure: takes minutes; must not depend on other parts.
    """

    name: str
    measure: Callable[[], Findings]


@dataclass(frozen=True)
class Done:
    """A part that was measured, now or before.

    Attributes:
        name: of the part.
        findings: what it found.
        cpu_seconds: of this process.
        machine: at that time.
        code: digest of the code that was measured.
    """

    name: str
    findings: Findings
    cpu_seconds: float
    machine: Mapping[str, object]
    code: str


def digest_code() -> str:
    """Digest of the code that decides the figures, 16 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=8)
    for pattern in _CODE:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def run_part(part: Part, *, folder: Path | None, options: Mapping[str, object], any_code: bool) -> Done:
    """Take a part from its file, or measure it and write that file.

    Args:
        part: to be run.
        folder: of part files; None keeps nothing.
        options: that decide the figures; a file made with others is measured anew.
        any_code: take a file also when the code has changed since (the document then says so).
    """
    path = folder / f"{part.name}.json" if folder else None
    code = digest_code()
    if path and path.exists():
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["options"] == dict(options) and (any_code or record["code"] == code):
            return _read(record)
    machine = describe_machine()
    started = time.process_time()
    findings = part.measure()
    done = Done(part.name, findings, time.process_time() - started, machine, code)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(_to_json(done, options), indent=1), encoding="utf-8")
        partial.replace(path)
    return done


def _to_json(done: Done, options: Mapping[str, object]) -> dict[str, object]:
    figures = []
    for figure in done.findings.figures:
        interval = figure.interval
        kept = [interval.low, interval.high, interval.level, interval.method] if interval else None
        figures.append({**figure.to_json(), "interval": kept})
    return {
        "part": done.name,
        "options": dict(options),
        "code": done.code,
        "machine": done.machine,
        "cpu_seconds": round(done.cpu_seconds, 1),
        "figures": figures,
        "entries": [entry.to_json() for entry in done.findings.entries],
    }


def _read(record: Mapping[str, object]) -> Done:
    findings = Findings(
        figures=tuple(_read_figure(figure) for figure in _list(record["figures"])),
        entries=tuple(Survival.from_json(entry) for entry in _list(record["entries"])),
    )
    machine = record["machine"]
    assert isinstance(machine, dict)
    return Done(
        str(record["part"]), findings, float(str(record["cpu_seconds"])), machine, str(record["code"])
    )


def _read_figure(record: Mapping[str, object]) -> Figure:
    kept = {key: value for key, value in record.items() if key != "met"}
    interval = kept.pop("interval")
    return Figure(**kept, interval=Interval(*interval) if isinstance(interval, list) else None)  # type: ignore[arg-type]


def _list(value: object) -> Iterable[dict[str, object]]:
    assert isinstance(value, list)
    return value
