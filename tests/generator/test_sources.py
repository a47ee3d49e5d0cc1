"""Choosing a generator: what belongs together, and the picture with a hole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generator.errors import InputError
from generator.inpainting import DRAWN, kept_tokens
from generator.sources import Source, load_source, source_digests
from generator.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spec": "midjourney"}, r"generator 'midjourney' is unknown; use embedded, diffusers:MODEL"),
        ({"spec": "diffusers:"}, "is unknown; use embedded"),
        ({"spec": "embedded:x"}, "is unknown; use embedded"),
        ({"init": "a.png"}, "--init and --mask belong together"),
        ({"options": ("steps=3",)}, "--option steps=3: the embedded generator takes none"),
        ({"negative": "hat"}, "--negative acts through guidance"),
        ({"spec": "openai:https://x", "family": "masked"}, "are for the embedded generator, not for openai"),
        ({"spec": "diffusers:x", "init": "a", "mask": "b"}, "are for the embedded generator"),
        ({"spec": "folder:x", "guidance": 2.0}, "come too late"),
    ],
)
def test_settings_that_do_not_belong_together(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Source(**settings)  # type: ignore[arg-type]


def test_a_source_survives_json() -> None:
    source = Source("openai:https://x", options=("model=a",), guidance=2.5)
    assert Source.from_json(json.loads(json.dumps(asdict(source)))) == source


def test_an_unknown_family_lists_the_families(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"family 'gan' is unknown; use autoregressive, masked"):
        load_source(Source(family="gan"), store=tmp_path, run_id="r")


def _save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    return _save(tmp_path / "picture.png", rng.integers(0, 255, (256, 256, 3), dtype=np.uint8))


def test_tokens_outside_the_mask_are_those_of_the_picture(picture: Path, tmp_path: Path) -> None:
    from generator.tokenizer import shrink

    tokenizer = Tokenizer(width=16, depth=1).eval()
    white = np.zeros((256, 256), np.uint8)
    white[5, 40] = 255  # one pixel in row 0, column 1 of the 8 x 8 tokens
    white[224:, 192:] = 128  # row 7, columns 6 and 7
    white[100:130, 100:130] = 127  # still black
    kept = kept_tokens(picture, _save(tmp_path / "mask.png", white), tokenizer=tokenizer)[0]
    drawn = np.flatnonzero((kept == DRAWN).numpy()).tolist()
    assert drawn == [1, 62, 63]
    pixels = np.asarray(Image.open(picture))
    whole = tokenizer.encode(shrink(pixels)[None])[0]
    assert (kept[kept != DRAWN] == whole[kept != DRAWN]).all()


def test_a_mask_of_another_size_says_both_sizes(picture: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer(width=16, depth=1).eval()
    small = _save(tmp_path / "small.png", np.full((64, 128), 255, np.uint8))
    with pytest.raises(InputError, match=r"small.png is 128 x 64 pixels, the picture .* is 256 x 256"):
        kept_tokens(picture, small, tokenizer=tokenizer)
    with pytest.raises(InputError, match=r"small.png is 128 x 64 pixels, expected a square"):
        kept_tokens(small, small, tokenizer=tokenizer)
    black = _save(tmp_path / "black.png", np.zeros((256, 256), np.uint8))
    with pytest.raises(InputError, match="no white pixel"):
        kept_tokens(picture, black, tokenizer=tokenizer)
    with pytest.raises(InputError, match=r"none\.png: cannot be read"):
        kept_tokens(tmp_path / "none.png", black, tokenizer=tokenizer)


def test_the_files_of_a_source_are_part_of_what_a_run_is(picture: Path, tmp_path: Path) -> None:
    mask = _save(tmp_path / "mask.png", np.full((256, 256), 255, np.uint8))
    first = source_digests(Source(init=str(picture), mask=str(mask)))
    _save(mask, np.full((256, 256), 254, np.uint8))
    second = source_digests(Source(init=str(picture), mask=str(mask)))
    assert first.keys() == second.keys() == {"init", "mask"}
    assert first["init"] == second["init"]
    assert first["mask"] != second["mask"]
    assert source_digests(Source()) == {}
