"""Files that are wrong in every way a folder can hold: each is judged with a reason, none crashes."""

from __future__ import annotations

import errno
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from provenance_making import make_signer, picture, sign

from audit.evidence import Status
from audit.provenance import gather
from audit.provenance.gather import Setup, examine
from audit.provenance.verdict import judge
from generator.marking.watermark.keys import KEY_FILE, load_or_create_key


def _save(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def _bomb() -> bytes:
    """A PNG header that announces 60,000 x 60,000 pixels and brings none."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    )


def _animated() -> bytes:
    frames = [Image.new("P", (64, 64), color) for color in (1, 2, 3)]
    return _save(frames[0], "GIF", save_all=True, append_images=frames[1:])


FILES = {
    # name: (content, overall words allowed)
    "empty.png": (b"", {"could not check"}),
    "one-byte.jpg": (b"\xff", {"could not check"}),
    "text.jpg": (b"This is no picture.\n", {"could not check"}),
    "truncated.png": (picture()[:4000], {"could not check"}),
    "truncated.jpg": (picture("JPEG")[:900], {"could not check"}),
    "header-only.png": (picture()[:33], {"could not check"}),
    "bomb.png": (_bomb(), {"could not check"}),
    "wide.png": (_save(Image.new("RGB", (20_000, 8)), "PNG"), {"nothing found"}),
    "animated.gif": (_animated(), {"nothing found"}),
    "sixteen-bit.png": (
        _save(Image.fromarray(np.full((80, 80), 40_000, dtype=np.uint16)), "PNG"),
        {"nothing found"},
    ),
    "cmyk.jpg": (_save(Image.new("CMYK", (80, 80), (10, 20, 30, 40)), "JPEG"), {"nothing found"}),
    "one-pixel.png": (_save(Image.new("RGB", (1, 1)), "PNG"), {"nothing found"}),
    "transparent.png": (_save(Image.new("RGBA", (80, 80)), "PNG"), {"nothing found"}),
    "bitmap.bmp": (_save(Image.new("RGB", (80, 80)), "BMP"), {"nothing found"}),
    "jpeg-called.png": (picture("JPEG"), {"nothing found"}),
    "no-extension": (picture("WEBP"), {"nothing found"}),
    "garbage.xmp.jpg": (picture("JPEG", xmp=b"<x:xmpmeta <<<"), {"nothing found"}),
}


@pytest.fixture(params=["off", "quick"])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Setup:
    load_or_create_key(tmp_path / "keys")
    return Setup(key_file=tmp_path / "keys" / KEY_FILE, search=request.param)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_kind_is_judged(name: str, setup: Setup, tmp_path: Path) -> None:
    content, words = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    evidence = judge(examine(path, setup))
    if setup.search == "off":  # nobody looks at the pixels, so that they are damaged need not be seen
        words = words | {"nothing found"}
    assert evidence.find("verdict").value in words
    assert evidence.status in {Status.INCONCLUSIVE, Status.ERROR}
    for check in evidence.checks:
        assert check.reason.rstrip().endswith((".", "…"))


def test_a_signed_file_without_pixels_that_we_can_decode_is_still_judged(
    setup: Setup, tmp_path: Path
) -> None:
    """An SVG carries a manifest, and no decoder here has pixels of it."""
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>'
    path = tmp_path / "drawing.svg"
    path.write_bytes(sign(svg, make_signer(), mime="image/svg+xml"))
    evidence = judge(examine(path, setup))
    assert evidence.find("verdict").value == "intact, no trust list given"
    assert evidence.find("watermark.payload").status is Status.SKIPPED


def test_symlink_loops_and_missing_targets(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "absent.png")
    for name in ("loop.png", "dangling.png"):
        evidence = judge(examine(tmp_path / name, setup))
        assert (evidence.find("verdict").value, evidence.status) == ("could not check", Status.ERROR)


def test_a_file_too_large_to_hold_is_judged_like_any_other(
    setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(sign(picture(), make_signer()))
    held = judge(examine(path, setup))
    monkeypatch.setattr(gather, "MAX_HELD", 100)
    assert judge(examine(path, setup)) == held
    assert held.find("c2pa.unsigned").value == "standard"


@pytest.mark.slow
def test_two_gigabytes_of_nothing(setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as stream:
        stream.truncate(2 << 30)
    assert judge(examine(path, setup)).find("verdict").value == "could not check"


def test_a_folder_given_as_a_file(setup: Setup, tmp_path: Path) -> None:
    evidence = judge(examine(tmp_path, setup))
    assert evidence.find("verdict").value == "could not check"


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, because root may read every file."""
    path = tmp_path / "secret.png"
    path.write_bytes(picture())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    evidence = judge(examine(path, Setup(search="off")))
    assert (evidence.find("verdict").value, evidence.status) == ("could not check", Status.ERROR)
    assert "Permission denied" in evidence.find("c2pa.integrity").reason


@pytest.mark.parametrize("place", ["start", "middle", "end", "random"])
def test_damage_in_the_manifest_store_is_never_trusted_more(place: str, tmp_path: Path) -> None:
    """Blocks of the store overwritten: judged, and never called intact with changed content."""
    signed = sign(picture(), make_signer())
    start, end = signed.index(b"caBX") + 4, signed.index(b"IDAT")
    offset = {"start": start, "middle": (start + end) // 2, "end": end - 60, "random": start + 700}[place]
    changed = bytearray(signed)
    changed[offset : offset + 16] = bytes(value ^ 0x55 for value in changed[offset : offset + 16])
    path = tmp_path / "asset.png"
    path.write_bytes(changed)
    evidence = judge(examine(path, Setup(search="off")))
    assert evidence.status in {Status.FAIL, Status.ERROR, Status.INCONCLUSIVE}
