"""Classifier-free guidance, the same for every family: predict with and without the prompt, and go further that way.

Source: arXiv:2207.12598. The prompt that is moved away from may be a given one (a negative prompt).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from generator.families.interface import Control
from generator.text import PAD, Vocabulary


def encode_prompts(vocabulary: Vocabulary, texts: Sequence[str], *, control: Control) -> Tensor:
    """Ids of the prompts, int64 (B, 24); with guidance (2 * B, 24), those to move away from come last."""
    ids = vocabulary.encode(texts)
    if control.guidance == 1:
        return ids
    away = vocabulary.encode(control.negative) if control.negative else torch.full_like(ids, PAD)
    return torch.cat([ids, away])


def guide(predicted: Tensor, *, control: Control) -> Tensor:
    """Predictions (2 * B, ...) for the prompts of `encode_prompts` -> (B, ...); without guidance as they are."""
    if control.guidance == 1:
        return predicted
    told, untold = predicted.chunk(2)
    return untold + control.guidance * (told - untold)
