"""Readings from the user's own table: found by id or file name, and refused by name where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from audit.bias.label_table import TableSource
from audit.bias.module import build_module
from audit.bias.readings import UNDETERMINED
from audit.collection import Item
from generator.errors import InputError

HEAD = "image_id,attribute,value"


def source(folder: Path, text: str, *, suffix: str = ".csv", **options: object) -> TableSource:
    path = folder / f"readings{suffix}"
    path.write_text(text)
    return TableSource(path, **options)  # type: ignore[arg-type]


def items(*names: str) -> list[Item]:
    return [Item(f"id-{name}", Path("/runs/r/images") / f"{name}.png", "job", "a job", 0) for name in names]


def test_readings_are_found_by_id_and_by_the_end_of_the_path(tmp_path: Path) -> None:
    by_id = source(tmp_path, f"{HEAD}\nid-a,hat,yes\nid-b,hat,no\n")
    by_file = source(tmp_path, "file,attribute,value\na.png,hat,yes\nimages/b.png,hat,no\n")
    for found in (by_id, by_file):
        assert found.groups == {"hat": ("no", "yes")}
        assert [reading["hat"].value for reading in found.read_items(items("a", "b", "c"))] == [
            "yes",
            "no",
            UNDETERMINED,
        ]
    assert "no row" in by_id.read_items(items("c"))[0]["hat"].reason


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_probabilities_decide_where_no_value_is_given(tmp_path: Path, suffix: str) -> None:
    chances = [{"yes": 0.9, "no": 0.1}, {"yes": 0.55, "no": 0.45}]
    rows = pd.DataFrame({"image_id": ["id-a", "id-b"], "attribute": "hat",
                         "probabilities": [json.dumps(chance) for chance in chances]})  # fmt: skip
    path = tmp_path / f"r{suffix}"
    if suffix == ".jsonl":
        path.write_text(
            "\n".join(json.dumps(row) for row in rows.assign(probabilities=chances).to_dict("records"))
        )
    else:
        rows.to_parquet(path) if suffix == ".parquet" else rows.to_csv(path, index=False)
    sure, unsure = (reading["hat"] for reading in TableSource(path).read_items(items("a", "b")))
    assert (sure.value, dict(sure.probabilities)) == ("yes", chances[0])
    assert unsure.value == UNDETERMINED
    assert "0.55" in unsure.reason


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("id,attribute,value\na,hat,yes\n", "image_id or file"),
        ("image_id,attribute\na,hat\n", "expected image_id"),
        (f"{HEAD}\na,hat,yes\na,hat,no\n", "row 2"),
        (f"{HEAD}\na,hat,yes\n", "fewer than two"),
        ('image_id,attribute,probabilities\na,hat,"{""yes"": 0.7, ""no"": 0.7}"\n', "sum to one"),
        ('image_id,attribute,probabilities\na,hat,"{""yes"": 1.5, ""no"": -0.5}"\n', "sum to one"),
        ("image_id,attribute,probabilities\na,hat,often\n", "no JSON object"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        source(tmp_path, text)


def test_groups_of_the_schema_are_kept_and_others_refused(tmp_path: Path) -> None:
    schema = {"hat": ("yes", "no", "turban")}
    assert source(tmp_path, f"{HEAD}\na,hat,yes\n", schema=schema).groups == schema
    with pytest.raises(InputError, match="'cap'"):
        source(tmp_path, f"{HEAD}\na,hat,cap\n", schema=schema)
    with pytest.raises(InputError, match="'scarf'"):
        source(tmp_path, f"{HEAD}\na,scarf,yes\n", schema=schema)


def test_the_room_refuses_readings_of_images_that_are_not_in_the_run(tmp_path: Path) -> None:
    found = source(tmp_path, f"{HEAD}\nid-a,hat,yes\nid-z,hat,no\n")
    module = build_module(source=found)
    rows = pd.DataFrame(module.measure(items("a", "b")))
    assert rows["value"].tolist() == ["yes", UNDETERMINED]
    images = pd.DataFrame({"image_id": ["id-a", "id-b"], "path": ["images/a.png", "images/b.png"],
                           "prompt_id": "job", "prompt": "a job"})  # fmt: skip
    with pytest.raises(InputError, match="'id-z'"):
        module.summarise(rows, images)


def test_only_a_trusted_table_is_the_truth(tmp_path: Path) -> None:
    text = f"{HEAD}\na,hat,yes\nb,hat,no\n"
    assert source(tmp_path, text).error_matrices() == {}
    assert source(tmp_path, text, trusted=True).error_matrices() == {"hat": None}
