"""The ledger on a real PostgreSQL server: the same answers as the SQLite file, and clear errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from postgres_server import running_server

from generator.errors import AssayError, CannotCheckError, InputError
from generator.marking.ledger import Entry, Ledger

pytest.importorskip("pg8000")


def entry(number: int = 1, content: str = "a", *, likeness: bytes = b"") -> Entry:
    return Entry(
        f"{number:016x}",
        f"urn:c2pa:{number}-{content}",
        content.encode() * 100,
        content * 64,
        "PNG",
        "test",
        "sha256:00",
        "2026-11-24T12:00:00+00:00",
        likeness and likeness * 32,
        likeness and b"\xff\xd8" + likeness,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    from pg8000 import native

    folder = server.partition("host=")[2]
    with native.Connection("tester", database="postgres", unix_sock=f"{folder}/.s.PGSQL.5432") as connection:
        connection.run("DROP SCHEMA public CASCADE")
        connection.run("CREATE SCHEMA public")
    return server


def test_the_same_answers_as_the_file(url: str, tmp_path) -> None:
    answers = []
    for location in (url, tmp_path / "ledger.sqlite"):
        with Ledger(location) as ledger:
            for content in "abcb":
                ledger.record(entry(1, content))
            ledger.record(entry(2, "d", likeness=b"\x07"))
            ledger.record(entry(3, "e", likeness=b"\x08"))
            ledger.record(entry(3, "e"))
        with Ledger(location, read_only=True) as ledger:
            found = [ledger.find(f"{number:016x}") for number in range(4)]
            others = [ledger.find_file("d" * 64), ledger.find_manifest("urn:c2pa:1-b")]
            answers.append(
                (found, others, ledger.replaced(f"{1:016x}"), list(ledger.image_codes()), len(ledger))
            )
    assert answers[0] == answers[1]
    assert answers[0][0][2] == entry(2, "d", likeness=b"\x07")
    assert answers[0][3] == [(f"{2:016x}", b"\x07" * 32)]


def test_writers_at_the_same_time_from_the_first_moment(url: str) -> None:
    failures: list[AssayError] = []

    def fill(first: int) -> None:
        try:
            with Ledger(url) as ledger:
                for number in range(first, first + 10):
                    ledger.record(entry(number))
                    ledger.record(entry(999, "abc"[number % 3]))
        except AssayError as error:
            failures.append(error)

    workers = [threading.Thread(target=fill, args=(100 * i,)) for i in range(1, 4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    with Ledger(url, read_only=True) as ledger:
        assert len(ledger) == 31
        current = ledger.find(f"{999:016x}")
        assert {current.sha256, *(earlier.sha256 for earlier in ledger.replaced(current.asset_id))} == {
            letter * 64 for letter in "abc"
        }


def test_reader_neither_makes_nor_writes(url: str) -> None:
    with pytest.raises(InputError, match="no ledger there"):
        Ledger(url, read_only=True)
    Ledger(url).close()
    with Ledger(url, read_only=True) as reader, pytest.raises(CannotCheckError, match="permissions"):
        reader.record(entry())


def test_an_interrupted_write_leaves_nothing(url: str) -> None:
    with Ledger(url) as ledger:
        with pytest.raises(CannotCheckError), ledger._store.writing("x"):
            ledger._store.run("INSERT INTO likeness VALUES ('x', '', ''); SELECT 1/0")
        assert ledger._store.run("SELECT count(*) FROM likeness")[0][0] == 0


def test_newer_version(url: str) -> None:
    with Ledger(url) as ledger:
        ledger._store.run("INSERT INTO ledger_version VALUES (9)")
    with pytest.raises(CannotCheckError, match="version 9"):
        Ledger(url)


def test_unreachable_and_without_the_password() -> None:
    with pytest.raises(CannotCheckError, match="can be reached") as caught:
        Ledger("postgresql://me:s3cret@127.0.0.1:1/db?sslmode=disable")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("mysql://host/db", "unknown kind"),
        ("postgresql://host", "no database"),
        ("postgresql://host/db?sslmode=maybe", "sslmode 'maybe'"),
        ("postgresql://host/db?passfile=x", "unknown options passfile"),
        ("postgresql://host:port/db", "malformed"),
    ],
)
def test_malformed_urls(location: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Ledger(location)
