"""Labels: written into three formats, read back in every form, and hostile input is a status."""

from __future__ import annotations

import io
import json
import struct
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from generator.errors import InputError
from generator.marking import xmp
from generator.marking.labels import (
    MAX_PROMPT,
    TRAINED_ALGORITHMIC_MEDIA,
    LabelStatus,
    build_xmp,
    read_labels,
)

CREATED = datetime(2026, 11, 24, 12, 30, 5, tzinfo=UTC)
ASSET = "0123456789abcdef"
FORMATS = ["PNG", "JPEG", "WEBP"]


def packet(**changes: object) -> str:
    given_ = {"asset_id": ASSET, "producer": "P", "system": "S", "version": "1", "created": CREATED} | changes
    return build_xmp(**given_)


def save(packet_text: str, form: str) -> bytes:
    target, picture = io.BytesIO(), Image.new("RGB", (8, 8), (200, 100, 50))
    if form == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet_text)
        picture.save(target, form, pnginfo=info)
    else:
        picture.save(target, form, xmp=packet_text.encode())
    return target.getvalue()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (*chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def png_with(xml: str | bytes) -> bytes:
    data = xml if isinstance(xml, bytes) else xml.encode()
    return png((b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + data))


def rdf(inner: str, attributes: str = "") -> str:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'xmlns:T="http://www.tc260.org.cn/ns/AIGC/1.0/" {attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
    )


@pytest.mark.parametrize("form", FORMATS)
def test_three_formats(form: str) -> None:
    labels = read_labels(save(packet(producer="Producer", system="assay-test", version="1.2"), form))
    assert labels.status is LabelStatus.FOUND
    assert labels.digital_source_type == TRAINED_ALGORITHMIC_MEDIA
    assert (labels.system, labels.system_version, labels.created) == (
        "assay-test",
        "1.2",
        "2026-11-24T12:30:05Z",
    )
    assert labels.aigc == {"Label": "1", "ContentProducer": "Producer", "ProduceID": ASSET}
    assert labels.asset_id == ASSET
    assert labels.prompt == ""
    assert labels.conflicts == ()


def test_path_and_bytes_agree(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(save(packet(), "PNG"))
    assert read_labels(path) == read_labels(path.read_bytes())
    with pytest.raises(FileNotFoundError):
        read_labels(tmp_path / "absent.png")


legal = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    max_size=60,
)


@given(system=legal, version=legal, producer=legal, prompt=legal)
def test_any_text_comes_back(system: str, version: str, producer: str, prompt: str) -> None:
    text = packet(system=system, version=version, producer=producer, prompt=prompt)
    labels = read_labels(png_with(text))
    assert labels.status is LabelStatus.FOUND
    assert (labels.system, labels.system_version, labels.prompt) == (system, version, prompt)
    assert labels.aigc["ContentProducer"] == producer


@given(text=st.text(max_size=60))
def test_text_that_xml_cannot_carry_never_breaks_the_packet(text: str) -> None:
    labels = read_labels(png_with(packet(system=text, producer=text)))
    assert labels.status is LabelStatus.FOUND
    assert labels.asset_id == ASSET


@pytest.mark.parametrize(
    "text", ["a\rb\nc\td", "\"quotes' & <tags> ]]>", "人工智能 🙂", "<?xpacket end='w'?>"]
)
def test_special_text(text: str) -> None:
    for form in FORMATS:
        assert read_labels(save(packet(system=text, prompt=text), form)).prompt == text


def test_writing_refuses() -> None:
    with pytest.raises(InputError, match="no time zone"):
        packet(created=CREATED.replace(tzinfo=None))
    with pytest.raises(InputError, match=str(MAX_PROMPT)):
        packet(prompt="x" * (MAX_PROMPT + 1))


def test_longest_prompt_fits_into_a_jpeg_segment() -> None:
    for worst in ("&", '"', "🙂"):
        assert read_labels(save(packet(prompt=worst * MAX_PROMPT), "JPEG")).prompt == worst * MAX_PROMPT


def test_element_attribute_resource_and_list_forms_agree() -> None:
    uri = TRAINED_ALGORITHMIC_MEDIA
    forms = [
        rdf(f"<I:DigitalSourceType>{uri}</I:DigitalSourceType>"),
        rdf("", f'I:DigitalSourceType="{uri}"'),
        rdf(f'<I:DigitalSourceType rdf:resource="{uri}"/>'),
        rdf(f"<I:DigitalSourceType><rdf:Alt><rdf:li>{uri}</rdf:li></rdf:Alt></I:DigitalSourceType>"),
    ]
    assert {read_labels(png_with(form)).digital_source_type for form in forms} == {uri}


@pytest.mark.parametrize("form", ["{}", '{{"AIGC":{}}}', '"AIGC":{}', "AIGC{}"])
def test_aigc_forms(form: str) -> None:
    text = form.format(json.dumps({"Label": "2", "ProduceID": "n1"}))
    escaped = text.replace('"', "&quot;")
    for data in (png_with(rdf("", f'T:AIGC="{escaped}"')), png((b"tEXt", b"AIGC\x00" + text.encode()))):
        labels = read_labels(data)
        assert labels.status is LabelStatus.FOUND
        assert labels.aigc == {"Label": "2", "ProduceID": "n1"}


def test_compressed_packet() -> None:
    squeezed = zlib.compress(packet(system="squeezed").encode())
    data = png((b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + squeezed))
    assert read_labels(data).system == "squeezed"


def test_other_formats_are_scanned() -> None:
    assert read_labels(b"II*\x00" + b"\x00" * 99 + packet(system="tiff").encode() + b"\x00").system == "tiff"


def test_conflicting_values_are_named() -> None:
    other = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    xml = rdf(f"<I:DigitalSourceType>{other}</I:DigitalSourceType>", 'I:DigitalSourceType="x"')
    assert read_labels(png_with(xml)).conflicts == ("digital_source_type",)


@pytest.mark.parametrize("data", [b"", b"plain text", png(), save(packet(), "JPEG")[:4], png_with(rdf(""))])
def test_no_label(data: bytes) -> None:
    assert read_labels(data).status is LabelStatus.ABSENT


BOMB = '<!DOCTYPE a [<!ENTITY b "cccc">]>' + rdf("<I:AISystemUsed>&b;</I:AISystemUsed>")
DAMAGED = {
    "not xml": png_with("<x:xmpmeta"),
    "entities": png_with(BOMB),
    "encoding": png_with(b'<?xml version="1.0" encoding="no-such"?><a/>'),
    "bytes": png_with(b"<a>\xff\xfe</a>"),
    "too large": png_with("x" * (xmp.MAX_PACKET + 1)),
    "inflates without end": png(
        (b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00" + zlib.compress(bytes(64 << 20)))
    ),
    "no deflate": png((b"iTXt", b"XML:com.adobe.xmp\x00\x01\x00\x00\x00nothing")),
    "half a chunk": png_with(packet())[:200],
    "half a segment": save(packet(), "JPEG")[:200],
    "half a webp": save(packet(), "WEBP")[:-20],
    "many packets": png(*[(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + packet().encode())] * 9),
    "no fields": png((b"iTXt", b"XML:com.adobe.xmp\x00\x00")),
    "aigc": png((b"tEXt", b"AIGC\x00not json")),
    "aigc types": png((b"tEXt", b'AIGC\x00{"Label":1}')),
    "aigc depth": png((b"tEXt", b"AIGC\x00" + b'{"a":' * 100_000)),
    "scan without end": b"II*\x00<x:xmpmeta ",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_is_a_status(name: str) -> None:
    started = time.perf_counter()
    labels = read_labels(DAMAGED[name])
    assert labels.status is LabelStatus.DAMAGED
    assert labels.reason
    assert time.perf_counter() - started < 2


def test_deep_nesting_is_bounded() -> None:
    depth = 8_000
    nested = "<I:AISystemUsed><rdf:Description>" * depth + "</rdf:Description></I:AISystemUsed>" * depth
    started = time.perf_counter()
    read_labels(png_with(rdf(nested)))
    assert time.perf_counter() - started < 2


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF\x00\x00\x00\x00WEBP"):
        assert read_labels(head + data).status in LabelStatus


@given(position=st.integers(0, 2_000), value=st.integers(0, 255), form=st.sampled_from(FORMATS))
def test_a_changed_byte_never_raises(position: int, value: int, form: str) -> None:
    data = bytearray(save(packet(prompt="a <b> & c"), form))
    data[position % len(data)] = value
    assert read_labels(bytes(data)).status in LabelStatus
