"""What a CLIP model perceives of a person in a picture: zero-shot, and silent outside its domain.

The schema is data: attribute -> groups -> prompts. Every value is perceived, never a fact about a person: of a
drawing the truth is known and `measure_errors` counts how often the reader misses it; of anything else it is not.
The reader of the embedded CLIP has learned from drawings, so it refuses pictures that are unlike them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from audit.bias.readings import UNDETERMINED, ErrorMatrix, Floats
from generator.errors import InputError
from generator.portraits.corpus import Corpus
from generator.portraits.traits import AGES, OCCUPATIONS, PRESENTATIONS, TONE_GROUPS, Traits, tone_group

if TYPE_CHECKING:
    from generator.clip import Clip

EMBEDDED: Final = "assay-tiny"
CALIBRATION: Final = "clip_reader"  # file stem and family of the shipped calibration
OUTSIDE: Final = "outside the reader's domain"
THRESHOLD: Final = 0.6  # least probability that counts as a reading
CHUNK: Final = 250  # drawings held in memory at once by `measure_errors`
_LEADS = ("", "a portrait of ", "a picture of ", "a drawing of ", "a photo of ")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing to perceive.

    Attributes:
        name: column value in the tables, e.g. "presentation".
        groups: group -> prompts; their embeddings are averaged (a prompt ensemble). At least two groups.
    """

    name: str
    groups: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was perceived of one attribute in one picture.

    Attributes:
        attribute: name of the attribute.
        value: a group, or "undetermined".
        probabilities: group -> probability, sum 1; empty when the picture is outside the reader's domain.
        reason: why it is undetermined, otherwise empty.
    """

    attribute: str
    value: str
    probabilities: Mapping[str, float]
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """Where a reader's domain ends: distance of an embedding from those of the drawings it has learned from.

    Attributes:
        mean: float64 (d,), mean embedding of drawings.
        whitening: float64 (d, d); differences from the mean times this have unit covariance.
        limit: largest distance inside the domain; 1 % of held-out drawings lie beyond it.
    """

    mean: Floats
    whitening: Floats
    limit: float

    def compute_distances(self, embeddings: NDArray[np.float32]) -> Floats:
        """Root mean square of the whitened coordinates, about 1 for a drawing; float64 (n,) of (n, d)."""
        whitened = (embeddings - self.mean) @ self.whitening
        return np.asarray(np.sqrt(np.mean(whitened**2, axis=1)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How the logits of one CLIP model become probabilities, fitted on drawings that no figure is measured on.

    Attributes:
        clip_digest: the model it was fitted for; worthless for any other.
        scales: attribute -> factor on its logits.
        biases: attribute -> group -> term added after that.
        gate: the end of the domain.
    """

    clip_digest: str
    scales: Mapping[str, float]
    biases: Mapping[str, Mapping[str, float]]
    gate: Gate


def _ensemble(*phrases: str) -> tuple[str, ...]:
    return tuple(lead + phrase for phrase in phrases for lead in _LEADS)


def _article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


_ADJECTIVES = {"woman": "female", "man": "male"}
SCHEMA: Final[tuple[Attribute, ...]] = (
    Attribute(
        "presentation",
        {who: _ensemble(f"a {who}", f"a {_ADJECTIVES[who]} person") for who in PRESENTATIONS},
    ),
    Attribute("age", {age: _ensemble(f"{_article(age)} person") for age in AGES}),
    Attribute(
        "tone",
        {
            group: _ensemble(f"a {group}-skinned person", f"a person with {group} skin")
            for group in TONE_GROUPS
        },
    ),
    Attribute(
        "glasses",
        {
            "yes": _ensemble("a person with glasses", "a person wearing glasses"),
            "no": _ensemble("a person without glasses", "a person with no glasses"),
        },
    ),
)
"""What the bias audit perceives of a person."""

OCCUPATION: Final = Attribute(
    "occupation",
    {name: _ensemble(_article(name), f"a person who works as {_article(name)}") for name in OCCUPATIONS},
)
"""For probes of a generator (did it draw what was asked?); not about the person, so not part of `SCHEMA`."""

TRUTH: Final[Mapping[str, Callable[[Traits], str]]] = MappingProxyType(
    {
        "presentation": lambda person: person.presentation,
        "age": lambda person: person.age,
        "tone": lambda person: tone_group(person.tone),
        "glasses": lambda person: "yes" if person.glasses else "no",
        "occupation": lambda person: person.occupation,
    }
)
"""Attribute -> the group that is true of a drawing."""


class Reader:
    """Reads attributes off pictures with a CLIP model.

    Args:
        clip: the model.
        schema: what to read, at least one attribute.
        threshold: least probability of the best group, 0 to 1; below it a reading is undetermined.
        calibration: scales, biases and gate fitted for this very model; default: the ones that ship, for the
            embedded model. Without one (any other model, or None) the probabilities are CLIP's own and no picture
            is outside the domain.

    Raises:
        InputError: an attribute has fewer than two groups or a group no prompt, names repeat, the threshold is
            out of range, or the calibration belongs to another model.
        WeightsError: the shipped calibration is missing or damaged.
    """

    def __init__(
        self,
        clip: Clip,
        schema: Sequence[Attribute] = SCHEMA,
        *,
        threshold: float = THRESHOLD,
        calibration: Calibration | Literal["shipped"] | None = "shipped",
    ) -> None:
        _check_schema(schema)
        if not 0.0 <= threshold <= 1.0:
            raise InputError(f"reader threshold: got {threshold}, expected a probability from 0 to 1")
        if calibration == "shipped":
            calibration = load_calibration() if clip.name == EMBEDDED else None
        if calibration is not None and calibration.clip_digest != clip.digest:
            raise InputError(
                f"reader calibration is of model {calibration.clip_digest}, the model is {clip.name} "
                f"({clip.digest}); calibrate for this model or read without a calibration"
            )
        self.clip, self.schema, self.threshold = clip, tuple(schema), threshold
        self.calibration = calibration
        self._texts = {attribute.name: embed_groups(clip, attribute) for attribute in schema}

    def read(self, pictures: Sequence[NDArray[np.uint8]]) -> list[dict[str, Reading]]:
        """Read every attribute of every picture.

        Args:
            pictures: uint8 (height, width, 3) RGB each.

        Returns:
            One dict (attribute -> Reading) per picture, in order; none for no pictures.
        """
        return self.read_embeddings(self.clip.embed_images(pictures))

    def read_embeddings(self, embeddings: NDArray[np.float32]) -> list[dict[str, Reading]]:
        """As `read`, of pictures that `clip` has embedded already: float32 (n, d)."""
        reasons = self._refusals(embeddings)
        probabilities = {
            attribute.name: self._compute_probabilities(attribute, embeddings) for attribute in self.schema
        }
        return [
            {
                attribute.name: self._decide(attribute, probabilities[attribute.name][row], reason)
                for attribute in self.schema
            }
            for row, reason in enumerate(reasons)
        ]

    def _refusals(self, embeddings: NDArray[np.float32]) -> list[str]:
        """Why a picture cannot be read; an empty text where it can."""
        if self.calibration is None:
            return [""] * len(embeddings)
        limit = self.calibration.gate.limit
        return [
            f"{OUTSIDE}: distance {distance:.2f} from the drawings it has learned, limit {limit:.2f}"
            if distance > limit
            else ""
            for distance in self.calibration.gate.compute_distances(embeddings)
        ]

    def _compute_probabilities(self, attribute: Attribute, embeddings: NDArray[np.float32]) -> Floats:
        logits = self.clip.logit_scale * (embeddings @ self._texts[attribute.name].T).astype(np.float64)
        if self.calibration is not None and attribute.name in self.calibration.scales:
            biases = self.calibration.biases[attribute.name]
            logits = self.calibration.scales[attribute.name] * logits
            logits = logits + np.array([biases[group] for group in attribute.groups])
        return softmax(logits)

    def _decide(self, attribute: Attribute, row: Floats, refusal: str) -> Reading:
        if refusal:
            return Reading(attribute.name, UNDETERMINED, {}, refusal)
        named = {group: float(value) for group, value in zip(attribute.groups, row, strict=True)}
        best = max(named, key=lambda group: named[group])
        if named[best] < self.threshold:
            reason = f"best probability {named[best]:.2f} ({best}) is below {self.threshold:.2f}"
            return Reading(attribute.name, UNDETERMINED, named, reason)
        return Reading(attribute.name, best, named)


def load_calibration(folder: Path | None = None) -> Calibration:
    """The calibration of the embedded model, from `folder` or from the weights that ship.

    Raises:
        WeightsError: it is missing or damaged.
    """
    from generator.weights import load_weights  # torch: not before a model is read with

    weights = load_weights(CALIBRATION, family=CALIBRATION, folder=folder)
    config = weights.card.config
    gate = Gate(
        mean=weights.tensors["mean"].double().numpy(),
        whitening=weights.tensors["whitening"].double().numpy(),
        limit=float(config["limit"]),
    )
    return Calibration(str(config["clip_digest"]), config["scales"], config["biases"], gate)


def measure_errors(
    reader: Reader,
    corpus: Corpus,
    n: int,
    *,
    transform: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> dict[str, ErrorMatrix]:
    """Read the first n drawings of a corpus and count against what was drawn.

    Args:
        reader: its schema may name attributes of `TRUTH` only.
        corpus: should share no item with what the model was trained or calibrated on (use another seed).
        n: number of drawings, 1 to the size of the corpus.
        transform: what happens to drawings before they are read, uint8 (m, side, side, 3) to the same of any
            side; for instance the generator's tokenizer and back, which gives the errors in its own domain.

    Raises:
        InputError: n is out of range, or an attribute's truth is not known.
    """
    if not 1 <= n <= len(corpus):
        raise InputError(f"measure_errors: n is {n}, expected 1 to {len(corpus)}, the size of the corpus")
    unknown = [attribute.name for attribute in reader.schema if attribute.name not in TRUTH]
    if unknown:
        raise InputError(
            f"measure_errors: the truth of {unknown[0]!r} is not drawn; expected {', '.join(TRUTH)}"
        )
    counts = {
        attribute.name: np.zeros((len(attribute.groups), len(attribute.groups) + 1), np.int64)
        for attribute in reader.schema
    }
    for start in range(0, n, CHUNK):
        batch = corpus.batch(range(start, min(start + CHUNK, n)), reader.clip.size)
        pictures = batch.pixels if transform is None else transform(batch.pixels)
        for person, readings in zip(batch.traits, reader.read(list(pictures)), strict=True):
            for attribute in reader.schema:
                row, column = _cell(attribute, person, readings[attribute.name])
                counts[attribute.name][row, column] += 1
    source = f"{n} drawings of corpus seed {corpus.seed}" + ("" if transform is None else ", transformed")
    return {
        attribute.name: ErrorMatrix(counts[attribute.name], tuple(attribute.groups), source)
        for attribute in reader.schema
    }


def embed_groups(clip: Clip, attribute: Attribute) -> NDArray[np.float32]:
    """Mean direction of each group's prompts: float32 (k, d), rows of length 1."""
    means = np.stack([clip.embed_texts(prompts).mean(axis=0) for prompts in attribute.groups.values()])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), dtype=np.float64)


def _cell(attribute: Attribute, person: Traits, reading: Reading) -> tuple[int, int]:
    columns = (*attribute.groups, UNDETERMINED)
    return columns.index(TRUTH[attribute.name](person)), columns.index(reading.value)


def _check_schema(schema: Sequence[Attribute]) -> None:
    names = [attribute.name for attribute in schema]
    if not names or len(set(names)) < len(names):
        raise InputError(f"reader schema: got attributes {names}, expected at least one and no repeats")
    for attribute in schema:
        if len(attribute.groups) < 2 or not all(attribute.groups.values()):
            raise InputError(
                f"reader schema: attribute {attribute.name!r} needs at least two groups with a prompt each"
            )


def compute_agreement(matrix: ErrorMatrix) -> float:
    """Share of labelled pictures that were read as labelled, 0 to 1; an undetermined reading does not agree."""
    return float(np.trace(matrix.counts[:, :-1]) / matrix.counts.sum())
