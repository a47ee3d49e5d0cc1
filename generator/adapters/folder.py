"""A folder of images that another system made, with a table of the prompts that made them: `folder:PATH`.

The table (CSV, JSONL or Parquet) has the columns `file` (or `file_name`; a path within the folder) and `prompt`, and
optionally `prompt_id` and `seed`; further columns are slots of the prompt. The files are read and never touched. What
is known of the system is what the user says; a name must be given, because a manifest that names nobody says nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generator.adapters.options import parse_options
from generator.adapters.pictures import decode_picture
from generator.errors import CannotCheckError, InputError
from generator.interface import GeneratedImage, Prompt, Refused, Request

TABLES = tuple(f"{stem}.{form}" for stem in ("prompts", "metadata") for form in ("csv", "jsonl", "parquet"))
"""Names under which a table is looked for in the folder."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_OWN = {"file", "file_name", "prompt", "prompt_id", "seed"}


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """What the user says about the images.

    Attributes:
        name: of the system that made them; must be given.
        version: of that system.
        weights: digest of its weights, "sha256:...", where known.
        table: path of the table; empty looks for one of `TABLES` in the folder.
    """

    name: str = ""
    version: str = "unknown"
    weights: str = ""
    table: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    request: Request
    seeded: bool


class FolderGenerator:
    """Images of a folder as the generation of the system that made them.

    Args:
        folder: where they are.
        options: texts of `FolderOptions`.

    Raises:
        InputError: no folder, no table, no name of the system, or a table that cannot be used.
    """

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        where = f"folder:{folder}"
        self._options = parse_options(FolderOptions, options, where=where)
        if not folder.is_dir():
            raise InputError(f"{where}: no such folder; check the path")
        if not self._options.name:
            raise InputError(f"{where}: which system made these images? Say it with --option name=NAME")
        self.table = _find_table(folder, self._options.table)
        self._entries = _read_entries(folder, self.table)
        if not any(entry.path.is_file() for entry in self._entries.values()):
            raise InputError(
                f"{self.table}: none of its {len(self._entries)} files is in {folder}; check both"
            )

    @property
    def name(self) -> str:
        """Name of the system that made the images, as the user gave it."""
        return self._options.name

    @property
    def version(self) -> str:
        """Its version, as the user gave it."""
        return self._options.version

    @property
    def weights_digest(self) -> str:
        """Digest of its weights, as the user gave it; empty when not given."""
        return self._options.weights

    @property
    def requests(self) -> tuple[Request, ...]:
        """What the table says was asked, in its order."""
        return tuple(entry.request for entry in self._entries.values())

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage | Refused]:
        """Yield the picture of each request; one that is absent or cannot be decoded is refused with the reason."""
        for request in requests:
            entry = self._entries[request.prompt.prompt_id, request.replicate]
            try:
                pixels = decode_picture(entry.path.read_bytes(), where=entry.path.name)
            except OSError as error:
                yield Refused(request, f"{entry.path.name}: cannot be read ({error.strerror})")
            except CannotCheckError as error:
                yield Refused(request, str(error))
            else:
                yield GeneratedImage(
                    pixels,
                    request,
                    self.name,
                    self.version,
                    self.weights_digest,
                    seeded=entry.seeded,
                    original=entry.path,
                )


def _find_table(folder: Path, named: str) -> Path:
    candidates = [Path(named)] if named else [folder / name for name in TABLES]
    for path in candidates:
        if path.is_file():
            return path
    if named:
        raise InputError(f"{named}: no such table; check --option table=")
    raise InputError(
        f"{folder}: no table of prompts in it; add one of {', '.join(TABLES)} with the columns file and prompt, "
        "or name one with --option table=PATH"
    )


def _read_entries(folder: Path, table: Path) -> dict[tuple[str, int], _Entry]:
    entries: dict[tuple[str, int], _Entry] = {}
    texts: dict[str, str] = {}
    replicates: Counter[str] = Counter()
    for number, record in enumerate(_records(table), 1):
        where = f"{table.name}, row {number}"
        prompt = _prompt(record, where)
        if texts.setdefault(prompt.prompt_id, prompt.text) != prompt.text:
            raise InputError(
                f"{where}: prompt_id {prompt.prompt_id!r} stood for another prompt before; use one each"
            )
        replicate = replicates[prompt.prompt_id]
        replicates[prompt.prompt_id] += 1
        seed = _seed(record.get("seed"), where)
        entries[prompt.prompt_id, replicate] = _Entry(
            _inside(folder, record, where), Request(prompt, replicate, seed or 0), seeded=seed is not None
        )
    if not entries:
        raise InputError(f"{table}: holds no rows; give one for each image")
    return entries


def _records(table: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of the table; a cell without a value is None or "".

    Raises:
        InputError: unknown format, or it cannot be read.
    """
    suffix = table.suffix.lower()
    if suffix not in {".csv", ".jsonl", ".parquet"}:
        raise InputError(f"{table}: unknown format {suffix!r}; expected .csv, .jsonl or .parquet")
    try:
        if suffix == ".parquet":
            from pyarrow import parquet

            rows = parquet.read_table(table).to_pylist()
        else:
            text = table.read_text("utf-8-sig")
            rows = (
                list(csv.DictReader(io.StringIO(text), strict=True))
                if suffix == ".csv"
                else [json.loads(line) for line in text.splitlines() if line.strip()]
            )
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{table}: cannot be read as {suffix[1:]} ({error})") from error
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or None in row:
            raise InputError(
                f"{table.name}, row {number}: expected one value a column; quote text with commas"
            )
        yield row


def _prompt(record: Mapping[str, Any], where: str) -> Prompt:
    text = str(record.get("prompt") or "").strip()
    if not text:
        raise InputError(f"{where}: column `prompt` is missing or empty; say what the image was made from")
    slots = {
        name: str(value) for name, value in record.items() if name not in _OWN and value not in (None, "")
    }
    prompt_id = str(record.get("prompt_id") or "") or _derived_id(text)
    if not _ID.fullmatch(prompt_id):
        raise InputError(
            f"{where}: prompt_id {prompt_id!r} cannot be a file name; use a-z, 0-9, dot, dash, underscore"
        )
    return Prompt(prompt_id, text, slots)


def _derived_id(text: str) -> str:
    """Readable, and different for different texts."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    return f"{slug or 'prompt'}-{digest}"


def _seed(value: object, where: str) -> int | None:
    """None when the table does not say."""
    if value is None or value == "":
        return None
    try:
        return int(str(value))
    except ValueError as error:
        raise InputError(f"{where}: seed {value!r}, expected a whole number; or leave it empty") from error


def _inside(folder: Path, record: Mapping[str, Any], where: str) -> Path:
    name = str(record.get("file") or record.get("file_name") or "")
    if not name:
        raise InputError(f"{where}: column `file` is missing or empty; it names the image within the folder")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InputError(f"{where}: {name} lies outside {folder}; give a path within it")
    return path
