"""Every file is judged or named with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.collection import inspect_image, load_pixels, path_id, walk_files
from generator.errors import CannotCheckError, InputError


def _picture(width: int = 40, height: int = 30) -> Image.Image:
    ramp = np.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    return Image.fromarray(ramp.astype(np.uint8))


def _write_cases(folder: Path) -> dict[str, Path]:
    cases = {name: folder / name for name in ("empty.png", "half.jpg", "text.jpg", "noext")}
    cases["empty.png"].write_bytes(b"")
    _picture(400, 300).save(folder / "whole.jpg")
    whole = (folder / "whole.jpg").read_bytes()
    cases["half.jpg"].write_bytes(whole[: len(whole) // 2])
    cases["text.jpg"].write_text("not an image")
    cases["noext"].write_bytes(bytes(range(256)))
    return cases


def test_bad_files_are_named_with_a_reason(tmp_path: Path) -> None:
    for path in _write_cases(tmp_path).values():
        facts = inspect_image(path)
        assert facts.reason, path.name
        with pytest.raises(CannotCheckError, match=path.name):
            load_pixels(path)


def test_missing_file_has_a_reason(tmp_path: Path) -> None:
    assert inspect_image(tmp_path / "none.png").reason == "not a regular file"


def test_unusual_images_load_as_rgb(tmp_path: Path) -> None:
    picture = _picture()
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg")
    picture.convert("L").save(tmp_path / "grey.png")
    picture.convert("RGBA").save(tmp_path / "alpha.png")
    picture.convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    picture.save(tmp_path / "animated.gif", save_all=True, append_images=[picture.rotate(90)])
    _picture(1, 1).save(tmp_path / "one.png")
    _picture(20_000, 2).save(tmp_path / "wide.png")
    for path in sorted(tmp_path.iterdir()):
        facts = inspect_image(path)
        pixels = load_pixels(path, max_side=64)
        assert facts.reason == "", path.name
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert max(pixels.shape[:2]) <= 64
    assert "first of 2 frames" in inspect_image(tmp_path / "animated.gif").note
    assert "CMYK" in inspect_image(tmp_path / "cmyk.jpg").note


def test_sixteen_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 32_896, np.uint16)).save(tmp_path / "deep.png")
    assert np.all(np.abs(load_pixels(tmp_path / "deep.png").astype(int) - 128) <= 1)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to view
    _picture(40, 30).save(tmp_path / "turned.jpg", exif=exif)
    assert load_pixels(tmp_path / "turned.jpg").shape == (40, 30, 3)


def test_wrong_extension_is_noted_not_refused(tmp_path: Path) -> None:
    _picture().save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.png")
    facts = inspect_image(tmp_path / "a.png")
    assert facts.reason == ""
    assert "bytes are JPEG" in facts.note


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert load_pixels(tmp_path / "clear.png").min() == 255


def test_walk_cuts_symlink_loops_and_keeps_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.png").write_bytes(b"b")
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / ".hidden").write_bytes(b"h")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [path.name for path in walk_files(tmp_path)] == ["a.png", "b.png"]


def test_walk_refuses_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        list(walk_files(tmp_path / "none"))
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(InputError, match="expected a folder"):
        list(walk_files(tmp_path / "f"))


def test_path_ids_differ_by_path() -> None:
    assert path_id("a/b.png") != path_id("a/c.png")
    assert len(path_id("a/b.png")) == 16
