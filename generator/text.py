"""Prompts as the embedded generator reads them: words of the corpus -> ids -> vectors for cross-attention.

The vocabulary is small and closed. A word outside it becomes `<unk>` and is reported by name: a prompt that asks
for more than the model knows must not look answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from generator.portraits import VOCABULARY, words
from generator.transformer import Transformer

LENGTH = 24  # words read; later ones are reported as unknown
PAD, UNKNOWN = 0, 1
_FIRST_WORD = 2


@dataclass(frozen=True, slots=True)
class ReadText:
    """A prompt as ids.

    Attributes:
        ids: `LENGTH` numbers; `PAD` after the last word.
        unknown: words that the model does not know or has no room for, in order, without repeats.
    """

    ids: tuple[int, ...]
    unknown: tuple[str, ...]


class Vocabulary:
    """Words with ids; the id of a word is its position plus two.

    Args:
        known: words in order; a card stores them, so that old weights keep their ids.
    """

    def __init__(self, known: Sequence[str] = VOCABULARY) -> None:
        self.words = tuple(known)
        self._ids = {word: index + _FIRST_WORD for index, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words) + _FIRST_WORD

    def read(self, text: str) -> ReadText:
        """Split a prompt and look its words up; an empty prompt is all `PAD`."""
        found = words(text)
        ids = [self._ids.get(word, UNKNOWN) for word in found]
        unknown = [word for word, number in zip(found, ids, strict=True) if number == UNKNOWN]
        unread = list(found[LENGTH:])
        padded = (ids + [PAD] * LENGTH)[:LENGTH]
        return ReadText(ids=tuple(padded), unknown=tuple(dict.fromkeys(unknown + unread)))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Prompts -> ids int64 (B, 24)."""
        return torch.tensor([self.read(text).ids for text in texts], dtype=torch.int64).reshape(-1, LENGTH)


class TextEncoder(nn.Module):
    """Word and position embeddings, then two bidirectional blocks.

    Padding is attended to like a word: it is how the model sees the end of the prompt, and no mask is needed.
    """

    def __init__(self, vocabulary: int, width: int, *, heads: int, depth: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        self.transformer = Transformer(width, depth, heads=heads)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids int64 (B, 24) -> (B, 24, C)."""
        return self.transformer(self.words(ids) + self.positions)  # type: ignore[no-any-return]


def drop_words(ids: Tensor, *, words: float, captions: float) -> Tensor:
    """Training only: replace a share of the words by `UNKNOWN` and a share of the captions by nothing.

    The first teaches what `<unk>` means (no news), the second the picture without a prompt (for guidance).
    """
    lost = (torch.rand(ids.shape, device=ids.device) < words) & (ids != PAD)
    ids = torch.where(lost, UNKNOWN, ids)
    silent = torch.rand(len(ids), 1, device=ids.device) < captions
    return torch.where(silent, PAD, ids)
