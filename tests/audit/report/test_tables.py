"""From tables to what is shown: numbers, flags, shares, and reading a run piece by piece."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from sample_run import SECRET, build_sample_run

from audit.evidence import Check, Evidence, Interval, Status
from audit.report import numbers
from audit.report.contents import read_contents, read_table
from audit.report.flags import compute_flags
from audit.report.shares import ALL_PROMPTS, COLUMNS, compute_shares, find_shares, parse_probabilities
from audit.run import RunDirectory
from generator.errors import CannotCheckError


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.4786, "share", "47.9 %"),
        (12345.0, "images", "12\u202f345 images"),
        (42.25, "dB", "42.25 dB"),
        (0.00002, "", "2.00e-05"),
        (0.0, "share", "0.0 %"),
    ],
)
def test_numbers_read_well(value: float, unit: str, text: str) -> None:
    assert numbers.format_number(value, unit=unit) == text


def test_intervals_name_both_ends_and_the_unit_once() -> None:
    assert numbers.format_interval(Interval(0.1, 0.25, 0.95, "x"), unit="share") == "10.0 % to 25.0 %"
    assert numbers.format_interval(Interval(40.5, 42.0, 0.95, "x"), unit="dB") == "40.5 to 42 dB"


def test_small_p_values_are_never_shown_as_zero() -> None:
    assert numbers.format_probability(0.0004) == "4.0e-04"
    assert numbers.format_probability(math.nan) == ""


def test_times_and_digests() -> None:
    assert numbers.format_time("2026-11-24T08:46:00+00:00") == "24 November 2026, 08:46 UTC"
    assert numbers.format_time("yesterday") == "yesterday"
    assert numbers.format_digest("sha256:" + "0123456789abcdef" * 4) == "sha256:0123456789ab…"


def test_flags_name_every_reason_and_spare_the_merely_inconclusive() -> None:
    images = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "d"],
            "status": ["pass", "error", "pass", "pass"],
            "reason": ["", "cut off", "", ""],
            "generator": ["g", None, "g", None],
            "unknown_words": ["", "", "unicorn", None],
        }
    )
    provenance = pd.DataFrame(
        {"image_id": ["a", "c"], "status": ["fail", "inconclusive"], "verdict": ["tampered", "nothing found"]}
    )
    detector = pd.DataFrame({"image_id": ["a", "d"], "status": ["pass"] * 2, "verdict": ["real", "real"]})
    similarity = pd.DataFrame({"image_id": ["a", "a", "d"], "rank": [1, 2, 1], "match": [False, True, None]})
    assert compute_flags(images, provenance=provenance, detector=detector, similarity=similarity) == {
        "a": ["provenance: tampered", "detector: called real"],
        "b": ["file could not be read"],
        "c": ["generator: does not know “unicorn”"],
    }


def _readings(values: list[str], *, prompt: str | None = "nurse") -> pd.DataFrame:
    row = {
        "prompt_id": prompt,
        "attribute": "age",
        "probabilities": '{"young": 0.7, "old": 0.3}',
        "status": "pass",
    }
    return pd.DataFrame(
        [{**row, "image_id": str(index), "value": value} for index, value in enumerate(values)]
    )


def test_shares_are_of_determined_images_and_undetermined_ones_are_counted() -> None:
    shares = compute_shares(_readings(["young", "young", "old", "undetermined"]))[0]
    assert shares.groups == ("young", "old")
    assert (shares.read, shares.undetermined, shares.corrected) == (4, 1, False)
    young = shares.table.iloc[0]
    assert (young["group"], young["of"], young["share"]) == ("young", 3, pytest.approx(2 / 3))
    assert young["low"] == pytest.approx(0.0943, abs=1e-3)
    assert young["high"] == pytest.approx(0.9916, abs=1e-3)


def test_group_that_never_occurs_is_still_shown() -> None:
    shares = compute_shares(_readings(["young", "young"]))[0]
    assert list(shares.table["share"]) == [1.0, 0.0]


def test_images_without_prompt_and_without_a_reading() -> None:
    assert (
        compute_shares(_readings(["old"], prompt=None))[0].table["prompt_id"].iloc[0]
        == "images without a prompt"
    )
    silent = compute_shares(_readings(["undetermined"]))[0]
    assert silent.table["share"].isna().all()
    assert compute_shares(pd.DataFrame(columns=list(COLUMNS))) == []


def test_corrected_shares_of_the_room_are_preferred(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", per_prompt=8)
    evidence = run.evidence()["bias"]
    check = evidence.find("bias.presentation.overall")
    shares = find_shares(read_table(run.path, "bias", columns=COLUMNS), evidence)
    assert [part.corrected for part in shares] == [True, True]
    first = shares[0].table
    assert first["prompt_id"].iloc[0] == ALL_PROMPTS
    assert list(first["share"].head(2)) == check.details["estimates"]
    assert list(first.loc[first["prompt_id"] == "nurse", "share"]) == check.details["prompt_estimates"][0]


def test_foreign_details_fall_back_to_shares_as_read() -> None:
    odd = Check("bias.age.overall", Status.PASS, "x.", details={"prompt_estimates": 3})
    assert not find_shares(_readings(["young"]), Evidence("bias", (odd,)))[0].corrected


@pytest.mark.parametrize("cell", [None, "", "{", "[1]", '{"a": "b"}', math.nan])
def test_cells_without_probabilities(cell: object) -> None:
    assert parse_probabilities(cell) == {}


def test_contents_hide_the_secret_and_name_what_waits(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"], rooms=["bias"])
    contents = read_contents(run.path)
    assert SECRET not in str(contents.record)
    assert contents.rooms_waiting == ("provenance", "detector", "similarity")
    assert contents.in_progress


def test_damage_is_an_error_status(tmp_path: Path) -> None:
    run = build_sample_run(tmp_path / "run", prompts=["nurse"])
    (run.path / "evidence" / "bias.json").write_text('{"schema_version": 99}')
    contents = read_contents(run.path)
    assert contents.status is Status.ERROR
    assert "schema 99" in contents.problems["evidence/bias.json"]
    assert not contents.in_progress


def test_table_of_one_image_and_of_an_unfinished_run(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", record={})
    run.append("detector", [{"image_id": "a", "verdict": "real"}, {"image_id": "b", "verdict": "synthetic"}])
    columns = ("image_id", "verdict", "logit")
    for _ in range(2):  # first from its parts, then finished
        assert list(read_table(run.path, "detector", columns=columns, image_id="b")["verdict"]) == [
            "synthetic"
        ]
        assert list(read_table(run.path, "detector", columns=columns).columns) == list(columns)
        run.finish_table("detector")
    (run.path / "detector.parquet").write_bytes(b"PAR1")
    with pytest.raises(CannotCheckError, match="damaged table"):
        read_table(run.path, "detector", columns=columns)
