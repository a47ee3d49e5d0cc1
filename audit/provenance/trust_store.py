"""Trust lists that this user keeps: imported once, used by every run that names no other list.

A folder `trust` in the user's configuration holds one file a list, and `trust.json`, which says of each where it came
from, when, with which digest, and what it is for: signers and time stamps (PEM), or the names of soft binding
algorithms (JSON, as C2PA publishes it). A list that was changed behind
`trust.json` is refused, and so is a key that this version does not know: a misspelt setting must not be a silent one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audit.provenance.recovery_algorithms import AlgorithmList, parse_algorithms, read_bounded
from audit.provenance.trust import (
    SIGNING_PURPOSES,
    TrustLists,
    build_lists,
    check_purposes,
    read_certificates,
    split_pem,
)
from generator.errors import CannotCheckError, InputError
from generator.marking.files import write_atomic

FOLDER = "trust"
FILE = "trust.json"
SIGNERS, TIME_STAMPS, ALGORITHMS = "signers", "time-stamps", "algorithms"
KINDS = (SIGNERS, TIME_STAMPS, ALGORITHMS)
STALE = timedelta(days=90)  # the official lists change every few weeks
_SCHEMA = 1
_KEYS = frozenset({"schema_version", "lists", "purposes"})
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class StoredList:
    """One imported list.

    Attributes:
        name: unique; also the name of its file.
        kind: one of `KINDS`.
        sha256: of the kept file, hex.
        source: file or address that it came from.
        imported: date and time, ISO 8601, UTC.
        certificates: number of anchors; of a list of algorithms, of its entries.
    """

    name: str
    kind: str
    sha256: str
    source: str
    imported: str
    certificates: int

    @property
    def file(self) -> str:
        """Name of the kept file."""
        return f"{self.name}.{'json' if self.kind == ALGORITHMS else 'pem'}"


@dataclass(frozen=True, slots=True)
class Store:
    """The user's configuration of trust.

    Attributes:
        folder: where it lives.
        lists: by name, in order of import.
        purposes: object identifiers, one of which a signing certificate must state.
    """

    folder: Path
    lists: tuple[StoredList, ...] = ()
    purposes: tuple[str, ...] = SIGNING_PURPOSES


def open_store(home: Path) -> Store:
    """The store of a configuration folder; an empty one when nothing was imported yet.

    Raises:
        InputError: `trust.json` holds a key or value that this version does not know.
        CannotCheckError: it cannot be read or is damaged.
    """
    folder = home / FOLDER
    path = folder / FILE
    if not path.is_file():
        return Store(folder)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotCheckError(
            f"{path}: cannot be read ({error}); restore it or remove it and import again"
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object with the keys {', '.join(sorted(_KEYS))}")
    _refuse_unknown(content, _KEYS, where=str(path))
    if content.get("schema_version") != _SCHEMA:
        raise InputError(
            f"{path}: schema_version {content.get('schema_version')!r}; this version reads {_SCHEMA}"
        )
    lists = tuple(_parse_list(entry, where=str(path)) for entry in _list_of(content.get("lists"), path))
    purposes = tuple(map(str, _list_of(content.get("purposes", list(SIGNING_PURPOSES)), path)))
    return Store(folder, lists, check_purposes(purposes, where=str(path)))


def _list_of(value: object, path: Path) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{path}: expected a list, got {type(value).__name__}")
    return value


def _refuse_unknown(entry: Mapping[str, Any], known: frozenset[str], *, where: str) -> None:
    unknown = sorted(set(entry) - known)
    if unknown:
        raise InputError(
            f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}. Correct or remove it"
        )


def _parse_list(entry: object, *, where: str) -> StoredList:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: a list is described by an object, got {type(entry).__name__}")
    known = frozenset(field.name for field in fields(StoredList))
    _refuse_unknown(entry, known, where=where)
    missing = sorted(known - set(entry))
    if missing:
        raise InputError(f"{where}: a list lacks the key {missing[0]!r}; import it again")
    if entry["kind"] not in KINDS:
        raise InputError(f"{where}: kind {entry['kind']!r}; expected {' or '.join(KINDS)}")
    _check_name(str(entry["name"]))
    return StoredList(**entry)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"list name {name!r}: use lower-case letters, digits and hyphens, at most 64")
    return name


def load_stored(store: Store, *, development: str = "", now: datetime | None = None) -> TrustLists:
    """The anchors of all imported lists, apart by purpose; the digest of every list is checked.

    Args:
        store: of this user.
        development: PEM of this machine's development root; "" when there is none.
        now: to judge the age of the lists; default the clock.

    Raises:
        CannotCheckError: a list is missing or was changed after its import.
    """
    own = split_pem(development)
    if not store.lists:
        return TrustLists(development=own, purposes=store.purposes)
    anchors: dict[str, list[str]] = {SIGNERS: [], TIME_STAMPS: []}
    warnings = []
    for entry in store.lists:
        content = _kept(store, entry)
        if entry.kind != ALGORITHMS:
            anchors[entry.kind].extend(split_pem(content.decode("latin-1")))
        age = (now or datetime.now(UTC)) - _moment(entry.imported, store.folder)
        if age > STALE:
            warnings.append(
                f"list {entry.name} was imported {age.days} days ago; import it again to know new {entry.kind}"
            )
    if not any(anchors.values()):
        return TrustLists(development=own, purposes=store.purposes, warnings=tuple(warnings))
    return build_lists(
        anchors[SIGNERS],
        anchors[TIME_STAMPS],
        own,
        source=str(store.folder),
        purposes=store.purposes,
        warnings=warnings,
    )


def load_algorithms(store: Store) -> AlgorithmList:
    """The list of algorithms that was imported last; an empty one when there is none.

    Raises:
        CannotCheckError: the list is missing or was changed after its import.
    """
    found = [entry for entry in store.lists if entry.kind == ALGORITHMS]
    if not found:
        return AlgorithmList()
    return parse_algorithms(_kept(store, found[-1]), where=str(store.folder / found[-1].file))


def _kept(store: Store, entry: StoredList) -> bytes:
    """A list's content, which is what was imported."""
    path = store.folder / entry.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotCheckError(
            f"{path}: the list cannot be read ({error.strerror}); import it again"
        ) from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise CannotCheckError(f"{path}: changed since it was imported; import it again or remove it")
    return content


def _moment(text: str, folder: Path) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{folder / FILE}: {text!r} is no date; import the list again") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def import_list(
    store: Store, file: Path, *, kind: str, name: str, source: str = "", now: datetime | None = None
) -> Store:
    """Keep a copy of a list; a list of the same name is replaced.

    Args:
        store: of this user; its folder is made when it is not there.
        file: PEM certificates, or C2PA's list of soft binding algorithms.
        kind: one of `KINDS`.
        name: under which it is kept.
        source: where it came from, when that is not the file.
        now: time of the import; default the clock.

    Raises:
        InputError: no certificate, a damaged one, or one of another purpose than the list's; or no such list.
        CannotCheckError: the file cannot be read or the configuration cannot be written.
    """
    if kind == ALGORITHMS:
        content = read_bounded(file)
        count = len(parse_algorithms(content, where=str(file)).algorithms)
    else:
        blocks = _anchors(file, kind=kind)
        content, count = "".join(blocks).encode("ascii"), len(blocks)
    entry = StoredList(
        name=_check_name(name),
        kind=kind,
        sha256=hashlib.sha256(content).hexdigest(),
        source=source or str(file.resolve()),
        imported=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
        certificates=count,
    )
    others = tuple(other for other in store.lists if other.name != name)
    changed = Store(store.folder, (*others, entry), store.purposes)
    _write(store.folder / entry.file, content)
    save_store(changed)
    return changed


def _anchors(file: Path, *, kind: str) -> list[str]:
    """The distinct certificates of a PEM file, each of which may be an anchor of its kind."""
    blocks = list(dict.fromkeys(read_certificates(file)))
    if not blocks:
        raise InputError(f"{file}: no certificate found; expected PEM (BEGIN CERTIFICATE)")
    _check_kind(blocks, kind=kind, file=file)
    return blocks


def _check_kind(blocks: Sequence[str], *, kind: str, file: Path) -> None:
    """A certificate whose only purpose is time stamping must not become an anchor of signers."""
    from cryptography import x509

    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: expected {' or '.join(KINDS)}")
    stamping = [x509.oid.ExtendedKeyUsageOID.TIME_STAMPING]
    for block in blocks:
        certificate = x509.load_pem_x509_certificate(block.encode("ascii"))
        try:
            purposes = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        except (x509.ExtensionNotFound, ValueError):
            continue
        if kind == SIGNERS and purposes == stamping:
            subject = certificate.subject.rfc4514_string()
            raise InputError(
                f"{file}: {subject} is an authority for time stamps; import this list with --kind {TIME_STAMPS}"
            )


def remove_list(store: Store, name: str) -> Store:
    """Forget a list.

    Raises:
        InputError: there is none of that name.
    """
    if all(entry.name != name for entry in store.lists):
        known = ", ".join(entry.name for entry in store.lists) or "none"
        raise InputError(f"no trust list {name!r}; imported are: {known}")
    changed = Store(store.folder, tuple(e for e in store.lists if e.name != name), store.purposes)
    save_store(changed)
    for entry in store.lists:
        if entry.name == name:
            (store.folder / entry.file).unlink(missing_ok=True)
    return changed


def save_store(store: Store) -> None:
    """Write `trust.json`.

    Raises:
        CannotCheckError: it cannot be written.
    """
    content = {
        "schema_version": _SCHEMA,
        "lists": [asdict(entry) for entry in store.lists],
        "purposes": list(store.purposes),
    }
    _write(store.folder / FILE, (json.dumps(content, indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise CannotCheckError(f"{path}: cannot be written ({error.strerror}); check the folder") from error
