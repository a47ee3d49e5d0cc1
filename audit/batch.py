"""Judge many files: in this process or in several, in the order of the inputs, with memory that does not grow.

One file that breaks its judge never stops the others: an exception becomes a record of status `error`, and so does
the death of the whole process (a native library may crash on a hostile file).
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any

from audit.evidence import Check, Evidence, Status
from audit.inputs import Source
from audit.memory import keep_memory
from audit.provenance.text import clean_text
from generator.errors import AssayError

_LOG = logging.getLogger("assay")
_CHUNK = 16  # sources handed to a process at a time
_AHEAD = 3  # chunks waiting for each process
_MAX_NAME = 4_096  # characters of a path

Judge = Callable[[Source], Evidence]


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged source.

    Attributes:
        name: of the source.
        status: of its evidence.
        word: the overall word.
        line: the whole record as one line of JSON, without a line end.
    """

    name: str
    status: Status
    word: str
    line: str

    def record(self) -> dict[str, Any]:
        """The record: path, verdict and evidence."""
        content: dict[str, Any] = json.loads(self.line)
        return content


def to_record(name: str, evidence: Evidence) -> dict[str, Any]:
    """One asset as JSON: its file, the overall word and the evidence."""
    path = clean_text(name, limit=_MAX_NAME)
    return {"path": path, "verdict": evidence.find("verdict").value, **evidence.to_json()}


def unreadable(name: str, problem: str) -> Evidence:
    """Evidence about something that could not be opened."""
    reason = f"The file could not be judged: it {problem}."
    checks = (
        Check("verdict", Status.ERROR, reason, value="could not check", source="audit.batch"),
        Check("c2pa.integrity", Status.ERROR, reason, value="unreadable", source="audit.batch"),
    )
    return Evidence(clean_text(name.rpartition("/")[2], limit=255), checks)


def judge_one(source: Source, judge: Judge) -> Judged:
    """Judge one source; whatever happens becomes a record."""
    try:
        evidence = unreadable(source.name, source.problem) if source.problem else judge(source)
    except Exception as error:  # noqa: BLE001 - the batch loop turns anything into a record of status error
        if not isinstance(error, AssayError):
            _LOG.debug("%s: %s", source.name, traceback.format_exc())
        said = clean_text(error, limit=300)
        evidence = unreadable(source.name, f"made the check fail ({type(error).__name__}: {said})")
    finally:
        if source.is_temporary:
            source.path.unlink(missing_ok=True)
    line = json.dumps(to_record(source.name, evidence))
    return Judged(source.name, evidence.status, str(evidence.find("verdict").value), line)


def _judge_chunk(sources: Sequence[Source], judge: Judge) -> list[Judged]:
    return [judge_one(source, judge) for source in sources]


def judge_all(sources: Iterable[Source], judge: Judge, *, jobs: int = 1) -> Iterator[Judged]:
    """Judge every source, in order.

    Args:
        sources: consumed only as far ahead as the processes need.
        judge: source -> evidence; picklable when `jobs` is more than 1.
        jobs: processes; 1: this one.
    """
    if jobs < 2:
        yield from (judge_one(source, judge) for source in sources)
        return
    chunks = _chunks(sources)
    waiting: deque[list[Source]] = deque()  # submitted or to be submitted again, in order
    exhausted = False
    while not exhausted:
        try:
            with _pool(jobs) as pool:
                futures: deque[Future[list[Judged]]] = deque(
                    pool.submit(_judge_chunk, chunk, judge) for chunk in waiting
                )
                while True:
                    for chunk in islice(chunks, jobs * _AHEAD - len(futures)):
                        waiting.append(chunk)
                        futures.append(pool.submit(_judge_chunk, chunk, judge))
                    if not futures:
                        exhausted = True
                        break
                    judged = futures.popleft().result()
                    waiting.popleft()
                    yield from judged
        except BrokenProcessPool:
            for source in waiting.popleft():
                yield _judge_apart(source, judge)


def _judge_apart(source: Source, judge: Judge) -> Judged:
    """Judge one source in a process of its own, which it may take down."""
    if (
        source.is_temporary and not source.path.exists()
    ):  # judged before the process died, its answer was lost
        return judge_one(
            Source(source.name, source.path, "was lost when another file ended the process"), judge
        )
    try:
        with _pool(1) as pool:
            return pool.submit(judge_one, source, judge).result()
    except BrokenProcessPool:
        return judge_one(
            Source(source.name, source.path, "ended the process that read it", source.is_temporary), judge
        )


def _chunks(sources: Iterable[Source]) -> Iterator[list[Source]]:
    iterator = iter(sources)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _pool(jobs: int) -> ProcessPoolExecutor:
    """Worker processes; a fork starts at once but must not copy other threads' locks, so only a lone thread forks."""
    can_fork = "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
    method = "fork" if can_fork else "spawn"
    return ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context(method), initializer=_prepare_worker
    )


def _prepare_worker() -> None:
    """One thread, and memory kept from file to file."""
    os.environ["OMP_NUM_THREADS"] = "1"
    keep_memory()
