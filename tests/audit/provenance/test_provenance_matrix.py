"""The attack matrix: no false pass, no crash, bounded time; and one-byte changes of signed files."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from audit.evidence import Status
from audit.provenance.channels import PADDING, find_channels
from audit.provenance.gather import Setup, examine
from audit.provenance.verdict import judge
from benchmarks.attack_case import Case, Kit, run_case, words
from benchmarks.attack_matrix import cases
from benchmarks.forgeries import flip, picture, sign
from benchmarks.store_surgery import box, forge
from benchmarks.verify_mutations import Mutant, mutate, unexplained


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return Kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture
def setup(kit: Kit) -> Setup:
    return Setup(trust=kit.trust, search="off")


def test_the_unchanged_file_passes(kit: Kit, setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "asset.png").write_bytes(kit.signed)
    evidence = judge(examine(tmp_path / "asset.png", setup))
    assert (evidence.find("verdict").value, evidence.status) == ("trusted", Status.PASS)


def test_no_attack_passes(kit: Kit, tmp_path: Path) -> None:
    """Nor does one crash or exhaust the reader; and the few good files among them are not refused."""
    wrong, names = [], []
    for case in cases(kit):
        if case.seconds > 10:
            continue  # the engine hashes two gigabytes; `benchmarks.verify` waits for it
        outcome = run_case(case, kit, tmp_path)
        names.append(case.name)
        if outcome.wrong:
            wrong.append((case.name, outcome.wrong))
    assert wrong == []
    assert len(set(names)) == len(names) >= 100


def test_a_wrong_verdict_is_noticed(kit: Kit, tmp_path: Path) -> None:
    """Else a matrix in which everything is right would say nothing."""
    good = Case("good", kit.signed, words("trusted"))
    assert "passes" in run_case(good, kit, tmp_path).wrong
    assert run_case(replace(good, passes=True), kit, tmp_path).wrong == ""
    assert "is called" in run_case(replace(good, words=words("tampered")), kit, tmp_path).wrong
    assert "took" in run_case(replace(good, passes=True, seconds=0), kit, tmp_path).wrong
    assert "took" in run_case(replace(good, passes=True, mebibytes=-1), kit, tmp_path).wrong
    stripped = Case("stripped", kit.plain, words("nothing found"), passes=True)
    assert "refused" in run_case(stripped, kit, tmp_path).wrong


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
    mutants += [
        Mutant(start, 0x40) for _, spans in find_channels(signed).spans for start, end in spans if start < end
    ]
    outcomes = [mutate(signed, mutant, kit.trust) for mutant in mutants]
    assert unexplained(outcomes) == []
    assert {outcome.kind for outcome in outcomes} >= {"fails", "unsigned"}


def test_a_store_that_only_we_would_read_teaches_us_nothing(kit: Kit, setup: Setup, tmp_path: Path) -> None:
    """A film with a stranger's manifest store in a box that no engine reads, signed by somebody who is trusted."""
    decoy = box(b"free", sign(kit.plain, kit.unknown, embed=False))
    film = box(b"ftyp", b"isom" + bytes(4) + b"isom") + decoy + box(b"mdat", bytes(64))
    path = tmp_path / "asset.mp4"
    path.write_bytes(sign(film, kit.leaf, mime="video/mp4"))
    assert judge(examine(path, setup, with_crjson=False)).find("c2pa.trust").value == "unread"
    path.write_bytes(sign(kit.plain, kit.unknown))
    assert judge(examine(path, setup, with_crjson=False)).find("c2pa.trust").value == "untrusted"
