"""`assay doctor`: why a certificate will not be accepted for signing, and how to get one that is."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from audit.cli.common import add_json_option, note, write_json, write_out
from audit.cli.signing_options import password_from_environment
from audit.evidence import JSON, Check, Evidence, Status, exit_code, worst
from generator.errors import AssayError, InputError

if TYPE_CHECKING:
    from cryptography import x509

    from generator.marking.findings import Finding

_PREFIX = "certificate."
_SOURCES = {
    "reader": "C2PA 2.4 section 14.5.1, and refusals met with c2pa-rs 0.91",
    "programme": "C2PA conformance programme 0.2, claim signing leaf, assurance level 1",
    "time": "C2PA conformance programme 0.2, time-stamp authority leaf",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the verb."""
    parser = subparsers.add_parser(
        "doctor",
        help="say why a signing certificate will not be accepted, or make one that is",
        description=(
            "Examines PEM certificates (leaf first) for signing Content Credentials, or makes a key with a "
            "certificate request or a development chain. Whether a trust list vouches for the issuer is another "
            "question: `assay trust` and `assay verify` answer it."
        ),
    )
    parser.add_argument(
        "certificates", nargs="*", type=Path, metavar="PEM", help="certificate chains to examine"
    )
    parser.add_argument(
        "--key", type=Path, metavar="PEM", help="private key that should belong to the certificate"
    )
    parser.add_argument(
        "--profile",
        choices=tuple(_SOURCES),
        default="reader",
        help="whose demands: every C2PA reader's (default), the conformance programme's, or a time-stamp authority's",
    )
    parser.add_argument("--at", metavar="TIME", help="judge validity at this ISO 8601 time (default: now)")
    _add_making_options(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def _add_making_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("making")
    group.add_argument("--make", type=Path, metavar="FOLDER", help="write a new key and what goes with it")
    group.add_argument(
        "--request",
        action="store_true",
        help="with --make: a certificate request for an authority, no certificate",
    )
    group.add_argument(
        "--algorithm", default="es256", metavar="NAME", help="es256 ... ed25519 (default: es256)"
    )
    group.add_argument("--name", default="", metavar="CN", help="common name")
    group.add_argument("--organization", default="", metavar="O", help="organisation")
    group.add_argument("--country", default="", metavar="C", help="two letters")
    group.add_argument(
        "--password-env", metavar="NAME", help="environment variable with a password for the new key"
    )


def run(args: argparse.Namespace) -> int:
    """Examine every certificate named, after making what was asked for."""
    paths: list[Path] = list(args.certificates)
    key = args.key
    if args.make is not None:
        if paths or key:
            raise InputError("--make makes its own key and certificate; give no others")
        made = _make(args)
        if made is None:
            return 0
        paths = [made]
    if not paths:
        raise InputError("nothing to do; give a PEM certificate, or --make FOLDER")
    moment = _moment(args.at)
    evidence = [_examine(path, args.profile, moment, key) for path in paths]
    if args.json:
        write_json({"certificates": [found.to_json() for found in evidence]})
    else:
        for found in evidence:
            _write(found)
    return exit_code(worst(found.status for found in evidence))


def _write(evidence: Evidence) -> None:
    write_out(f"{evidence.subject}: {evidence.status}")
    for check in evidence.checks:
        write_out(f"  {check.status:<13} {check.name.removeprefix(_PREFIX):<29} {check.reason}")
        if check.next_step:
            write_out(f"{'':<46}{check.next_step}")


def _moment(text: str | None) -> datetime:
    from generator.marking.certificates import utc_now

    if text is None:
        return utc_now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--at {text}: expected an ISO 8601 time, e.g. 2026-12-31T12:00:00+00:00") from error
    if moment.tzinfo is None:
        raise InputError(f"--at {text}: no time zone; add Z or +00:00")
    return moment


def _examine(path: Path, profile: str, moment: datetime, key: Path | None) -> Evidence:
    """Evidence about one file; a file that holds no certificate is an error, and the next one goes on."""
    from generator.marking.identity import load_chain
    from generator.marking.profile import Profile, examine, examine_chain

    try:
        chain = load_chain(path)
    except AssayError as error:
        return Evidence(str(path), (Check(_PREFIX + "readable", Status.ERROR, f"{error}."),))
    wanted = Profile(profile)
    findings = [*examine(chain[0], now=moment, profile=wanted), examine_chain(chain)]
    checks = [_check(finding, profile) for finding in findings]
    checks += [_check_key(chain[0], key)] if key else []
    if wanted is Profile.READER:
        checks.append(_outlook(chain[0], moment))
    return Evidence(str(path), tuple(checks))


def _check(finding: Finding, profile: str) -> Check:
    status = Status.PASS if finding.passed else Status.FAIL
    return Check(
        _PREFIX + finding.name,
        status,
        _sentence(finding.reason),
        source=_SOURCES[profile],
        next_step=_sentence(finding.remedy) if finding.remedy else "",
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _check_key(leaf: x509.Certificate, path: Path) -> Check:
    """Whether a private key belongs to the certificate; a key that cannot be read is an error."""
    from generator.marking.identity import load_key

    name = _PREFIX + "private_key"
    try:
        belongs = load_key(path).public_key() == leaf.public_key()
    except AssayError as error:
        return Check(name, Status.ERROR, f"{error}.")
    if belongs:
        return Check(name, Status.PASS, "The private key belongs to the certificate.")
    reason = f"The private key in {path} belongs to another certificate."
    return Check(name, Status.FAIL, reason, next_step="Find the key that the certificate was requested with.")


def _outlook(leaf: x509.Certificate, moment: datetime) -> Check:
    """What the conformance programme would demand beyond; not asked for, so it decides nothing."""
    from generator.marking.profile import Profile, examine

    missed: list[JSON] = [
        finding.name for finding in examine(leaf, now=moment, profile=Profile.PROGRAMME) if not finding.passed
    ]
    reason = (
        f"Not asked: the conformance programme would refuse {', '.join(map(str, missed))}." if missed else ""
    )
    return Check(
        _PREFIX + "programme",
        Status.SKIPPED,
        reason or "Not asked: the conformance programme would find nothing to refuse either.",
        source=_SOURCES["programme"],
        next_step="`--profile programme` judges it." if missed else "",
        details={"missed": missed},
    )


def _make(args: argparse.Namespace) -> Path | None:
    """Write what was asked for and say where; the path of the certificate, if one was made."""
    from generator.marking.issuing import Subject, make_development_chain, make_request_files

    subject = Subject(args.name, args.organization, args.country)
    password = password_from_environment(args.password_env)
    make = make_request_files if args.request else make_development_chain
    written = make(args.make, algorithm=args.algorithm, subject=subject, password=password)
    for path, what in written.items():
        note(f"{path}: {what}")
    return next((path for path in written if path.name == "chain.pem"), None)
