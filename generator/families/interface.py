"""What every family of the embedded generator promises: `loss`, `sample`, `trace`.

A family draws the 64 tokens of a picture; the tokenizer turns them into pixels and back. So every family is
published, marked and read in the same way, and `trace` is one function for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from generator.text import PromptReader
from generator.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Control:
    """How sampling is steered; the default samples the model's own distribution.

    Attributes:
        guidance: 1 leaves the distribution alone; more follows the prompt harder, at twice the cost.
        negative: prompts to move away from, one per row; without them guidance moves away from the empty prompt.
        keep: tokens int64 (B, 64) of a picture to continue (inpainting), -1 where a token is to be drawn.
    """

    guidance: float = 1.0
    negative: tuple[str, ...] | None = None
    keep: Tensor | None = None


class Family(Protocol):
    """A trained model over tokens."""

    reader: PromptReader
    config: dict[str, Any]

    def loss(self, batch: Any) -> Tensor:  # noqa: ANN401
        """Scalar to minimise; what a batch holds is said by the family."""
        ...

    def sample(self, texts: Sequence[str], seeds: Sequence[int], *, key: bytes, control: Control) -> Tensor:
        """One picture per prompt and seed, tokens int64 (B, 64); row i depends on its own text and seed alone."""
        ...


def trace(images: Tensor, tokenizer: Tokenizer) -> Tensor:
    """The sampled units that pictures show: uint8 (B, 3, 64, 64) -> levels int64 (B, 64, 4)."""
    return tokenizer.quantiser.to_units(tokenizer.encode(images.float() / 255))
