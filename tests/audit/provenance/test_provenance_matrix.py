"""The attack matrix: no false pass, no crash, bounded time; and one-byte changes of signed files."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from audit.evidence import Status
from audit.provenance.channels import PADDING, find_channels
from audit.provenance.gather import Setup, examine
from audit.provenance.verdict import judge
from benchmarks.attack_matrix import Kit, cases
from benchmarks.forgeries import flip, forge, picture, sign
from benchmarks.verify_mutations import Mutant, mutate, unexplained

SECONDS = 2.0  # of processor time for one file, also for a bomb


@pytest.fixture(scope="module")
def kit() -> Kit:
    return Kit()


@pytest.fixture
def setup(kit: Kit) -> Setup:
    return Setup(trust=kit.trust, search="off")


def test_the_unchanged_file_passes(kit: Kit, setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "asset.png").write_bytes(kit.signed)
    evidence = judge(examine(tmp_path / "asset.png", setup))
    assert (evidence.find("verdict").value, evidence.status) == ("trusted", Status.PASS)


def test_no_attack_passes(kit: Kit, setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "asset"
    wrong, names = [], set()
    for case in cases(kit):
        names.add(case.name)
        path.write_bytes(case.data)
        started = time.process_time()
        evidence = judge(examine(path, setup, with_crjson=False))
        seconds = time.process_time() - started
        word, check = evidence.find("verdict").value, evidence.find(case.check)
        if word not in case.words or Status.PASS in (evidence.status, check.status) or seconds > SECONDS:
            wrong.append((case.name, word, evidence.status, check.value, round(seconds, 2)))
    assert wrong == []
    assert len(names) >= 40


def test_a_forged_signature_is_as_good_as_the_real_one(kit: Kit, setup: Setup, tmp_path: Path) -> None:
    """Else the certificate attacks of the matrix would fail for a reason of their own."""
    (tmp_path / "asset.png").write_bytes(forge(kit.signed, kit.authority.issue()))
    assert judge(examine(tmp_path / "asset.png", setup)).status is Status.PASS


@pytest.mark.parametrize(
    ("kind", "mime"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
    ],
)
def test_unsigned_bytes_are_found_in_every_container(kit: Kit, kind: str, mime: str) -> None:
    signed = sign(picture(kind, side=24), kit.leaf, mime=mime)
    channels = find_channels(signed)
    assert len(channels.chain) == 2
    assert channels.used == ()
    assert channels.sizes[PADDING] > 500
    start, end = next(spans for name, spans in channels.spans if name == PADDING)[0]
    assert PADDING in find_channels(flip(signed, (start + end) // 2)).used


def test_svg_is_read_as_well(kit: Kit) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>'
    assert len(find_channels(sign(svg, kit.leaf, mime="image/svg+xml")).chain) == 2


@pytest.mark.parametrize(
    ("kind", "mime"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_a_changed_byte_is_found_or_lies_in_a_named_channel(kit: Kit, kind: str, mime: str) -> None:
    """`benchmarks.verify` does this 20,000 times."""
    signed = sign(picture(kind, side=24), kit.leaf, mime=mime)
    rng = random.Random(f"mutations of {kind}")
    mutants = [Mutant(rng.randrange(len(signed)), rng.randrange(1, 256)) for _ in range(120)]
    mutants += [Mutant(start, 0x40) for _, spans in find_channels(signed).spans for start, _ in spans]
    outcomes = [mutate(signed, mutant, kit.trust) for mutant in mutants]
    assert unexplained(outcomes) == []
    assert {outcome.kind for outcome in outcomes} >= {"fails", "unsigned"}
