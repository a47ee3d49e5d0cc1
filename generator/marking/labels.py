"""The readable labels of a generated image: IPTC 2025.1 and TC260 AIGC, in one XMP packet.

`build_xmp` writes, `read_labels` reads (ours and other makers', in element and attribute form). A label is a
statement that anybody can write or remove: it proves nothing and is compared with what proves something.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError  # noqa: S405 - types only; parsing goes through defusedxml

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from generator.errors import InputError
from generator.marking.xmp import DamagedFileError, find_packets

TRAINED_ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MADE_BY_A_MODEL = frozenset(
    {
        TRAINED_ALGORITHMIC_MEDIA,
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic",
        "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData",
    }
)
"""Digital source types that say that a trained model made the asset or a part of it."""

MAX_PROMPT = 8_000
"""Characters of prompt that a label holds: escaped, it must fit into one JPEG segment of 65,533 bytes."""

_MAX_VALUE = 64 << 10  # characters of one label value that are kept when reading
_MAX_FILE = 128 << 20  # bytes of a file that are read

_X = "adobe:ns:meta/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_XMP = "http://ns.adobe.com/xap/1.0/"

# Everything that XML 1.0 cannot carry, escaped or not
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_FIELDS = {
    f"{{{_IPTC}}}DigitalSourceType": "digital_source_type",
    f"{{{_IPTC}}}AISystemUsed": "system",
    f"{{{_IPTC}}}AISystemVersionUsed": "system_version",
    f"{{{_IPTC}}}AIPromptInformation": "prompt",
    f"{{{_XMP}}}CreateDate": "created",
    f"{{{_TC260}}}AIGC": "aigc",
}


class LabelStatus(StrEnum):
    """Whether a file carries labels."""

    FOUND = "found"
    ABSENT = "absent"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Labels:
    """What a file's labels say; every text is as found, unchecked, and empty when absent.

    Attributes:
        status: found, absent (no such label), or damaged (there is something, and it cannot be read).
        reason: plain words.
        digital_source_type: IPTC code as full URI.
        system: IPTC AISystemUsed.
        system_version: IPTC AISystemVersionUsed.
        prompt: IPTC AIPromptInformation.
        created: xmp:CreateDate.
        aigc: the TC260 label's fields (Label, ContentProducer, ProduceID, ...).
        asset_id: ProduceID of the TC260 label.
        conflicts: names of the fields above that the file gives more than once with different values.
    """

    status: LabelStatus
    reason: str
    digital_source_type: str = ""
    system: str = ""
    system_version: str = ""
    prompt: str = ""
    created: str = ""
    aigc: Mapping[str, str] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()

    @property
    def asset_id(self) -> str:
        """The number under which the producer knows the image; empty when no label gives one."""
        return self.aigc.get("ProduceID", "")


def build_xmp(
    *,
    asset_id: str,
    producer: str,
    system: str,
    version: str,
    created: datetime,
    prompt: str | None = None,
    digital_source_type: str = TRAINED_ALGORITHMIC_MEDIA,
) -> str:
    """The XMP packet of a generated image.

    Args:
        asset_id: 16 hex digits, TC260's ProduceID.
        producer: name of who answers for the image, TC260's ContentProducer.
        system: name of the generator.
        version: its version.
        created: when it was made, aware.
        prompt: only when its owner agreed to publish it.
        digital_source_type: IPTC code as full URI.

    Returns:
        XML text; characters that XML cannot carry are replaced by U+FFFD.

    Raises:
        InputError: `created` has no time zone, or the prompt is longer than `MAX_PROMPT`.

    Source: IPTC Photo Metadata 2025.1; GB 45438-2025 annex E (Label "1": is generated).
    """
    if created.tzinfo is None:
        raise InputError(f"created {created.isoformat()}: no time zone; give an aware datetime")
    if prompt is not None and len(prompt) > MAX_PROMPT:
        raise InputError(
            f"prompt of {len(prompt)} characters: a label holds {MAX_PROMPT}; leave it out of the label"
        )
    aigc = {"ContentProducer": _clean(producer), "ProduceID": asset_id}
    if digital_source_type in MADE_BY_A_MODEL:
        aigc = {"Label": "1"} | aigc
    values = {
        "Iptc4xmpExt:DigitalSourceType": digital_source_type,
        "Iptc4xmpExt:AISystemUsed": system,
        "Iptc4xmpExt:AISystemVersionUsed": version,
        "TC260:AIGC": json.dumps(aigc, ensure_ascii=False, separators=(",", ":")),
        "xmp:CreateDate": created.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "xmp:CreatorTool": f"{system} {version}",
    }
    if prompt is not None:
        values["Iptc4xmpExt:AIPromptInformation"] = prompt
    body = "".join(f"<{name}>{_escape(value)}</{name}>" for name, value in values.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="{_X}"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about="" '
        f'xmlns:Iptc4xmpExt="{_IPTC}" xmlns:TC260="{_TC260}" xmlns:xmp="{_XMP}">{body}'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def read_labels(source: bytes | Path) -> Labels:
    """The labels of a file. Hostile or broken content is a status, never an exception.

    Args:
        source: the file's bytes, or its path.

    Raises:
        OSError: the path cannot be opened or read.
    """
    if isinstance(source, bytes):
        data = source
    else:
        with source.open("rb") as stream:
            data = stream.read(_MAX_FILE)
    try:
        packets = find_packets(data)
        found = [pair for packet in packets.xmp for pair in _xmp_values(packet)]
    except (DamagedFileError, ParseError, DefusedXmlException, ValueError, LookupError) as error:
        return Labels(LabelStatus.DAMAGED, f"The labels cannot be read: {error}.")
    found += [("aigc", text.decode("utf-8", "replace")) for text in packets.aigc_text]
    return _collect(found)


def _collect(found: list[tuple[str, str]]) -> Labels:
    """One value per field: the first; a field with several different values is a conflict."""
    values: dict[str, str] = {}
    conflicts: dict[str, None] = {}
    for name, value in found:
        if values.setdefault(name, value[:_MAX_VALUE]) != value[:_MAX_VALUE]:
            conflicts[name] = None
    if not values.keys() - {"created"}:
        return Labels(
            LabelStatus.ABSENT, "The file carries no IPTC or AIGC label.", created=values.get("created", "")
        )
    text = values.pop("aigc", "")
    aigc = _parse_aigc(text)
    if text and not aigc:
        status, reason = LabelStatus.DAMAGED, "The TC260 AIGC label is not a JSON object of strings."
    else:
        status = LabelStatus.FOUND
        reason = f"The file carries labels that name {values.get('system') or 'no system'}."
    return Labels(
        status,
        reason,
        digital_source_type=values.get("digital_source_type", ""),
        system=values.get("system", ""),
        system_version=values.get("system_version", ""),
        prompt=values.get("prompt", ""),
        created=values.get("created", ""),
        aigc=aigc,
        conflicts=tuple(conflicts),
    )


def _xmp_values(packet: bytes) -> Iterator[tuple[str, str]]:
    """(field, text) pairs of an XMP packet, whether written as element, attribute, resource or list."""
    root = fromstring(packet.strip(b"\x00 \r\n\t"), forbid_dtd=True)
    for description in root.iter(f"{{{_RDF}}}Description"):
        for name, value in description.attrib.items():
            if name in _FIELDS:
                yield _FIELDS[name], value
        for element in description:
            if element.tag in _FIELDS:
                yield _FIELDS[element.tag], _element_text(element)


def _element_text(element: Element) -> str:
    resource = element.get(f"{{{_RDF}}}resource")
    if resource is not None:
        return resource
    item = element.find(f"*/{{{_RDF}}}li")  # one level only: a deeper search is quadratic on hostile nesting
    return (item.text if item is not None else element.text) or ""


def _parse_aigc(text: str) -> dict[str, str]:
    """Fields of a TC260 label in any form seen in the wild: {..}, {"AIGC":{..}}, "AIGC":{..} or AIGC{..}."""
    start = text.find("{")
    if start < 0:
        return {}
    try:
        label = json.loads(text[start:])
    except (ValueError, RecursionError):
        return {}
    if isinstance(label, dict) and isinstance(label.get("AIGC"), dict):
        label = label["AIGC"]
    if not isinstance(label, dict) or not all(isinstance(value, str) for value in label.values()):
        return {}
    return label


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def _escape(text: str) -> str:
    # a bare carriage return would come back as a line feed
    return html.escape(_clean(text), quote=True).replace("\r", "&#13;")
