"""The embedded generator: the shipped tokenizer and one family of models as one `Generator`.

It draws people of the embedded world, 256 x 256, on a processor. Image i depends on its own request alone, to the
last bit on one machine: rows are computed in chunks of one fixed shape, because matrix products may round
differently when their shape changes, and the chunk's other rows never enter a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as render_safetensors
from torch import Tensor

from generator.errors import InputError, WeightsError
from generator.families.autoregressive import Autoregressive
from generator.families.interface import Control, Family
from generator.interface import GeneratedImage, Request
from generator.noise import PUBLIC_KEY
from generator.sampling_mark import Choices, MarkReading, detect_choices, detect_signs, weigh_choices
from generator.text import PromptReader
from generator.tokenizer import GRID, LEVELS, PUBLISHED_SIZE, TOKENS, Tokenizer, enlarge, shrink
from generator.weights import Weights, load_weights

FAMILIES = {
    "autoregressive": "Autoregressive",
    "masked": "Masked",
    "diffusion": "Diffusion",
    "adversarial": "Adversarial",
}
"""Family, which is also its module in `generator.families` -> class; the first is the default."""

MARKED = ("autoregressive", "masked", "diffusion")
"""Families whose sampling noise can be read off their pictures."""

VERSION = "2"
SURE = 0.3  # of a level: a reading this far from the next one's border is as sure as any
ROWS = 32  # of every chunk; missing rows are filled up
_FILL_TEXT, _FILL_SEED = "", 0

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


class EmbeddedGenerator:
    """Prompt and seed -> picture, by the weights in the package.

    Args:
        tokenizer: in evaluation mode.
        model: in evaluation mode.
        family: name of its family.
        weights_digest: "sha256:..." over the weights of both.
        control: how sampling is steered; `negative` and `keep` hold one row, which is used for every image.
        key: of the sampling noise; the default is public.
        folder: where the weights are, when they are not those that ship.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        model: Family,
        *,
        family: str,
        weights_digest: str,
        control: Control = Control(),  # noqa: B008 - frozen
        key: bytes = PUBLIC_KEY,
        folder: Path | None = None,
    ) -> None:
        self._tokenizer, self._model, self._family = tokenizer, model, family
        self._folder = folder
        self._expectation: Autoregressive | None = None
        self._digest, self._key = weights_digest, key
        self._control = Control(
            guidance=control.guidance,
            negative=control.negative and control.negative * ROWS,
            keep=None if control.keep is None else control.keep.expand(ROWS, -1),
        )

    @classmethod
    def load(
        cls,
        folder: Path | None = None,
        *,
        family: str = "autoregressive",
        control: Control = Control(),  # noqa: B008 - frozen
        key: bytes = PUBLIC_KEY,
    ) -> EmbeddedGenerator:
        """Load and verify `tokenizer.*` and the weights of a family.

        Args:
            folder: where they are; default: the weights that ship with the package.
            family: one of `FAMILIES`.
            control: see the class.
            key: of the sampling noise.

        Raises:
            InputError: unknown family.
            WeightsError: a file is missing or damaged, or the two do not belong together.
        """
        if family not in FAMILIES:
            raise InputError(f"family {family!r} is unknown; use {', '.join(FAMILIES)}")
        tokens, prior = (load_weights(name, family=name, folder=folder) for name in ("tokenizer", family))
        if prior.card.config["encoder"] != compute_encoder_digest(tokens):
            raise WeightsError(
                f"{family} weights belong to the tokens of encoder {prior.card.config['encoder']}, "
                f"the tokenizer beside them has {compute_encoder_digest(tokens)}; restore both from one release"
            )
        digest = hashlib.sha256(f"{tokens.digest}\n{prior.digest}\n".encode()).hexdigest()
        return cls(
            load_tokenizer(tokens),
            load_family(prior, folder=folder),
            family=family,
            weights_digest=f"sha256:{digest}",
            control=control,
            key=key,
            folder=folder,
        )

    @property
    def name(self) -> str:
        """Stable name of the generator."""
        return f"assay-{self._family}"

    @property
    def version(self) -> str:
        """Version of the model."""
        return VERSION

    @property
    def weights_digest(self) -> str:
        """`sha256:` digest over tokenizer and model."""
        return self._digest

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its pictures, px."""
        return PUBLISHED_SIZE, PUBLISHED_SIZE

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of a prompt that the model does not know or has no room for, in order, without repeats."""
        read = self._model.reader.read(text)
        return tuple(dict.fromkeys(read.unknown + read.unread))

    def check_prompt(self, text: str) -> None:
        """Refuse a prompt that is longer than what is read.

        Raises:
            InputError: words at its end would not be read; it names them.
        """
        unread = self._model.reader.read(text).unread
        if unread:
            raise InputError(
                f"prompt {text[:60]!r}: too long for the embedded generator, which does not read its last "
                f"{len(unread)} words ({' '.join(unread)[:60]}); shorten it"
            )

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage]:
        """Yield one image per request, in order; image i depends on request i alone.

        Raises:
            InputError: a seed is not 0 to 2^64 - 1.
        """
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # Pillow lets go of the interpreter's lock
            for start in range(0, len(requests), ROWS):
                chunk = requests[start : start + ROWS]
                pictures = self._tokenizer.decode(self._sample(chunk))[: len(chunk)]  # less the filling rows
                for request, pixels in zip(chunk, pool.map(enlarge, pictures), strict=True):
                    yield GeneratedImage(
                        pixels=pixels,
                        request=request,
                        generator=self.name,
                        version=VERSION,
                        weights_digest=self._digest,
                        unknown_words=self.unknown_words(request.prompt.text),
                    )

    @torch.no_grad()
    def read_mark(
        self,
        pixels: NDArray[np.uint8],
        seeds: Sequence[int] | NDArray[np.uint64],
        *,
        keys: Sequence[bytes] = (PUBLIC_KEY,),
        seen: NDArray[np.float32] | None = None,
    ) -> MarkReading:
        """Which of the issued seeds made a picture with this generator, by the mark that sampling leaves.

        Args:
            pixels: uint8 (H, W, 3), upright and whole: a crop or rotation is undone before.
            seeds: that were issued, at least one.
            keys: sampling keys of the deployment.
            seen: share of each pixel that the picture shows, (H, W) in 0..1; None: all of it.

        Raises:
            InputError: no seed, or a family whose noise cannot be read off its pictures.
        """
        if self._family not in MARKED:
            raise InputError(f"the {self._family} family leaves no mark; it is left by {', '.join(MARKED)}")
        shares = np.ones((TOKENS, len(LEVELS)))
        if seen is not None:  # of the square that each token covers
            shares *= cv2.resize(seen, (GRID, GRID), interpolation=cv2.INTER_AREA).reshape(-1, 1)
        if self._family == "diffusion":
            start = self._model.invert(self._tokenizer.encode(shrink(pixels)[None]))  # type: ignore[attr-defined]
            return detect_signs(start[0].numpy(), seeds, keys=keys, seen=shares)
        choices = self.read_choices(pixels)
        return detect_choices(choices.shown, seeds, weights=choices.weights * shares, keys=keys)

    @torch.no_grad()
    def read_choices(self, pixels: NDArray[np.uint8]) -> Choices:
        """What a picture uint8 (H, W, 3) shows of the choices of a token family, and how much each one tells."""
        seen = self._tokenizer.measure(shrink(pixels)[None])  # (1, 64, 4), not rounded
        certainty = ((0.5 - (seen - seen.round()).abs()) / SURE).clamp(0, 1)
        shown = seen.round().long()
        expected = self.find_prior().choice_probabilities(self._tokenizer.quantiser.to_tokens(shown))
        weights = weigh_choices(expected[0].double().numpy(), certainty[0].double().numpy())
        return Choices(shown[0].numpy(), weights)

    def find_prior(self) -> Autoregressive:
        """The model that says how probable the tokens of a picture are, whichever family drew them."""
        if isinstance(self._model, Autoregressive):
            return self._model
        if self._expectation is None:
            self._expectation = EmbeddedGenerator.load(self._folder).find_prior()
        return self._expectation

    def _sample(self, chunk: Sequence[Request]) -> Tensor:
        missing = ROWS - len(chunk)
        texts = [request.prompt.text for request in chunk] + [_FILL_TEXT] * missing
        seeds = [request.seed for request in chunk] + [_FILL_SEED] * missing
        return self._model.sample(texts, seeds, key=self._key, control=self._control)


def load_tokenizer(weights: Weights) -> Tokenizer:
    """The tokenizer of verified weights, in evaluation mode."""
    model = Tokenizer(**weights.card.config)
    return _filled(model, weights)


def load_family(weights: Weights, *, folder: Path | None = None) -> Family:
    """The model of verified weights of one of `FAMILIES`, in evaluation mode.

    Args:
        weights: of the family.
        folder: where they are, and perhaps the CLIP weights they were trained with; default: as they ship.

    Raises:
        WeightsError: they do not fit their card, or the text tower is another one.
    """
    config = dict(weights.card.config)
    del config["encoder"]
    family = weights.card.family
    kind = getattr(import_module(f"generator.families.{family}"), FAMILIES[family])
    model: Family = _filled(kind(PromptReader.restore(config.pop("text"), folder=folder), **config), weights)
    return model


def compute_encoder_digest(tokenizer: Weights) -> str:
    """`sha256:` digest of the half of a tokenizer that decides what a token means; the decoder may still improve."""
    half = {name: value for name, value in tokenizer.tensors.items() if name.startswith("encoder.")}
    return "sha256:" + hashlib.sha256(render_safetensors(half)).hexdigest()


def _filled(model: ModelT, weights: Weights) -> ModelT:
    try:
        model.load_state_dict(weights.tensors)
    except RuntimeError as error:
        raise WeightsError(
            f"{weights.card.family} weights do not fit their card ({error}); restore both"
        ) from error
    return model.eval()
