"""C2PA's list of soft binding algorithms: which names are listed, so that nothing else is claimed to be.

The list is not part of this project. The user imports the official file (`assay trust import`); without it, whether
a name is listed is unknown, and that is what is said. Our own watermark's name is a private one: no entry of ours is
on the list.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from generator.errors import CannotCheckError, InputError

FILE = "softbinding-algorithm-list.json"
"""Name under which C2PA publishes the list."""

_MAX_BYTES = 20_000_000
_NAME = re.compile(
    r"[A-Za-z]{2,63}(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+\.?"
)  # the list's own schema
_KINDS = ("watermark", "fingerprint")

Kind = Literal["watermark", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One entry of the list.

    Attributes:
        name: "alg" of a soft binding.
        kind: "watermark" or "fingerprint".
        deprecated: shall not be used for new bindings.
        servers: addresses of resolution APIs that the entry names.
    """

    name: str
    kind: str
    deprecated: bool
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlgorithmList:
    """The imported list.

    Attributes:
        algorithms: by name.
        digest: sha256 of the file, hex; "" when none was imported.
        newest: the latest `dateEntered`; "" when none was imported.
    """

    algorithms: Mapping[str, Algorithm] = field(default_factory=dict)
    digest: str = ""
    newest: str = ""

    def is_listed(self, name: str) -> bool | None:
        """Whether the list holds the name; None without a list."""
        return name in self.algorithms if self.digest else None


def parse_algorithms(content: bytes, *, where: str) -> AlgorithmList:
    """The list in its JSON form.

    Raises:
        InputError: another form; the message names the entry.
    """
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: no JSON ({error}); give C2PA's {FILE}") from error
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{where}: expected a JSON array of entries, as in C2PA's {FILE}")
    found: dict[str, Algorithm] = {}
    dates = []
    for number, entry in enumerate(entries, start=1):
        try:
            name, kind = entry["alg"], entry["type"]
            dates.append(str(entry["entryMetadata"]["dateEntered"]))
            servers = tuple(str(url) for url in entry.get("softBindingResolutionApis") or ())
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{where}: entry {number} lacks {error}; the file is damaged or another one"
            ) from error
        if not (isinstance(name, str) and _NAME.fullmatch(name)) or kind not in _KINDS:
            raise InputError(
                f"{where}: entry {number}: {name!r} of type {kind!r} is not as the list's schema asks"
            )
        found[name] = Algorithm(name, kind, entry.get("deprecated") is True, servers)
    return AlgorithmList(found, hashlib.sha256(content).hexdigest(), max(dates))


def read_bounded(file: Path) -> bytes:
    """A list's content.

    Raises:
        InputError: too large for one.
        CannotCheckError: it cannot be read.
    """
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise InputError(f"{file}: larger than {_MAX_BYTES:,} bytes; this is no list of algorithms")
        return file.read_bytes()
    except OSError as error:
        raise CannotCheckError(
            f"{file}: cannot be read ({error.strerror}); check path and permissions"
        ) from error
