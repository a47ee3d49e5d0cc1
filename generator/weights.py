"""Model weights on disk: a float16 safetensors file and, beside it, a card that says what it is.

The card carries the SHA-256 of the tensor file, and `load_weights` verifies it: a model never runs on bytes
that are not the ones its card describes. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_safetensors
from safetensors.torch import save as render_safetensors
from torch import Tensor

from generator.errors import DiskFullError, WeightsError
from generator.marking.files import is_disk_full, write_atomic

WEIGHTS_FOLDER = Path(__file__).resolve().parent / "weights"
"""Where the weights that ship with the generator live."""

CARD_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Card:
    """What a weights file is, how it was made, what it scored and what it must not be used for.

    Attributes:
        family: kind of model; a loader asks for one and refuses any other.
        data: what it was trained on, in words, with the seed and rates of the corpus.
        recipe: every setting of the training that really ran (JSON values).
        seed: seed of the training.
        figures: measured numbers by name.
        limits: sentences on what the model cannot do.
        config: constructor arguments that rebuild the model (JSON values).
        digest: "sha256:..." of the tensor file; filled in by `save_weights`.
    """

    family: str
    data: str
    recipe: Mapping[str, Any]
    seed: int
    figures: Mapping[str, float]
    limits: tuple[str, ...]
    config: Mapping[str, Any]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """Verified weights: tensors by name (float32 or integer), their card, and "sha256:..." of the file."""

    tensors: dict[str, Tensor]
    card: Card
    digest: str


def save_weights(name: str, tensors: Mapping[str, Tensor], card: Card, folder: Path) -> Weights:
    """Write `NAME.safetensors` (floats as float16) and `NAME.json`, each atomically.

    Args:
        name: file stem.
        tensors: tensors by name, any device; a state dict.
        card: its digest is replaced by that of the bytes written.
        folder: created when missing.

    Returns:
        The weights exactly as `load_weights` will return them (rounded to float16).

    Raises:
        WeightsError: a tensor is not finite as float16.
        DiskFullError: the disk is full; an earlier file of that name is untouched.
    """
    stored = {key: _to_half(key, value) for key, value in tensors.items()}
    data = render_safetensors(stored)
    digest = _digest(data)
    card = replace(card, digest=digest)
    text = json.dumps({"schema": CARD_SCHEMA, **asdict(card)}, indent=2, ensure_ascii=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.safetensors", data)
    write_atomically(folder / f"{name}.json", text.encode())
    return Weights(tensors=_to_full(stored), card=card, digest=digest)


def load_weights(name: str | Path, *, family: str, folder: Path | None = None) -> Weights:
    """Read weights and verify them against their card.

    Args:
        name: a file stem looked up in `folder`, or a path to the `.safetensors` (or its `.json` card).
        family: the family the caller can run.
        folder: where to look a bare name up; default: the weights that ship with the generator.

    Raises:
        WeightsError: a file is missing or damaged, the family is another, or the digest differs.
    """
    path = name if isinstance(name, Path) else (folder or WEIGHTS_FOLDER) / f"{name}.safetensors"
    path = path.with_suffix(".safetensors")
    card = load_card(path.with_suffix(".json"))
    if card.family != family:
        raise WeightsError(
            f"{path}: the card says family {card.family!r}, expected {family!r}; name weights of that family"
        )
    data = _read(path)
    digest = _digest(data)
    if digest != card.digest:
        raise WeightsError(
            f"{path}: digest is {digest}, its card says {card.digest}; "
            "restore both files from the same release, or train again with `assay train`"
        )
    try:
        tensors = parse_safetensors(data)
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error}); restore it") from error
    return Weights(tensors=_to_full(tensors), card=card, digest=digest)


def load_card(path: Path) -> Card:
    """Read one card.

    Raises:
        WeightsError: the file is missing, is not JSON, lacks a field, or has another schema.
    """
    try:
        content = json.loads(_read(path))
        if content.pop("schema") != CARD_SCHEMA:
            raise WeightsError(f"{path}: card schema is not {CARD_SCHEMA}; use the release that wrote it")
        known = {field.name for field in fields(Card)}
        return Card(**{**{key: content[key] for key in known}, "limits": tuple(content["limits"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: damaged card ({error!r}); restore it beside its weights") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part.

    Raises:
        DiskFullError: the disk or quota is full; the old content is kept.
    """
    try:
        write_atomic(path, data)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(f"{path}: the disk is full; free {len(data)} bytes and run again") from error
        raise


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror}); restore it, or train it with `assay train`"
        ) from error


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _to_half(name: str, value: Tensor) -> Tensor:
    value = value.detach().cpu()
    if not value.is_floating_point():
        return value.clone().contiguous()
    half = value.to(torch.float16, copy=True).contiguous()
    if not bool(torch.isfinite(half).all()):
        raise WeightsError(f"tensor {name!r} is not finite as float16; the training diverged, train again")
    return half


def _to_full(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
