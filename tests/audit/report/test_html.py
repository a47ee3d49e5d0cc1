"""The report as its reader gets it: complete, self-contained, escaped, plain about what is missing."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from sample_run import RUN_ID, SECRET, build_sample_run

from audit.report import bias_page
from audit.report.html import REPORT_FILE, render_report, write_report
from audit.run import RunDirectory

HOSTILE = "<script>alert('x')</script><img src=https://example.org/x.png onerror=alert(1)>"


class _Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[int] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return build_sample_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def html(run: RunDirectory) -> str:
    return render_report(run)


@pytest.fixture(scope="module")
def page(html: str) -> _Page:
    return _Page(html)


def test_verdict_says_what_when_and_how_it_came_out(page: _Page) -> None:
    assert (
        "16 images made for 4 prompts by the generator “assay-portraits”, 1 of which could not be read"
        in page.text
    )
    assert "Could not check" in page.text
    assert "Development identity." in page.text
    for fact in (RUN_ID, "assay-portraits 0.1.0", "sha256:abababababab…", "0.1.0"):
        assert fact in page.text


def test_every_room_has_its_status_figures_and_checks(run: RunDirectory, page: _Page) -> None:
    for room, evidence in run.evidence().items():
        assert ("section", {"id": room, "class": "page"}) in page.tags
        for check in evidence.checks:
            assert check.reason in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) >= 8
    assert "Perceived presentation: share of each group" in page.text


def test_unreadable_files_are_named_with_their_reason(page: _Page) -> None:
    assert "images/artist-0003.png the file ends in the middle of the picture" in page.text


def test_flagged_images_say_why(page: _Page) -> None:
    for flag in ("detector: called real", "tracing: matches a reference", "provenance: tampered"):
        assert f"⚑ {flag}" in page.text


def test_nearest_neighbours_are_shown_in_pairs(page: _Page) -> None:
    references = [
        attrs for tag, attrs in page.tags if tag == "img" and (attrs["alt"] or "").startswith("Reference ")
    ]
    assert len(references) == 12
    assert all((attrs["src"] or "").startswith("data:image/webp;base64,") for attrs in references)


def test_nothing_outside_the_file_is_asked_for(html: str, page: _Page) -> None:
    asking = {"src", "srcset", "data", "action", "poster"}
    for tag, attrs in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}
        for name, value in attrs.items():
            assert name not in asking or (value or "").startswith("data:")
            assert name != "href" or (value or "").startswith("#")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert any(attrs.get("http-equiv") == "Content-Security-Policy" for _, attrs in page.tags)


def test_page_is_accessible(html: str, page: _Page) -> None:
    assert ("html", {"lang": "en"}) in page.tags
    assert page.headings.count(1) == 1
    assert all(deeper - before <= 1 for before, deeper in zip(page.headings, page.headings[1:], strict=False))
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("scope") in {"row", "col"} for tag, attrs in page.tags if tag == "th")
    assert all(
        attrs.get("role") == "img" and attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg"
    )
    identifiers = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    targets = {attrs["href"][1:] for tag, attrs in page.tags if tag == "a" and attrs.get("href")}
    assert len(identifiers) == len(set(identifiers))
    assert targets <= set(identifiers)
    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_colours_have_enough_contrast(html: str, scheme: str) -> None:
    style = html[html.index("<style>") : html.index("</style>")]
    dark = style.index("prefers-color-scheme: dark")
    block = style[:dark] if scheme == "light" else style[dark : style.index("* {")]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    pairs = [(name, f"{name}-bg") for name in ("pass", "fail", "open", "skip", "error")]
    pairs += [(name, ground) for name in ("ink", "soft", "accent") for ground in ("paper", "panel")]
    for front, back in pairs:
        assert _contrast(colours[front], colours[back]) >= 4.5, (front, back)


def _contrast(first: str, second: str) -> float:
    """Contrast ratio of two sRGB colours. Source: WCAG 2.1, relative luminance."""
    shades = sorted((_luminance(first), _luminance(second)))
    return (shades[1] + 0.05) / (shades[0] + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_secret_of_the_run_stays_in_the_run(html: str) -> None:
    assert SECRET not in html


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    run = build_sample_run(
        tmp_path / "run", prompts=["nurse"], texts={"nurse": HOSTILE}, signer=HOSTILE, per_prompt=6
    )
    table = run.rows("images")
    table.loc[table.index[-1], ["path", "reason"]] = [f"images/{HOSTILE}.png", HOSTILE]
    table.to_parquet(run.path / "images.parquet", index=False)
    html = render_report(run)
    page = _Page(html)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert all((attrs["src"] or "").startswith("data:") for tag, attrs in page.tags if tag == "img")
    assert html.count("alert(") >= 4
    assert page.text.count(HOSTILE) >= 4


def test_missing_rooms_are_said(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"], rooms=["provenance"])
    text = _Page(render_report(run)).text
    assert text.count("This room has not been audited yet") == 2 * 3


def test_damaged_files_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"])
    (run.path / "bias.parquet").write_bytes(b"no table")
    (run.path / "evidence" / "detector.json").write_text("{")
    text = _Page(render_report(run)).text
    assert "Parts of this run are damaged." in text
    assert "bias.parquet" in text
    assert "evidence/detector.json" in text
    assert "nurse-0000.png" in text


def test_damaged_record_leaves_a_report(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"])
    (run.path / "run.json").write_text("[]")
    text = _Page(render_report(run)).text
    assert "expected a JSON object" in text
    assert "The run record is missing or damaged." in text


def test_run_without_images_says_so(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", record={"run_id": "empty", "config": {}})
    text = _Page(render_report(run)).text
    assert "This run holds no images." in text
    assert "There is no picture to show." in text


def test_folder_of_unknown_origin(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"], per_prompt=60, drawings=2, rooms=["detector"])
    table = run.rows("images")
    table[["prompt_id", "prompt", "replicate", "seed", "generator", "weights_digest"]] = None
    table.to_parquet(run.path / "images.parquet", index=False)
    record = run.record()
    run.update({"config": {**record["config"], "images": "/pictures"}})
    text = _Page(render_report(run)).text
    assert "60 files found in /pictures, 1 of which could not be read." in text
    assert "Images without a prompt" in text
    assert "48 of 59 images shown" in text


def test_all_images_unreadable(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"], per_prompt=1)
    text = _Page(render_report(run)).text
    assert "1 file" in text
    assert text.count("Not one image could be measured in this room.") == 4


def test_report_is_one_new_file_and_nothing_else_changes(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"])
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    written = write_report(run)
    after = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert written == run.path / REPORT_FILE
    assert after.pop(written).startswith(b"<!doctype html>")
    assert after == before


def test_large_run_is_quick_small_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    prompts = [f"prompt{number}" for number in range(24)]
    run = build_sample_run(tmp_path / "run", prompts=prompts, per_prompt=32, drawings=4, broken=False)
    started = time.process_time()
    html = render_report(run)
    assert time.process_time() - started < 8
    assert len(html) < 6_000_000
    assert _Page(html).text.count("6 of 32 images shown") == 24


def test_examples_of_a_cell_are_spread_over_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias_page, "build_picture", lambda _run, image_id, *_, **__: image_id)
    ids = [f"{prompt}{i}" for prompt in "abc" for i in range(bias_page.PER_CELL)]
    images = pd.DataFrame({"image_id": ids, "path": ids, "prompt": [name[0] for name in ids]})
    rows = pd.DataFrame({"image_id": ids, "attribute": "hair", "value": "red", "status": "pass"})
    (cell,) = bias_page.build_cells(tmp_path, images, rows)
    assert cell.pictures[:4] == ("a0", "b0", "c0", "a1")
    assert cell.total == len(ids)
