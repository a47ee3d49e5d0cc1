"""The embedded generator: the shipped tokenizer and autoregressive model as one `Generator`.

It draws people of the embedded world, 256 x 256, on a processor. Image i depends on its own request alone, to the
last bit on one machine: rows are computed in chunks of one fixed shape, because matrix products may round
differently when their shape changes, and the chunk's other rows never enter a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from generator.errors import WeightsError
from generator.families.autoregressive import Autoregressive
from generator.interface import GeneratedImage, Request
from generator.noise import PUBLIC_KEY
from generator.text import Vocabulary
from generator.tokenizer import Tokenizer, enlarge
from generator.weights import Weights, load_weights

NAME = "assay-autoregressive"
VERSION = "1"
ROWS = 32  # of every chunk; missing rows are filled up
_FILL_TEXT, _FILL_SEED = "", 0

ModelT = TypeVar("ModelT", bound=torch.nn.Module)


class EmbeddedGenerator:
    """Prompt and seed -> picture, by the weights in the package.

    Args:
        tokenizer: in evaluation mode.
        model: in evaluation mode.
        weights_digest: "sha256:..." over the weights of both.
        guidance: how hard the prompt is followed; 1 samples the model's own distribution.
        key: of the sampling noise; the default is public.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        model: Autoregressive,
        *,
        weights_digest: str,
        guidance: float = 1.0,
        key: bytes = PUBLIC_KEY,
    ) -> None:
        self._tokenizer, self._model = tokenizer, model
        self._digest, self._guidance, self._key = weights_digest, guidance, key

    @classmethod
    def load(cls, folder: Path | None = None) -> EmbeddedGenerator:
        """Load and verify `tokenizer.*` and `autoregressive.*`.

        Args:
            folder: where they are; default: the weights that ship with the package.

        Raises:
            WeightsError: a file is missing or damaged, or the two do not belong together.
        """
        tokens, prior = (
            load_weights(name, family=name, folder=folder) for name in ("tokenizer", "autoregressive")
        )
        if prior.card.config["tokenizer"] != tokens.digest:
            raise WeightsError(
                f"autoregressive weights belong to tokenizer {prior.card.config['tokenizer']}, "
                f"the one beside them is {tokens.digest}; restore both files from one release"
            )
        digest = hashlib.sha256(f"{tokens.digest}\n{prior.digest}\n".encode()).hexdigest()
        return cls(load_tokenizer(tokens), load_autoregressive(prior), weights_digest=f"sha256:{digest}")

    @property
    def name(self) -> str:
        """Stable name of the generator."""
        return NAME

    @property
    def version(self) -> str:
        """Version of the model."""
        return VERSION

    @property
    def weights_digest(self) -> str:
        """`sha256:` digest over tokenizer and model."""
        return self._digest

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Words of a prompt that the model does not know or has no room for, in order, without repeats."""
        return self._model.vocabulary.read(text).unknown

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage]:
        """Yield one image per request, in order; image i depends on request i alone.

        Raises:
            InputError: a seed is not 0 to 2^64 - 1.
        """
        for start in range(0, len(requests), ROWS):
            chunk = requests[start : start + ROWS]
            pictures = self._tokenizer.decode(self._sample(chunk))
            for request, picture in zip(chunk, pictures, strict=False):  # the filling rows are left over
                yield GeneratedImage(
                    pixels=enlarge(picture),
                    request=request,
                    generator=NAME,
                    version=VERSION,
                    weights_digest=self._digest,
                    unknown_words=self.unknown_words(request.prompt.text),
                )

    def _sample(self, chunk: Sequence[Request]) -> Tensor:
        missing = ROWS - len(chunk)
        texts = [request.prompt.text for request in chunk] + [_FILL_TEXT] * missing
        seeds = [request.seed for request in chunk] + [_FILL_SEED] * missing
        return self._model.sample(texts, seeds, guidance=self._guidance, key=self._key)


def load_tokenizer(weights: Weights) -> Tokenizer:
    """The tokenizer of verified weights, in evaluation mode."""
    model = Tokenizer(**weights.card.config)
    return _filled(model, weights)


def load_autoregressive(weights: Weights) -> Autoregressive:
    """The autoregressive model of verified weights, in evaluation mode."""
    config = dict(weights.card.config)
    del config["tokenizer"]
    model = Autoregressive(Vocabulary(config.pop("words")), **config)
    return _filled(model, weights)


def _filled(model: ModelT, weights: Weights) -> ModelT:
    try:
        model.load_state_dict(weights.tensors)
    except RuntimeError as error:
        raise WeightsError(
            f"{weights.card.family} weights do not fit their card ({error}); restore both"
        ) from error
    return model.eval()
