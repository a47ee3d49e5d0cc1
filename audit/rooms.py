"""Which rooms a run has, and how each is built from the run's plan. A room is imported when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audit.engine import Module
from generator.errors import InputError

EMBEDDED_CLIP = "assay-tiny"


@dataclass(frozen=True)
class RoomOptions:
    """What the user can choose about the rooms.

    Attributes:
        clip: open_clip model for perceived attributes and descriptors.
        trust: folder or file of PEM trust lists for signers; None trusts nobody.
        bias: how perceived attributes are read, see `audit.bias.options.ReaderOptions`.
    """

    clip: str = EMBEDDED_CLIP
    trust: Path | None = None
    bias: Mapping[str, Any] = field(default_factory=dict)


def _provenance(options: RoomOptions) -> Module:
    from audit.provenance.module import build_module

    return build_module(trust_folder=options.trust)


def _bias(options: RoomOptions) -> Module:
    from audit.bias.module import build_module
    from audit.bias.options import ReaderOptions, build_source

    return build_module(source=build_source(ReaderOptions.from_json(options.bias), clip=options.clip))


def reader_files(bias: Mapping[str, Any]) -> list[Path]:
    """Files that a run's readings depend on.

    Raises:
        CannotCheckError: the options were written by another version.
    """
    from audit.bias.options import ReaderOptions

    return ReaderOptions.from_json(bias).files()


def _detector(_: RoomOptions) -> Module:
    from audit.detector.module import build_module

    return build_module()


def _similarity(options: RoomOptions) -> Module:
    from audit.similarity.module import build_module, joint_descriptor

    return build_module(descriptor=None if options.clip == EMBEDDED_CLIP else joint_descriptor(options.clip))


_BUILDERS: dict[str, Callable[[RoomOptions], Module]] = {
    "provenance": _provenance,
    "bias": _bias,
    "detector": _detector,
    "similarity": _similarity,
}

ROOMS = tuple(_BUILDERS)


def build_room(name: str, options: RoomOptions) -> Module:
    """The module of a room.

    Raises:
        InputError: there is no such room, or an option cannot be used.
        WeightsError: weights that the room needs are missing or damaged.
    """
    if name not in _BUILDERS:
        raise InputError(f"room {name!r} is unknown; rooms: {', '.join(ROOMS)}")
    return _BUILDERS[name](options)
