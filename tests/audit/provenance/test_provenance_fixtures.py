"""Files signed by others: each part as the table of `benchmarks.verify_corpus` expects it."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.provenance.gather import Setup, build_setup, examine
from audit.provenance.verdict import judge
from benchmarks.verify_corpus import EXPECTED, corpus_setup, parts_of


@pytest.fixture
def setup(shared_data: Path) -> Setup:
    return corpus_setup(shared_data / "c2pa")


@pytest.mark.parametrize("name", EXPECTED)
def test_parts_of_files_signed_by_others(name: str, shared_data: Path, setup: Setup) -> None:
    assert parts_of(shared_data / "c2pa" / name, setup) == EXPECTED[name]


def test_the_table_is_complete(shared_data: Path) -> None:
    folder = shared_data / "c2pa"
    present = {
        f"{path.parent.name}/{path.name}"
        for kind in ("fixtures", "samples")
        for path in (folder / kind).iterdir()
    }
    assert present == set(EXPECTED)


def test_without_a_list_nothing_is_trusted(shared_data: Path) -> None:
    setup = build_setup(search="off")
    for name in EXPECTED:
        evidence = judge(examine(shared_data / "c2pa" / name, setup))
        assert evidence.find("c2pa.trust").value != "trusted"
        assert evidence.find("verdict").value != "trusted"


def test_a_missing_list_is_named_with_the_way_to_get_one(shared_data: Path) -> None:
    trust = judge(examine(shared_data / "c2pa" / "fixtures" / "C.jpg", build_setup(search="off"))).find(
        "c2pa.trust"
    )
    assert trust.status == "inconclusive"
    assert "--trust FOLDER" in trust.next_step


def test_the_official_lists_are_read_apart(shared_data: Path) -> None:
    setup = build_setup(trust=shared_data / "c2pa" / "trust", search="off")
    assert len(setup.trust.time_stamps) == 22
    assert len(setup.trust.signers) == 38  # 30 of the C2PA list, 8 test roots
