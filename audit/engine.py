"""Runs a room over a collection in batches: resumable, in this process or in worker processes.

One image that breaks a measurement gets a row of status `error` with the reason; it never stops the others.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tqdm import tqdm

from audit.collection import Item
from audit.evidence import Evidence, Status
from audit.run import RunDirectory
from generator.errors import AssayError, DiskFullError

_LOG = logging.getLogger("assay")

Measure = Callable[[Sequence[Item]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Module:
    """A room as the engine sees it.

    Attributes:
        name: of its table and of its evidence file.
        title: for humans.
        measure: items -> rows; every row has image_id, status and reason. Picklable when `parallel`.
        summarise: (rows of the table, images table) -> evidence about the whole run.
        batch: items measured and committed together.
        parallel: measure in worker processes, one a core.
    """

    name: str
    title: str
    measure: Measure
    summarise: Callable[[pd.DataFrame, pd.DataFrame], Evidence]
    batch: int = 32
    parallel: bool = False


def progress(total: int, *, label: str, done: int = 0) -> tqdm[Any]:
    """A progress bar on stderr: live on a terminal, a line now and then elsewhere."""
    live = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=done,
        desc=label,
        file=sys.stderr,
        unit="img",
        mininterval=0.2 if live else 10.0,
        ascii=not live,
        dynamic_ncols=live,
        leave=True,
    )


def unreadable_row(item: Item) -> dict[str, Any]:
    """The row of an item that has no pixels."""
    return {"image_id": item.image_id, "status": str(Status.ERROR), "reason": item.reason}


def _measure_one(measure: Measure, item: Item) -> list[dict[str, Any]]:
    try:
        return measure([item])
    except (DiskFullError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - the batch loop turns anything into a row of status error
        if not isinstance(error, AssayError):
            _LOG.debug("%s: %s", item.path, traceback.format_exc())
        reason = f"{type(error).__name__}: {error}"
        return [{"image_id": item.image_id, "status": str(Status.ERROR), "reason": reason}]


def measure_batch(measure: Measure, items: Sequence[Item]) -> list[dict[str, Any]]:
    """Measure a batch; when that raises, item by item, so that only the broken one is lost."""
    try:
        return measure(items)
    except (DiskFullError, KeyboardInterrupt):
        raise
    except Exception:  # noqa: BLE001 - see _measure_one
        return [row for item in items for row in _measure_one(measure, item)]


def _single_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def _results(
    module: Module, batches: Sequence[Sequence[Item]], *, workers: int
) -> Iterator[list[dict[str, Any]]]:
    if not module.parallel or workers < 2 or len(batches) < 2:
        for batch in batches:
            yield measure_batch(module.measure, batch)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_single_thread) as pool:
        yield from pool.map(measure_batch, [module.measure] * len(batches), batches)


def audit(
    module: Module, run: RunDirectory, items: Sequence[Item], *, workers: int | None = None
) -> Evidence:
    """Measure what is not measured yet, finish the table, and write and return the room's evidence.

    Args:
        module: the room.
        run: where rows and evidence go; images already in the table are not measured again.
        items: the collection; items without pixels get a row that says why, except in `provenance`, which
            judges any file.
        workers: processes for a parallel room; default: the number of cores.
    """
    started = time.monotonic()
    done = run.done(module.name)
    waiting = [item for item in items if item.image_id not in done]
    if module.name != "provenance":
        run.append(module.name, [unreadable_row(item) for item in waiting if not item.readable])
        waiting = [item for item in waiting if item.readable]
    batches = [waiting[start : start + module.batch] for start in range(0, len(waiting), module.batch)]
    with progress(len(items), label=module.title, done=len(items) - len(waiting)) as bar:
        cores = workers if workers is not None else (os.cpu_count() or 1)
        for batch, rows in zip(batches, _results(module, batches, workers=cores), strict=True):
            run.append(module.name, rows)
            bar.update(len(batch))
    table = run.finish_table(module.name, order=[item.image_id for item in items])
    evidence = module.summarise(table, run.rows("images"))
    run.write_evidence(evidence, room=module.name)
    run.finish_stage(module.name, seconds=time.monotonic() - started)
    return evidence
