"""Records of `assay verify` as JUnit XML, the form that every continuous-integration server shows.

A finding is a failure, a file that could not be checked is an error, and an inconclusive or skipped one is skipped.
The counts stand at the head of a JUnit document, so the test cases wait in a temporary file, not in memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import IO, Any
from xml.sax.saxutils import escape, quoteattr

_ELEMENTS = {"fail": "failure", "error": "error", "inconclusive": "skipped", "skipped": "skipped"}


def write_junit(records: Iterable[Mapping[str, Any]], stream: IO[str]) -> None:
    """Write one JUnit document.

    Args:
        records: as `audit.batch.to_record` makes them.
        stream: text.
    """
    counts: Counter[str] = Counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as cases:
        for record in records:
            counts["tests"] += 1
            counts[_ELEMENTS.get(record["status"], "")] += 1
            cases.write(_case(record))
        cases.seek(0)
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        stream.write(
            f'<testsuite name="assay verify" tests="{counts["tests"]}" failures="{counts["failure"]}" '
            f'errors="{counts["error"]}" skipped="{counts["skipped"]}">\n'
        )
        shutil.copyfileobj(cases, stream)
    stream.write("</testsuite>\n")


def _case(record: Mapping[str, Any]) -> str:
    head = f"<testcase classname={_attribute(record['verdict'])} name={_attribute(record['path'])}"
    element = _ELEMENTS.get(record["status"])
    if element is None:
        return f"{head}/>\n"
    checks = [check for check in record["checks"][1:] if check["status"] == record["status"]]
    reasons = "\n".join(f"{check['name']}: {check['reason']}" for check in checks)
    return (
        f"{head}><{element} message={_attribute(record['verdict'])}>{_text(reasons)}</{element}></testcase>\n"
    )


def _legal(text: object) -> str:
    """Text that XML can carry; records hold printable text only, yet lone surrogates and the like stay out."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(text))


def _attribute(text: object) -> str:
    return quoteattr(_legal(text))


def _text(text: str) -> str:
    return escape(_legal(text))
