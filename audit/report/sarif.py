"""Records of `assay verify` as SARIF 2.1.0, the form in which code hosts and editors show findings.

Only what is not a pass becomes a result, so a clean folder gives a short document. Written as a stream.

Source: OASIS SARIF 2.1.0; levels error (a finding, or could not check) and note (inconclusive).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any
from urllib.parse import quote

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ESCAPES = {"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"}
_LEVELS = {"fail": "error", "error": "error", "inconclusive": "note"}


def write_sarif(records: Iterable[Mapping[str, Any]], stream: IO[str]) -> None:
    """Write one SARIF document.

    Args:
        records: as `audit.batch.to_record` makes them.
        stream: text.
    """
    driver = {"name": "assay", "rules": _rules()}
    head = json.dumps({"driver": driver})
    stream.write(f'{{"$schema": "{_SCHEMA}", "version": "2.1.0",\n"runs": [{{"tool": {head},\n"results": [')
    number = 0
    for record in records:
        for result in _results(record):
            stream.write((",\n" if number else "\n") + json.dumps(result))
            number += 1
    stream.write("\n]}]}\n")


def _rules() -> list[dict[str, Any]]:
    from audit.provenance.words import VERDICTS

    meanings: dict[str, str] = {}
    for row in VERDICTS:
        meanings.setdefault(row.word, row.meaning)
    return [
        {"id": rule_id(word), "name": word, "shortDescription": {"text": meaning}}
        for word, meaning in meanings.items()
    ]


def rule_id(word: str) -> str:
    """An overall word as an identifier."""
    return "-".join("".join(c if c.isalnum() else " " for c in word).split())


def _results(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    level = _LEVELS.get(record["status"])
    if level is None:
        return []
    checks = [check for check in record["checks"][1:] if check["status"] in _LEVELS]
    reasons = "\n".join(f"{check['name']} {check['status']}: {check['reason']}" for check in checks)
    location = {"physicalLocation": {"artifactLocation": {"uri": quote(record["path"])}}}
    return [
        {
            "ruleId": rule_id(str(record["verdict"])),
            "level": level,
            "message": {"text": f"{record['verdict']}\n{_plain(reasons)}"},
            "locations": [location],
            "properties": {"status": record["status"]},
        }
    ]


def _plain(text: str) -> str:
    """Text without links and placeholders, both of which a SARIF message can hold (3.11.5 and 3.11.6)."""
    return "".join(_ESCAPES.get(character, character) for character in text)
