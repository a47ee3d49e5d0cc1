"""The nouns of generation: a prompt goes in, a generated image comes out.

A `Generator` never writes files: `generator.marking.publish` is the only function that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a prompt set.

    Attributes:
        prompt_id: unique within its set; appears in file names and tables.
        text: what the generator is asked for.
        slots: slot name -> value, e.g. {"occupation": "nurse"}; empty when the prompt has no template.
    """

    prompt_id: str
    text: str
    slots: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One image to make: a prompt and the seed that, with the weights digest, determines every pixel."""

    prompt: Prompt
    replicate: int
    seed: int


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """Pixels and what made them.

    Attributes:
        pixels: uint8 (height, width, 3), RGB.
        request: what was asked.
        generator: name of the generator, e.g. "assay-autoregressive".
        version: its version.
        weights_digest: "sha256:..." over the weights that made it.
        unknown_words: words of the prompt that the generator does not know, in order, without repeats.
    """

    pixels: NDArray[np.uint8]
    request: Request
    generator: str
    version: str
    weights_digest: str
    unknown_words: tuple[str, ...] = ()


class Generator(Protocol):
    """What every family and adapter offers."""

    @property
    def name(self) -> str:
        """Stable name of the generator."""
        ...

    @property
    def version(self) -> str:
        """Version of the model."""
        ...

    @property
    def weights_digest(self) -> str:
        """`sha256:` digest over all weights used."""
        ...

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage]:
        """Yield one image per request, in order; image i depends on request i alone."""
        ...
