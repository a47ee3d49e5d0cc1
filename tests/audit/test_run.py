"""The run directory: atomic, resumable, never counts an image twice, survives kill -9."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from audit.evidence import Check, Evidence, Status
from audit.run import RunDirectory, write_atomically
from generator.errors import CannotCheckError, DiskFullError, InputError
from generator.marking import files

WORKER = Path(__file__).with_name("crash_worker.py")
ROOT = Path(__file__).resolve().parents[2]


def _new(path: Path) -> RunDirectory:
    return RunDirectory.create(path, record={"config": {"seed": 1}})


def _rows(*ids: str) -> list[dict[str, str]]:
    return [{"image_id": image_id, "status": "pass", "reason": ""} for image_id in ids]


def test_record_is_written_and_read_back(tmp_path: Path) -> None:
    run = _new(tmp_path / "run")
    run.update({"seed": 7})
    record = RunDirectory.open(tmp_path / "run").record()
    assert record["config"] == {"seed": 1}
    assert record["seed"] == 7


def test_create_refuses_a_folder_with_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        _new(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_open_refuses_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run\.json"):
        RunDirectory.open(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 99}'])
def test_open_refuses_damaged_or_foreign_records(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(CannotCheckError):
        RunDirectory.open(tmp_path)


def test_rows_of_parts_and_table_count_once(tmp_path: Path) -> None:
    run = _new(tmp_path / "run")
    run.append("bias", _rows("a", "a", "b"))  # two attributes of image a
    part = next((tmp_path / "run" / "parts" / "bias").glob("*.parquet")).read_bytes()
    run.append("bias", _rows("c"))
    assert list(run.finish_table("bias", order=["c", "b", "a"])["image_id"]) == ["c", "b", "a", "a"]
    # Killed between the merge and the clean-up: a part that is already merged is still there.
    folder = tmp_path / "run" / "parts" / "bias"
    folder.mkdir(parents=True)
    (folder / "000000.parquet").write_bytes(part)
    assert len(run.rows("bias")) == 4
    assert run.done("bias") == {"a", "b", "c"}


def test_damaged_table_is_named(tmp_path: Path) -> None:
    run = _new(tmp_path / "run")
    (tmp_path / "run" / "bias.parquet").write_bytes(b"no parquet")
    with pytest.raises(CannotCheckError, match=r"bias\.parquet"):
        run.rows("bias")


def test_evidence_round_trip_and_damage(tmp_path: Path) -> None:
    run = _new(tmp_path / "run")
    evidence = Evidence("bias", (Check("bias.x", Status.INCONCLUSIVE, "Too few."),))
    run.write_evidence(evidence, room="bias")
    assert run.evidence() == {"bias": evidence}
    (tmp_path / "run" / "evidence" / "bias.json").write_text("{}")
    with pytest.raises(CannotCheckError, match=r"bias\.json"):
        run.evidence()


def test_second_writer_is_refused(tmp_path: Path) -> None:
    run = _new(tmp_path / "run")
    with run.lock(), pytest.raises(InputError, match="another process"), RunDirectory.open(run.path).lock():
        pass


def test_what_a_killed_writer_left_is_removed_by_the_next_one_only(tmp_path: Path) -> None:
    run = _new(tmp_path / "run")
    (run.path / "images").mkdir()
    leftover, kept = run.path / "images" / ".nurse-0001.png.0badc0de1234.part", run.path / "images" / "a.part"
    leftover.write_bytes(b"half")
    kept.write_bytes(b"not ours")
    RunDirectory.open(run.path)
    assert leftover.exists()  # a reader changes nothing
    with run.lock():
        assert not leftover.exists()
    assert kept.exists()


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "table"
    write_atomically(target, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DiskFullError, match="run the same command again"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def _start(path: Path, count: int) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(WORKER), str(path), str(count)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=ROOT
    )


def test_killed_at_several_points_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    path, count = tmp_path / "run", 60
    partial = []
    for delay in (0.02, 0.07, 0.13):
        process = _start(path, count)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        partial.append(len(RunDirectory.open(path).done("similarity")))
    assert partial == sorted(partial)
    assert partial[0] < count, "the first kill came after the end: the test proves nothing"
    assert partial[-1] > 0, "every kill came before the first batch: the test proves nothing"
    process = _start(path, count)
    output, _ = process.communicate(timeout=60)
    assert output.endswith("finished\n")
    run = RunDirectory.open(path)
    rows = run.rows("similarity")
    assert list(rows["image_id"]) == [f"{number:04d}" for number in range(count) for _ in (1, 2)]
    assert not (path / "parts" / "similarity").exists()
    assert (
        json.loads((path / "evidence" / "similarity.json").read_text())["checks"][0]["value"] == 2.0 * count
    )


def test_table_order_and_missing_rows(tmp_path: Path) -> None:
    run = _new(tmp_path / "run")
    assert isinstance(run.rows("bias"), pd.DataFrame)
    assert len(run.rows("bias")) == 0
    run.append("bias", [])
    assert not (tmp_path / "run" / "parts").exists()
