"""`assay trust`: whom this user trusts. Lists are imported once and used by every `verify` that names no other."""

from __future__ import annotations

import argparse
import tempfile
from http.client import HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from audit.cli.common import add_json_option, note, write_json, write_out
from generator.errors import CannotCheckError, InputError

OFFICIAL = "https://raw.githubusercontent.com/c2pa-org/conformance-public/main/trust-list"
"""Folder of the official lists of the C2PA conformance programme."""

OFFICIAL_ALGORITHMS = "https://raw.githubusercontent.com/c2pa-org/softbinding-algorithm-list/main"
"""Folder of C2PA's list of soft binding algorithms."""

_LISTS = {
    "c2pa": ("C2PA-TRUST-LIST.pem", "signers", OFFICIAL),
    "c2pa-tsa": ("C2PA-TSA-TRUST-LIST.pem", "time-stamps", OFFICIAL),
    "c2pa-algorithms": ("softbinding-algorithm-list.json", "algorithms", OFFICIAL_ALGORITHMS),
}
_TIMEOUT = 30  # seconds
_MAX_BYTES = 20_000_000


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "trust",
        help="import and show the lists of signers, time-stamp authorities and algorithms that you go by",
        description=(
            "Import lists once; every run then uses them: whom you trust as signers and for time stamps, and which "
            "soft binding algorithms C2PA lists. An authority for time stamps never vouches for a signer, so the "
            "kinds are kept apart. Without --online no network is used."
        ),
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    imported = actions.add_parser("import", help="keep files, or fetch the official lists")
    imported.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="PEM certificates, or C2PA's algorithms (.json)"
    )
    imported.add_argument("--online", action="store_true", help="fetch the official C2PA lists")
    imported.add_argument("--from", dest="address", default="", metavar="URL", help="another folder of them")
    imported.add_argument(
        "--kind",
        choices=("signers", "time-stamps", "algorithms"),
        help="what the files are for (default: .json algorithms, a name with tsa time-stamps, else signers)",
    )
    imported.add_argument("--name", help="name of the list (default: from the file name)")
    add_json_option(imported)
    listed = actions.add_parser("list", help="show what was imported")
    add_json_option(listed)
    removed = actions.add_parser("remove", help="forget a list")
    removed.add_argument("name", metavar="NAME")
    add_json_option(removed)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Change or show the store."""
    from audit.provenance.trust_store import open_store, remove_list
    from generator.marking.identity import assay_home

    store = open_store(assay_home())
    if args.action == "import":
        _import(args)
    elif args.action == "remove":
        remove_list(store, args.name)
        note(f"forgot {args.name}")
    _show(as_json=args.json)
    return 0


def _import(args: argparse.Namespace) -> None:
    if bool(args.files) == args.online:
        raise InputError("assay trust import: give FILE..., or --online for the official lists")
    if args.name and len(args.files) != 1:
        raise InputError("--name names one list; import one file at a time with it")
    if args.online:
        with tempfile.TemporaryDirectory(prefix="assay-") as folder:
            for name, (file, kind, official) in _LISTS.items():
                address = f"{(args.address or official).rstrip('/')}/{file}"
                path = Path(folder) / file
                path.write_bytes(_fetch(address))
                _keep(path, kind=kind, name=name, source=address)
    for file in args.files:
        _keep(file, kind=args.kind or _kind_of(file), name=args.name or _name_of(file), source="")


def _kind_of(file: Path) -> str:
    from audit.provenance.trust import is_time_list

    if file.suffix.lower() == ".json":
        return "algorithms"
    return "time-stamps" if is_time_list(file.name) else "signers"


def _keep(file: Path, *, kind: str, name: str, source: str) -> None:
    from audit.provenance.trust_store import import_list, open_store
    from generator.marking.identity import assay_home

    store = import_list(open_store(assay_home()), file, kind=kind, name=name, source=source)
    entry = store.lists[-1]
    note(f"imported {entry.name}: {entry.certificates} entries for {entry.kind}, sha256 {entry.sha256}")


def _name_of(file: Path) -> str:
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in file.stem.lower()).split())


class _NoDowngrade(HTTPRedirectHandler):
    """Follows redirects to https only."""

    def redirect_request(  # noqa: D102 - as the library calls it
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(address: str) -> None:
    if not address.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise InputError(f"{address}: a trust list is fetched over https only")


def _fetch(address: str) -> bytes:
    _check_address(address)
    request = Request(address, headers={"User-Agent": "assay"})  # noqa: S310 - the scheme was checked
    try:
        with build_opener(_NoDowngrade).open(request, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read(_MAX_BYTES + 1)
    except (URLError, OSError) as error:
        raise CannotCheckError(
            f"{address}: cannot be fetched ({error}); download it yourself and import the file"
        ) from error
    if len(content) > _MAX_BYTES:
        raise CannotCheckError(f"{address}: more than {_MAX_BYTES:,} bytes; this is no trust list")
    return content


def _show(*, as_json: bool) -> None:
    from dataclasses import asdict

    from audit.provenance.trust_store import load_stored, open_store
    from generator.marking.identity import assay_home

    store = open_store(assay_home())
    lists = load_stored(store)
    for warning in lists.warnings:
        note(f"warning: {warning}")
    if as_json:
        write_json(
            {
                "schema_version": 1,
                "lists": [asdict(entry) for entry in store.lists],
                "purposes": list(store.purposes),
                "digest": lists.digest,
                "warnings": list(lists.warnings),
            }
        )
        return
    for entry in store.lists:
        write_out(
            f"{entry.name:<24} {entry.kind:<12} {entry.certificates:>4} entries  {entry.imported[:10]}  "
            f"sha256 {entry.sha256[:16]}…  {entry.source}"
        )
    if not store.lists:
        write_out("no list imported; `assay trust import --online` fetches the official ones")
