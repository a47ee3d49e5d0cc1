"""How the embedded CLIP was trained: captions of drawn portraits, disturbed as generated pictures are.

Nobody's photograph and no text of the web is in it. One pair is a drawing of the corpus and one caption: from the
corpus, or a phrase that names one trait alone, so that the zero-shot reader can ask for that trait alone.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from generator.clip import EMBEDDED, FAMILY, build_untrained, compute_clip_loss, normalise
from generator.portraits.captions import VOCABULARY, describe
from generator.portraits.corpus import Batch, Corpus, Rates
from generator.portraits.traits import Traits, tone_group
from generator.training import Recipe, TrainResult, seeded, train
from generator.weights import Card, Weights, save_weights

SIZE = 64  # pixels of the side of the drawings, what the model sees
BATCH = 64
BALANCED_SHARE = 0.75  # of a batch; the rest has the planted bias of the default world
CORPUS_SEED = 20_001
HELD_OUT_SEED = 20_002  # of the drawings that every reported figure is measured on
HELD_OUT = 300  # drawings of that seed that a training is evaluated on
CALIBRATION_SEED = 20_003  # of the drawings that the reader's calibration may look at
LEADS = ("", "a portrait of ", "a picture of ", "a drawing of ", "a photo of ", "an image of ")
EXTRA_WORDS = (
    "photo",
    "image",
    "wearing",
    "without",
    "no",
    "skin",
    "works",
    "as",
    "face",
    "the",
    "s",
    "years",
)
MERGES_LIMIT = 510  # with 512 bytes and two marks this fills the vocabulary of the model's configuration
LIMITS = (
    "Knows drawings of the embedded world only; of a photograph its answers mean nothing.",
    "Knows the words of the portrait captions; other words are spelled in pieces and carry no meaning.",
    "Its figures hold for drawings in equal shares; measure its error again on what it is used on.",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the trainings that follow each other.

    Attributes:
        recipe: its settings.
        untouched: share of the drawings that are not disturbed.
        emphasis: trait -> weight of its phrases in the loss, a whole number; 1 for a trait that is not named.
        free_every: one batch in so many has free captions too; they are most of the text, and of its cost.
    """

    recipe: Recipe
    untouched: float
    emphasis: Mapping[str, int]
    free_every: int = 1


def _recipe(name: str, *, steps: int, learning_rate: float) -> Recipe:
    return Recipe(
        name=name,
        steps=steps,
        learning_rate=learning_rate,
        warmup=60,
        weight_decay=0.05,
        seed=11,
        eval_every=250,
    )


# Clothes, hair, skin and glasses are learned first; the fine lines that show age need a second, calmer stage.
STAGES = (
    Stage(_recipe("clip", steps=3000, learning_rate=2e-3), untouched=0.25, emphasis={}),
    Stage(
        _recipe("clip-fine", steps=2000, learning_rate=1.5e-3),
        untouched=0.5,
        emphasis={"age": 4, "beard": 2},
        free_every=3,
    ),
)


def phrases(traits: Traits) -> dict[str, tuple[str, ...]]:
    """Trait -> phrases that name this trait of the person and no other."""
    group = tone_group(traits.tone)
    hair = "a bald person" if traits.hair_style == "bald" else f"a person with {traits.hair_colour} hair"
    return {
        "presentation": (f"a {traits.presentation}", f"a {_ADJECTIVES[traits.presentation]} person"),
        "age": (f"{_article(traits.age)} person",),
        "tone": (f"a {group}-skinned person", f"a person with {group} skin"),
        "glasses": ("a person with glasses", "a person wearing glasses")
        if traits.glasses
        else ("a person without glasses", "a person with no glasses"),
        "occupation": (_article(traits.occupation), f"a person who works as {_article(traits.occupation)}"),
        "beard": ("a person with a beard",) if traits.beard else ("a person without a beard",),
        "hair": (hair,),
    }


_ADJECTIVES = {"woman": "female", "man": "male"}


def choose_captions(person: Traits, caption: str, rng: np.random.Generator) -> dict[str, str]:
    """Under "" a free caption (of the corpus, or in 3 of 10 the full description); trait -> a phrase on it."""
    free = describe(person) if rng.random() < 0.3 else caption
    spoken = {trait: options[rng.integers(len(options))] for trait, options in phrases(person).items()}
    return {"": free, **spoken}


def disturb(
    picture: NDArray[np.uint8], rng: np.random.Generator, *, untouched: float = 0.25
) -> NDArray[np.uint8]:
    """What generating, publishing and copying do to a drawing: resampling, blur, JPEG, light, noise.

    Args:
        picture: uint8 (side, side, 3), RGB.
        rng: decides what is done.
        untouched: probability that the picture stays as it is.
    """
    draws = rng.random(10)
    if draws[0] < untouched:
        return picture
    side = picture.shape[0]
    if draws[1] < 0.3:
        smaller = int(side * (0.5 + 0.45 * draws[2]))
        picture = cv2.resize(picture, (smaller, smaller), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    if draws[3] < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.3 + 0.6 * draws[4])
    if draws[5] < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(60 + 36 * draws[6])]
        _, data = cv2.imencode(".jpg", picture[..., ::-1], quality)
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
    values = picture.astype(np.float64)
    if draws[7] < 0.5:  # small on purpose: skin tone is brightness
        values = (values - 128) * rng.uniform(0.93, 1.07) + 128 + rng.uniform(-7, 7)
    if draws[8] < 0.4:
        values = values + rng.normal(0, 1 + 8 * draws[9], values.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


Redraw = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class _Source:
    corpus: Corpus
    count: int  # drawings in each batch


class Pairs:
    """Step -> (pixels, tokens, index); every drawing is met once.

    pixels is uint8 (B, 64, 64, 3), tokens int64 (U, context) of the different texts of the batch, and index int64
    (sets, B): which text goes with which drawing, first its free caption, then phrases on one trait each.

    Args:
        tokenizer: texts -> tokens.
        stage: how much is disturbed and emphasised.
        first: number of the first batch, behind those of earlier stages.
        redraw: passes some drawings through something else (uint8 (n, 64, 64, 3) to the same), for instance the
            generator's tokenizer and back; half of every batch is then redrawn.
        size: drawings in a batch.
    """

    def __init__(
        self,
        tokenizer: Callable[[list[str]], Tensor],
        stage: Stage,
        *,
        first: int = 0,
        redraw: Redraw | None = None,
        size: int = BATCH,
    ) -> None:
        self._tokenizer, self._stage, self._first, self._redraw = tokenizer, stage, first, redraw
        balanced = int(size * BALANCED_SHARE)
        self._sources = (
            _Source(Corpus(CORPUS_SEED, Rates.balanced(), 2**40), balanced),
            _Source(Corpus(CORPUS_SEED, Rates.default(), 2**40), size - balanced),
        )

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """The batch of a step."""
        number = self._first + step
        rng = np.random.default_rng((CORPUS_SEED, number))
        pixels: list[NDArray[np.uint8]] = []
        captions: list[dict[str, str]] = []
        for source in self._sources:
            part = source.corpus.batch(range(number * source.count, (number + 1) * source.count), SIZE)
            pixels += [
                disturb(drawing, rng, untouched=self._stage.untouched)
                for drawing in self._redrawn(part.pixels)
            ]
            captions += [choose_captions(*pair, rng) for pair in zip(part.traits, part.captions, strict=True)]
        if number % self._stage.free_every:
            captions = [{trait: text for trait, text in spoken.items() if trait} for spoken in captions]
        return torch.from_numpy(np.stack(pixels)), *self._encode(captions, rng)

    def _encode(self, captions: list[dict[str, str]], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        sets = []
        for kind in captions[0]:
            lead = LEADS[rng.integers(len(LEADS))] if kind else ""
            texts = [lead + chosen[kind] for chosen in captions]
            sets += [texts] * self._stage.emphasis.get(kind, 1)
        different = sorted({text for texts in sets for text in texts})
        place = {text: row for row, text in enumerate(different)}
        return self._tokenizer(different), torch.tensor([[place[text] for text in texts] for texts in sets])

    def _redrawn(self, drawings: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._redraw is None:
            return drawings
        half = len(drawings) // 2
        return np.concatenate([drawings[:half], self._redraw(drawings[half:])])


def train_clip(
    folder: Path,
    *,
    stages: Sequence[Stage] = STAGES,
    redraw: Redraw | None = None,
    batch: int = BATCH,
    weights_folder: Path | None = None,
    device: str = "cpu",
    log: Callable[[str], None] = lambda _: None,
) -> Weights:
    """Train the embedded CLIP and write its weights and card.

    Args:
        folder: checkpoints and logs, a folder per stage; a killed training goes on from there.
        stages: the trainings, one after the other.
        redraw: see `Pairs`, in the last stage only; default: drawings as they are.
        batch: drawings in a batch.
        weights_folder: where `clip.safetensors` and `clip.json` go; default: `folder`.
        device: torch device.
        log: gets progress in words.

    Returns:
        The weights written.
    """
    with seeded(stages[0].recipe.seed):
        model, tokenizer = build_untrained()
    held_out = Corpus(HELD_OUT_SEED, Rates.balanced(), 1000).batch(range(HELD_OUT), SIZE)
    results: list[TrainResult] = []
    for stage in stages:
        log(f"clip: stage {stage.recipe.name}, {stage.recipe.steps} steps")
        first = sum(earlier.steps for earlier in results)
        seen = redraw if stage is stages[-1] else None
        results.append(
            train(
                model,
                Pairs(tokenizer, stage, first=first, redraw=seen, size=batch),
                stage.recipe,
                folder=folder / stage.recipe.name,
                loss=lambda pairs: compute_clip_loss(model, *pairs),
                evaluate=lambda: compute_agreement(model, tokenizer, held_out),
                device=device,
            )
        )
    card = _card(stages, results, batch=batch, redrawn=redraw is not None)
    return save_weights(FAMILY, model.state_dict(), card, weights_folder or folder)


def _card(stages: Sequence[Stage], results: Sequence[TrainResult], *, batch: int, redrawn: bool) -> Card:
    pairs = sum(result.steps for result in results) * batch
    return Card(
        family=FAMILY,
        data=(
            f"Portraits corpus, seed {CORPUS_SEED}: {BALANCED_SHARE:.0%} balanced rates, the rest default rates; "
            f"{pairs} drawings, each met once"
            + ("; in the last stage half of them redrawn by the generator's tokenizer" if redrawn else "")
        ),
        recipe={
            "stages": [asdict(stage) for stage in stages],
            "batch": batch,
            "cpu_seconds": round(sum(result.cpu_seconds for result in results)),
        },
        seed=stages[0].recipe.seed,
        figures={"drawings": HELD_OUT}
        | {f"agreement_{name}": value for name, value in results[-1].figures.items()},
        limits=LIMITS,
        config={"model": EMBEDDED, "loss": "open_clip.ClipLoss"},
    )


def compute_agreement(
    model: nn.Module, tokenizer: Callable[[list[str]], Tensor], drawings: Batch
) -> dict[str, float]:
    """Share of drawings whose nearest phrase names the drawn trait, per trait (no calibration, no threshold)."""
    pixels = torch.from_numpy(drawings.pixels)
    images = torch.cat([_encode_images(model, part) for part in torch.split(pixels, 128)])
    spoken = [phrases(person) for person in drawings.traits]
    result = {}
    for trait in spoken[0]:
        truth = [person[trait][0] for person in spoken]
        names = sorted(set(truth))
        texts = nn.functional.normalize(model.encode_text(tokenizer(names)).float(), dim=-1)  # type: ignore[operator]
        read = (images @ texts.T).argmax(dim=1).tolist()
        right = sum(names[index] == name for index, name in zip(read, truth, strict=True))
        result[trait] = round(right / len(truth), 4)
    return result


def build_merges(words: Iterable[str], *, limit: int = MERGES_LIMIT) -> list[tuple[str, str]]:
    """Byte-pair merges that write each word as one token, most common pair first (ties by spelling)."""
    spelled = {word: (*word[:-1], word[-1] + "</w>") for word in sorted(set(words)) if word}
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        pairs = Counter(pair for parts in spelled.values() for pair in zip(parts, parts[1:], strict=False))
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        spelled = {word: _merge(parts, best) for word, parts in spelled.items()}
    return merges


def render_merges() -> bytes:
    """The embedded model's merges file in open_clip's format: gzip, a title line, one merge a line."""
    words = {piece for word in (*VOCABULARY, *EXTRA_WORDS) for piece in word.split("-")}
    lines = ["#version: assay portraits", *(" ".join(pair) for pair in build_merges(words))]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def _merge(parts: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return tuple(merged)


def _encode_images(model: nn.Module, pixels: Tensor) -> Tensor:
    return nn.functional.normalize(model.encode_image(normalise(pixels)).float(), dim=-1)  # type: ignore[operator]


def _article(phrase: str) -> str:
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
