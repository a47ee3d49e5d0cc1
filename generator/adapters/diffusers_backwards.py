"""A scheduler that leads a diffusers pipeline from a picture's latents back to the noise it was drawn from.

Every deterministic first-order sampler goes from one point to the next by x' = a x + b m(x, t), m what the network
says. Backwards, x solves

    x = (x' - b m(x, t)) / a

which is found by putting the last guess into the right-hand side, `ROUNDS` times; the first guess is x' itself, and
stopping there is DDIM inversion as it is usually done. The pipeline does all the rest (prompt, guidance, packing): it
is called as ever, with this in the place of its scheduler and the latents in the place of the noise.

A sampler of higher order follows the same path through the same noise, so the first-order one of the same family
leads back close to where it began; one that draws noise on its way has no way back, and what is found then agrees
with no seed.

Sources: DDIM, arXiv:2010.02502 equation 14 and section 4.3; the fixed point, arXiv:2309.04907.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from generator.errors import CannotCheckError

ROUNDS = 3
_PREDICTIONS = ("epsilon", "v_prediction", "sample")


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of the sampler: x' = a x + b m(x, time)."""

    time: Tensor
    a: float
    b: float


class Backwards:
    """A scheduler of diffusers, as far as pipelines ask for one.

    Args:
        forward: the first-order sampler to undo, see `first_order`.
        rounds: guesses at each step.
    """

    order = 1
    init_noise_sigma = 1.0

    def __init__(self, forward: Any, *, rounds: int = ROUNDS) -> None:  # noqa: ANN401 - diffusers has no types
        self._forward, self._rounds = forward, rounds
        self.config = forward.config
        self.timesteps = torch.empty(0)
        self._steps: list[_Step] = []
        self._asked = 0
        self._later = torch.empty(0)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: Any = None,  # noqa: ANN401
        timesteps: Any = None,  # noqa: ANN401
        sigmas: Any = None,  # noqa: ANN401
        mu: float | None = None,
    ) -> None:
        """As the forward sampler's, turned round; every time is there `rounds` times."""
        given = {"timesteps": timesteps, "sigmas": sigmas, "mu": mu}
        wanted = {name: value for name, value in given.items() if value is not None}
        self._forward.set_timesteps(num_inference_steps, device=device, **wanted)
        self._steps = [step for step in reversed(_steps(self._forward)) for _ in range(self._rounds)]
        self.timesteps = torch.stack([step.time for step in self._steps])
        self._asked = 0

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Some pipelines say where to begin; there is one beginning here."""

    def scale_model_input(self, sample: Tensor, _timestep: Any = None) -> Tensor:  # noqa: ANN401
        """The network of a first-order sampler sees the point as it is."""
        return sample

    def step(
        self,
        model_output: Tensor,
        timestep: Any,  # noqa: ANN401, ARG002 - what pipelines hand over
        sample: Tensor,
        *,
        return_dict: bool = True,  # noqa: ARG002
    ) -> tuple[Tensor]:
        """The next guess at the point before."""
        if self._asked % self._rounds == 0:
            self._later = sample.float()
        step = self._steps[self._asked]
        self._asked += 1
        return (((self._later - step.b * model_output.float()) / step.a).to(sample.dtype),)


def first_order(library: Any, scheduler: Any, *, where: str) -> Any:  # noqa: ANN401 - diffusers has no types
    """The deterministic first-order sampler of a scheduler's family and configuration.

    Args:
        library: diffusers.
        scheduler: of a pipeline.
        where: names the pipeline in messages.

    Raises:
        CannotCheckError: a family that is not known here.
    """
    config = scheduler.config
    if "FlowMatch" in type(scheduler).__name__ or config.get("use_flow_sigmas"):
        return library.FlowMatchEulerDiscreteScheduler.from_config(config)
    if hasattr(scheduler, "alphas_cumprod") and config.get("prediction_type", "epsilon") in _PREDICTIONS:
        return library.DDIMScheduler.from_config(config, clip_sample=False, thresholding=False)
    raise CannotCheckError(
        f"{where}: its scheduler {type(scheduler).__name__} cannot be run backwards, so a picture's noise is not "
        "found; generate with DDIM, or with the flow-matching Euler scheduler"
    )


def _steps(forward: Any) -> list[_Step]:  # noqa: ANN401
    """The steps that a sampler whose times are set will make, in order."""
    if not hasattr(forward, "alphas_cumprod"):
        sigmas = forward.sigmas.tolist()
        return [
            _Step(time, 1.0, after - now)
            for time, now, after in zip(forward.timesteps, sigmas[:-1], sigmas[1:], strict=True)
        ]
    stride = forward.config.num_train_timesteps // forward.num_inference_steps
    found = []
    for time in forward.timesteps:
        before = int(time) - stride
        now = float(forward.alphas_cumprod[time])
        after = float(forward.alphas_cumprod[before] if before >= 0 else forward.final_alpha_cumprod)
        found.append(_Step(time, *_ddim(now, after, kind=forward.config.prediction_type)))
    return found


def _ddim(now: float, after: float, *, kind: str) -> tuple[float, float]:
    """(a, b) of a DDIM step between two cumulative products of alpha."""
    signal, noise = np.sqrt(now), np.sqrt(1 - now)
    next_signal, next_noise = np.sqrt(after), np.sqrt(1 - after)
    if kind == "epsilon":
        return float(next_signal / signal), float(next_noise - next_signal * noise / signal)
    if kind == "sample":
        return float(next_noise / noise), float(next_signal - next_noise * signal / noise)
    return (
        float(next_signal * signal + next_noise * noise),
        float(next_noise * signal - next_signal * noise),
    )


@torch.no_grad()
def encode_picture(pipeline: Any, pixels: NDArray[np.uint8], *, shape: tuple[int, ...], where: str) -> Tensor:  # noqa: ANN401
    """Latents of a picture as a pipeline would have ended with.

    Args:
        pipeline: with `vae` and `image_processor`.
        pixels: uint8 (H, W, 3), of the size that was generated.
        shape: of one image's latents, as the pipeline prepares them.
        where: names the pipeline in messages.

    Returns:
        (1, *shape)

    Raises:
        CannotCheckError: the pipeline has no such parts, or its latents come in another form.
    """
    if not hasattr(pipeline, "image_processor") or not hasattr(getattr(pipeline, "vae", None), "encode"):
        raise CannotCheckError(
            f"{where}: {type(pipeline).__name__} has no encoder of pictures, so nothing is read back"
        )
    vae = pipeline.vae
    picture = pipeline.image_processor.preprocess(Image.fromarray(pixels))
    encoded = vae.encode(picture.to(device=pipeline._execution_device, dtype=vae.dtype))  # noqa: SLF001
    latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
    latents = (latents - (vae.config.get("shift_factor") or 0.0)) * vae.config.scaling_factor
    if tuple(latents.shape[1:]) != shape and hasattr(pipeline, "_pack_latents"):
        latents = pipeline._pack_latents(latents, *latents.shape)  # noqa: SLF001
    if tuple(latents.shape[1:]) != shape:
        raise CannotCheckError(
            f"{where}: a picture of {pixels.shape[1]} x {pixels.shape[0]} px has latents {tuple(latents.shape[1:])}, "
            f"the pipeline draws {shape}; give the size that was generated with --option size=WIDTHxHEIGHT"
        )
    return latents  # type: ignore[no-any-return]


def plain_guidance(pipeline: Any) -> dict[str, float]:  # noqa: ANN401
    """Arguments that switch guidance off, for a picture whose prompt is not known."""
    embeds = getattr(
        getattr(getattr(pipeline, "transformer", None), "config", None), "guidance_embeds", False
    )
    accepted = inspect.signature(pipeline.__call__).parameters
    return {} if embeds or "guidance_scale" not in accepted else {"guidance_scale": 1.0}
