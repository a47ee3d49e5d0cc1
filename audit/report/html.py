"""The HTML report: one self-contained file, readable without a network, a terminal or a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from audit.evidence import Check, Evidence, Status
from audit.report import bias_page, galleries, numbers, rooms, shares, words
from audit.report import flags as flagging
from audit.report.contents import Contents, read_contents, read_table
from audit.report.facts import describe_record, describe_subject
from audit.report.plain import Sentence, summarise_bias
from audit.run import RunDirectory, now, write_atomically
from generator.errors import AssayError

REPORT_FILE = "report.html"
MAX_CHECKS = 400  # rows of one table of checks
_TEMPLATES = Path(__file__).parent / "templates"
_IMAGE_COLUMNS = ("path", "prompt_id", "prompt", *flagging.IMAGE_COLUMNS, "weights_digest")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "provenance": (
        *flagging.PROVENANCE_COLUMNS,
        *words.LAYERS,
        "signer",
        "issuer",
        "development_identity",
        "watermark_log10_p",
    ),
    "bias": shares.COLUMNS,
    "detector": (*flagging.DETECTOR_COLUMNS, "p_synthetic"),
    "similarity": (*flagging.SIMILARITY_COLUMNS, "similarity", "status"),
}

_FIGURES = {
    "provenance": rooms.provenance_figures,
    "detector": rooms.detector_figures,
    "similarity": rooms.similarity_figures,
}


@dataclass(frozen=True)
class RoomPage:
    """One room as the template sees it.

    Attributes:
        name: of the room.
        words: how it is introduced.
        evidence: its checks; None when the room has none.
        missing: why there is nothing, a sentence; "" otherwise.
        headline: what decided its status.
        tally: status -> number of checks.
        checks: findings first, at most MAX_CHECKS.
        content: charts and tables.
        pairs: pictures beside candidates, of the tracing room.
        sentences: the bias room in plain words.
        cells: examples of each reading, of the bias room.
    """

    name: str
    words: words.RoomWords
    evidence: Evidence | None
    missing: str
    headline: str
    tally: Mapping[Status, int]
    checks: list[Check]
    content: rooms.RoomFigures
    pairs: list[galleries.Pair]
    sentences: list[Sentence]
    cells: list[bias_page.Cell]

    @property
    def status(self) -> Status:
        """Of the room; `error` when its checks are not there."""
        return self.evidence.status if self.evidence is not None else Status.ERROR

    @property
    def hidden(self) -> int:
        """Checks that are not shown."""
        return 0 if self.evidence is None else len(self.evidence.checks) - len(self.checks)


@dataclass(frozen=True)
class _Tables:
    """Tables of a run, and why the ones that cannot be read cannot."""

    frames: Mapping[str, pd.DataFrame]
    problems: Mapping[str, str]


def write_report(run: RunDirectory) -> Path:
    """Write `report.html` into the run directory and return its path.

    Raises:
        DiskFullError: no space; an older report is still there.
    """
    path = run.path / REPORT_FILE
    write_atomically(path, render_report(run).encode())
    return path


def render_report(run: RunDirectory) -> str:
    """The report of a run as one HTML document; what is missing or damaged is said in it."""
    contents = read_contents(run.path)
    tables = _read_tables(run.path)
    images = tables.frames["images"]
    flags = flagging.compute_flags(
        images,
        provenance=tables.frames["provenance"],
        detector=tables.frames["detector"],
        similarity=tables.frames["similarity"],
    )
    pages = [_build_page(room, contents, tables) for room in words.ROOMS if room in contents.rooms_planned]
    unreadable = galleries.list_unreadable(images)
    text: str = load_template("report.html.j2").render(
        contents=contents,
        status=contents.status,
        problems={**contents.problems, **tables.problems},
        subject=describe_subject(contents, images),
        facts=describe_record(contents),
        development=_is_development(contents, tables.frames["provenance"]),
        pages=pages,
        findings=sum(page.tally.get(Status.FAIL, 0) for page in pages),
        galleries=galleries.build_galleries(run.path, images, flags),
        prompts=int(images["prompt_id"].nunique()),
        flagged=len(flags),
        unreadable=unreadable[: galleries.NAMED],
        unreadable_total=len(unreadable),
        written=now(),
    )
    return text


def _read_tables(run: Path) -> _Tables:
    frames, problems = {}, {}
    for table, columns in {"images": _IMAGE_COLUMNS, **_COLUMNS}.items():
        try:
            frames[table] = read_table(run, table, columns=columns)
        except AssayError as error:
            frames[table] = pd.DataFrame(columns=list(columns))
            problems[f"{table}.parquet"] = str(error)
    return _Tables(frames, problems)


def _is_development(contents: Contents, provenance: pd.DataFrame) -> bool:
    identity = contents.record.get("identity")
    recorded = isinstance(identity, dict) and identity.get("development") is True
    return recorded or bool((provenance["development_identity"] == True).any())  # noqa: E712 - null is not True


def _build_page(room: str, contents: Contents, tables: _Tables) -> RoomPage:
    evidence = contents.evidence.get(room)
    rows = tables.frames[room]
    checks = rooms.sort_checks(evidence.checks)[:MAX_CHECKS] if evidence is not None else []
    pairs = []
    if room == "similarity" and len(rows):
        folder = _reference_folder(contents)
        pairs = galleries.build_pairs(contents.path, tables.frames["images"], rows, folder=folder)
    return RoomPage(
        name=room,
        words=words.ROOM_WORDS[room],
        evidence=evidence,
        missing="" if evidence is not None else _why_missing(room, contents),
        headline="" if evidence is None else rooms.headline(evidence),
        tally=_tally(evidence),
        checks=checks,
        content=_content(room, evidence, rows),
        pairs=pairs,
        sentences=summarise_bias(evidence) if room == "bias" and evidence is not None else [],
        cells=bias_page.build_cells(contents.path, tables.frames["images"], rows) if room == "bias" else [],
    )


def _why_missing(room: str, contents: Contents) -> str:
    if f"evidence/{room}.json" in contents.problems:
        return contents.problems[f"evidence/{room}.json"]
    return "This room has not been audited yet: the run was stopped before it, or is still being made."


def _tally(evidence: Evidence | None) -> dict[Status, int]:
    checks = evidence.checks if evidence is not None else ()
    counts = {status: sum(check.status is status for check in checks) for status in Status}
    return {status: number for status, number in counts.items() if number}


def _content(room: str, evidence: Evidence | None, rows: pd.DataFrame) -> rooms.RoomFigures:
    measured = rooms.measured_figures(evidence, room) if evidence is not None else []
    if rows.empty or (rows["status"] == str(Status.ERROR)).all():
        said = (
            "The table of this room is empty."
            if rows.empty
            else "Not one image could be measured in this room."
        )
        return rooms.RoomFigures(tuple(measured), (), (said,))
    found = bias_page.bias_figures(rows, evidence) if room == "bias" else _FIGURES[room](rows)
    return rooms.RoomFigures((*found.figures, *measured), found.listings, found.remarks)


def _reference_folder(contents: Contents) -> Path | None:
    config = contents.record.get("config")
    folder = config.get("references") if isinstance(config, dict) else None
    return Path(folder) if isinstance(folder, str) else None


def _breakable(name: str) -> Markup:
    """A dotted name that may break after its dots; escaped."""
    return Markup(".<wbr>").join(name.split("."))


@lru_cache(maxsize=8)
def load_template(name: str) -> Any:  # noqa: ANN401 - jinja2 types its templates loosely
    """A template with the report's filters and words; it escapes every text."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        value=numbers.format_value,
        threshold=numbers.format_threshold,
        interval=numbers.format_interval,
        describe_interval=numbers.describe_interval,
        time=numbers.format_time,
        digest=numbers.format_digest,
        breakable=_breakable,
    )
    environment.globals.update(
        style=Markup((_TEMPLATES / "style.css").read_text("utf-8")),  # noqa: S704 - our own file
        status_words=words.STATUS_WORDS,
        room_words=words.ROOM_WORDS,
        overall_words=words.OVERALL_WORDS,
        general_limits=words.GENERAL_LIMITS,
        glossary=words.GLOSSARY,
        development_words=words.DEVELOPMENT,
    )
    return environment.get_template(name)
