"""The labelling page: nothing is written before a sample is drawn, then every press is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from read_runs import build_read_run
from streamlit.testing.v1 import AppTest

import dashboards
from audit.bias.labels import has_labels
from audit.bias.resummary import open_labels
from audit.run import RunDirectory

APP = str(Path(dashboards.__file__).with_name("app.py")) if dashboards.__file__ else ""
HOSTILE = "<script>*bold*"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return build_read_run(tmp_path / "r", [(4, 6)] * 6, trusted=False, groups=("woman", HOSTILE))


def _open(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("ASSAY_RUNS", str(run.path.parent))
    app = AppTest.from_file(APP, default_timeout=60)
    app.run()
    app.switch_page("screens/labelling.py").run()
    assert not app.exception
    return app


def _press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def test_answers_are_kept_and_the_room_rests_on_them(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = _open(run, monkeypatch)
    assert not has_labels(run.path)
    app.number_input(key="sample-size").set_value(24).run()
    _press(app, "draw")
    assert has_labels(run.path)
    assert not [
        button for button in app.button if str(button.key).startswith("answer")
    ]  # nobody has a name yet
    app.text_input(key="annotator").set_value("ada").run()
    shown = [button.label for button in app.button if str(button.key).startswith("answer")]
    assert shown == ["woman", "\\<script\\>\\*bold\\*", "undetermined"]
    _press(app, "answer-presentation-woman")
    _press(app, "answer-presentation-undetermined")
    _press(app, f"answer-presentation-{HOSTILE}")
    _press(app, "back")
    store = open_labels(run)
    assert store.frame()["value"].tolist() == ["woman", "undetermined"]
    for image in store.sample()[2:]:
        store.add(image, "presentation", value="woman", annotator="ada")
    app.run()
    assert "All 24 images" in app.success[0].value
    _press(app, "use")
    assert run.evidence()["bias"].find("bias.presentation.overall").details["labelled_images"] == 24


def test_a_run_that_was_not_read_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = RunDirectory.create(tmp_path / "r", record={"run_id": "r", "config": {"rooms": ["bias"]}})
    app = _open(empty, monkeypatch)
    assert "has not been audited yet" in app.info[0].value
    assert not has_labels(empty.path)
