"""Any text-to-image pipeline of the diffusers library that accepts `latents`: `diffusers:MODEL`.

    seed, key --noise.uniforms--> a sign bit and a magnitude for each latent --> N(0, 1), exactly --> pipeline

The initial latents come from the project's one source of randomness, so image i can be made again alone, up to the
round-off of a batch, and the sign of every latent is a keyed bit (Gaussian Shading, arXiv:2404.04956): the mark is in
the noise before the model has its say. It is read back by leading the pipeline from the picture to its noise
(`diffusers_backwards`). Where a sampler draws more noise on its way, that comes from a generator seeded for each
image. The mark in the pixels and the signature are added by `publish`, as for any other image.

Weights are safetensors only, never pickles; nothing is downloaded unless `online`. The only module with diffusers.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri

from generator.adapters.diffusers_backwards import Backwards, encode_picture, first_order, plain_guidance
from generator.adapters.options import parse_options, parse_size
from generator.errors import CannotCheckError, InputError
from generator.interface import GeneratedImage, Prompt, Refused, Request
from generator.noise import PUBLIC_KEY, uniforms
from generator.sampling_mark import MarkReading, detect_signs

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_OFFLOADS = ("none", "model", "sequential")
_LATER_NOISE = b"assay/later-noise"
_NOBODY = Request(Prompt("nobody", ""), 0, 0)  # asked only to see how the pipeline works


@dataclass(frozen=True, slots=True)
class DiffusersOptions:
    """How the pipeline is loaded and called; what is empty or 0 is left to the pipeline.

    Attributes:
        steps: denoising steps.
        size: "WIDTHxHEIGHT".
        batch: images at once.
        device: torch device; empty takes the first CUDA device, or else the processor.
        dtype: float32, float16 or bfloat16; empty takes bfloat16 on CUDA, float32 elsewhere.
        offload: what waits outside the device: "none", "model" (whole parts) or "sequential" (layers; slow, least
            memory).
        variant: of the weight files, such as fp16.
        revision: of a model on Hugging Face.
        version: of the model, for manifests; empty takes the revision's commit, or the start of the digest.
    """

    steps: int = 0
    size: str = ""
    batch: int = 4
    device: str = ""
    dtype: str = ""
    offload: str = "none"
    variant: str = ""
    revision: str = ""
    version: str = ""


class DiffusersGenerator:
    """A diffusers pipeline as a generator.

    Args:
        model: name on Hugging Face, or folder of a saved pipeline.
        options: texts of `DiffusersOptions`.
        guidance: `guidance_scale`; None leaves it to the pipeline.
        negative: `negative_prompt`; empty gives none.
        online: allow a download.
        key: of the noise; the default is public.

    Raises:
        InputError: an option that cannot be used, a model that is not there, or a pipeline that takes no latents.
        CannotCheckError: diffusers is not installed, or the model cannot be loaded.
    """

    def __init__(
        self,
        model: str,
        options: Sequence[str] = (),
        *,
        guidance: float | None = None,
        negative: str = "",
        online: bool = False,
        key: bytes = PUBLIC_KEY,
    ) -> None:
        self._where, self._key = f"diffusers:{model}", key
        self._options = parse_options(DiffusersOptions, options, where=self._where)
        if self._options.batch < 1 or self._options.offload not in _OFFLOADS:
            raise InputError(
                f"{self._where}: batch starts at 1, and offload is one of {', '.join(_OFFLOADS)}"
            )
        folder = _find(model, self._options, online=online, where=self._where)
        self._digest = digest_folder(folder)
        self._name = folder.name if Path(model).is_dir() else model
        self._version = self._options.version or _commit(folder) or self._digest[7:19]
        self._pipeline = _load(folder, self._options, self._where)
        self._arguments = self._check_arguments(guidance, negative)
        self._shape: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._name

    @property
    def version(self) -> str:
        """Version of the model."""
        return self._version

    @property
    def weights_digest(self) -> str:
        """`sha256:` digest over all files of the pipeline."""
        return self._digest

    def check_prompt(self, text: str) -> None:
        """Refuse a prompt that no text encoder of the pipeline reads whole: it would be cut without a word.

        Raises:
            InputError: it is too long.
        """
        parameters = inspect.signature(self._pipeline.__call__).parameters
        longest = getattr(parameters.get("max_sequence_length"), "default", None) or 10**9
        excess = []
        for name, tokenizer in self._pipeline.components.items():
            if not name.startswith("tokenizer") or tokenizer is None:
                continue
            count, limit = len(tokenizer(text)["input_ids"]), min(tokenizer.model_max_length, longest)
            if count <= limit:
                return
            excess.append(f"{count} tokens, {name} reads {limit}")
        if excess:
            raise InputError(
                f"prompt {text[:60]!r}: too long for {self._name} ({'; '.join(excess)}); shorten it"
            )

    def generate(self, requests: Sequence[Request]) -> Iterator[GeneratedImage | Refused]:
        """Yield one answer per request, in order; an image that the pipeline's safety filter blackens is refused.

        Raises:
            InputError: a seed is out of range, or the pipeline does not accept what it is given.
        """
        for start in range(0, len(requests), self._options.batch):
            chunk = requests[start : start + self._options.batch]
            output = self._run(chunk)
            flagged = getattr(output, "nsfw_content_detected", None) or [False] * len(chunk)
            for request, picture, unsafe in zip(chunk, output.images, flagged, strict=True):
                if unsafe:
                    yield Refused(request, f"the safety filter of {self._name} blackened the image")
                    continue
                pixels = np.asarray(picture.convert("RGB"))
                yield GeneratedImage(pixels, request, self._name, self._version, self._digest)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its pictures, px.

        Raises:
            InputError: the pipeline packs its latents, which then do not say it, and no size was given.
        """
        if self._options.size:
            width, height = parse_size(self._options.size, where=self._where)
            return height, width
        if len(self._latent_shape()) != 3:
            raise InputError(f"{self._where}: say the size of its pictures with --option size=WIDTHxHEIGHT")
        height, width = (side * self._pipeline.vae_scale_factor for side in self._latent_shape()[1:])
        return height, width

    def read_mark(
        self,
        pixels: NDArray[np.uint8],
        seeds: Sequence[int] | NDArray[np.uint64],
        *,
        keys: Sequence[bytes] = (PUBLIC_KEY,),
        seen: NDArray[np.float32] | None = None,
    ) -> MarkReading:
        """Which of the issued seeds made a picture with this pipeline, by the signs of the noise it came from.

        Args:
            pixels: uint8 (H, W, 3), upright, whole and of the size that was generated.
            seeds: that were issued, at least one.
            keys: of the noise.
            seen: share of each pixel that the picture shows, (H, W) in 0..1; None: all of it.

        Raises:
            InputError: no seed or key.
            CannotCheckError: this pipeline cannot be run backwards.
        """
        start = self.invert(pixels)
        if seen is None or start.ndim != 3:  # packed latents have lost their places
            return detect_signs(start, seeds, keys=keys)
        shares = cv2.resize(seen, start.shape[:0:-1], interpolation=cv2.INTER_AREA)
        return detect_signs(start, seeds, keys=keys, seen=np.broadcast_to(shares, start.shape))

    def invert(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Estimate the noise that a picture was drawn from, without its prompt and so without guidance.

        Args:
            pixels: uint8 (H, W, 3), of the size that was generated.

        Returns:
            float32, of the shape of one image's latents.

        Raises:
            CannotCheckError: this pipeline cannot be run backwards.
        """
        given = self._arguments_of([_NOBODY]) | {"output_type": "latent"} | plain_guidance(self._pipeline)
        latents = encode_picture(self._pipeline, pixels, shape=self._latent_shape(), where=self._where)
        kept = self._pipeline.scheduler
        self._pipeline.scheduler = Backwards(first_order(_diffusers(self._where), kept, where=self._where))
        try:
            start = self._pipeline(**given, latents=latents.to(self._pipeline.dtype)).images
        finally:
            self._pipeline.scheduler = kept
        found: NDArray[np.float32] = start[0].float().cpu().numpy()
        return found

    def _latent_shape(self) -> tuple[int, ...]:
        self._shape = self._shape or self._measure_shape(_NOBODY)
        return self._shape

    def _run(self, chunk: Sequence[Request]) -> Any:  # noqa: ANN401 - each pipeline has its own output
        shape = self._latent_shape()
        latents = np.stack([normals(request.seed, key=self._key, shape=shape) for request in chunk])
        dtype = self._pipeline.dtype
        return self._pipeline(
            **self._arguments_of(chunk),
            latents=torch.from_numpy(latents).to(device=self._pipeline._execution_device, dtype=dtype),  # noqa: SLF001
        )

    def _arguments_of(self, chunk: Sequence[Request]) -> dict[str, Any]:
        given = dict(self._arguments)
        if "negative_prompt" in given:
            given["negative_prompt"] = [given["negative_prompt"]] * len(chunk)
        return given | {
            "prompt": [request.prompt.text for request in chunk],
            "generator": [_later_noise(request.seed, key=self._key) for request in chunk],
        }

    def _check_arguments(self, guidance: float | None, negative: str) -> dict[str, Any]:
        """What the pipeline is called with every time, when it takes all of it."""
        accepted = inspect.signature(self._pipeline.__call__).parameters
        kind = type(self._pipeline).__name__
        for needed in ("prompt", "latents", "generator"):
            if needed not in accepted or not hasattr(self._pipeline, "prepare_latents"):
                raise InputError(
                    f"{self._where}: {kind} takes no `{needed}`, so its noise cannot be keyed; publish what it makes "
                    "with folder:PATH instead"
                )
        wanted: dict[str, Any] = {
            "num_inference_steps": self._options.steps or None,
            "guidance_scale": guidance,
            "negative_prompt": negative or None,
        }
        if self._options.size:
            wanted["width"], wanted["height"] = parse_size(self._options.size, where=self._where)
        given = {name: value for name, value in wanted.items() if value is not None}
        refused = [name for name in given if name not in accepted]
        if refused:
            raise InputError(f"{self._where}: {kind} takes no {', '.join(refused)}; leave it out")
        return given | {"output_type": "pil"}

    def _measure_shape(self, request: Request) -> tuple[int, ...]:
        """The shape of one image's latents: each pipeline has its own, and only its `prepare_latents` knows it."""
        prepare = self._pipeline.prepare_latents

        def measure(*args: Any, **named: Any) -> None:  # noqa: ANN401
            prepared = prepare(*args, **named)
            raise _MeasuredError(tuple((prepared[0] if isinstance(prepared, tuple) else prepared).shape[1:]))

        self._pipeline.prepare_latents = measure
        try:
            self._pipeline(**self._arguments_of([request]))
        except _MeasuredError as found:
            return found.shape
        except ValueError as error:  # how pipelines say that a size or a guidance does not suit them
            raise InputError(f"{self._where}: {error}") from error
        finally:
            del self._pipeline.prepare_latents
            self._pipeline.maybe_free_model_hooks()
        raise InputError(
            f"{self._where}: {type(self._pipeline).__name__} prepares no latents; use folder:PATH"
        )


class _MeasuredError(Exception):
    """Carries the shape out of a pipeline that was called to measure it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self.shape = shape


def normals(seed: int, *, key: bytes, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Independent N(0, 1) numbers of an image: a keyed sign bit and a keyed magnitude each.

    Args:
        seed: of the image.
        key: of the noise.
        shape: of the latents of one image.

    Source: Gaussian Shading, arXiv:2404.04956, with one bit for each latent; here the bits are the keyed function's.
    """
    draws = uniforms(seed, key=key, shape=(*shape, 2))
    sizes: NDArray[np.float64] = ndtri((1 + draws[..., 1]) / 2)
    return np.where(draws[..., 0] < 0.5, -sizes, sizes)


def _later_noise(seed: int, *, key: bytes) -> torch.Generator:
    """For samplers that draw noise on their way, and for the prompt's own randomness; on the processor, always."""
    digest = hashlib.blake2b(_LATER_NOISE + seed.to_bytes(8, "little"), key=key, digest_size=8).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest, "little") >> 1)


def digest_folder(folder: Path) -> str:
    """`sha256:` digest over the names and digests of all files of a saved pipeline's parts and of its index."""
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    parts = sorted(name for name in index if (folder / name).is_dir())
    files = [folder / "model_index.json"]
    for part in parts:
        files += sorted(path for path in (folder / part).rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _commit(folder: Path) -> str:
    """The commit of a folder of the Hugging Face cache; empty elsewhere."""
    return folder.name[:12] if folder.parent.name == "snapshots" else ""


def _diffusers(where: str) -> Any:  # noqa: ANN401 - diffusers has no types
    try:
        library = importlib.import_module("diffusers")
        importlib.import_module("transformers").utils.logging.disable_progress_bar()
    except ImportError as error:
        raise CannotCheckError(
            f"{where}: diffusers is not installed ({error}); pip install 'assay-audit[diffusers]'"
        ) from error
    library.logging.disable_progress_bar()
    return library


def _find(model: str, options: DiffusersOptions, *, online: bool, where: str) -> Path:
    if Path(model).is_dir():
        if not (Path(model) / "model_index.json").is_file():
            raise InputError(f"{where}: no model_index.json in it, so it is no saved pipeline")
        return Path(model)
    chosen = {name: getattr(options, name) for name in ("variant", "revision") if getattr(options, name)}
    try:
        found = _diffusers(where).DiffusionPipeline.download(
            model, local_files_only=not online, use_safetensors=True, **chosen
        )
    except (OSError, ValueError) as error:
        step = "check name and connection" if online else "allow the download once with --online"
        raise InputError(
            f"{where}: neither a folder nor a model on this machine ({error}); {step}"
        ) from error
    return Path(found)


def _load(folder: Path, options: DiffusersOptions, where: str) -> Any:  # noqa: ANN401 - diffusers has no types
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = options.dtype or ("bfloat16" if device.startswith("cuda") else "float32")
    if dtype not in _DTYPES:
        raise InputError(f"{where}: dtype {dtype!r}, expected one of {', '.join(_DTYPES)}")
    variant: Mapping[str, str] = {"variant": options.variant} if options.variant else {}
    try:
        pipeline = _diffusers(where).DiffusionPipeline.from_pretrained(
            folder, dtype=_DTYPES[dtype], local_files_only=True, use_safetensors=True, **variant
        )
        if options.offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        elif options.offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=device)
        else:
            pipeline.to(device)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise CannotCheckError(f"{where}: cannot be loaded ({error})") from error
    pipeline.set_progress_bar_config(disable=True)
    if getattr(pipeline, "watermark", None) is not None:
        pipeline.watermark = None  # its fixed 48 bits say nothing, and no manifest would mention them
    return pipeline
