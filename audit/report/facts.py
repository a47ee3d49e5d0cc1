"""What the run record says, in words: what was audited, when, with which versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from audit.evidence import Status
from audit.report.contents import Contents
from audit.report.numbers import format_duration, format_time
from audit.report.words import ROOM_WORDS

_STAGES = {"generate": "Images made", "collect": "Files read", "report": "Report written"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A named fact of the run record.

    Attributes:
        name: what it is.
        text: what is recorded.
        is_code: a digest, a command or an identifier, shown in a fixed-width face.
    """

    name: str
    text: str
    is_code: bool = False


def describe_subject(contents: Contents, images: pd.DataFrame) -> str:
    """What was audited, a sentence."""
    if images.empty:
        return "This run holds no images."
    made = images["generator"].dropna()
    broken = int((images["status"] == str(Status.ERROR)).sum())
    unread = f", {broken} of which could not be read" if broken else ""
    if made.empty:
        folder = _object(contents.record, "config").get("images") or "a folder"
        files = "1 file" if len(images) == 1 else f"{len(images)} files"
        return f"{files} found in {folder}{unread}."
    prompts = images["prompt_id"].nunique()
    number = "1 prompt" if prompts == 1 else f"{prompts} prompts"
    pictures = "1 image" if len(images) == 1 else f"{len(images)} images"
    return f"{pictures} made for {number} by the generator “{made.iloc[0]}”{unread}."


def describe_record(contents: Contents) -> list[Fact]:
    """The run record as facts, in reading order; what is not recorded is left out."""
    record = contents.record
    generator, identity = _object(record, "generator"), _object(record, "identity")
    watermark, config = _object(record, "watermark"), _object(record, "config")
    facts = [
        Fact("Run", contents.run_id, is_code=True),
        Fact("Started", format_time(str(record.get("created", "")))),
        *_stage_facts(_object(record, "stages")),
        Fact("Generator", " ".join(_texts(generator, "name", "version"))),
        Fact("Generator weights", "".join(_texts(generator, "weights_digest")), is_code=True),
        Fact("Signing identity", _identity(identity)),
        Fact("Watermark", ", key ".join(_texts(watermark, "scheme", "key_id"))),
        Fact("Command", " ".join(map(str, _list(record.get("argv")))), is_code=True),
        *(
            Fact(f"Setting: {name}", _flat(value))
            for name, value in config.items()
            if value not in (None, {}, [])
        ),
        Fact("Commit of Assay", _commit(record), is_code=True),
        Fact("Python", str(record.get("python", ""))),
        Fact("Machine", str(record.get("platform", ""))),
        *(Fact(name, str(version)) for name, version in _object(record, "packages").items()),
    ]
    return [fact for fact in facts if fact.text]


def _stage_facts(stages: Mapping[str, Any]) -> list[Fact]:
    facts = []
    for name, stage in stages.items():
        if isinstance(stage, dict):
            title = _STAGES.get(name) or f"{ROOM_WORDS[name].title if name in ROOM_WORDS else name} audited"
            took = format_duration(float(stage.get("seconds", 0.0)))
            facts.append(Fact(title, f"{format_time(str(stage.get('finished', '')))} (took {took})"))
    return facts


def _identity(identity: Mapping[str, Any]) -> str:
    if not identity:
        return ""
    kind = (
        "a development identity, on no trust list" if identity.get("development") is True else "as configured"
    )
    return f"{identity.get('name', 'unnamed')} ({kind})"


def _commit(record: Mapping[str, Any]) -> str:
    commit = str(record.get("commit") or "")
    return f"{commit} with changes that are not committed" if commit and record.get("dirty") else commit


def _object(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts(record: Mapping[str, Any], *names: str) -> list[str]:
    return [str(record[name]) for name in names if record.get(name)]


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {inner}" for name, inner in value.items() if inner not in (None, "", [], {})
        )
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
