"""What a verb was asked to look at: everything named or found becomes a source, also what cannot be opened."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from audit.inputs import MAX_MEMBER, Source, expand
from generator.errors import CannotCheckError, InputError


@pytest.fixture
def spool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "deep" / "deeper").mkdir(parents=True)
    for name in ("b.png", "a.xyz", ".hidden.png", "deep/c.jpg", "deep/deeper/d.png"):
        (root / name).write_bytes(name.encode())
    return root


def found(arguments: list[object], spool: Path, **options: str) -> list[Source]:
    return list(expand([str(argument) for argument in arguments], spool, **options))


def test_folders_are_walked_in_order_and_links_that_lead_back_are_cut(folder: Path, spool: Path) -> None:
    (folder / "deep" / "back").symlink_to(folder)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    names = {Path(source.name).name: source.problem for source in found([folder], spool)}
    assert list(names) == ["a.xyz", "b.png", "loop.png", "c.jpg", "d.png"]
    assert "cannot be read" in names.pop("loop.png")
    assert set(names.values()) == {""}


def test_a_folder_that_cannot_be_read_is_named(
    folder: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated, because root may read every folder."""
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("deeper"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    closed = [source for source in found([folder], spool) if source.problem]
    assert [Path(source.name).name for source in closed] == ["deeper"]
    assert "Permission denied" in closed[0].problem


def test_a_pipe_is_never_opened(folder: Path, spool: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    assert "no regular file" in {s.name: s.problem for s in found([folder], spool)}[str(folder / "pipe.png")]


def test_globs(folder: Path, spool: Path) -> None:
    assert [Path(s.name).name for s in found([folder / "**" / "*.png"], spool)] == ["b.png", "d.png"]
    with pytest.raises(InputError, match="matches no file"):
        found([folder / "*.webp"], spool)


def test_tables_of_paths(folder: Path, spool: Path) -> None:
    table = pa.table({"path": ["b.png", str(folder / "a.xyz"), None, "gone.png"], "other": ["b.png"] * 4})
    parquet.write_table(table, folder / "list.parquet")
    sources = found([folder / "list.parquet"], spool)
    assert [source.problem.partition(":")[0] for source in sources] == [
        "",
        "",
        "the table names no path in this row",
        "cannot be read",
    ]
    assert {s.name for s in found([folder / "list.parquet"], spool, column="other")} == {
        str(folder / "b.png")
    }
    with pytest.raises(InputError, match="it has path, other"):
        found([folder / "list.parquet"], spool, column="image")
    (folder / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(CannotCheckError, match="cannot be read"):
        found([folder / "bad.parquet"], spool)


def _archive(path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name in ("one.png", "../../../escape.png", "strange.p/g"):
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"12345"))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
def test_archives(tmp_path: Path, spool: Path, suffix: str, mode: str) -> None:
    archive = _archive(tmp_path / f"shard{suffix}", mode)
    sources = found([archive], spool)
    assert [source.name.rpartition("::")[2] for source in sources] == [
        "one.png",
        "../../../escape.png",
        "strange.p/g",
        "link.png",
    ]
    for source in sources[:3]:
        assert source.path.parent == spool
        assert source.is_temporary
        assert source.path.read_bytes() == b"12345"
    assert "not followed" in sources[3].problem


def test_half_an_archive_and_a_giant_member(tmp_path: Path, spool: Path) -> None:
    whole = _archive(tmp_path / "whole.tar").read_bytes()
    (tmp_path / "half.tar").write_bytes(whole[:700])
    *members, last = found([tmp_path / "half.tar"], spool)
    assert "breaks off" in last.problem
    info = tarfile.TarInfo("giant.png")
    info.size = MAX_MEMBER + 1
    (tmp_path / "giant.tar").write_bytes(info.tobuf() + bytes(1024))
    assert "at most" in found([tmp_path / "giant.tar"], spool)[0].problem


def test_sources_are_made_one_at_a_time(folder: Path, spool: Path) -> None:
    sources = expand([str(folder), "absent"], spool)
    assert next(sources).name.endswith("a.xyz")
    with pytest.raises(InputError, match="no such file"):
        list(sources)
