"""A disk that is really full: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
mount -t tmpfs -o size=2m none "$1" || exit 77
run() { "$2" -m audit generate --count 2 --out "$1/run"; }
run "$1" "$2"; echo "first $?"
ls "$1/run/images" | wc -l
mount -o remount,size=64m "$1"
run "$1" "$2"; echo "second $?"
ls "$1/run/images" | wc -l
find "$1/run" -name '*.partial' | wc -l
"""


def _namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none /mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _namespaces(), reason="mount namespaces are not permitted here")
def test_full_disk_keeps_what_was_made_and_the_same_command_goes_on(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    environment = os.environ | {"ASSAY_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", SCRIPT, "sh", str(place), sys.executable],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    words = [line for line in done.stdout.splitlines() if "/" not in line]
    assert words[0] == "first 4", done.stderr
    assert 0 < int(words[1]) < 48
    assert "free" in done.stderr.lower()
    assert words[2:] == ["second 0", "48", "0"], done.stderr
