"""The ledger: idempotent, safe under several processes, readable by who may not write, clear when broken."""

from __future__ import annotations

import dataclasses
import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.marking import ledger as ledger_module
from generator.marking import ledger_sqlite
from generator.marking.ledger import Entry, Ledger, Replaced


def entry(number: int = 1, content: str = "a") -> Entry:
    return Entry(
        asset_id=f"{number:016x}",
        manifest_id=f"urn:c2pa:{number}-{content}",
        manifest=content.encode() * 100,
        sha256=content * 64,
        format="PNG",
        generator="test",
        weights_digest="sha256:00",
        created="2026-11-24T12:00:00+00:00",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_found_by_every_key(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record(entry(1, "a"))
        ledger.record(entry(2, "b"))
        assert len(ledger) == 2
    with Ledger(path, read_only=True) as ledger:
        assert ledger.find(f"{1:016x}") == entry(1, "a")
        assert ledger.find_file("b" * 64) == entry(2, "b")
        assert ledger.find_manifest("urn:c2pa:2-b") == entry(2, "b")
        assert ledger.find("0" * 16) is None


def test_same_entry_twice_is_one_row(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record(entry())
        ledger.record(entry())
        assert len(ledger) == 1
        assert ledger.replaced(entry().asset_id) == ()


def test_other_content_replaces_and_is_recorded(path: Path) -> None:
    with Ledger(path) as ledger:
        for content in "abcb":
            ledger.record(entry(1, content))
        assert len(ledger) == 1
        assert ledger.find(f"{1:016x}") == entry(1, "b")
        earlier = ledger.replaced(f"{1:016x}")
    assert earlier == tuple(Replaced(f"urn:c2pa:1-{c}", c * 64, "2026-11-24T12:00:00+00:00") for c in "ac")


def test_repr_does_not_spill_the_manifest() -> None:
    assert "aaaa" * 30 not in repr(entry())


def fill(path: Path, first: int, gate: object) -> None:
    gate.wait()
    with Ledger(path) as ledger:
        for number in range(first, first + 40):
            ledger.record(entry(number))
            ledger.record(entry(999))


def test_several_processes_from_the_first_moment(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(3)
    workers = [context.Process(target=fill, args=(path, 100 * i, gate)) for i in range(1, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with Ledger(path, read_only=True) as ledger:
        assert len(ledger) == 121


def test_reader_beside_an_open_writer(path: Path) -> None:
    with Ledger(path) as writer:
        writer.record(entry(1))
        with Ledger(path, read_only=True) as reader:
            assert reader.find(entry(1).asset_id) == entry(1)
            writer.record(entry(2))
            assert len(reader) == 2


def test_reader_cannot_write(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record(entry())
    before = path.read_bytes()
    with Ledger(path, read_only=True) as reader, pytest.raises(CannotCheckError, match="permissions"):
        reader.record(entry(2))
    assert path.read_bytes() == before


def test_reader_where_nothing_can_be_created(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(path) as ledger:
        ledger.record(entry())
    connect = ledger_sqlite._connect

    def without_shared_memory(where: Path, mode: str, check: object) -> sqlite3.Connection:
        if mode == "ro":  # what SQLite says of a WAL file in a folder without write permission
            raise sqlite3.OperationalError("unable to open database file")
        return connect(where, mode, check)

    monkeypatch.setattr(ledger_sqlite, "_connect", without_shared_memory)
    with Ledger(path, read_only=True) as reader:
        assert reader.find(entry().asset_id) == entry()


def test_absent(path: Path) -> None:
    with pytest.raises(InputError, match="no ledger there"):
        Ledger(path, read_only=True)
    assert not path.exists()
    with pytest.raises(InputError, match="folder"):
        Ledger(path / "deeper" / "ledger.sqlite")


@pytest.mark.parametrize("read_only", [True, False])
def test_damaged_and_foreign_files(path: Path, read_only: bool) -> None:
    path.write_bytes(b"this is no database, and long enough to say so" * 100)
    with pytest.raises(CannotCheckError, match="damaged"):
        Ledger(path, read_only=read_only)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE somebody_elses (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CannotCheckError, match="not a ledger"):
        Ledger(path, read_only=read_only)
    assert path.read_bytes() == before


def test_newer_version(path: Path) -> None:
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(CannotCheckError, match="version 9"):
        Ledger(path)


def test_version_1_is_read_as_it_is_and_renewed_by_a_writer(path: Path) -> None:
    """A ledger of the first release, which kept no fingerprints."""
    with Ledger(path) as ledger:
        ledger.record(entry(1))
    connection = sqlite3.connect(path)
    connection.executescript("DROP TABLE likeness; PRAGMA user_version = 1;")
    connection.close()
    with Ledger(path, read_only=True) as reader:
        assert reader.find(entry(1).asset_id) == entry(1)
        assert list(reader.image_codes()) == []
    likely = dataclasses.replace(entry(2), image_code=bytes(32), preview=b"jpeg")
    with Ledger(path) as ledger:
        ledger.record(likely)
    with Ledger(path, read_only=True) as reader:
        assert (reader.find(entry(1).asset_id), reader.find(likely.asset_id)) == (entry(1), likely)
        assert list(reader.image_codes()) == [(likely.asset_id, bytes(32))]


def test_fingerprints_in_batches(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_BATCH", 2)
    with Ledger(path) as ledger:
        for number in range(5):
            ledger.record(dataclasses.replace(entry(number), image_code=bytes([number]) * 32))
        ledger.record(entry(3, "b"))
        assert [code[0] for _, code in ledger.image_codes()] == [0, 1, 2, 4]


def test_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_sqlite, "_BUSY_SECONDS", 0.05)
    with Ledger(path) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CannotCheckError, match="locked by another process"):
            ledger.record(entry())
        other.execute("ROLLBACK")
        other.close()
        ledger.record(entry())


def test_disk_full_keeps_what_was_there(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.record(entry(1))
        pages = ledger._store._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._store._connection.execute(f"PRAGMA max_page_count = {pages}")
        big = dataclasses.replace(entry(2), manifest=bytes(1 << 20))
        with pytest.raises(DiskFullError, match="earlier entries are kept"):
            ledger.record(big)
        assert ledger.find(entry(1).asset_id) == entry(1)
        assert len(ledger) == 1


def test_closed_ledger_is_a_mistake_of_the_caller(path: Path) -> None:
    ledger = Ledger(path)
    ledger.close()
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError):
        ledger.find("0" * 16)
