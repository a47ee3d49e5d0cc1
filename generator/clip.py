"""CLIP through open_clip: the one module that imports it.

The embedded model (`assay-tiny`) and real checkpoints (`ViT-B-32:laion2b_s34b_b79k`, `ViT-B-32:/path/to/file`,
`local-dir:/path/to/folder`) come in through the same open_clip calls; only where the configuration and the weights
lie differs. No network is used unless the caller passes `online=True`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub.constants
import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn

from generator.errors import InputError, WeightsError
from generator.weights import WEIGHTS_FOLDER, load_weights

_T = TypeVar("_T")

EMBEDDED = "assay-tiny"
FAMILY = "clip"
MODEL_FOLDER = Path(__file__).resolve().parent / "clip_model"
MERGES = MODEL_FOLDER / "merges.txt.gz"
BATCH = 64
MAX_ASPECT = 4  # a longer picture is cropped to its centre first, as CLIP's own centre crop would do later
LOCAL_FOLDER = "local-dir:"  # open_clip's own prefix
_OTHER_HALF = ("visual.", "logit_scale", "logit_bias")


@dataclass(frozen=True, eq=False)
class TextTower:
    """The text half of a CLIP model, frozen: texts -> one vector per token.

    Attributes:
        name: what the model was loaded by.
        digest: "sha256:..." over the tensors of the text half.
        context: tokens of a text; shorter ones are filled up.
        width: W, length of a token's vector.
    """

    name: str
    digest: str
    context: int
    width: int
    _model: nn.Module
    _norm: nn.Module
    _tokenizer: Callable[[list[str]], Tensor]

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Texts -> token ids int64 (B, context), 0 after the end; longer texts are cut."""
        if not texts:
            return torch.empty(0, self.context, dtype=torch.int64)
        return self._tokenizer(list(texts))

    @torch.no_grad()
    def features(self, ids: Tensor) -> Tensor:
        """Ids int64 (B, context) -> float32 (B, context, W): what the last layer says of each token, normed."""
        with torch.autocast(ids.device.type, enabled=False):
            return _normed_tokens(self._model.to(ids.device), self._norm, ids).float()


@dataclass(frozen=True, eq=False)
class Clip:
    """A CLIP model that embeds pictures and texts into one space.

    Attributes:
        name: what it was loaded by.
        digest: "sha256:..." of the embedded weights file, or over all tensors of any other model.
        dimensions: d, length of an embedding.
        logit_scale: factor from cosine similarity to logit.
        size: pixels of the side of the square that the model sees.
    """

    name: str
    digest: str
    dimensions: int
    logit_scale: float
    size: int
    _model: nn.Module
    _preprocess: Callable[[Image.Image], Tensor]
    _tokenizer: Callable[[list[str]], Tensor]

    def embed_images(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed pictures.

        Args:
            images: uint8 (height, width, 3) RGB each, any size of at least 1x1; sizes may differ.

        Returns:
            float32 (n, d), every row of length 1. No pictures give (0, d). The same list gives the same bits;
            the company of other pictures in a batch moves a row by rounding only (about 1e-6).

        Raises:
            InputError: a picture has another shape or type.
        """
        prepare = self._preprocess
        parts = [
            self._encode(torch.stack([prepare(_to_pillow(image)) for image in group]), images=True)
            for group in _in_groups(images)
        ]
        return self._join(parts)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts; longer ones are cut at the model's context length.

        Returns:
            float32 (n, d), every row of length 1. No texts give (0, d).
        """
        parts = [self._encode(self._tokenizer(list(group)), images=False) for group in _in_groups(texts)]
        return self._join(parts)

    def text_tower(self) -> TextTower:
        """The text half alone, which gives a vector per token.

        Raises:
            InputError: it is none of open_clip's own text towers.
        """
        norm = getattr(getattr(self._model, "text", self._model), "ln_final", None)
        ids = self._tokenizer([""])
        found = ids if norm is None else _normed_tokens(self._model, norm, ids)
        if norm is None or found.ndim != 3:
            raise InputError(
                f"{self.name}: its text half gives no vector per token; use a model with open_clip's own text tower"
            )
        tensors = self._model.state_dict()
        half = {key: value for key, value in tensors.items() if not key.startswith(_OTHER_HALF)}
        return TextTower(
            name=self.name,
            digest=_digest(half),
            context=ids.shape[1],
            width=found.shape[2],
            _model=self._model,
            _norm=norm,
            _tokenizer=self._tokenizer,
        )

    def _encode(self, batch: Tensor, *, images: bool) -> NDArray[np.float32]:
        encode = self._model.encode_image if images else self._model.encode_text
        with torch.inference_mode():
            return np.asarray(encode(batch, normalize=True).float().numpy(), dtype=np.float32)  # type: ignore[operator]

    def _join(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)


def load_clip(name: str = EMBEDDED, *, online: bool = False, folder: Path | None = None) -> Clip:
    """Load a CLIP model on the processor, in float32.

    Args:
        name: "assay-tiny" (the embedded model), "NAME:TAG" (an open_clip model and pretrained tag, from the local
            cache), "NAME:/path/to/checkpoint", or "local-dir:/path" (a folder that open_clip wrote).
        online: allow open_clip to download a tag that is not in the local cache.
        folder: where the embedded weights are; default: the ones that ship with the generator.

    Raises:
        InputError: unknown model or tag, a checkpoint that is not there, or a tag that is not cached and not online.
        WeightsError: the weights do not fit the model or are damaged, or the embedded weights' digest differs.
    """
    if name == EMBEDDED:
        return _load_embedded(folder or WEIGHTS_FOLDER)
    model_name, pretrained = _parse_name(name)
    with _network(online=online):
        model, preprocess = _create(model_name, pretrained, online=online)
        try:
            tokenizer = open_clip.get_tokenizer(model_name)
        except (RuntimeError, OSError, ImportError, ValueError) as error:
            raise InputError(
                f"{name}: its tokenizer cannot be loaded ({error}){_next_step(model_name)}"
            ) from error
    return _wrap(name, model_name, model, preprocess, tokenizer, digest=_digest(model.state_dict()))


def build_untrained() -> tuple[nn.Module, Callable[[list[str]], Tensor]]:
    """The embedded architecture with random weights, and its tokenizer: what the training starts from."""
    _register()
    model, _, _ = open_clip.create_model_and_transforms(EMBEDDED, load_weights=False)
    for key, parameter in model.named_parameters():
        # open_clip starts residual branches at zero; a training this short learns much faster when they are open.
        if key.startswith("visual.layer") and key.endswith("bn3.weight"):
            nn.init.ones_(parameter)
    return model, open_clip.get_tokenizer(EMBEDDED, bpe_path=str(MERGES))


def normalise(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) -> float32 (B, 3, H, W), as the embedded model's own preprocessing scales it."""
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    return (pixels.permute(0, 3, 1, 2).float().div(255.0) - mean) / deviation


def compute_clip_loss(model: nn.Module, pixels: Tensor, tokens: Tensor, index: Tensor) -> Tensor:
    """open_clip's symmetric contrastive loss, averaged over several sets of captions of the same pictures.

    Args:
        model: an open_clip model.
        pixels: uint8 (B, H, W, 3).
        tokens: int64 (U, context), the different texts of the batch; each is encoded once.
        index: int64 (sets, B), row of `tokens` that goes with each picture.
    """
    images, texts, scale = model(normalise(pixels), tokens)
    images, texts, scale = images.float(), texts.float(), scale.float()
    contrast = open_clip.ClipLoss()
    return torch.stack([contrast(images, texts[rows], scale) for rows in index]).mean()


@torch.no_grad()
def _normed_tokens(model: nn.Module, norm: nn.Module, ids: Tensor) -> Tensor:
    caught: list[Tensor] = []
    hook = norm.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    try:
        model.encode_text(ids)  # type: ignore[operator]
    finally:
        hook.remove()
    return caught[0]


def _load_embedded(folder: Path) -> Clip:
    weights = load_weights(FAMILY, family=FAMILY, folder=folder)
    _register()
    path = folder / f"{FAMILY}.safetensors"
    model, preprocess = _create(EMBEDDED, str(path), online=False)
    tokenizer = open_clip.get_tokenizer(EMBEDDED, bpe_path=str(MERGES))
    return _wrap(EMBEDDED, EMBEDDED, model, preprocess, tokenizer, digest=weights.digest)


def _register() -> None:
    if EMBEDDED not in open_clip.list_models():
        open_clip.add_model_config(MODEL_FOLDER / f"{EMBEDDED}.json")


def _parse_name(name: str) -> tuple[str, str | None]:
    if name.startswith(LOCAL_FOLDER):
        if not Path(name.removeprefix(LOCAL_FOLDER)).is_dir():
            raise InputError(
                f"{name}: no such folder; give one that holds open_clip_config.json and its weights"
            )
        return name, None
    model_name, _, pretrained = name.partition(":")
    if model_name not in open_clip.list_models():
        raise InputError(
            f"{name}: open_clip has no model {model_name!r}; use {EMBEDDED!r}, NAME:TAG or NAME:/path/to/file "
            "(names: open_clip.list_models())"
        )
    tags = open_clip.list_pretrained_tags_by_model(model_name)
    if not pretrained:
        raise InputError(
            f"{name}: which weights? Add a tag ({', '.join(tags) or 'none known'}) or a file: "
            f"`--clip {model_name}:/path/to/file`"
        )
    if pretrained not in tags and not Path(pretrained).is_file():
        raise InputError(
            f"{name}: {pretrained!r} is neither a file nor a known tag of {model_name} "
            f"({', '.join(tags) or 'none known'}){_next_step(model_name)}"
        )
    return model_name, pretrained


def _create(
    model_name: str, pretrained: str | None, *, online: bool
) -> tuple[nn.Module, Callable[[Image.Image], Tensor]]:
    local = pretrained is None or Path(pretrained).is_file()
    try:
        model, _, preprocess = open_clip.create_model_and_transforms(
            model_name, pretrained=pretrained, pretrained_text=False
        )
    except (RuntimeError, OSError, KeyError, ValueError, AssertionError, SafetensorError) as error:
        if local:  # open_clip asserts that position embeddings fit
            raise WeightsError(
                f"{pretrained or model_name}: not usable as weights of {model_name} ({str(error)[:200]}); "
                "give a checkpoint of that model, best as .safetensors"
            ) from error
        reason = "the download failed" if online else "it is not in the local cache and the network is off"
        raise InputError(
            f"{model_name}:{pretrained}: {reason} ({str(error)[:200]}){_next_step(model_name)}"
        ) from error
    return model, preprocess


def _next_step(model_name: str) -> str:
    return (
        f"; give a local checkpoint (`--clip {model_name}:/path/to/file`) or allow the network (`--online`)"
    )


@contextlib.contextmanager
def _network(*, online: bool) -> Iterator[None]:
    """Offline, the hub client answers from its cache only; its switch is put back afterwards."""
    before = huggingface_hub.constants.HF_HUB_OFFLINE
    huggingface_hub.constants.HF_HUB_OFFLINE = before if online else True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = before


def _wrap(
    name: str,
    model_name: str,
    model: nn.Module,
    preprocess: Callable[[Image.Image], Tensor],
    tokenizer: Callable[[list[str]], Tensor],
    *,
    digest: str,
) -> Clip:
    model.eval()
    size: Any = model.visual.image_size  # type: ignore[union-attr]
    return Clip(
        name=name,
        digest=digest,
        dimensions=int(open_clip.get_model_config(model_name)["embed_dim"]),
        logit_scale=float(model.logit_scale.detach().exp()),  # type: ignore[operator]
        size=int(size[0] if isinstance(size, tuple | list) else size),
        _model=model,
        _preprocess=preprocess,
        _tokenizer=tokenizer,
    )


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.contiguous().cpu().numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"


def _in_groups(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _to_pillow(image: NDArray[np.uint8]) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"picture of shape {image.shape}, type {image.dtype}; expected uint8 (height, width, 3): "
            "read it with audit.collection.load_pixels"
        )
    height, width = image.shape[:2]
    side = MAX_ASPECT * min(height, width)
    top, left = max(0, height - side) // 2, max(0, width - side) // 2
    return Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
