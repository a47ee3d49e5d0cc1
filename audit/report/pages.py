"""Pages and documents about more than one run, and the PDF of one: what stands in them, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audit.evidence import Check, Evidence, Status
from audit.report import numbers
from audit.report.comparison import prompt_rows
from audit.report.contents import Contents
from audit.report.figures import IntervalRow, interval_chart
from audit.report.html import load_template
from audit.report.pdf import Block
from audit.report.plain import Sentence, summarise_bias
from audit.report.rooms import Figure, build_figure, headline, sort_checks, summary_checks
from audit.report.tables import describe_generator, describe_prompts
from audit.report.words import ROOM_WORDS, STATUS_WORDS
from audit.run import now

MAX_ROWS = 60  # rows of one chart


@dataclass(frozen=True)
class RunSummary:
    """One run as a batch page sees it.

    Attributes:
        contents: record and evidence.
        generator: what made its images.
        prompts: the prompt set.
        sentences: the bias room in plain words; empty without one.
    """

    contents: Contents
    generator: str
    prompts: str
    sentences: list[Sentence]


@dataclass(frozen=True)
class AttributePage:
    """One attribute over all runs.

    Attributes:
        name: of the attribute.
        figures: one chart for each group, one row for each run.
    """

    name: str
    figures: list[Figure]


def summarise_run(contents: Contents) -> RunSummary:
    """What a batch page says of one run."""
    evidence = contents.evidence.get("bias")
    sentences = summarise_bias(evidence) if evidence is not None else []
    return RunSummary(contents, describe_generator(contents), describe_prompts(contents), sentences)


def overall_rows(runs: Sequence[Contents]) -> dict[tuple[str, str], list[IntervalRow]]:
    """(attribute, group) -> mean share over prompts of each run that has one, with its interval."""
    rows: dict[tuple[str, str], list[IntervalRow]] = {}
    for contents in runs:
        evidence = contents.evidence.get("bias")
        for check in evidence.checks if evidence is not None else ():
            details: Any = check.details
            if not check.name.endswith(".overall") or "estimates" not in details:
                continue
            cells = zip(
                details["groups"], details["estimates"], details["lows"], details["highs"], details["reference"],
                strict=True,
            )  # fmt: skip
            for group, share, low, high, reference in cells:
                label = f"{describe_generator(contents)} ({contents.path.name})"
                key = check.name.split(".")[1], str(group)
                rows.setdefault(key, []).append(IntervalRow(label, share, low, high, reference))
    return rows


def render_batch(runs: Sequence[Contents]) -> str:
    """One HTML page over several runs: models and prompt sets side by side."""
    attributes: dict[str, list[Figure]] = {}
    for (attribute, group), rows in overall_rows(runs).items():
        title = f"Perceived {attribute}: {group}"
        chart = interval_chart(rows[:MAX_ROWS], title=title)
        caption = (
            f"Share of perceived {group}, mean over each run's prompts, with its interval. The dashed mark is the "
            "reference, a yardstick and no norm."
        )
        attributes.setdefault(attribute, []).append(build_figure(chart, caption))
    text: str = load_template("batch.html.j2").render(
        runs=[summarise_run(contents) for contents in runs],
        attributes=[AttributePage(name, figures) for name, figures in attributes.items()],
        written=now(),
    )
    return text


def render_comparison(evidence: Evidence) -> str:
    """A comparison of two runs as one HTML page."""
    figures = []
    for check in evidence.checks:
        rows = prompt_rows(check)
        if rows:
            title = f"{check.name}: difference of perceived {check.details['group']} by prompt"
            chart = interval_chart(rows[:MAX_ROWS], title=title, unit="percentage points")
            caption = f"Perceived {check.details['group']}: each shared prompt, largest difference first."
            if len(rows) > MAX_ROWS:
                caption += f" The first {MAX_ROWS} of {len(rows)} are drawn; the JSON form has them all."
            figures.append(build_figure(chart, caption))
    text: str = load_template("comparison.html.j2").render(evidence=evidence, figures=figures, written=now())
    return text


def comparison_blocks(evidence: Evidence) -> list[Block]:
    """A comparison as the parts of a document."""
    blocks = [_check_block("What differs", evidence.checks)]
    for check in evidence.checks:
        rows = prompt_rows(check)
        if rows:
            blocks.append(
                Block(
                    f"Perceived {check.details['group']} by prompt",
                    (
                        "Difference of each shared prompt in percentage points, largest first, with its interval.",
                    ),
                    rows[:MAX_ROWS],
                    "percentage points",
                )
            )
    return blocks


def report_blocks(contents: Contents) -> list[Block]:
    """One run as the parts of a document: verdict, rooms, plain words, shares, checks about the whole run."""
    status = STATUS_WORDS[contents.status]
    summary = summarise_run(contents)
    blocks = [
        Block(
            f"{status.label}: run {contents.run_id}",
            (status.meaning, f"Images of: {summary.generator}. Prompts: {summary.prompts}."),
        )
    ]
    if contents.problems:
        damaged = list(contents.problems.items())
        blocks.append(
            Block("Parts of this run are damaged", head=("File", "Problem"), rows=damaged, widths=(0.3, 0.7))
        )
    rooms = [
        (ROOM_WORDS[room].title, STATUS_WORDS[found.status].label, headline(found))
        for room, found in contents.evidence.items()
    ]
    waiting = [(ROOM_WORDS[room].title, "Not audited", "") for room in contents.rooms_waiting]
    blocks.append(
        Block(
            "Room by room",
            head=("Room", "Status", "What decided it"),
            rows=rooms + waiting,
            widths=(0.15, 0.15, 0.7),
        )
    )
    if summary.sentences:
        blocks.append(Block("Bias in plain words", _said(summary.sentences)))
    for (attribute, group), rows in overall_rows([contents]).items():
        blocks.append(Block(f"Perceived {attribute}: {group}", (), rows))
    blocks += [_prompt_block(check) for check in _overall_checks(contents)]
    for room, found in contents.evidence.items():
        blocks.append(_check_block(f"Checks: {ROOM_WORDS[room].title}", sort_checks(summary_checks(found))))
    for room in contents.evidence:
        blocks.append(Block(f"Limits: {ROOM_WORDS[room].title}", ROOM_WORDS[room].limits))
    return blocks


def batch_blocks(runs: Sequence[Contents]) -> list[Block]:
    """Several runs as the parts of a document."""
    head = ("Run", "Images of", "Prompts", "Status")
    table = [
        (
            contents.path.name,
            describe_generator(contents),
            describe_prompts(contents),
            STATUS_WORDS[contents.status].label,
        )
        for contents in runs
    ]
    blocks = [Block("Runs", head=head, rows=table)]
    for (attribute, group), rows in overall_rows(runs).items():
        blocks.append(Block(f"Perceived {attribute}: {group}", ("Mean over each run's prompts.",), rows))
    for contents in runs:
        sentences = summarise_run(contents).sentences
        if sentences:
            blocks.append(Block(f"In plain words: {contents.path.name}", _said(sentences)))
    return blocks


def _said(sentences: Sequence[Sentence]) -> list[str]:
    return [f"{STATUS_WORDS[sentence.status].label}. {sentence.text}" for sentence in sentences]


def _overall_checks(contents: Contents) -> list[Check]:
    evidence = contents.evidence.get("bias")
    return (
        [check for check in evidence.checks if "prompt_lows" in check.details] if evidence is not None else []
    )


def _prompt_block(check: Check) -> Block:
    """Shares of the group that departs most, by prompt."""
    details: Any = check.details
    attribute, group = check.name.split(".")[1], str(details.get("group") or details["groups"][0])
    place = details["groups"].index(group)
    lines = zip(
        details["prompt_ids"],
        details["prompt_estimates"],
        details["prompt_lows"],
        details["prompt_highs"],
        strict=True,
    )
    rows = [
        IntervalRow(str(prompt), shares[place], lows[place], highs[place], details["reference"][place])
        for prompt, shares, lows, highs in lines
        if shares is not None
    ]
    return Block(f"Perceived {attribute}: {group}, by prompt", (), rows)


def _check_block(heading: str, checks: Sequence[Check]) -> Block:
    rows = [
        (
            STATUS_WORDS[check.status].label,
            check.name,
            check.reason + (f" Next step: {check.next_step}" if check.next_step else ""),
            " ".join(
                part
                for part in (
                    numbers.format_value(check),
                    f"({numbers.format_interval(check.interval, unit=check.unit)})" if check.interval else "",
                )
                if part
            ),
        )
        for check in checks
        if check.status is not Status.SKIPPED
    ]
    return Block(
        heading,
        head=("Status", "Check", "What was found", "Value"),
        rows=rows,
        widths=(0.12, 0.22, 0.46, 0.2),
    )
