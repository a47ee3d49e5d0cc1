"""The main job through the command line, in processes of its own, on the shipped weights.

One run of 2 prompts x 4 images is made once for the file and looked at from several sides; another is killed while
it generates.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from audit.evidence import Evidence, Status
from audit.run import RunDirectory

ROOT = Path(__file__).resolve().parents[1]
PROMPTS = "prompt_id,text,occupation\nnurse,a portrait of a {occupation},nurse\njudge,a zealous {occupation},judge\n"
ROOMS = ("provenance", "bias", "detector", "similarity")


@dataclass(frozen=True)
class Place:
    """A folder with its own keys, ledger and cache, and the `assay` command in it."""

    folder: Path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the command."""
        environment = os.environ | {"ASSAY_HOME": str(self.folder / "home"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "audit", *words]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def assay(self, *words: str) -> tuple[int, str, str]:
        """Run the command to its end: exit code, stdout, stderr."""
        process = self.start(*words)
        out, err = process.communicate(timeout=280)
        return process.returncode, out, err


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder with a prompt file."""
    folder = tmp_path_factory.mktemp("main-job")
    (folder / "prompts.csv").write_text(PROMPTS)
    yield Place(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def finished(place: Place) -> tuple[Place, int, str, str]:
    """The run that the other tests look at."""
    code, out, err = place.assay("audit", "--prompts", "prompts.csv", "--count", "4", "--out", "run")
    assert (place.folder / "run" / "report.html").exists(), err
    return place, code, out, err


def test_main_job_makes_every_table_and_a_report(finished: tuple[Place, int, str, str]) -> None:
    place, code, out, err = finished
    assert code in {0, 1, 3}, err
    run = RunDirectory.open(place.folder / "run")
    images = run.rows("images")
    assert len(images) == 8
    assert images["image_id"].is_unique
    for room in ROOMS:
        assert set(run.rows(room)["image_id"]) == set(images["image_id"]), room
        assert isinstance(run.evidence()[room], Evidence)
    assert "run/report.html" in out
    assert "Generate and mark" in err  # progress is shown, and not on stdout
    assert "Generate and mark" not in out


def test_verdict_and_report_say_that_the_identity_is_a_development_one(
    finished: tuple[Place, int, str, str],
) -> None:
    place, _, out, err = finished
    report = (place.folder / "run" / "report.html").read_text()
    assert "development identity" in (out + err).lower()
    assert "development identity" in report.lower()


def test_unknown_words_are_warned_about_and_recorded(finished: tuple[Place, int, str, str]) -> None:
    place, _, _, err = finished
    assert "zealous" in err
    assert RunDirectory.open(place.folder / "run").record()["unknown_words"] == {"judge": ["zealous"]}


def test_every_image_carries_all_marks(finished: tuple[Place, int, str, str]) -> None:
    place = finished[0]
    rows = RunDirectory.open(place.folder / "run").rows("provenance").set_index("image_id")
    for part in ("integrity", "signature", "chain", "watermark", "labels", "ledger"):
        assert (rows[part] == Status.PASS).all(), part
    assert (rows["trust"] == Status.INCONCLUSIVE).all()
    assert list(rows["watermark_payload"]) == list(rows.index)
    assert (rows["watermark_log10_p"] < -6).all()


def test_verify_one_published_file(finished: tuple[Place, int, str, str]) -> None:
    place = finished[0]
    path = next((place.folder / "run" / "images").glob("*.png"))
    code, out, _ = place.assay("verify", "--json", str(path))
    assert code == 3  # intact, but nobody vouches for a development identity
    assert "development" in out


def test_one_image_again_alone_bit_for_bit(finished: tuple[Place, int, str, str]) -> None:
    place = finished[0]
    row = RunDirectory.open(place.folder / "run").rows("images").iloc[6]
    code, out, err = place.assay(
        "generate", "--prompt", row["prompt"], "--image-seed", row["seed"], "--out", "again", "--json"
    )
    assert code == 0, err
    again = json.loads(out)["images"][0]
    assert again["weights_digest"] == row["weights_digest"]
    assert again["pixels_sha256"] == row["pixels_sha256"]


def test_killed_while_generating_then_resumed(place: Place) -> None:
    words = ("generate", "--prompts", "prompts.csv", "--count", "40", "--out", "killed")
    path = place.folder / "killed"
    process = place.start(*words)
    deadline = time.monotonic() + 120
    while len(list(path.glob("images/*.png"))) < 35 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    committed = RunDirectory.open(path).done("images")
    assert 0 < len(committed) < 80
    before = {file.name: file.read_bytes() for file in path.glob("images/*.png") if file.stem[0] in "nj"}
    code, _, err = place.assay(*words)
    assert code == 0, err
    images = RunDirectory.open(path).rows("images")
    assert len(images) == images["image_id"].nunique() == 80
    assert len(list(path.glob("images/*"))) == 80
    kept = images[images["image_id"].isin(committed)]
    for relative in kept["path"]:
        file = path / relative
        assert file.read_bytes() == before[file.name]


def _write_foreign(folder: Path) -> None:
    rng = np.random.default_rng(7)
    picture = Image.fromarray(rng.integers(0, 255, (96, 128, 3), dtype=np.uint8))
    folder.mkdir()
    picture.save(folder / "photo.jpg")
    picture.save(folder / "wrong-extension.png", format="JPEG")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(rng.integers(0, 65535, (40, 40), dtype=np.uint16)).save(folder / "deep.png")
    picture.save(folder / "animated.gif", save_all=True, append_images=[picture.rotate(180)])
    picture.resize((1, 1)).save(folder / "one.png")
    picture.resize((20_000, 8)).save(folder / "wide.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "half.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:900])
    (folder / "notes.txt").write_text("no image")


def test_foreign_folder_judges_or_names_every_file(place: Place) -> None:
    _write_foreign(place.folder / "foreign")
    code, _, err = place.assay("audit", "--images", "foreign", "--out", "foreign-run")
    assert code == 4, err  # files that could not be read are no pass and no finding
    run = RunDirectory.open(place.folder / "foreign-run")
    images = run.rows("images")
    assert len(images) == 10
    broken = images[images["status"] == Status.ERROR]
    assert {Path(path).name for path in broken["path"]} == {"empty.png", "half.jpg", "notes.txt"}
    assert (broken["reason"] != "").all()
    for room in ROOMS:
        assert set(run.rows(room)["image_id"]) == set(images["image_id"]), room
    readable = images[images["status"] == Status.PASS]["image_id"]
    verdicts = run.rows("detector").set_index("image_id")["verdict"]
    assert (verdicts[readable] == "abstain").all()  # photographs and noise are outside what it knows
    bias = run.rows("bias")
    values = bias[bias["image_id"].isin(readable)]["value"]
    assert len(values)
    assert (values == "undetermined").all()
    assert (place.folder / "foreign-run" / "report.html").stat().st_size > 1000


def test_folder_without_files_is_refused(place: Place) -> None:
    (place.folder / "nothing").mkdir(exist_ok=True)
    code, out, err = place.assay("audit", "--images", "nothing", "--out", "nothing-run")
    assert (code, out) == (2, "")
    assert "holds no files" in err


def test_other_configuration_in_the_same_folder_is_refused(finished: tuple[Place, int, str, str]) -> None:
    place = finished[0]
    code, _, err = place.assay("audit", "--prompts", "prompts.csv", "--count", "5", "--out", "run")
    assert code == 2
    assert "another configuration" in err


def test_images_table_is_plain_parquet(finished: tuple[Place, int, str, str]) -> None:
    frame = pd.read_parquet(finished[0].folder / "run" / "images.parquet")
    assert set(frame["prompt"]) == {"a portrait of a nurse", "a zealous judge"}
