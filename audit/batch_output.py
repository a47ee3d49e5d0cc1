"""Where the records of a batch go: a stream or a file, in one of several forms, and the journal of a run to a file.

A run to a file writes every record to a journal beside it, one line each. When all are judged the journal becomes the
file; when the run is killed the journal stays, and the next run with the same settings goes on after its last
complete line.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from audit.batch import Judged
from audit.evidence import Status, exit_code, worst
from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.marking.files import is_disk_full

COLUMNS = {
    "integrity": "c2pa.integrity",
    "signature": "c2pa.signature",
    "trust": "c2pa.trust",
    "time": "c2pa.time",
    "chain": "c2pa.chain",
    "unsigned": "c2pa.unsigned",
    "watermark": "watermark.payload",
    "ledger": "ledger.entry",
    "agreement": "agreement.asset_id",
    "recovered": "recovered",
}
"""Column of a table -> check that it holds the value of; "" where the check was not made."""

SUFFIXES = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".sarif": "sarif",
    ".xml": "junit",
}
_ROW_GROUP = 1_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Records = Iterable[Mapping[str, Any]]


def flat(record: Mapping[str, Any]) -> dict[str, str]:
    """One record as the row of a table; every value is text."""
    values = {check["name"]: check for check in record["checks"]}
    row = {key: str(record[key]) for key in ("path", "verdict", "status")}
    row["reason"] = next((c["reason"] for c in record["checks"][1:] if c["status"] == record["status"]), "")
    row |= {column: str(values[name]["value"]) if name in values else "" for column, name in COLUMNS.items()}
    return row


_FIELDS = ("path", "verdict", "status", "reason", *COLUMNS)


def write_json(records: Records, stream: IO[str], *, trust_list: str) -> None:
    """One document; its status stands at the end, since it is known only then."""
    stream.write('{\n"schema_version": 1,\n"trust_list": ' + json.dumps(trust_list) + ',\n"assets": [')
    statuses = set()
    for number, record in enumerate(records):
        statuses.add(Status(record["status"]))
        stream.write((",\n" if number else "\n") + json.dumps(record))
    stream.write(f'\n],\n"status": "{worst(statuses)}"\n}}\n')


def write_jsonl(records: Records, stream: IO[str]) -> None:
    """One line a record, each written as it is judged."""
    for record in records:
        stream.write(json.dumps(record) + "\n")
        stream.flush()


def write_csv(records: Records, stream: IO[str]) -> None:
    """One row a record; a value that a spreadsheet would take for a formula gets an apostrophe before it."""
    writer = csv.DictWriter(stream, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for record in records:
        row = flat(record)
        writer.writerow({key: f"'{text}" if text.startswith(_FORMULA) else text for key, text in row.items()})
        stream.flush()


def write_parquet(records: Records, path: Path) -> None:
    """One row a record, with the evidence as JSON text."""
    import pyarrow as pa  # only for this form
    from pyarrow import parquet

    schema = pa.schema([(name, pa.string()) for name in (*_FIELDS, "evidence")])
    with parquet.ParquetWriter(path, schema) as writer:
        rows: list[dict[str, str]] = []
        for record in records:
            rows.append({**flat(record), "evidence": json.dumps(record)})
            if len(rows) == _ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows.clear()
        writer.write_table(pa.Table.from_pylist(rows, schema))


def write_text_form(form: str, records: Records, stream: IO[str], *, trust_list: str = "") -> None:
    """Write records in a form that a stream can hold.

    Raises:
        InputError: a form that only a file can hold.
    """
    from audit.report.junit import write_junit
    from audit.report.sarif import write_sarif

    writers: dict[str, Callable[[Records, IO[str]], None]] = {
        "jsonl": write_jsonl,
        "csv": write_csv,
        "sarif": write_sarif,
        "junit": write_junit,
    }
    if form == "json":
        write_json(records, stream, trust_list=trust_list)
    elif form in writers:
        writers[form](records, stream)
    else:
        raise InputError(f"{form} cannot be written to stdout; name a file with --out FILE")


class Journal:
    """The records of a run that writes to a file; use as a context."""

    def __init__(self, target: Path, *, settings: str) -> None:
        """Open or go on.

        Args:
            target: the file to make in the end.
            settings: what the run was asked, as text; a run that asks something else must not go on.

        Raises:
            InputError: the file is there already, or the journal belongs to other settings.
            CannotCheckError: the journal cannot be read or written.
        """
        self.target = target
        self.path = target.with_name(target.name + ".part")
        self.counts: Counter[tuple[Status, str]] = Counter()
        self._done: set[bytes] = set()
        self._header = json.dumps({"settings": hashlib.sha256(settings.encode()).hexdigest()})
        if target.exists():
            raise InputError(f"{target}: is there already and complete; remove it or name another file")
        try:
            self._stream = self._open()
        except OSError as error:
            raise CannotCheckError(f"{self.path}: cannot be used ({error.strerror or error})") from error

    def _open(self) -> IO[bytes]:
        if not self.path.exists():
            stream = self.path.open("x+b")
            stream.write(self._header.encode() + b"\n")
            return stream
        stream = self.path.open("r+b")
        if stream.readline().rstrip() != self._header.encode():
            stream.close()
            raise InputError(
                f"{self.path}: was begun with other settings; use those again, or remove it to start anew"
            )
        end = stream.tell()
        for line in stream:
            if not line.endswith(b"\n"):
                break
            self._count(json.loads(line))
            end += len(line)
        stream.seek(end)
        stream.truncate()
        return stream

    def _count(self, entry: Mapping[str, Any]) -> None:
        self._done.add(_digest(entry["name"]))
        self.counts[Status(entry["record"]["status"]), str(entry["record"]["verdict"])] += 1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def holds(self, name: str) -> bool:
        """Whether a source of that name was judged already."""
        return _digest(name) in self._done

    def append(self, judged: Judged) -> None:
        """Keep one record.

        Raises:
            DiskFullError: there is no room; what was kept stays.
            CannotCheckError: it cannot be written.
        """
        line = f'{{"name": {json.dumps(judged.name)}, "record": {judged.line}}}\n'
        try:
            self._stream.write(line.encode())
            self._stream.flush()
        except OSError as error:
            kind = DiskFullError if is_disk_full(error) else CannotCheckError
            raise kind(f"{self.path}: cannot be written ({error.strerror}); run it again to go on") from error
        self._done.add(_digest(judged.name))
        self.counts[judged.status, judged.word] += 1

    def _records(self) -> Iterator[dict[str, Any]]:
        self._stream.flush()
        with self.path.open("rb") as stream:
            stream.readline()
            for line in stream:
                yield json.loads(line)["record"]

    def finish(self, form: str, *, trust_list: str = "") -> None:
        """Turn the journal into the file, at once or not at all."""
        draft = self.target.with_name(f".{self.target.name}.{os.getpid()}.part")
        try:
            if form == "parquet":
                write_parquet(self._records(), draft)
            else:
                with draft.open("w", encoding="utf-8") as stream:
                    write_text_form(form, self._records(), stream, trust_list=trust_list)
            os.replace(draft, self.target)
            self.path.unlink()
        except OSError as error:
            raise CannotCheckError(f"{self.target}: cannot be written ({error.strerror})") from error
        finally:
            draft.unlink(missing_ok=True)


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def policy_exit(counts: Mapping[tuple[Status, str], int], policy: str) -> int:
    """Exit code of a batch.

    Args:
        counts: (status, word) -> files.
        policy: statuses and words that count, separated by commas; "" when all statuses count.

    Returns:
        0 when nothing that counts occurred, else the code of the worst status that did; 1 for a word.

    Raises:
        InputError: neither a status nor a word.
    """
    if not counts:
        return exit_code(worst([]))
    if not policy:
        return exit_code(worst(status for status, _ in counts))
    from audit.provenance.words import WORDS

    wanted = {part.strip() for part in policy.split(",")}
    unknown = sorted(wanted - set(WORDS) - {str(status) for status in Status} - {"never"})
    if unknown:
        raise InputError(
            f"--fail-on {unknown[0]!r}: expected statuses ({', '.join(Status)}), overall words "
            f"({', '.join(WORDS)}), or never"
        )
    met = [status for status, _ in counts if str(status) in wanted]
    if any(word in wanted for _, word in counts):
        met.append(Status.FAIL)
    return exit_code(worst(met)) if met else 0
