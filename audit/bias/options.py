"""Which reader a run has, as its plan keeps it, and the reader itself: schema, model, table, faces.

Everything that does not fit is refused when the reader is built, before the first image is read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit.bias.hf_classifier import ClassifierSource, load_mapping
from audit.bias.label_table import TableSource
from audit.bias.people import Detector, count_people, crop_person, explain, load_detector
from audit.bias.perception import Attribute, Reading
from audit.bias.readings import UNDETERMINED, ErrorMatrix
from audit.bias.schema import Entry, groups_of, load_schema, shipped_schema
from audit.bias.skin_tone import read_skin_tone
from audit.bias.sources import EMBEDDED_CLIP, ClipSource, Source
from generator.errors import CannotCheckError, InputError


@dataclass(frozen=True)
class ReaderOptions:
    """What the user chose about the reading, JSON only.

    Attributes:
        schema: path of a schema file; None: the attributes that ship.
        classifier: folder or hub name of a Hugging Face image classifier; None: CLIP reads.
        mapping: path of its label mapping.
        readings: path of a table of readings; None: a model reads.
        trusted: the table is the truth.
        faces: face detector, see `audit.bias.people`; None: whole pictures are read.
        online: models may be downloaded.
    """

    schema: str | None = None
    classifier: str | None = None
    mapping: str | None = None
    readings: str | None = None
    trusted: bool = False
    faces: str | None = None
    online: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ReaderOptions:
        """Restore options from a plan.

        Raises:
            CannotCheckError: written by another version.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise CannotCheckError(f"options of the reader are not of this version ({error})") from error

    def to_json(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }

    def files(self) -> list[Path]:
        """Files that the readings depend on; a run keeps their digests."""
        named = [Path(name) for name in (self.schema, self.mapping, self.readings, self.faces) if name]
        folder = Path(self.classifier) if self.classifier else None
        if folder is not None and folder.is_dir():
            named += sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
        return [path for path in named if path.is_file()]


def build_source(options: ReaderOptions, *, clip: str = EMBEDDED_CLIP) -> Source | TableSource:
    """The reader that the options ask for; models are loaded when they read.

    Raises:
        InputError: options that exclude each other, or a file that cannot be used.
    """
    _check(options)
    entries = load_schema(Path(options.schema)) if options.schema else None
    if options.readings:
        groups = groups_of(entries) if entries else {}
        return TableSource(Path(options.readings), groups, options.trusted)
    entries = entries or (() if options.classifier else shipped_schema())
    base: Source | None = None
    if options.classifier and options.mapping:
        mapping = load_mapping(Path(options.mapping))
        base = ClassifierSource(options.classifier, mapping, options.online)
        entries = (*(entry for entry in entries if entry.measure), *_mapped(mapping.groups, entries))
    else:
        read = tuple(entry.attribute for entry in entries if not entry.measure)
        for attribute in read:
            if not all(attribute.groups.values()):
                raise InputError(
                    f"{options.schema}: {attribute.name}: each group needs phrases, since a CLIP model reads it"
                )
        base = ClipSource(clip, read, online=options.online) if read else None
    measured = [entry.attribute.name for entry in entries if entry.measure]
    if options.faces is None:
        if measured or base is None:
            raise InputError(
                f"{options.schema}: {measured[0]!r} is measured on faces; choose a detector with --faces"
            )
        return base
    return PersonSource(base, entries, options.faces)


def _check(options: ReaderOptions) -> None:
    if options.readings and (options.classifier or options.faces):
        raise InputError("--readings: a table has been read already; leave --classifier and --faces away")
    if bool(options.classifier) != bool(options.mapping):
        raise InputError(
            "--classifier and --mapping belong together: the mapping says what the model's labels mean"
        )
    if options.trusted and not options.readings:
        raise InputError(
            "--trusted says that a table of readings is the truth; give the table with --readings"
        )


def _mapped(groups: Mapping[str, tuple[str, ...]], entries: Sequence[Entry]) -> list[Entry]:
    """Entries of a classifier's attributes; a schema beside it must have the same attributes and groups."""
    given = {entry.attribute.name: entry for entry in entries if not entry.measure}
    for name in given.keys() | groups.keys() if given else ():
        wanted, found = tuple(given[name].attribute.groups) if name in given else (), groups.get(name, ())
        if set(wanted) != set(found):
            raise InputError(f"--schema and --mapping differ on {name!r}: {list(wanted)} and {list(found)}")
    return [
        given.get(name) or Entry(Attribute(name, dict.fromkeys(found, ()))) for name, found in groups.items()
    ]


@dataclass
class PersonSource:
    """Finds faces first: counts them, measures skin, and has a model read the one face there is.

    An attribute of a person is "undetermined" where there is no face or more than one. Error rates that were counted
    on whole pictures do not hold for faces cut out of them, so none are known.

    Attributes:
        base: reads the attributes that are not measured; None when all are.
        entries: of the schema.
        faces: name of the detector, loaded when the first picture is read.
    """

    base: Source | None
    entries: tuple[Entry, ...]
    faces: str
    _detector: list[Detector] = field(default_factory=list, init=False, repr=False)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Attribute -> groups."""
        return groups_of(self.entries)

    @property
    def description(self) -> str:
        """Empty: no errors are known."""
        return ""

    def error_matrices(self) -> Mapping[str, ErrorMatrix | None]:
        """None known."""
        return {}

    def read(self, pictures: Sequence[NDArray[np.uint8]]) -> list[dict[str, Reading]]:
        """Read pictures; see `Source.read`.

        Raises:
            InputError: the detector or the model is not there.
            WeightsError: its weights are damaged.
        """
        if not self._detector:
            self._detector.append(load_detector(self.faces))
        found = [self._detector[0](picture) for picture in pictures]
        heads = [
            crop_person(picture, faces[0]) if len(faces) == 1 else picture
            for picture, faces in zip(pictures, found, strict=True)
        ]
        asked = [entry for entry in self.entries if not entry.measure]
        by_head = self._ask(heads) if any(entry.of_person for entry in asked) else []
        by_picture = self._ask(pictures) if not all(entry.of_person for entry in asked) else []
        readings = []
        for row, (picture, faces) in enumerate(zip(pictures, found, strict=True)):
            said: dict[str, Reading] = {}
            for entry in self.entries:
                name, why = entry.attribute.name, explain(faces)
                if entry.measure == "people":
                    said[name] = count_people(faces, attribute=name)
                elif not entry.of_person:
                    said[name] = by_picture[row][name]
                elif why:
                    said[name] = Reading(name, UNDETERMINED, {}, why)
                elif entry.measure:
                    said[name] = read_skin_tone(faces[0].crop(picture), attribute=name)
                else:
                    said[name] = by_head[row][name]
            readings.append(said)
        return readings

    def _ask(self, pictures: Sequence[NDArray[np.uint8]]) -> list[dict[str, Reading]]:
        return [] if self.base is None else self.base.read(pictures)
