"""`assay verify`: what do a file's marks say, and do they hold?

Starts without torch, pandas or streamlit: a verifier is small. Heavier modules are imported where they are used.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.evidence import Check, Evidence, Status
from generator.errors import InputError

if TYPE_CHECKING:
    from audit.batch import Judged
    from audit.inputs import Source
    from audit.verification import Verification
    from generator.sampling_keys import Issued

_LABEL_WIDTH = 14  # columns of a check's name in the table
_STATUS_WIDTH = 14
_LINE = (60, 110)  # narrowest and widest table, columns
_SHORT = {
    "watermark.payload": "watermark",
    "watermark.sampling": "seed",
    "ledger.entry": "ledger",
    "agreement.asset_id": "agreement",
    "engines.agreement": "engines",
}
_FORMS = ("text", "json", "jsonl", "csv", "parquet", "sarif", "junit")
_RUBRIC = "conformance-2.4"


def add_mark_options(parser: argparse.ArgumentParser) -> None:
    """Options shared by the verbs that read marks."""
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="file, folder, glob, .parquet table of paths or .tar archive; - reads one file from stdin",
    )
    parser.add_argument(
        "--trust",
        type=Path,
        metavar="FOLDER",
        help="PEM trust lists instead of the imported ones; a file with tsa in its name is for time stamps",
    )
    parser.add_argument("--ledger", metavar="FILE", help="ledger (default: the one of this machine)")
    parser.add_argument(
        "--watermark",
        choices=("auto", "quick", "full", "off"),
        default="auto",
        help="how hard to look for the watermark; auto: full only where no intact manifest was found",
    )
    parser.add_argument(
        "--at", type=_moment, metavar="TIME", help="judge certificates at this time, e.g. 2026-11-01T12:00Z"
    )
    parser.add_argument("--column", default="path", help="column of a table that holds paths (default: path)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="one JSON document")
    form.add_argument(
        "--jsonl",
        action="store_const",
        const="jsonl",
        dest="form",
        help="one JSON line per file, as it is judged",
    )


def _moment(text: str) -> datetime:
    from audit.provenance.moment import parse_moment

    try:
        return parse_moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 date or time") from error


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "verify",
        help="check Content Credentials, watermark, labels and ledger of files",
        description=(
            "Check Content Credentials, watermark, labels and ledger of files. Every file is judged. "
            "No network is used unless a server is named."
        ),
        epilog="Exit code, by the worst file: 0 pass, 1 finding, 2 usage, 3 inconclusive, 4 could not check.",
    )
    add_mark_options(parser)
    parser.add_argument("--format", choices=_FORMS, dest="form", help="form of the output (default: text)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write there (.json .jsonl .csv .parquet .sarif .xml); a run that was stopped goes on where it stopped",
    )
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes (default: one a core for many files)"
    )
    parser.add_argument(
        "--fail-on",
        default="",
        metavar="POLICY",
        help="what sets the exit code: statuses or overall words with commas between, or never (default: all)",
    )
    parser.add_argument(
        "--rubric",
        nargs="?",
        const=_RUBRIC,
        default="",
        choices=("conformance-2.4", "conformance-2.2", "integrity", "signals"),
        help="also hold the manifest against a C2PA asset rubric (default: conformance-2.4)",
    )
    parser.add_argument(
        "--issued",
        type=Path,
        action="append",
        default=[],
        metavar="RUN|FILE",
        help="with --watermark full: also name the seed, of this run or list of one seed a line, that made a picture",
    )
    parser.add_argument(
        "--sampling-key", type=Path, metavar="FILE", help="that the seeds were issued under (default: public)"
    )
    parser.add_argument("--cross-check", action="store_true", help="ask every other engine that is installed")
    parser.add_argument("--what-if", action="store_true", help="show what would change the verdict")
    parser.add_argument("--recover", action="store_true", help="look for a lost manifest in the ledger")
    parser.add_argument(
        "--server",
        default="",
        metavar="URL",
        help="also look for it on this resolution server (uses the network)",
    )
    parser.add_argument("--explain", action="store_true", help="print the table of overall words and stop")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge every file and print or keep what was found."""
    if args.explain:
        from audit.provenance.words import format_table

        sys.stdout.write(format_table())
        return 0
    from audit.batch_output import policy_exit
    from audit.provenance.gather import build_setup
    from audit.verification import Verification

    if not args.paths:
        raise InputError("nothing to verify; name files or folders (assay verify --help)")
    policy_exit({(Status.PASS, ""): 1}, args.fail_on)  # a misspelt policy is refused before the work
    setup = build_setup(
        trust=args.trust,
        ledger=ledger_location(args.ledger),
        search=args.watermark,
        at=args.at,
        issued=_issued(args),
    )
    for warning in setup.trust.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    verification = Verification(
        setup,
        rubric=args.rubric,
        cross_check=args.cross_check,
        what_if=args.what_if,
        recover=args.recover,
        server=args.server,
    )
    counts = _to_file(args, verification) if args.out else _to_stdout(args, verification)
    return policy_exit(counts, args.fail_on)


def _issued(args: argparse.Namespace) -> list[Issued]:
    """Seeds that the user names, with the key that they were issued under."""
    if args.sampling_key is not None and not args.issued:
        raise InputError("--sampling-key says nothing without the seeds: add --issued RUN|FILE")
    if not args.issued:
        return []
    from audit.cli.seed import read_secret
    from audit.issued import load_issued  # imports pandas

    return [load_issued(path, secret=read_secret(args.sampling_key)) for path in args.issued]


def ledger_location(text: str | None) -> Path | str | None:
    """A ledger as the user names it: a file, or the address of a database."""
    from generator.marking.ledger import is_ledger_url

    return text if text is None or is_ledger_url(text) else Path(text)


@contextlib.contextmanager
def sources_of(args: argparse.Namespace) -> Iterator[Iterator[Source]]:
    """Everything that the arguments name, with a folder for copies that is removed afterwards."""
    from audit.inputs import expand

    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        yield expand(args.paths, Path(folder), column=args.column)


def _jobs(args: argparse.Namespace) -> int:
    """Processes: as named; else one a core when a folder, table, archive or glob may hold many files."""
    if args.jobs is not None:
        if args.jobs < 1:
            raise InputError(f"--jobs {args.jobs}: expected at least 1")
        return int(args.jobs)
    few = all(Path(path).suffix.lower() not in {".parquet", ".tar", ".tgz", ".gz"} for path in args.paths)
    named = few and len(args.paths) < 32 and all(path == "-" or Path(path).is_file() for path in args.paths)
    return 1 if named else os.cpu_count() or 1


def _to_stdout(args: argparse.Namespace, verification: Verification) -> Counter[tuple[Status, str]]:
    from audit.batch import judge_all
    from audit.batch_output import write_text_form

    counts: Counter[tuple[Status, str]] = Counter()

    def counted(judged: Iterator[Judged]) -> Iterator[Judged]:
        for one in judged:
            counts[one.status, one.word] += 1
            yield one

    with sources_of(args) as sources:
        judged = counted(judge_all(sources, verification, jobs=_jobs(args)))
        if args.form == "jsonl":
            for one in judged:
                sys.stdout.write(one.line + "\n")
                sys.stdout.flush()
        elif args.form in (None, "text"):
            for one in judged:
                record = one.record()
                sys.stdout.write(format_evidence(record["path"], Evidence.from_json(record)))
            if sum(counts.values()) > 1:
                sys.stdout.write(format_total(counts))
        else:
            records = (one.record() for one in judged)
            write_text_form(args.form, records, sys.stdout, trust_list=verification.setup.trust.digest)
    return counts


def _to_file(args: argparse.Namespace, verification: Verification) -> Counter[tuple[Status, str]]:
    from audit.batch import judge_all
    from audit.batch_output import SUFFIXES, Journal
    from audit.cli.common import note

    form = args.form or SUFFIXES.get(args.out.suffix.lower(), "")
    if form in ("", "text"):
        raise InputError(
            f"--out {args.out}: name a file that ends in {', '.join(SUFFIXES)}, or give --format"
        )
    settings = repr((verification, args.column))
    with sources_of(args) as sources, Journal(args.out, settings=settings) as journal:
        before = sum(journal.counts.values())
        if before:
            note(f"going on after {before:,} files that were judged before")
        waiting = (source for source in sources if not _is_done(journal, source))
        for one in judge_all(waiting, verification, jobs=_jobs(args)):
            journal.append(one)
            done = sum(journal.counts.values())
            if sys.stderr.isatty() and done % 100 == 0:
                sys.stderr.write(f"\r{done:,} files judged")
        journal.finish(form, trust_list=verification.setup.trust.digest)
    sys.stdout.write(format_total(journal.counts))
    return journal.counts


def _is_done(journal: Any, source: Source) -> bool:  # noqa: ANN401 - imported where it is used
    done: bool = journal.holds(source.name)
    if done and source.is_temporary:
        source.path.unlink(missing_ok=True)
    return done


def format_evidence(shown: str, evidence: Evidence) -> str:
    """One file as a table for a terminal."""
    from audit.provenance.text import clean_text

    verdict, *checks = evidence.checks
    lines = [
        f"{clean_text(shown, limit=4096)}: {verdict.value} [{evidence.status}]",
        *wrap(verdict.reason, indent=2),
    ]
    for _, group in itertools.groupby(checks, key=lambda check: (check.status, check.reason)):
        same = list(group)
        lines += _check_lines(same[0], ", ".join(_short_name(check) for check in same))
    for check in checks:
        lines += _alternative_lines(check)
    return "\n".join(lines) + "\n\n"


def wrap(text: str, *, indent: int) -> list[str]:
    """Lines of a paragraph as wide as the terminal allows."""
    width = max(_LINE[0], min(_LINE[1], shutil.get_terminal_size((_LINE[1], 24)).columns))
    return [" " * indent + line for line in textwrap.wrap(text, width - indent)]


def _short_name(check: Check) -> str:
    return _SHORT.get(check.name, check.name.removeprefix("c2pa."))


def _alternative_lines(check: Check) -> list[str]:
    """The what-if table, when it was asked for."""
    table = check.details.get("alternatives")
    lines = []
    for row in table if isinstance(table, list) else ():
        if isinstance(row, dict):
            mark = "->" if row["changes"] else "  "
            lines += wrap(f"{mark} if {row['if']}: {row['verdict']} [{row['status']}]", indent=2)
    return lines


def _check_lines(check: Check, name: str) -> list[str]:
    indent = 2 + _LABEL_WIDTH + _STATUS_WIDTH
    first, *rest = wrap(check.reason, indent=indent)
    lines = [f"  {name:<{_LABEL_WIDTH - 1}} {check.status:<{_STATUS_WIDTH}}{first.strip()}", *rest]
    if check.next_step and check.status is not Status.PASS:
        first, *rest = wrap(check.next_step, indent=indent + 3)
        lines += [" " * indent + "-> " + first.strip(), *rest]
    return lines


def format_total(counts: Counter[tuple[Status, str]]) -> str:
    """One line over all files."""
    by_status = [(status, sum(n for (other, _), n in counts.items() if other is status)) for status in Status]
    total = sum(counts.values())
    return f"{total} files: " + ", ".join(f"{count} {status}" for status, count in by_status if count) + "\n"
