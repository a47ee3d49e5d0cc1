"""Measured figures of the embedded models, as their cards state them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from generator.families.interface import Control, Family
from generator.noise import PUBLIC_KEY
from generator.portraits import OCCUPATIONS, Corpus, Rates
from generator.portraits.traits import PRESENTATIONS
from generator.tokenizer import OUTPUT_SIZE, Tokenizer, enlarge, reduce_by_two, shrink

CHUNK = 32


def measure_tokenizer(tokenizer: Tokenizer, drawings: NDArray[np.uint8]) -> dict[str, float]:
    """Fidelity of the tokenizer on drawings it has not seen.

    Args:
        tokenizer: in evaluation mode.
        drawings: uint8 (n, 128, 128, 3).

    Returns:
        psnr_128 and psnr_64 (dB, of the mean squared error over all pixels, 8-bit, at the decoder's size and
        reduced to the encoder's), codes_used (of 1000), and those of `measure_agreement`.
    """
    target = torch.from_numpy(np.array(drawings)).permute(0, 3, 1, 2)
    tokens = torch.cat(
        [tokenizer.encode(reduce_by_two(part.float() / 255)) for part in torch.split(target, CHUNK)]
    )
    decoded = torch.cat([tokenizer.decode(part) for part in torch.split(tokens, CHUNK)])
    wide, seen = decoded.float() / 255, target.float() / 255
    return {
        "psnr_128": psnr(wide, seen),
        "psnr_64": psnr(reduce_by_two(wide), reduce_by_two(seen)),
        "codes_used": float(len(torch.unique(tokens))),
        **measure_agreement(tokenizer, tokens),
    }


def measure_agreement(tokenizer: Tokenizer, tokens: Tensor) -> dict[str, float]:
    """How many tokens and units are read back from the published picture, stored and changed.

    Args:
        tokenizer: in evaluation mode.
        tokens: int64 (n, 64), of drawings or sampled.

    Returns:
        token_NAME (share of tokens equal) and unit_NAME (share of FSQ levels equal) for NAME png, jpeg75 and
        bright (each pixel times 1.1, clipped).
    """
    pictures = [enlarge(picture) for part in torch.split(tokens, CHUNK) for picture in tokenizer.decode(part)]
    figures = {}
    for name, store in (("png", lambda pixels: pixels), ("jpeg75", as_jpeg), ("bright", brighten)):
        again = torch.cat(
            [tokenizer.encode(torch.stack(part)) for part in _chunks([shrink(store(p)) for p in pictures])]
        )
        figures[f"token_{name}"] = (again == tokens).float().mean().item()
        units, wanted = tokenizer.quantiser.to_units(again), tokenizer.quantiser.to_units(tokens)
        figures[f"unit_{name}"] = (units == wanted).float().mean().item()
    return figures


@dataclass(frozen=True)
class Probe:
    """A ridge classifier on pixels: a yardstick that shares nothing with the generator.

    Attributes:
        classes: names, in the order of the columns of `weights`.
        mean: float32 (12288,), of the training pixels.
        weights: float32 (12288, classes).
    """

    classes: tuple[str, ...]
    mean: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def fit(cls, images: NDArray[np.float32], labels: Sequence[str], *, penalty: float = 30.0) -> Probe:
        """Fit on float32 images (n, 12288) in 0..1, by the dual solution (n is small)."""
        classes = tuple(sorted(set(labels)))
        wanted = np.array([[label == name for name in classes] for label in labels], dtype=np.float32) * 2 - 1
        mean = images.mean(0)
        centred = images - mean
        gram = centred @ centred.T + penalty * np.eye(len(images), dtype=np.float32)
        return cls(classes, mean, (centred.T @ np.linalg.solve(gram, wanted)).astype(np.float32))

    def accuracy(self, images: NDArray[np.float32], labels: Sequence[str]) -> float:
        """Share of images (n, 12288) whose highest score is their label."""
        best = ((images - self.mean) @ self.weights).argmax(1)
        return float(
            np.mean([self.classes[index] == label for index, label in zip(best, labels, strict=True)])
        )


def measure_prompted(
    model: Family, tokenizer: Tokenizer, *, repeats: int = 10, seed: int = 1, probe_size: int = 2400
) -> dict[str, float]:
    """Whether generated pictures show what was asked for, read by probes trained on drawings.

    Args:
        model: in evaluation mode.
        tokenizer: in evaluation mode.
        repeats: pictures per prompt; there are 48 prompts, "a portrait of a female nurse" and so on.
        seed: the pictures use seeds from `seed * 10^6` on.
        probe_size: drawings that each probe is trained on.

    Returns:
        probe_NAME (generated), probe_NAME_drawings (unseen drawings) and probe_NAME_decoded (the same after the
        tokenizer) for NAME occupation (24 classes) and presentation (2), and the figures of `measure_agreement`
        for the generated pictures, prefixed `sampled_`.
    """
    drawn = Corpus(4001, Rates.balanced(), probe_size + 480)
    batch = drawn.batch(range(len(drawn)), OUTPUT_SIZE)
    inputs = [shrink(picture) for picture in batch.pixels]
    asked = [(job, who) for job in OCCUPATIONS for who in PRESENTATIONS for _ in range(repeats)]
    texts = [f"a portrait of a {'female' if who == 'woman' else 'male'} {job}" for job, who in asked]
    tokens = sample_all(model, texts, seed=seed)
    rows = {
        "": _decoded(tokenizer, tokens),
        "_drawings": _flat(inputs[probe_size:]),
        "_decoded": _decoded(
            tokenizer, torch.cat([tokenizer.encode(torch.stack(p)) for p in _chunks(inputs[probe_size:])])
        ),
    }
    figures = {}
    for position, name in enumerate(("occupation", "presentation")):
        truth = [str(getattr(traits, name)) for traits in batch.traits]
        probe = Probe.fit(_flat(inputs[:probe_size]), truth[:probe_size])
        for suffix, images in rows.items():
            labels = truth[probe_size:] if suffix else [pair[position] for pair in asked]
            figures[f"probe_{name}{suffix}"] = probe.accuracy(images, labels)
    return figures | {
        f"sampled_{name}": value for name, value in measure_agreement(tokenizer, tokens).items()
    }


def sample_all(model: Family, texts: Sequence[str], *, seed: int) -> Tensor:
    """One picture per prompt, as tokens int64 (n, 64); seeds count up from `seed * 10^6`."""
    parts = []
    for start in range(0, len(texts), CHUNK):
        some = texts[start : start + CHUNK]
        first = seed * 10**6 + start
        seeds = range(first, first + len(some))
        parts.append(model.sample(some, seeds, key=PUBLIC_KEY, control=Control()))
    return torch.cat(parts)


def _decoded(tokenizer: Tokenizer, tokens: Tensor) -> NDArray[np.float32]:
    return _flat([shrink(enlarge(p)) for part in torch.split(tokens, CHUNK) for p in tokenizer.decode(part)])


def _flat(pictures: Sequence[Tensor]) -> NDArray[np.float32]:
    return torch.stack(list(pictures)).flatten(1).numpy()


def as_jpeg(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels uint8 (H, W, 3) after JPEG quality 75 with halved colour resolution."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream).convert("RGB"))


def brighten(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels uint8 (H, W, 3) times 1.1, clipped."""
    return np.asarray(np.clip(np.rint(pixels * 1.1), 0, 255), dtype=np.uint8)


def psnr(first: Tensor, second: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in 0..1, over all pixels together."""
    return float(-10 * torch.log10((first - second).square().mean()).item())


def _chunks(pictures: list[Tensor]) -> list[list[Tensor]]:
    return [pictures[i : i + CHUNK] for i in range(0, len(pictures), CHUNK)]
