"""Another time than now, a revocation that the file carries, and the certificate's purposes."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from audit.evidence import Evidence, Status
from audit.provenance.gather import Setup, examine
from audit.provenance.moment import parse_moment, vouching_list
from audit.provenance.signer import load_certificates, revoked_since
from audit.provenance.trust import DEVELOPMENT_LIST, SIGNER_LIST, TrustLists, build_lists
from audit.provenance.verdict import judge
from audit.provenance.whatif import what_if
from benchmarks.forgeries import DAY, Authority, Leaf, picture, sign
from benchmarks.store_surgery import forge
from generator.marking.timestamps import TimeAuthority, serve_time

NOW = dt.datetime.now(dt.UTC)
ROOT, CLOCK = Authority(), Authority("Clock Root")
LEAF = ROOT.issue()
TRUST = build_lists([ROOT.pem], [CLOCK.pem], [], source="test")


@pytest.fixture(scope="module")
def signed() -> bytes:
    return sign(picture(), LEAF)


@pytest.fixture(scope="module")
def stamped() -> bytes:
    stamper = CLOCK.issue("Clock", purposes=["1.3.6.1.5.5.7.3.8"])
    with serve_time(TimeAuthority((stamper.certificate, stamper.issuer), stamper.key)) as address:
        return sign(picture(), LEAF, time_authority=address)


def verify(
    data: bytes, folder: Path, *, at: dt.datetime | None = None, trust: TrustLists = TRUST
) -> Evidence:
    path = folder / "asset.png"
    path.write_bytes(data)
    return judge(examine(path, Setup(trust=trust, search="off", at=at), with_crjson=False))


def outcome(evidence: Evidence) -> tuple[object, Status]:
    return evidence.find("verdict").value, evidence.status


def test_after_the_certificate_ends_an_unstamped_file_is_expired(signed: bytes, tmp_path: Path) -> None:
    assert outcome(verify(signed, tmp_path, at=NOW + 29 * DAY)) == ("trusted", Status.PASS)
    late = verify(signed, tmp_path, at=NOW + 31 * DAY)
    assert outcome(late) == ("expired, no time stamp", Status.FAIL)
    assert late.find("c2pa.integrity").status is Status.PASS
    early = verify(signed, tmp_path, at=NOW - 2 * DAY)
    assert early.status is Status.FAIL
    assert early.find("c2pa.time").value == "contradicted"


def test_a_time_stamp_keeps_it_valid_for_ever(stamped: bytes, tmp_path: Path) -> None:
    late = verify(stamped, tmp_path, at=NOW + 3000 * DAY)
    assert outcome(late) == ("trusted", Status.PASS)
    assert late.find("c2pa.time").value == "stamped"
    unknown = build_lists([ROOT.pem], [], [], source="test")
    untrusted = verify(stamped, tmp_path, at=NOW + 31 * DAY, trust=unknown)
    assert outcome(untrusted) == ("expired, time stamp not trusted", Status.INCONCLUSIVE)


def test_it_was_not_stamped_yet_at_an_earlier_time(stamped: bytes, tmp_path: Path) -> None:
    early = verify(stamped, tmp_path, at=NOW - dt.timedelta(hours=12))
    assert outcome(early) == ("time stamp does not hold", Status.FAIL)


def test_an_expired_certificate_was_good_in_its_time(signed: bytes, tmp_path: Path) -> None:
    past = forge(signed, ROOT.issue(start=-20 * DAY, end=-DAY))
    assert verify(past, tmp_path).status is Status.FAIL
    assert outcome(verify(past, tmp_path, at=NOW - 5 * DAY)) == ("trusted", Status.PASS)


def test_a_changed_picture_is_tampered_at_any_time(signed: bytes, tmp_path: Path) -> None:
    assert outcome(verify(signed + b"x", tmp_path, at=NOW + DAY)) == ("tampered", Status.FAIL)


def der(leaf: Leaf) -> tuple[bytes, ...]:
    from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(certificate.public_bytes(Encoding.DER) for certificate in (leaf.certificate, leaf.issuer))


def test_only_a_list_of_signers_vouches() -> None:
    assert vouching_list(der(LEAF), trust=TRUST, at=NOW) == SIGNER_LIST
    assert vouching_list(der(CLOCK.issue("Clock")), trust=TRUST, at=NOW) == ""
    own = build_lists([], [], [ROOT.pem], source="test")
    assert vouching_list(der(LEAF), trust=own, at=NOW) == DEVELOPMENT_LIST
    for leaf in (
        ROOT.issue(purposes=["1.3.6.1.5.5.7.3.8"]),
        ROOT.issue(signs=False),
        Authority("Forgery Root").issue(),
        ROOT.issue(end=-dt.timedelta(hours=1)),
    ):
        assert vouching_list(der(leaf), trust=TRUST, at=NOW) == ""


def test_a_revocation_counts_only_when_the_issuer_answers_for_it() -> None:
    leaf = ROOT.issue()
    chain = load_certificates(der(leaf))
    assert revoked_since(chain, [ROOT.revocation(leaf)]) is not None
    assert revoked_since(chain, [ROOT.revocation(LEAF)]) is None  # about another certificate
    assert revoked_since(chain, [b"garbage"]) is None
    impostor = Authority("Forgery Root")
    assert revoked_since(chain, [impostor.revocation(leaf)]) is None


@pytest.mark.parametrize("text", ["2026-11-01", "2026-11-01T12:00Z", "2026-11-01T12:00:00+02:00"])
def test_times_as_users_write_them(text: str) -> None:
    assert parse_moment(text).tzinfo is not None


def table(data: bytes, folder: Path, trust: TrustLists) -> dict[str, tuple[str, bool]]:
    path = folder / "asset.png"
    path.write_bytes(data)
    layers = examine(path, Setup(trust=trust, search="off"))
    return {row.assumption: (row.word, row.changes) for row in what_if(layers, path, trust)}


def test_what_would_change_the_verdict(signed: bytes, stamped: bytes, tmp_path: Path) -> None:
    unknown = build_lists([CLOCK.pem], [], [], source="test")
    rows = table(signed, tmp_path, unknown)
    assert next(row for name, row in rows.items() if "Forgery Root" in name) == ("trusted", True)
    assert next(row for name, row in rows.items() if "after its certificate ends" in name)[0].startswith(
        "expired"
    )
    rows = table(signed, tmp_path, TRUST)
    assert rows["you had no trust list"] == ("intact, no trust list given", True)
    late = next(row for name, row in table(stamped, tmp_path, TRUST).items() if "certificate ends" in name)
    assert late == ("trusted", False)


def test_what_a_known_authority_for_time_would_change(stamped: bytes, tmp_path: Path) -> None:
    rows = table(stamped, tmp_path, build_lists([ROOT.pem], [], [], source="test"))
    assert next(row for name, row in rows.items() if "time-stamp authorities" in name)[0] == "trusted"


def test_a_time_stamp_counts_only_by_the_list_for_time(tmp_path: Path) -> None:
    """The engine trusts one under an anchor for signers as well; without a list for time, so do we."""
    stamper = ROOT.issue("Clock", purposes=["1.3.6.1.5.5.7.3.8"])
    with serve_time(TimeAuthority((stamper.certificate, stamper.issuer), stamper.key)) as address:
        data = sign(picture(), LEAF, time_authority=address)

    def time_of(trust: TrustLists) -> object:
        return verify(data, tmp_path, trust=trust).find("c2pa.time").value

    assert time_of(TRUST) == "stamp-unproven"
    assert time_of(build_lists([ROOT.pem], [], [], source="test")) == "stamped"
    both = build_lists([ROOT.pem], [ROOT.pem, CLOCK.pem], [], source="test")
    assert time_of(both) == "stamped"
    other = build_lists([ROOT.pem, CLOCK.pem], [CLOCK.pem], [], source="test")
    assert time_of(other) == "stamp-unproven"
    assert verify(data, tmp_path).status is Status.PASS  # it adds nothing, and takes nothing away
