"""`assay serve`: the HTTP service. It verifies uploads, signs reports, resolves soft bindings, and keeps nothing."""

from __future__ import annotations

import argparse
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from audit.cli.common import note, write_out
from generator.errors import InputError

if TYPE_CHECKING:
    from audit.service.settings import Settings

_PORT = 8410
_MEGABYTE = 1 << 20
_KEEP_ALIVE = 5  # seconds
_CONNECTIONS = 200


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "serve",
        help="run the HTTP service: verify, detection reports, soft binding resolution",
        description=(
            "Serves POST /verify (signed detection reports; uploads are never stored) and the C2PA Soft Binding "
            "Resolution API 2.4 under /v1, from the ledger of this machine. Without tokens it listens to this "
            "machine only."
        ),
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=_PORT, help="port (default: %(default)s)")
    parser.add_argument("--ledger", metavar="FILE|URL", help="ledger (default: the one of this machine)")
    parser.add_argument("--trust", type=Path, metavar="FOLDER", help="PEM trust lists")
    parser.add_argument("--tokens", type=Path, metavar="FILE", help="who may ask; see --new-token")
    parser.add_argument(
        "--new-token", metavar="NAME", help="add a client to --tokens, print its token, and end"
    )
    parser.add_argument("--scope", action="append", metavar="SCOPE", help="of the new token (default: all)")
    parser.add_argument("--online", action="store_true", help="also fetch https addresses that clients name")
    parser.add_argument(
        "--certificate", type=Path, metavar="PEM", help="chain that signs reports (with --key)"
    )
    parser.add_argument("--key", type=Path, metavar="PEM", help="its private key (with --certificate)")
    parser.add_argument("--tls-certificate", type=Path, metavar="PEM", help="serve https (with --tls-key)")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    parser.add_argument(
        "--public-url", default="", metavar="URL", help="as clients reach the service (behind a proxy)"
    )
    parser.add_argument("--max-upload", type=int, default=64, metavar="MB", help="(default: %(default)s)")
    parser.add_argument(
        "--rate", type=int, default=120, metavar="N", help="requests per minute and client (default: 120)"
    )
    parser.add_argument(
        "--algorithms",
        type=Path,
        metavar="FILE",
        help="C2PA's softbinding-algorithm-list.json; kept for next time",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted, or make a token."""
    if args.new_token is not None:
        return _make_token(args)
    settings = build_settings(args)
    try:
        import uvicorn

        from audit.service.app import build_app
    except ImportError as error:
        raise InputError(
            f"the service needs packages that are not installed ({error.name}); `pip install assay-audit[service]`"
        ) from error
    if settings.identity.is_development:
        note("Reports are signed with a development identity: nobody else has a reason to trust it.")
    if not settings.clients:
        note("No tokens: everybody on this machine may ask.")
    elif not _is_loopback(args.host) and args.tls_certificate is None:
        note("Tokens travel unencrypted: put a TLS proxy in front, or give --tls-certificate.")
    uvicorn.run(
        build_app(settings),
        host=args.host,
        port=args.port,
        log_level="warning",
        access_log=False,  # names of files and addresses of clients are nobody's business
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        limit_concurrency=_CONNECTIONS,
        ssl_certfile=args.tls_certificate,
        ssl_keyfile=args.tls_key,
    )
    return 0


def build_settings(args: argparse.Namespace) -> Settings:
    """The deployment that the options describe.

    Raises:
        InputError: options that do not fit together, or open doors.
    """
    from audit.provenance.gather import build_setup
    from audit.provenance.trust_store import ALGORITHMS, import_list, load_algorithms, open_store
    from audit.service.settings import Limits, Settings, load_clients
    from generator.marking.identity import assay_home, development_identity, load_identity

    if (args.certificate is None) != (args.key is None):
        raise InputError("--certificate and --key belong together; give both or neither")
    if (args.tls_certificate is None) != (args.tls_key is None):
        raise InputError("--tls-certificate and --tls-key belong together; give both or neither")
    if args.tokens is None and not _is_loopback(args.host):
        raise InputError(f"--host {args.host}: others can reach this address; give --tokens FILE first")
    if args.scope is not None:
        raise InputError("--scope belongs to --new-token")
    if args.max_upload < 1 or args.rate < 1 or not 0 < args.port < 65_536:
        raise InputError("--max-upload and --rate must be at least 1, --port 1 to 65535")
    store = open_store(assay_home())
    if args.algorithms:
        store = import_list(store, args.algorithms, kind=ALGORITHMS, name="c2pa-algorithms")
    return Settings(
        setup=build_setup(trust=args.trust, ledger=args.ledger),
        identity=load_identity(args.certificate, args.key) if args.certificate else development_identity(),
        clients=load_clients(args.tokens) if args.tokens is not None else (),
        limits=Limits(upload=args.max_upload * _MEGABYTE, requests=args.rate),
        online=args.online,
        public_url=args.public_url,
        algorithms=load_algorithms(store),
    )


def _make_token(args: argparse.Namespace) -> int:
    from audit.service.settings import SCOPES, add_client

    if args.tokens is None:
        raise InputError("--new-token needs --tokens FILE, where the token's digest is kept")
    write_out(add_client(args.tokens, args.new_token, args.scope or SCOPES))
    note("This is the only time the token is shown; the file keeps its digest.")
    return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
