"""Any Hugging Face image classifier as a reader: the one module of the room that imports transformers (an extra).

What its labels mean for the audit is not guessed: a mapping file says it, for every label the model has.

Attributes:
      presentation: {Female: woman, Male: man}
      age: {0-2: null, 3-9: young, ..., more than 70: old}     # null: no group of ours, so "undetermined"

A label that stands in no attribute's mapping must be named in `ignore`. Weights are read from safetensors only, code
that comes with a model is never run, and the network is used only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from audit.bias.perception import THRESHOLD, Reading, softmax
from audit.bias.readings import UNDETERMINED, ErrorMatrix
from generator.errors import InputError, WeightsError

BATCH: Final = 16
_EXTRA = "transformers is not installed; run `pip install assay-audit[transformers]`"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """What a classifier's labels mean.

    Attributes:
        attributes: attribute -> label of the model -> group, or None for no group.
        ignored: labels that mean nothing here.
    """

    attributes: Mapping[str, Mapping[str, str | None]]
    ignored: frozenset[str] = frozenset()

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Attribute -> groups in order of appearance."""
        return {
            name: tuple(dict.fromkeys(group for group in labels.values() if group is not None))
            for name, labels in self.attributes.items()
        }

    def check(self, labels: Sequence[str], *, model: str) -> None:
        """Refuse a mapping that does not fit a model.

        Raises:
            InputError: a label of the model is not mapped, or a mapped label is none of the model's (named).
        """
        mapped = {label for labels_of in self.attributes.values() for label in labels_of} | self.ignored
        missing, unknown = sorted(set(labels) - mapped), sorted(mapped - set(labels))
        if missing or unknown:
            raise InputError(
                f"{model}: labels without a mapping: {missing}; mapped labels that the model lacks: {unknown}; its "
                f"labels are {list(labels)}. Map each to a group or to null, or list it under `ignore`"
            )


def load_mapping(path: Path) -> LabelMapping:
    """Read a mapping file; see the head of this module.

    Raises:
        InputError: it cannot be read, or an attribute has fewer than two groups.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML ({error})") from error
    body = document.get("attributes") if isinstance(document, dict) else None
    if (
        not isinstance(body, dict)
        or not body
        or not all(isinstance(labels, dict) for labels in body.values())
    ):
        raise InputError(f"{path}: expected `attributes:` with a mapping of labels to groups for each")
    attributes = {
        str(name): {str(label): None if group is None else str(group) for label, group in labels.items()}
        for name, labels in body.items()
    }
    mapping = LabelMapping(attributes, frozenset(map(str, document.get("ignore") or ())))
    for name, groups in mapping.groups.items():
        if len(groups) < 2 or UNDETERMINED in groups:
            raise InputError(
                f"{path}: {name}: groups are {list(groups)}, expected two or more, none {UNDETERMINED!r}"
            )
    return mapping


@dataclass
class ClassifierSource:
    """A Hugging Face image classifier, loaded when the first picture is read; its errors are unknown.

    Attributes:
        name: a folder with config.json, preprocessor_config.json and model.safetensors, or a model of the hub.
        mapping: what its labels mean.
        online: allow a download.
        threshold: least probability of a group that counts as a reading.
    """

    name: str
    mapping: LabelMapping
    online: bool = False
    threshold: float = THRESHOLD
    _loaded: list[tuple[Any, Any]] = field(default_factory=list, init=False, repr=False)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Attribute -> groups, from the mapping."""
        return self.mapping.groups

    @property
    def description(self) -> str:
        """Empty: nobody has measured its errors on labelled images like these."""
        return ""

    def error_matrices(self) -> Mapping[str, ErrorMatrix | None]:
        """None known."""
        return {}

    def read(self, pictures: Sequence[Pixels]) -> list[dict[str, Reading]]:
        """Read uint8 (height, width, 3) pictures: attribute -> reading of each, in order.

        Raises:
            InputError: transformers is missing, the model is not there, or the mapping does not fit it.
            WeightsError: its weights are damaged or not safetensors.
        """
        import torch
        from PIL import Image

        processor, model = self._load()
        readings: list[dict[str, Reading]] = []
        for start in range(0, len(pictures), BATCH):
            images = [Image.fromarray(picture) for picture in pictures[start : start + BATCH]]
            with torch.inference_mode():
                logits = model(**processor(images=images, return_tensors="pt")).logits.double().numpy()
            labels = [model.config.id2label[place] for place in range(logits.shape[1])]
            readings += [
                self._decide(dict(zip(labels, row, strict=True))) for row in softmax(logits).tolist()
            ]
        return readings

    def _decide(self, chances: Mapping[str, float]) -> dict[str, Reading]:
        return {
            attribute: _decide(attribute, labels, self.groups[attribute], chances, threshold=self.threshold)
            for attribute, labels in self.mapping.attributes.items()
        }

    def _load(self) -> tuple[Any, Any]:
        if not self._loaded:
            self._loaded.append(_load(self.name, online=self.online))
            _, model = self._loaded[0]
            self.mapping.check(list(model.config.id2label.values()), model=self.name)
        return self._loaded[0]


def _decide(
    attribute: str,
    labels: Mapping[str, str | None],
    groups: Sequence[str],
    chances: Mapping[str, float],
    *,
    threshold: float,
) -> Reading:
    """One attribute's reading: label probabilities summed by group, among the labels of this attribute."""
    total = sum(chances[label] for label in labels)
    if total <= 1e-9:
        return Reading(attribute, UNDETERMINED, {}, "no label of this attribute is likely")
    shares = {
        group: sum(chances[label] for label, target in labels.items() if target == group) / total
        for group in groups
    }
    mass = sum(shares.values())
    best = max(shares, key=lambda group: shares[group])
    named = {group: share / mass for group, share in shares.items()} if mass > 1e-9 else {}
    if shares[best] < threshold:
        other = f", {1 - mass:.2f} on labels of no group" if mass < 1 - 1e-9 else ""
        reason = f"best probability {shares[best]:.2f} ({best}){other} is below {threshold:.2f}"
        return Reading(attribute, UNDETERMINED, named, reason)
    return Reading(attribute, best, named)


def _load(name: str, *, online: bool) -> tuple[Any, Any]:
    from safetensors import SafetensorError

    try:
        from transformers import AutoImageProcessor, AutoModelForImageClassification
        from transformers.utils import logging as transformers_logging
    except ImportError as error:
        raise InputError(f"--classifier {name}: {_EXTRA}") from error
    where = (
        "it is neither a folder here nor in the local cache; give a folder or allow the network (`--online`)"
    )
    quiet = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        options: dict[str, Any] = {"local_files_only": not online, "trust_remote_code": False}
        processor = AutoImageProcessor.from_pretrained(name, **options)
        model, report = AutoModelForImageClassification.from_pretrained(
            name, use_safetensors=True, output_loading_info=True, **options
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        if Path(name).is_dir():
            raise WeightsError(f"--classifier {name}: cannot be loaded ({str(error)[:300]})") from error
        raise InputError(f"--classifier {name}: {where} ({str(error)[:200]})") from error
    finally:
        if quiet:
            transformers_logging.enable_progress_bar()
    if report["missing_keys"] or report["mismatched_keys"]:
        raise WeightsError(
            f"--classifier {name}: the file lacks weights ({sorted(report['missing_keys'])[:3]}), so its answers "
            "would be random; give the fine-tuned classifier, not the model it was made from"
        )
    model.eval()
    return processor, model
