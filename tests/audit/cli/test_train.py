"""`assay train` calls every recipe in the way it can be called."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from audit.cli.main import main
from audit.cli.train import FAMILIES, WATERMARK, _recipes
from generator.recipes_families import FAMILY_RECIPES
from generator.weights import Card, Weights


def test_every_family_has_a_recipe_that_takes_folder_device_and_log() -> None:
    recipes = _recipes()
    assert set(recipes) == {*FAMILIES, WATERMARK}
    for name, recipe in recipes.items():
        bound = inspect.signature(recipe).bind("folder", device="cpu", log=print)
        assert bound.args[0] == "folder", name


def test_unknown_family_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "poetry"])
    assert stopped.value.code == 2


def test_photographs_are_for_the_watermark_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def train(folder: Path, **options: object) -> Weights:
        asked.update(options, folder=folder)
        return Weights({}, Card("watermark", "", {}, 0, {}, (), {}), "sha256:00")

    monkeypatch.setattr("generator.recipes_watermark.train_watermark", train)
    assert main(["train", "watermark", "--images", str(tmp_path), "--out", "trained"]) == 0
    assert (asked["images"], asked["folder"]) == (tmp_path, Path("trained"))
    assert "watermark.safetensors" in capsys.readouterr().out
    for family in ("mae", "all"):
        assert main(["train", family, "--images", str(tmp_path)]) == 2
        assert "only watermark takes photographs" in capsys.readouterr().err


def test_families_read_by_the_tower_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def train(folder: Path, **options: object) -> Weights:
        asked.update(options)
        return Weights({}, Card("masked", "", {}, 0, {}, (), {}), "sha256:00")

    monkeypatch.setitem(FAMILY_RECIPES, "masked", train)
    assert main(["train", "masked", "--text", "ViT-B-32:some_tag", "--out", str(tmp_path)]) == 0
    assert asked["text"] == "ViT-B-32:some_tag"
    assert "online" not in asked
    assert main(["train", "masked", "--text", "ViT-B-32:some_tag", "--online", "--out", str(tmp_path)]) == 0
    assert asked["online"] is True
    assert main(["train", "tokenizer", "--text", "ViT-B-32:some_tag"]) == 2
    assert "read prompts" in capsys.readouterr().err
