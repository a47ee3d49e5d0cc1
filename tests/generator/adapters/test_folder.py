"""Images made elsewhere with a table of their prompts: what the table may be, and what is said of a bad one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from image_server import png
from PIL import Image
from pyarrow import parquet

from generator.adapters.folder import FolderGenerator
from generator.adapters.pictures import decode_picture, picture_suffix
from generator.errors import CannotCheckError, InputError
from generator.interface import GeneratedImage, Refused

ROWS = [
    {"file": "a.png", "prompt": "a nurse", "prompt_id": "nurse", "seed": 7, "occupation": "nurse"},
    {"file": "sub/b.png", "prompt": "a nurse", "prompt_id": "nurse", "seed": None, "occupation": "nurse"},
    {"file": "gone.png", "prompt": "a chef", "prompt_id": "chef", "seed": 8, "occupation": "chef"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(png(1))
    (tmp_path / "sub" / "b.png").write_bytes(png(2))
    return tmp_path


def _write(folder: Path, form: str) -> None:
    if form == "parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), folder / "prompts.parquet")
    elif form == "jsonl":
        (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    else:
        lines = [
            ",".join(ROWS[0]),
            *(",".join("" if v is None else str(v) for v in r.values()) for r in ROWS),
        ]
        (folder / "prompts.csv").write_text("\n".join(lines))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_table_of_every_format_gives_prompts_slots_seeds_and_pictures(folder: Path, form: str) -> None:
    _write(folder, form)
    generator = FolderGenerator(folder, ["name=paint-5", "version=5.1", "weights=sha256:ab"])
    first, second, third = generator.requests
    named = [(r.prompt.prompt_id, r.replicate) for r in generator.requests]
    assert named == [
        ("nurse", 0),
        ("nurse", 1),
        ("chef", 0),
    ]
    assert first.prompt.slots == {"occupation": "nurse"}
    assert first.seed == 7
    image, unseeded, gone = generator.generate([first, second, third])
    assert isinstance(image, GeneratedImage)
    assert isinstance(unseeded, GeneratedImage)
    assert (image.generator, image.version, image.weights_digest) == ("paint-5", "5.1", "sha256:ab")
    assert (image.seeded, unseeded.seeded) == (True, False)
    assert image.original == (folder / "a.png").resolve()
    assert np.array_equal(unseeded.pixels, decode_picture(png(2), where="b"))
    assert isinstance(gone, Refused)
    assert "gone.png: cannot be read" in gone.reason


def test_ids_are_derived_from_prompts_where_the_table_has_none(folder: Path) -> None:
    (folder / "metadata.csv").write_text(
        'file_name,prompt\na.png,"A nurse!"\nsub/b.png,a nurse\na.png,\u533b\n'
    )
    ids = [request.prompt.prompt_id for request in FolderGenerator(folder, ["name=x"]).requests]
    assert len(set(ids)) == 3
    assert ids[0].startswith("a-nurse-")
    assert ids[2].startswith("prompt-")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,prompt\n../secret.png,a\n", r"row 1: \.\./secret\.png lies outside"),
        ("file,prompt\na.png,\n", r"row 1: column `prompt` is missing or empty"),
        ("prompt\na\n", r"row 1: column `file` is missing or empty"),
        ("file,prompt,seed\na.png,a,x\n", r"seed 'x', expected a whole number"),
        ("file,prompt,prompt_id\na.png,a,A b\n", r"prompt_id 'A b' cannot be a file name"),
        ("file,prompt,prompt_id\na.png,a,n\na.png,b,n\n", r"row 2: prompt_id 'n' stood for another prompt"),
        ("file,prompt\na.png,a,b\n", r"row 1: expected one value a column"),
        ("file,prompt\n", r"holds no rows"),
        ("file,prompt\nnone.png,a\n", r"none of its 1 files is in"),
    ],
)
def test_a_bad_table_is_named_by_row(folder: Path, table: str, message: str) -> None:
    (folder / "prompts.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        FolderGenerator(folder, ["name=x"])


def test_what_is_missing_is_asked_for(folder: Path) -> None:
    with pytest.raises(InputError, match=r"--option table=PATH"):
        FolderGenerator(folder, ["name=x"])
    _write(folder, "csv")
    with pytest.raises(InputError, match=r"which system made these images\? Say it with --option name=NAME"):
        FolderGenerator(folder)
    with pytest.raises(InputError, match="no such folder"):
        FolderGenerator(folder / "none", ["name=x"])
    with pytest.raises(InputError, match="no such table"):
        FolderGenerator(folder, ["name=x", "table=none.csv"])


def test_a_picture_is_decoded_upright_and_on_white() -> None:
    target = io.BytesIO()
    picture = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    picture.putpixel((0, 0), (0, 0, 255, 255))
    picture.save(target, "PNG")
    pixels = decode_picture(target.getvalue(), where="x")
    assert pixels.shape == (2, 4, 3)
    assert pixels[0, 0].tolist() == [0, 0, 255]
    assert pixels[1, 3].tolist() == [255, 255, 255]
    target = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (4, 2)).save(target, "JPEG", exif=exif)
    assert decode_picture(target.getvalue(), where="x").shape == (4, 2, 3)
    assert picture_suffix(target.getvalue()) == ".jpg"


@pytest.mark.parametrize("data", [b"", b"text", png(1)[:200]])
def test_what_is_no_picture_is_named(data: bytes) -> None:
    with pytest.raises(CannotCheckError, match=r"^x\.png: (no|damaged) picture"):
        decode_picture(data, where="x.png")
