"""Classifier-free guidance, the same for every family: predict with and without the prompt, and go further that way.

Source: arXiv:2207.12598. The prompt that is moved away from may be a given one (a negative prompt).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from generator.families.interface import Control
from generator.text import PromptReader


def encode_prompts(reader: PromptReader, texts: Sequence[str], *, control: Control) -> Tensor:
    """Ids of the prompts, int64 (B, context); with guidance (2 * B, context), those to move away from last."""
    ids = reader.encode(texts)
    if control.guidance == 1:
        return ids
    return torch.cat([ids, reader.encode(control.negative or [""] * len(texts))])


def guide(predicted: Tensor, *, control: Control) -> Tensor:
    """Predictions (2 * B, ...) for the prompts of `encode_prompts` -> (B, ...); without guidance as they are."""
    if control.guidance == 1:
        return predicted
    told, untold = predicted.chunk(2)
    return untold + control.guidance * (told - untold)
