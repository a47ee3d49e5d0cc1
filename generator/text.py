"""Prompts as the families read them: words -> tokens of a CLIP model -> its frozen text tower -> vectors.

The tower is the embedded one unless another was named when a family was trained; a family's card keeps its name and
digest. The embedded tower knows the words of the corpus captions only: a word outside them is left out of the prompt
and reported by name, because a prompt that asks for more than the model knows must not look answered.

Source: a frozen CLIP text tower before cross-attention, as in latent diffusion, arXiv:2112.10752.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from generator.clip import EMBEDDED, FAMILY, TextTower, load_clip
from generator.errors import WeightsError
from generator.portraits import VOCABULARY, words
from generator.transformer import Transformer
from generator.weights import WEIGHTS_FOLDER

LENGTH = 28  # tokens read, the marks of start and end among them; words after them are reported as not read


@dataclass(frozen=True, slots=True)
class ReadText:
    """A prompt as it is read.

    Attributes:
        text: what the tower is given.
        unknown: words that the family has not met, in order, without repeats.
        unread: words at the end for which there is no room.
    """

    text: str
    unknown: tuple[str, ...]
    unread: tuple[str, ...]


class PromptReader:
    """Prompts -> token ids -> vectors of the frozen tower.

    Args:
        tower: that reads.
        known: words of the captions that the family was trained on.
    """

    def __init__(self, tower: TextTower, known: Sequence[str] = VOCABULARY) -> None:
        self.tower = tower
        self.words = tuple(known)
        self._known = frozenset(known)
        self._closed = tower.name == EMBEDDED  # the tower itself knows no other word

    @classmethod
    def load(cls, tower: str = EMBEDDED, *, online: bool = False, folder: Path | None = None) -> PromptReader:
        """Load a tower by its name; the embedded one from `folder` if it was trained there, else as it ships.

        Raises:
            InputError: as `load_clip`, or the model has no text tower of open_clip.
            WeightsError: as `load_clip`.
        """
        own = folder is not None and (folder / f"{FAMILY}.safetensors").exists()
        clip = load_clip(tower, online=online, folder=folder if own else WEIGHTS_FOLDER)
        return cls(clip.text_tower())

    @classmethod
    def restore(cls, config: Mapping[str, Any], *, folder: Path | None = None) -> PromptReader:
        """The reader that a family was trained with, from its card.

        Args:
            config: what `config` gave.
            folder: of the family's weights.

        Raises:
            WeightsError: the tower at hand is another one.
        """
        reader = cls.load(config["tower"], folder=folder)
        if reader.tower.digest != config["digest"]:
            raise WeightsError(
                f"text tower {config['tower']}: weights are {reader.tower.digest}, the family was trained with "
                f"{config['digest']}; restore both from one release"
            )
        return cls(reader.tower, config["words"])

    @property
    def config(self) -> dict[str, Any]:
        """What a card keeps."""
        return {"tower": self.tower.name, "digest": self.tower.digest, "words": list(self.words)}

    def read(self, text: str) -> ReadText:
        """What the tower is given of a prompt, and which of its words say nothing to the family."""
        found = words(text)
        unknown = [word for word in found if word not in self._known]
        kept = [word for word in found if word in self._known] if self._closed else list(found)
        unread: list[str] = []
        while len(kept) > 1 and self._count(" ".join(kept)) > LENGTH:
            unread.insert(0, kept.pop())
        return ReadText(" ".join(kept), tuple(dict.fromkeys(unknown)), tuple(unread))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Prompts -> token ids int64 (B, context)."""
        return self.tower.encode([self.read(text).text for text in texts])

    def features(self, ids: Tensor) -> Tensor:
        """Token ids (B, context) -> float32 (B, S, W), S the first `LENGTH` tokens."""
        return self.tower.features(ids)[:, :LENGTH]

    def _count(self, text: str) -> int:
        ids, empty = self.tower.encode([text, ""])
        return int((ids != empty[-1]).sum())  # the last of nothing is padding


class TextEncoder(nn.Module):
    """What a family makes of the tower's vectors: its own width, then bidirectional blocks of its own.

    Padding is attended to like a word: it is how the model sees the end of the prompt, and no mask is needed.
    """

    def __init__(self, reader: PromptReader, width: int, *, heads: int, depth: int = 1) -> None:
        super().__init__()
        self._reader = reader
        self.enter = nn.Linear(reader.tower.width, width)
        self.transformer = Transformer(width, depth, heads=heads)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids int64 (B, context) -> (B, S, C)."""
        return self.transformer(self.enter(self._reader.features(ids)))  # type: ignore[no-any-return]


def drop_captions(ids: Tensor, reader: PromptReader, *, share: float) -> Tensor:
    """Training only: replace a share of the captions (B, context) by nothing, which guidance moves away from."""
    silent = torch.rand(len(ids), 1, device=ids.device) < share
    return torch.where(silent, reader.encode([""]).to(ids.device), ids)
