"""Energy that making an image took: measured by the processor's own counter, else estimated, else not claimed.

RAPL counts what the processor packages drew, for every process on the machine; most systems let only the
administrator read it. The estimate multiplies this process's CPU seconds with the watts of a busy core, as the
machine's owner states them (`ASSAY_CORE_WATTS`) or else as assumed here; an accelerator is in neither figure. A
figure always carries how it came about, in words that go into the manifest.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from generator.errors import InputError

WATTS = "ASSAY_CORE_WATTS"
"""Environment variable: what one busy core of this machine draws, W; 0: nothing is estimated."""

ASSUMED_WATTS = 10.0
"""Taken where nobody stated any: processors of servers and desktops share 65 to 350 W among 8 to 64 cores."""

RAPL = Path("/sys/class/powercap")
_JOULES_PER_KWH = 3.6e6
_MICRO = 1e-6  # the counter counts microjoules


@dataclass(frozen=True, slots=True)
class Energy:
    """An amount of energy.

    Attributes:
        kwh: kilowatt hours, > 0.
        method: how it was measured or estimated, a complete phrase.
        is_measured: False for an estimate.
    """

    kwh: float
    method: str
    is_measured: bool

    def share(self, parts: int) -> Energy:
        """The equal share of one of `parts` images that were made together."""
        if parts == 1:
            return self
        return Energy(self.kwh / parts, f"{self.method}; equal share of {parts} images", self.is_measured)


@dataclass(slots=True)
class Meter:
    """What a context of `measure_energy` found; filled when the context ends.

    Attributes:
        energy: None while it runs, and when nothing could be measured or estimated.
        reason: why there is none.
    """

    energy: Energy | None = None
    reason: str = field(default="still running")


@dataclass(frozen=True, slots=True)
class CoreWatts:
    """What one busy core draws.

    Attributes:
        watts: W, >= 0.
        is_stated: whether the machine's owner said so.
    """

    watts: float
    is_stated: bool = True


def core_watts() -> CoreWatts:
    """What the owner states, else what is assumed.

    Raises:
        InputError: the environment variable holds no such number.
    """
    text = os.environ.get(WATTS, "")
    if not text:
        return CoreWatts(ASSUMED_WATTS, is_stated=False)
    try:
        watts = float(text)
    except ValueError:
        watts = -1
    if not 0 <= watts < 10_000:  # also refuses nan
        raise InputError(f"{WATTS}={text}: expected watts of one busy core, e.g. 8.5; 0 makes no estimate")
    return CoreWatts(watts)


@contextlib.contextmanager
def measure_energy(*, watts: CoreWatts | None = None, counters: Path = RAPL) -> Iterator[Meter]:
    """Measure the energy that the enclosed work takes.

    Args:
        watts: what one busy core of this machine draws, for an estimate where the processor's counter cannot be read.
            None, or 0 W: no estimate is made.
        counters: folder of the kernel's power capping interface.
    """
    meter = Meter()
    before, started = _read_counters(counters), time.process_time()
    yield meter
    after, seconds = _read_counters(counters), time.process_time() - started
    joules = sum(
        (end - before[name][0]) % (limit + 1) for name, (end, limit) in after.items() if name in before
    )
    if joules:
        method = "measured by the processor's RAPL counters, which count the whole machine's processors"
        meter.energy = Energy(joules * _MICRO / _JOULES_PER_KWH, method, is_measured=True)
    elif watts is not None and watts.watts * seconds > 0:
        how = "a stated" if watts.is_stated else "an assumed"
        method = (
            f"estimated, not measured: {seconds:.3g} CPU seconds at {how} {watts.watts:g} W per busy core"
        )
        meter.energy = Energy(seconds * watts.watts / _JOULES_PER_KWH, method, is_measured=False)
    meter.reason = (
        "" if meter.energy else "the processor's energy counter cannot be read and no watts were stated"
    )


def _read_counters(folder: Path) -> dict[str, tuple[int, int]]:
    """Package -> (count, highest count), microjoules; empty where the counters cannot be read."""
    found = {}
    for package in sorted(folder.glob("intel-rapl:?")):
        try:
            count = int((package / "energy_uj").read_text())
            found[package.name] = (count, int((package / "max_energy_range_uj").read_text()))
        except (OSError, ValueError):
            continue
    return found
