"""What an attack is, which keys it is made with, and how it is run: verdict, processor time and memory."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptography.hazmat import asn1

from audit.evidence import Evidence, Status
from audit.inputs import Source
from audit.provenance.gather import Setup
from audit.provenance.trust import TrustLists, build_lists
from audit.verification import Verification
from benchmarks.forgeries import Authority, Leaf, picture, sign
from generator.marking import asn1 as der
from generator.marking.ledger import LEDGER_FILE
from generator.marking.timestamps import TimeAuthority, serve_time
from generator.marking.watermark.keys import KEY_FILE

TIME_STAMPING = "1.3.6.1.5.5.7.3.8"
SECONDS = 3.0  # of processor time for one file, also for a bomb
MEBIBYTES = 400  # that judging one file may add to the process at its peak
_PROCESS = Path("/proc/self")  # Linux

Search = Literal["off", "full"]


def words(*allowed: str) -> frozenset[str]:
    """Overall words that are right."""
    return frozenset(allowed)


TAMPERED = words("tampered", "manifest damaged", "could not check")
OPEN = words("nothing found", "could not check")
REFUSED = words("could not check")
UNKNOWN = words("intact, signer not on a trust list")


@dataclass(frozen=True)
class Case:
    """One attack, or one file that only looks like one.

    Attributes:
        name: of the attack.
        data: the file.
        words: overall words that are right.
        check: name of the check that has to fail or stay open.
        passes: the file is good, and refusing it would be wrong.
        beside: manifest store that lies beside the file; empty for none.
        size: bytes to which the file is filled up with zeros, as a hole; 0 for none.
        search: how hard to look for the watermark; also says that the ledger is asked.
        seconds: of processor time that it may take.
        mebibytes: that judging it may add at its peak.
    """

    name: str
    data: bytes = field(repr=False)
    words: frozenset[str]
    check: str = "c2pa.integrity"
    passes: bool = False
    beside: bytes = field(default=b"", repr=False)
    size: int = 0
    search: Search = "off"
    seconds: float = SECONDS
    mebibytes: int = MEBIBYTES


class Kit:
    """Keys and pictures that the attacks are made from."""

    def __init__(self, home: Path) -> None:
        """Make fresh keys.

        Args:
            home: folder of the reader's watermark key and ledger.
        """
        self.home = home
        self.authority, self.stranger, self.clock = (
            Authority(),
            Authority("Stranger"),
            Authority("Clock Root"),
        )
        self.leaf, self.unknown = self.authority.issue(), self.stranger.issue("Somebody Else")
        self.plain = picture()
        self.signed = sign(self.plain, self.leaf)
        self.other = sign(picture(seed=1), self.leaf)

    @property
    def trust(self) -> TrustLists:
        """The lists of a reader: the authority for signers, the clock for time stamps."""
        return build_lists([self.authority.pem], [self.clock.pem], [], source="attack matrix")

    @cached_property
    def stamped(self) -> bytes:
        """A signed picture with a time stamp of the clock."""
        clock = self.stamper()
        authority = TimeAuthority((clock.certificate, clock.issuer), clock.key)
        with serve_time(authority) as address:
            return sign(self.plain, self.leaf, time_authority=address)

    def stamper(self, authority: Authority | None = None) -> Leaf:
        """A time-stamping certificate that was valid for long; default of the clock."""
        issue = (authority or self.clock).issue
        return issue("Clock", purposes=[TIME_STAMPING], start=timedelta(days=-90))

    def tokens(self, stamper: Leaf, ago: timedelta) -> Callable[[bytes], bytes]:
        """What gives time-stamp tokens (DER) that say a time this long ago."""
        when = datetime.now(UTC) - ago
        authority = TimeAuthority((stamper.certificate, stamper.issuer), stamper.key, clock=lambda: when)

        def stamp(message: bytes) -> bytes:
            imprint = der.Imprint(
                algorithm=der.Algorithm(algorithm=der.SHA256), digest=hashlib.sha256(message).digest()
            )
            request = der.Request(version=1, imprint=imprint, policy=None, nonce=None, wants_certificate=True)
            answer = asn1.decode_der(der.Response, authority.respond(asn1.encode_der(request)))
            return asn1.encode_der(answer.token)

        return stamp


@dataclass(frozen=True)
class Outcome:
    """What became of one attack.

    Attributes:
        evidence: the verdict.
        seconds: processor time.
        mebibytes: that were added at the peak.
        wrong: what is wrong with it; "" when nothing is.
    """

    evidence: Evidence = field(repr=False)
    seconds: float
    mebibytes: int
    wrong: str


def run_case(case: Case, kit: Kit, folder: Path) -> Outcome:
    """Put the file into a folder and verify it as `assay verify` does."""
    path, beside = folder / "asset", folder / "asset.c2pa"
    path.write_bytes(case.data)
    if case.size:
        os.truncate(path, case.size)
    beside.unlink(missing_ok=True)
    if case.beside:
        beside.write_bytes(case.beside)
    verification = Verification(_setup(case, kit), recover=case.search != "off")
    before = _forget_peak()
    started = time.process_time()
    evidence = verification(Source(str(path), path))
    seconds, mebibytes = time.process_time() - started, _peak() - before
    return Outcome(evidence, seconds, mebibytes, _judge(case, evidence, seconds, mebibytes))


def _setup(case: Case, kit: Kit) -> Setup:
    if case.search == "off":
        return Setup(trust=kit.trust, search="off")
    return Setup(kit.trust, kit.home / KEY_FILE, kit.home / LEDGER_FILE, case.search)


def _judge(case: Case, evidence: Evidence, seconds: float, mebibytes: int) -> str:
    word, check = str(evidence.find("verdict").value), evidence.find(case.check)
    passed = Status.PASS in (evidence.status, check.status)
    if word not in case.words:
        return f"is called {word!r}"
    if passed and not case.passes:
        return f"passes: {evidence.status}, {check.name} {check.value}"
    if case.passes and (evidence.status, check.status) != (Status.PASS, Status.PASS):
        return f"is refused: {evidence.status}, {check.name} {check.value}"
    if seconds > case.seconds or mebibytes > case.mebibytes:
        return f"took {seconds:.1f} s and {mebibytes} MiB"
    return ""


def _forget_peak() -> int:
    """Start counting anew how much memory this process has at most; MiB that it has now."""
    (_PROCESS / "clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """Most memory that this process had, MiB."""
    lines = (_PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) >> 10
