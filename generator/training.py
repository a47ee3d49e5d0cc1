"""The one trainer: AdamW, warm-up and cosine, EMA, bf16 where the machine has it, exact resume.

A training is a pure function of its recipe: `batches(step)` gives the same batch for the same step, and the
random numbers that a loss may draw from torch (dropout) are seeded per step. A killed run therefore continues
from its last checkpoint to the same weights, bit for bit in float32, that an uninterrupted one reaches.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from tqdm import tqdm

from generator.errors import AssayError, InputError
from generator.weights import write_atomically


class TrainingError(AssayError):
    """A training cannot go on: its loss or gradient is not finite."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every setting of a training; stored in the checkpoint and in the card.

    Attributes:
        name: what is trained.
        steps: optimizer steps in all.
        learning_rate: peak, after warm-up; falls along a cosine to `FINAL_RATE` of it.
        warmup: steps of linear warm-up.
        weight_decay: on parameters of two dimensions or more.
        betas: of AdamW.
        clip: largest gradient norm; 0 does not clip.
        ema: decay of the averaged weights, which are the result; 0 does not average.
        seed: of whatever the loss draws from torch.
        eval_every: steps between evaluations; 0 evaluates at the end only.
        checkpoint_every: steps between checkpoints; 0 writes one at the end only.
        amp: bfloat16 autocast, where the machine computes it natively.
    """

    name: str
    steps: int
    learning_rate: float
    warmup: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    ema: float = 0.99
    seed: int = 0
    eval_every: int = 0
    checkpoint_every: int = 200
    amp: bool = True


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a finished training leaves; the model holds the averaged weights.

    Attributes:
        steps: steps done in all, earlier sessions included.
        loss: training loss of the last step.
        figures: result of the last evaluation, empty without one.
        cpu_seconds: processor time of this process spent in training, earlier sessions included.
        folder: where the checkpoint and `log.jsonl` are.
    """

    steps: int
    loss: float
    figures: dict[str, float]
    cpu_seconds: float
    folder: Path


FINAL_RATE = 0.02  # share of the peak learning rate at the last step
CADENCE = ("eval_every", "checkpoint_every")  # may differ between the sessions of one training
POINTER = "checkpoint.json"


def train(
    model: nn.Module,
    batches: Callable[[int], Any],
    recipe: Recipe,
    *,
    folder: Path,
    loss: Callable[[Any], Tensor] | None = None,
    evaluate: Callable[[], dict[str, float]] | None = None,
    device: str = "cpu",
) -> TrainResult:
    """Train a model, going on from the checkpoint in `folder` when there is one.

    Args:
        model: trained in place; afterwards it holds the averaged (EMA) weights, in evaluation mode.
        batches: step (0-based) -> batch; must be a pure function of the step.
        recipe: the settings; must equal those of the checkpoint, apart from the two cadences.
        folder: gets `checkpoint.json` and the safetensors file that it names, and `log.jsonl`.
        loss: batch -> scalar tensor; default `model.loss`.
        evaluate: called with the averaged weights in the model and gradients off; named numbers for the log.
        device: torch device; tensors inside a batch (tuples, lists, dicts) are moved to it.

    Raises:
        TrainingError: the loss or gradient is not finite; the last checkpoint is kept.
        InputError: the checkpoint in `folder` is of another recipe or model.
        DiskFullError: a checkpoint cannot be written; the one before is kept.
    """
    if recipe.steps < 1:
        raise InputError(f"recipe {recipe.name!r}: steps is {recipe.steps}, expected at least 1")
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(model.to(device), recipe, folder, torch.device(device))
    compute_loss: Callable[[Any], Tensor] = loss if loss is not None else model.loss  # type: ignore[assignment]
    last, figures = run.restore()
    bar = tqdm(
        range(run.step, recipe.steps), desc=recipe.name, disable=not sys.stderr.isatty(), file=sys.stderr
    )
    for step in bar:
        model.train()
        last = run.update(compute_loss, batches(step))
        bar.set_postfix_str(f"loss {last:.4f}", refresh=False)
        final = run.step == recipe.steps
        if evaluate is not None and (final or _due(run.step, recipe.eval_every)):
            with run.averaged():
                figures = evaluate()
            run.log(last, figures)
        elif final or run.step % 20 == 0:
            run.log(last, {})
        if final or _due(run.step, recipe.checkpoint_every):
            run.checkpoint(last, figures)
    model.load_state_dict(run.average)
    model.eval()
    return TrainResult(
        steps=run.step, loss=last, figures=figures, cpu_seconds=run.cpu_seconds(), folder=folder
    )


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block torch draws from `seed` (initial weights, dropout); its state outside is untouched."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_available():
            torch.cuda.manual_seed_all(seed)
        yield


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are native: CUDA, or a processor with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False  # not Linux: float32 is always correct
    return device.type == "cpu" and ("avx512_bf16" in flags or "amx_bf16" in flags)


class _Run:
    """Model, averaged weights and optimizer of one training, and how they are saved."""

    def __init__(self, model: nn.Module, recipe: Recipe, folder: Path, device: torch.device) -> None:
        self.model, self.recipe, self.folder, self.device = model, recipe, folder, device
        self.step = 0
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self.parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
        decayed = [p for p in self.parameters.values() if p.ndim >= 2]
        plain = [p for p in self.parameters.values() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": recipe.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
            betas=recipe.betas,
            fused=True,
        )
        self.amp = recipe.amp and has_fast_bfloat16(device)
        self._cpu_before = 0.0
        self._cpu_start = time.process_time()

    def update(self, compute_loss: Callable[[Any], Tensor], batch: Any) -> float:  # noqa: ANN401
        """One optimizer step; returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * learning_rate_factor(self.step, self.recipe)
        with seeded(self.recipe.seed * 1_000_003 + self.step):
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.amp):
                value = compute_loss(_to_device(batch, self.device))
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
        limit = self.recipe.clip if self.recipe.clip > 0 else math.inf
        norm = nn.utils.clip_grad_norm_(list(self.parameters.values()), limit)
        if not (math.isfinite(value.item()) and math.isfinite(norm.item())):
            raise TrainingError(
                f"{self.recipe.name}: step {self.step}: loss {value.item()}, gradient norm {norm.item()}, "
                f"expected finite numbers; the last good checkpoint is kept in {self.folder}: "
                "lower learning_rate or clip, or look at the batch of this step"
            )
        self.optimizer.step()
        self.step += 1
        self._update_average()
        return float(value.item())

    def _update_average(self) -> None:
        # The decay grows with the step, so that the random start is forgotten early.
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step)) if self.recipe.ema > 0 else 0.0
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1.0 - decay)
                else:
                    self.average[name].copy_(value)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The model holds the averaged weights inside the block."""
        kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.model.load_state_dict(kept)

    def cpu_seconds(self) -> float:
        """Processor seconds spent so far, earlier sessions included."""
        return self._cpu_before + time.process_time() - self._cpu_start

    def log(self, loss: float, figures: Mapping[str, float]) -> None:
        """Append one line to `log.jsonl`."""
        rate = self.optimizer.param_groups[0]["lr"]
        line = {"step": self.step, "loss": loss, "rate": rate, "cpu_seconds": round(self.cpu_seconds(), 1)}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**line, **figures}) + "\n")

    def checkpoint(self, loss: float, figures: Mapping[str, float]) -> None:
        """Write the tensors under a new name, then the pointer to them, then remove the tensors before."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for name, parameter in self.parameters.items():
            for moment in ("exp_avg", "exp_avg_sq"):
                # A parameter that never had a gradient has no moments yet.
                if moment in self.optimizer.state[parameter]:
                    tensors[f"{moment}.{name}"] = self.optimizer.state[parameter][moment]
        path = self.folder / f"checkpoint-{self.step:07d}.safetensors"
        write_atomically(path, save({key: value.detach().cpu().clone() for key, value in tensors.items()}))
        pointer = {
            "file": path.name,
            "step": self.step,
            "loss": loss,
            "figures": dict(figures),
            "cpu_seconds": self.cpu_seconds(),
            "recipe": asdict(self.recipe),
        }
        write_atomically(self.folder / POINTER, json.dumps(pointer, indent=2).encode())
        for old in self.folder.glob("checkpoint-*.safetensors"):
            if old != path:
                old.unlink()

    def restore(self) -> tuple[float, dict[str, float]]:
        """Load the checkpoint of the folder, if there is one; returns its loss and figures."""
        path = self.folder / POINTER
        if not path.exists():
            return 0.0, {}
        pointer = json.loads(path.read_text(encoding="utf-8"))
        stored = {**pointer["recipe"], "betas": tuple(pointer["recipe"]["betas"])}
        expected = asdict(self.recipe)
        different = [key for key in expected if key not in CADENCE and stored.get(key) != expected[key]]
        if different:
            raise InputError(
                f"{path}: belongs to another recipe (differs in {', '.join(different)}); "
                "use another folder, or delete this one to start again"
            )
        tensors = load_file(self.folder / pointer["file"])
        try:
            self.model.load_state_dict(_with_prefix(tensors, "model."))
        except RuntimeError as error:
            raise InputError(f"{path}: belongs to another model ({error}); use another folder") from error
        for name, value in _with_prefix(tensors, "average.").items():
            self.average[name].copy_(value)
        for name, parameter in self.parameters.items():
            if f"exp_avg.{name}" in tensors:
                self.optimizer.state[parameter] = {
                    "step": torch.tensor(float(pointer["step"])),
                    "exp_avg": tensors[f"exp_avg.{name}"].to(self.device),
                    "exp_avg_sq": tensors[f"exp_avg_sq.{name}"].to(self.device),
                }
        self.step, self._cpu_before = pointer["step"], pointer["cpu_seconds"]
        return pointer["loss"], pointer["figures"]


def learning_rate_factor(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate at a 0-based step: linear warm-up, then a cosine to `FINAL_RATE`."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return FINAL_RATE + (1.0 - FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def load_average(folder: Path) -> dict[str, Tensor]:
    """Averaged weights of the checkpoint in a training folder, finished or not.

    Raises:
        InputError: the folder has no checkpoint.
    """
    path = folder / POINTER
    if not path.exists():
        raise InputError(f"{path}: no checkpoint there; start the training first")
    file = folder / json.loads(path.read_text(encoding="utf-8"))["file"]
    return _with_prefix(load_file(file), "average.")


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _to_device(batch: Any, device: torch.device) -> Any:  # noqa: ANN401
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, tuple | list):
        return type(batch)(_to_device(part, device) for part in batch)
    if isinstance(batch, dict):
        return {key: _to_device(part, device) for key, part in batch.items()}
    return batch
