"""Every page, run by Streamlit's own test harness: on a run, without a run, on damaged and unfinished runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_run import RUN_ID, SECRET, build_sample_run
from streamlit.testing.v1 import AppTest

import dashboards
from audit.run import RunDirectory
from audit.similarity.references import CorpusReferences

APP = str(Path(dashboards.__file__).with_name("app.py")) if dashboards.__file__ else ""
PAGES = ("overview", "images", "image", "provenance", "bias", "labelling", "detector", "similarity")
HOSTILE = "![x](https://example.org/x.png) <b>bold</b> [click](https://example.org) www.example.org"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return build_sample_run(tmp_path_factory.mktemp("runs") / RUN_ID)


def _open(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **address: str) -> AppTest:
    monkeypatch.setenv("ASSAY_RUNS", str(folder))
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    if page != "overview":
        app.switch_page(f"screens/{page}.py")
        for name, value in address.items():
            app.query_params[name] = value
        app.run()
    assert not app.exception
    return app


def _text(app: AppTest) -> str:
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "code")
    parts = [element.value for kind in kinds for element in app.get(kind)]
    parts += [str(cell) for table in app.table for cell in table.value.to_numpy().ravel()]
    return "\n".join(parts).replace("\\", "").replace("\u2060", "")


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_the_run(run: RunDirectory, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _open(page, run.path.parent, monkeypatch)
    assert app.sidebar.selectbox[0].value == RUN_ID
    assert app.title[0].value
    assert app.query_params["run"] == RUN_ID
    assert SECRET not in _text(app)
    room = run.evidence().get(page)
    if room is not None:
        for check in room.checks:
            assert check.reason in _text(app)


def test_first_page_of_a_session_can_be_any(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_RUNS", str(run.path))
    app = AppTest.from_file(APP, default_timeout=60).switch_page("screens/detector.py").run()
    assert not app.exception
    assert app.title[0].value == "Detector"
    assert app.sidebar.selectbox[0].value == RUN_ID


def test_overview_names_status_identity_and_every_room(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = _text(_open("overview", run.path, monkeypatch))
    assert "! Could not check" in text
    assert "Development identity." in text
    assert "1 of which could not be read" in text
    for evidence in run.evidence().values():
        assert any(check.reason in text for check in evidence.checks)


def test_statuses_are_words_and_symbols(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _text(_open("provenance", run.path, monkeypatch))
    for said in (
        ":red-badge[✕ Finding]",
        ":violet-badge[! Could not check]",
        ":yellow-badge[? Inconclusive]",
    ):
        assert said in text


def test_gallery_filters(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _open("images", run.path, monkeypatch)
    assert "**16** images, 4 of them flagged" in _text(app)
    app.toggle[0].set_value(True).run()
    assert "**4** images" in _text(app)
    app.text_input[0].set_value("ARTIST").run()
    assert "**1** images" in _text(app)
    app.text_input[0].set_value("nothing like this").run()
    assert "No image fits" in _text(app)


def test_gallery_reads_one_page_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build_sample_run(tmp_path / "run", per_prompt=25, broken=False, rooms=["detector"])
    app = _open("images", run.path, monkeypatch)
    assert len(app.get("image")) == 30
    assert "**100** images" in _text(app)


def test_image_page_is_bound_to_the_address(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    row = run.rows("images").iloc[3]
    app = _open("image", run.path, monkeypatch, image=row["image_id"])
    assert app.title[0].value.replace("\\", "") == "nurse-0003.png"
    text = _text(app)
    for said in (
        row["image_id"],
        row["sha256"],
        "intact, development identity",
        "⚑ tracing: matches a reference",
        "Calibrated probability",
        "drawing-",
    ):
        assert said in text
    assert len(app.get("image")) == 4
    app.button[1].click().run()
    assert app.query_params["image"] == run.rows("images")["image_id"].iloc[4]


def test_image_that_cannot_be_read_says_why(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    last = run.rows("images").iloc[-1]
    text = _text(_open("image", run.path, monkeypatch, image=last["image_id"]))
    assert "the file ends in the middle of the picture" in text
    assert "it is not offered for download" in text


def test_unknown_image_and_unknown_run_in_the_address(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = _open("image", run.path.parent, monkeypatch, image="../../nothing", run="elsewhere")
    assert "This run holds no such image" in _text(app)
    first = _open("overview", run.path.parent, monkeypatch, run="elsewhere")
    assert any("elsewhere is not here" in box.value.replace("\\", "") for box in first.sidebar.warning)


def test_newest_run_first_and_choice_by_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("20260101", "20260202"):
        build_sample_run(tmp_path / name, prompts=["nurse"], per_prompt=1, broken=False, rooms=["detector"])
    assert _open("overview", tmp_path, monkeypatch).sidebar.selectbox[0].value == "20260202"
    assert _open("overview", tmp_path, monkeypatch, run="20260101").sidebar.selectbox[0].value == "20260101"


@pytest.mark.parametrize("page", PAGES)
def test_no_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _open(page, tmp_path / "runs", monkeypatch)
    assert app.title[0].value == "No run yet"
    assert app.code[0].value == "assay audit"


@pytest.mark.parametrize("page", PAGES)
def test_damaged_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"])
    for file in (*run.path.glob("*.parquet"), run.path / "evidence" / "bias.json"):
        file.write_bytes(b"damage")
    text = _text(_open(page, run.path, monkeypatch))
    assert "cannot be read" in text


def test_damaged_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"])
    (run.path / "run.json").write_text("{")
    assert "**run.json cannot be read.**" in _text(_open("overview", run.path, monkeypatch))


@pytest.mark.parametrize("page", PAGES)
def test_unfinished_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory.create(tmp_path / "run", record={"run_id": "begun", "config": {"rooms": ["bias"]}})
    text = _text(_open(page, run.path, monkeypatch))
    expected = {
        "overview": "This run is not finished: Bias not audited yet.",
        "images": "No image fits.",
        "image": "There is no image to show.",
        "bias": "Bias has not been audited yet.",
        "labelling": "Bias has not been audited yet.",
    }
    assert expected.get(page, "is not part of this run.") in text


def test_text_from_files_is_no_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"], texts={"nurse": HOSTILE}, signer=HOSTILE)
    for page in ("image", "provenance"):
        app = _open(page, run.path, monkeypatch)
        raw = "\n".join(str(cell) for table in app.table for cell in table.value.to_numpy().ravel())
        assert "\\!\\[x\\]\\(https\u2060\\:" in raw
        assert "\\<b\\>" in raw
        assert "www\u2060\\." in raw
        assert not [element for element in app.markdown if element.allow_html]


def test_pages_write_nothing(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    for page in PAGES:
        _open(page, run.path, monkeypatch)
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_candidate_that_is_gone_is_said(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: CorpusReferences, candidate_id: str, size: int) -> None:
        raise FileNotFoundError(candidate_id)

    from dashboards.view import load_candidate

    load_candidate.cache_clear()
    monkeypatch.setattr(CorpusReferences, "image", refuse)
    assert "This reference cannot be shown." in _text(_open("image", run.path, monkeypatch))
    load_candidate.cache_clear()
