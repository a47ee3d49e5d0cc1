"""What the service may do, and who may ask."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from audit.provenance.gather import Setup
from audit.provenance.recovery_algorithms import AlgorithmList
from generator.errors import CannotCheckError, InputError
from generator.marking.files import write_atomic
from generator.marking.identity import Identity

FETCH = "fetch:manifests"
VERIFY = "verify:content"
SCOPES = (FETCH, VERIFY)
"""What a token can permit. `fetch:manifests` is the API's own name; storing is not offered over HTTP."""

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Client:
    """Who holds a token.

    Attributes:
        name: for logs and rate limits.
        digest: sha256 of the token, hex; the token itself is kept nowhere.
        scopes: what it permits.
    """

    name: str
    digest: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request and one client.

    Attributes:
        upload: bytes of a body.
        json: bytes of a JSON body.
        files: in one request.
        pixels: of one picture.
        seconds: that an upload may take.
        requests: per minute and client.
        workers: files judged at the same time.
        waiting: requests beside those at work that may be inside, each with its upload; more are turned away.
    """

    upload: int = 64 << 20
    json: int = 1 << 20
    files: int = 20
    pixels: int = 40_000_000
    seconds: float = 60.0
    requests: int = 120
    workers: int = 2
    waiting: int = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """A deployment.

    Attributes:
        setup: what files are judged with; its ledger is what soft bindings are resolved with.
        identity: signs detection reports.
        clients: who may ask; empty: everybody who can reach the service.
        limits: bounds.
        online: addresses that a client names may be fetched.
        private_networks: also addresses within private networks; for tests and closed networks only.
        algorithms: C2PA's list, when it was imported.
        public_url: address under which clients reach the service, for the well-known document; "" for the request's.
    """

    setup: Setup
    identity: Identity
    clients: tuple[Client, ...] = ()
    limits: Limits = field(default_factory=Limits)
    online: bool = False
    private_networks: bool = False
    algorithms: AlgorithmList = field(default_factory=AlgorithmList)
    public_url: str = ""


def find_client(clients: Iterable[Client], token: str) -> Client | None:
    """Who holds the token; every digest is compared, so that time tells nothing."""
    digest = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
    found = None
    for client in clients:
        if hmac.compare_digest(client.digest, digest):
            found = client
    return found


def load_clients(path: Path) -> tuple[Client, ...]:
    """The clients of a token file.

    Raises:
        InputError: another form, a scope that does not exist, or no client.
        CannotCheckError: it cannot be read.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["clients"]
        clients = tuple(Client(str(e["name"]), str(e["sha256"]), frozenset(e["scopes"])) for e in entries)
    except OSError as error:
        raise CannotCheckError(
            f"{path}: cannot be read ({error.strerror}); check path and permissions"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a token file ({error!r}); make one with `assay serve --new-token NAME`"
        ) from error
    unknown = sorted({str(scope) for client in clients for scope in client.scopes} - set(SCOPES))
    if unknown or not clients:
        said = f"unknown scopes {', '.join(unknown)}" if unknown else "no client"
        raise InputError(f"{path}: {said}; the scopes are {', '.join(SCOPES)}")
    return clients


def add_client(path: Path, name: str, scopes: Iterable[str]) -> str:
    """Make a token for a client, keep its digest in the token file (mode 0600), and return the token.

    Raises:
        InputError: the name is taken, a scope does not exist, or the file is another one.
        CannotCheckError: the file cannot be read or written.
    """
    clients = load_clients(path) if path.exists() else ()
    wanted = sorted(set(scopes))
    if (
        any(client.name == name for client in clients)
        or not set(wanted) <= set(SCOPES)
        or not name
        or not wanted
    ):
        raise InputError(f"token for {name!r}: the name must be new and the scopes among {', '.join(SCOPES)}")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    added = Client(name, hashlib.sha256(token.encode()).hexdigest(), frozenset(wanted))
    entries = [{"name": c.name, "sha256": c.digest, "scopes": sorted(c.scopes)} for c in (*clients, added)]
    try:
        write_atomic(path, json.dumps({"clients": entries}, indent=2).encode())
        path.chmod(0o600)
    except OSError as error:
        raise CannotCheckError(f"{path}: cannot be written ({error.strerror})") from error
    return token
