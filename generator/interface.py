"""The nouns of generation: a prompt goes in, a generated image comes out.

A `Generator` never writes files: `generator.marking.publish` is the only function that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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
        metadata: "slot.key" -> what the set says about that slot's value, e.g. {"occupation.isco": "2221"}.
        language: of the text, e.g. "de"; empty when the set does not say.
        count: images that the set asks for; 0 leaves it to the caller.
    """

    prompt_id: str
    text: str
    slots: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    language: str = ""
    count: int = 0


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
        weights_digest: "sha256:..." over the weights that made it; empty when unknown (a hosted service).
        unknown_words: words of the prompt that the generator does not know, in order, without repeats.
        steered_prompt: what the generator was given instead of the prompt; empty when that was the prompt.
        steering: attribute -> value that was put into the prompt.
        seeded: False when the seed had no part in the image.
        original: the file with the image's bytes as they arrived from another system; None for images made here.
    """

    pixels: NDArray[np.uint8]
    request: Request
    generator: str
    version: str
    weights_digest: str
    unknown_words: tuple[str, ...] = ()
    steered_prompt: str = ""
    steering: dict[str, str] = field(default_factory=dict)
    seeded: bool = True
    original: Path | None = None

    @property
    def given_prompt(self) -> str:
        """The text that the generator was given."""
        return self.steered_prompt or self.request.prompt.text


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was answered, but with no image: a service's policy, a safety filter, an unreadable file.

    Attributes:
        request: what was asked.
        reason: plain words, from whoever refused.
    """

    request: Request
    reason: str


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
        """`sha256:` digest over all weights used; empty when unknown."""
        ...

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage | Refused]:
        """Yield one answer per request, in order; image i depends on request i alone."""
        ...
