"""Where readings and error rates come from: the edge between the statistics and a model.

Nothing heavy is loaded before the first image is read, so that a run's table can be summarised again without
a model, as long as the error matrices are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from audit.bias.perception import SCHEMA, Attribute, Reading, measure_errors
from audit.bias.readings import ErrorMatrix

if TYPE_CHECKING:
    from audit.bias.perception import Reader

EMBEDDED_CLIP = "assay-tiny"
LABELLED_SEED = 20_004  # of drawings that no training, calibration or reported figure has used
LABELLED_IMAGES = 1000

Pixels = NDArray[np.uint8]


class Source(Protocol):
    """What the bias room needs to know of a reader; other readers come in through this."""

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Attribute -> groups."""
        ...

    @property
    def description(self) -> str:
        """On which labelled images the error matrices were counted."""
        ...

    def read(self, pictures: Sequence[Pixels]) -> list[dict[str, Reading]]:
        """Read uint8 (height, width, 3) pictures: attribute -> reading of each, in order."""
        ...

    def error_matrices(self) -> Mapping[str, ErrorMatrix | None]:
        """Attribute -> error matrix, None where readings are the truth; left out where errors are unknown."""
        ...


@dataclass
class ClipSource:
    """A CLIP model by name, loaded when the first picture is read.

    The errors of the embedded model are counted on drawings that went through the embedded generator's
    tokenizer and back, since the reader errs differently on generated pictures than on clean drawings. The
    errors of any other model, and of any attribute that is not the shipped one, are unknown: such audits stay
    inconclusive until somebody labels images.

    Attributes:
        clip: open_clip model name, or "assay-tiny".
        schema: what to read.
        labelled: drawings to count errors on.
        online: allow open_clip to download weights.
    """

    clip: str = EMBEDDED_CLIP
    schema: tuple[Attribute, ...] = SCHEMA
    labelled: int = LABELLED_IMAGES
    online: bool = False
    _reader: list[Reader] = field(default_factory=list, init=False, repr=False)
    _matrices: dict[str, ErrorMatrix] = field(default_factory=dict, init=False, repr=False)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Attribute -> groups, from the schema."""
        return {attribute.name: tuple(attribute.groups) for attribute in self.schema}

    @property
    def description(self) -> str:
        """On which labelled images the error matrices were counted."""
        if self.clip != EMBEDDED_CLIP:
            return ""
        return (
            f"{self.labelled} drawings of the portraits corpus with seed {LABELLED_SEED}, encoded and decoded "
            "by the embedded tokenizer"
        )

    def reader(self) -> Reader:
        """The loaded reader.

        Raises:
            InputError: the model is unknown or not in the local cache.
            WeightsError: its weights are missing or damaged.
        """
        if not self._reader:
            from audit.bias.perception import Reader
            from generator.clip import load_clip

            self._reader.append(Reader(load_clip(self.clip, online=self.online), self.schema))
        return self._reader[0]

    def read(self, pictures: Sequence[Pixels]) -> list[dict[str, Reading]]:
        """Read pictures; see `Source.read`."""
        return self.reader().read(pictures)

    def error_matrices(self) -> Mapping[str, ErrorMatrix | None]:
        """Count the embedded reader's errors on the shipped attributes, once; empty for any other model.

        Raises:
            WeightsError: the reader's or the tokenizer's weights are missing or damaged.
        """
        drawn = tuple(attribute for attribute in self.schema if attribute in SCHEMA)
        if self.clip == EMBEDDED_CLIP and drawn and not self._matrices:
            from audit.bias.perception import Reader
            from generator.portraits.corpus import Corpus
            from generator.portraits.rates import Rates

            corpus = Corpus(LABELLED_SEED, Rates.default(), self.labelled)
            reader = Reader(self.reader().clip, drawn)
            found = measure_errors(reader, corpus, self.labelled, transform=through_tokenizer())
            for name, matrix in found.items():
                self._matrices[name] = ErrorMatrix(matrix.counts, matrix.groups, self.description)
        return self._matrices


class Transform(Protocol):
    """Pictures uint8 (m, side, side, 3) to pictures of any one size."""

    def __call__(self, pictures: Pixels, /) -> Pixels:
        """Transform a batch."""
        ...


def through_tokenizer(folder: Path | None = None) -> Transform:
    """What the embedded generator makes of a drawing: encoded to tokens, decoded, enlarged.

    Args:
        folder: where the tokenizer's weights are; default: those that ship.

    Raises:
        WeightsError: the tokenizer's weights are missing or damaged.
    """
    import torch

    from generator.embedded import load_tokenizer
    from generator.tokenizer import enlarge, shrink
    from generator.weights import load_weights

    tokenizer = load_tokenizer(load_weights("tokenizer", family="tokenizer", folder=folder))

    def transform(pictures: Pixels, /) -> Pixels:
        images = torch.stack([shrink(picture) for picture in pictures])
        decoded = tokenizer.decode(tokenizer.encode(images))
        return np.stack([enlarge(picture) for picture in decoded])

    return transform
