"""`assay train` calls every recipe in the way it can be called."""

from __future__ import annotations

import inspect

import pytest

from audit.cli.main import main
from audit.cli.train import FAMILIES, _recipes


def test_every_family_has_a_recipe_that_takes_folder_device_and_log() -> None:
    recipes = _recipes()
    assert tuple(recipes) == FAMILIES
    for name, recipe in recipes.items():
        bound = inspect.signature(recipe).bind("folder", device="cpu", log=print)
        assert bound.args[0] == "folder", name


def test_unknown_family_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "poetry"])
    assert stopped.value.code == 2
