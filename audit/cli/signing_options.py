"""Options that say who signs and who stamps the time, and what they mean."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from generator.errors import CannotCheckError, InputError

if TYPE_CHECKING:
    from generator.marking.identity import Identity

DEVELOPMENT = "development"
"""Value of --tsa that means this machine's own clock."""


def add_signing_options(parser: argparse.ArgumentParser) -> None:
    """Certificate, key in one of three forms, its password, algorithm, time-stamp authority."""
    _add_key_options(parser)
    _add_time_options(parser)


def _add_key_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "who signs (default: a development identity that proves nothing to others)"
    )
    group.add_argument("--certificate", type=Path, metavar="PEM", help="your certificate chain, leaf first")
    group.add_argument("--key", type=Path, metavar="PEM", help="your private key")
    group.add_argument(
        "--key-command",
        metavar="COMMAND",
        help="signs instead of a key file: bytes on stdin, signature on stdout",
    )
    group.add_argument(
        "--key-token",
        nargs=3,
        metavar=("MODULE", "TOKEN", "LABEL"),
        help="key in a PKCS#11 token; its PIN as password",
    )
    group.add_argument("--password-file", type=Path, metavar="FILE", help="holds the password of the key")
    group.add_argument(
        "--password-env", metavar="NAME", help="environment variable with the password of the key"
    )
    group.add_argument("--algorithm", metavar="NAME", help="es256 ... ed25519 (default: what the key can do)")


def _add_time_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("time stamp")
    group.add_argument(
        "--tsa",
        default="",
        metavar="URL",
        help="RFC 3161 authority to ask over the network; 'development' is this machine's own clock",
    )
    group.add_argument(
        "--without-time", action="store_true", help="sign all the same when the authority gives no answer"
    )


def load_signer(args: argparse.Namespace) -> Identity:
    """The identity that the options name; without any, the development identity.

    Raises:
        InputError: options that contradict each other, a wrong password, or a certificate that C2PA would refuse.
        CannotCheckError: a file cannot be read.
    """
    from generator.marking.identity import development_identity, load_identity
    from generator.marking.signers import CommandKey, TokenKey
    from generator.marking.signing_keys import ALGORITHMS, PasswordError

    keys = [name for name in ("key", "key_command", "key_token") if getattr(args, name)]
    if (args.certificate is None) != (not keys) or len(keys) > 1:
        raise InputError(
            "--certificate belongs together with one of --key, --key-command and --key-token; give both or neither"
        )
    if args.algorithm and args.algorithm not in ALGORITHMS:
        raise InputError(f"--algorithm {args.algorithm}: unknown; use one of {', '.join(ALGORITHMS)}")
    if args.certificate is None:
        return development_identity()
    password = _given_password(args)
    if args.key_command:
        command = CommandKey(tuple(shlex.split(args.key_command)))
        return load_identity(args.certificate, command, algorithm=args.algorithm)
    if args.key_token:
        module, token, label = args.key_token
        pin = password or _ask(f"PIN of token {token}: ")
        remote = TokenKey(Path(module), token, label, pin)
        return load_identity(args.certificate, remote, algorithm=args.algorithm)
    try:
        return load_identity(args.certificate, args.key, password=password, algorithm=args.algorithm)
    except PasswordError:
        if password or not sys.stdin.isatty():
            raise
    asked = _ask(f"Password of {args.key}: ")
    return load_identity(args.certificate, args.key, password=asked, algorithm=args.algorithm)


@contextlib.contextmanager
def serve_authority(name: str) -> Iterator[str]:
    """Address of the authority that --tsa names; this machine's own is served while the context lasts.

    Raises:
        InputError: no http address and not "development".
    """
    if name != DEVELOPMENT:
        if name and not name.startswith(("http://", "https://")):
            raise InputError(f"--tsa {name}: expected an http(s) address, or {DEVELOPMENT}")
        yield name
        return
    from generator.marking.identity import development_time_authority
    from generator.marking.timestamps import TimeAuthority, serve_time

    bundle = development_time_authority()
    with serve_time(TimeAuthority(bundle.chain, bundle.key)) as address:
        yield address


def _given_password(args: argparse.Namespace) -> str | None:
    if args.password_file and args.password_env:
        raise InputError("--password-file and --password-env exclude each other; give one")
    if args.password_env:
        return password_from_environment(args.password_env)
    if args.password_file:
        try:
            return str(args.password_file.read_text("utf-8").splitlines()[0])
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise CannotCheckError(
                f"--password-file {args.password_file}: no password can be read from it ({error})"
            ) from error
    return None


def password_from_environment(name: str | None) -> str | None:
    """Value of the variable that --password-env names; None when it names none.

    Raises:
        InputError: the variable is not set.
    """
    if name is None:
        return None
    if not os.environ.get(name):
        raise InputError(f"--password-env {name}: this variable is not set, or empty")
    return os.environ[name]


def _ask(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise InputError(
            "a password is needed; give --password-file or --password-env where nobody can type it"
        )
    return getpass.getpass(prompt, stream=sys.stderr)
