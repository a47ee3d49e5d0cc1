"""The adapter of diffusers, on random-weight pipelines of three architectures that were saved and loaded for real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers")
pytest.importorskip("transformers")
import diffusers
import torch
from scipy import stats
from tiny_pipelines import save_flux, save_stable_diffusion, save_stable_diffusion_3

from generator.adapters.diffusers import DiffusersGenerator, digest_folder, normals
from generator.adapters.diffusers_backwards import Backwards, first_order
from generator.errors import CannotCheckError, InputError
from generator.interface import GeneratedImage, Prompt, Request
from generator.noise import PUBLIC_KEY
from generator.sampling_mark import detect_signs

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # other people's deprecations
    pytest.mark.timeout(900),  # importing diffusers takes minutes on a busy machine
]
KEY = bytes(range(32))
REQUESTS = [Request(Prompt("nurse", "a nurse"), i, 1000 + i) for i in range(3)]
QUICK = ("steps=2", "batch=2")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A U-Net pipeline and a rectified-flow transformer."""
    folder = tmp_path_factory.mktemp("pipelines")
    return {"unet": save_stable_diffusion(folder / "1"), "flow": save_stable_diffusion_3(folder / "2")}


@pytest.fixture(scope="module")
def legible(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same with autoencoders that see again what they draw."""
    folder = tmp_path_factory.mktemp("legible")
    return {
        "unet": save_stable_diffusion(folder / "1", legible=True),
        "flow": save_stable_diffusion_3(folder / "2", legible=True),
    }


@pytest.fixture(scope="module")
def generators(saved: dict[str, Path]) -> dict[str, DiffusersGenerator]:
    return {kind: DiffusersGenerator(str(path), QUICK) for kind, path in saved.items()}


def _pixels(generator: DiffusersGenerator, requests: list[Request]) -> list[np.ndarray]:
    images = list(generator.generate(requests))
    assert all(isinstance(image, GeneratedImage) for image in images)
    return [image.pixels.astype(int) for image in images if isinstance(image, GeneratedImage)]


@pytest.mark.parametrize("kind", ["unet", "flow"])
def test_an_image_is_its_seed_whatever_the_batch(
    generators: dict[str, DiffusersGenerator], kind: str
) -> None:
    together = _pixels(generators[kind], REQUESTS)
    alone = _pixels(generators[kind], REQUESTS[1:2])
    assert together[0].shape == (32, 32, 3)
    assert np.abs(alone[0] - together[1]).max() <= 2  # of 255: round-off
    assert np.abs(together[0] - together[1]).mean() > 10


@pytest.mark.parametrize("kind", ["unet", "flow"])
def test_the_pipeline_starts_from_the_keyed_noise(
    generators: dict[str, DiffusersGenerator], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    generator, seen = generators[kind], []
    prepare = generator._pipeline.prepare_latents

    def watch(*args, **named):
        seen.append(named.get("latents", args[-1]))
        return prepare(*args, **named)

    list(generator.generate(REQUESTS[:1]))  # the shape is known from here on
    monkeypatch.setattr(generator._pipeline, "prepare_latents", watch, raising=False)
    list(generator.generate(REQUESTS[:1]))
    given = seen[-1].numpy()[0]
    assert np.allclose(given, normals(1000, key=PUBLIC_KEY, shape=given.shape), atol=1e-6)


def test_the_noise_is_normal_with_independent_keyed_signs() -> None:
    drawn = np.stack([normals(seed, key=KEY, shape=(4, 16, 16)) for seed in range(40)])
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    signs = drawn > 0
    assert stats.binomtest(int(signs.sum()), signs.size).pvalue > 1e-3
    for other in (np.roll(signs, 1, axis=0), np.roll(signs, 1, axis=3)):
        assert stats.binomtest(int((signs == other).sum()), signs.size).pvalue > 1e-3
    assert np.abs(np.corrcoef(np.abs(drawn).ravel(), signs.ravel())[0, 1]) < 4 / np.sqrt(drawn.size)
    wrong = np.stack([normals(seed, key=bytes(32), shape=(4, 16, 16)) for seed in range(40)]) > 0
    assert stats.binomtest(int((signs == wrong).sum()), signs.size).pvalue > 1e-3


def _latents_of(generator: DiffusersGenerator, request: Request) -> torch.Tensor:
    kept = dict(generator._arguments)
    generator._arguments["output_type"] = "latent"
    try:
        return generator._run([request]).images
    finally:
        generator._arguments = kept


@pytest.mark.parametrize("kind", ["unet", "flow", "v-prediction"])
def test_the_way_back_ends_where_the_way_there_began(saved: dict[str, Path], kind: str) -> None:
    """With full-strength random networks; stopping at the first guess, as DDIM inversion does, is not enough."""
    generator = DiffusersGenerator(
        str(saved["flow" if kind == "flow" else "unet"]), ["steps=5"], guidance=1.0
    )
    pipeline = generator._pipeline
    if kind == "v-prediction":
        pipeline.scheduler = type(pipeline.scheduler).from_config(
            pipeline.scheduler.config, prediction_type="v_prediction"
        )
    latents = _latents_of(generator, REQUESTS[0])
    start = normals(1000, key=PUBLIC_KEY, shape=tuple(latents.shape[1:]))
    errors = []
    for rounds in (1, 5):
        forward = first_order(diffusers, pipeline.scheduler, where="x")
        kept, pipeline.scheduler = pipeline.scheduler, Backwards(forward, rounds=rounds)
        found = pipeline(**generator._arguments_of(REQUESTS[:1]) | {"output_type": "latent"}, latents=latents)
        pipeline.scheduler = kept
        errors.append(float(np.abs(found.images[0].numpy() - start).mean()))
    assert errors[1] < 0.02
    assert errors[1] < errors[0] / 4


@pytest.mark.parametrize("kind", ["unet", "flow", "euler"])
def test_the_seed_is_named_from_the_picture(legible: dict[str, Path], kind: str) -> None:
    generator = DiffusersGenerator(str(legible["flow" if kind == "flow" else "unet"]), ["steps=4"])
    if kind == "euler":  # another sampler of the same path
        config = generator._pipeline.scheduler.config
        generator._pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(config)
    images = [image for image in generator.generate(REQUESTS) if isinstance(image, GeneratedImage)]
    found = [generator.read_mark(image.pixels, range(900, 1100)) for image in images]
    assert [reading.seed for reading in found] == [1000, 1001, 1002]
    assert np.median([reading.log10_p for reading in found]) < -20
    half = np.zeros(images[0].pixels.shape[:2], np.float32)
    half[:16] = 1
    painted = np.where(half[..., None] > 0, images[0].pixels, 128).astype(np.uint8)
    part = generator.read_mark(painted, range(900, 1100), seen=half)
    assert part.seed == 1000
    assert found[0].log10_p < part.log10_p < -5
    start = generator.invert(images[0].pixels)
    wrong = np.array([10 ** detect_signs(start, [seed]).log10_p for seed in range(5000, 5300)])
    other = np.array([10 ** detect_signs(start, [1000], keys=[bytes([i] * 16)]).log10_p for i in range(100)])
    for p in (wrong, other):
        for level in (0.5, 0.1, 0.02):
            assert (
                stats.binomtest(int((p <= level).sum()), len(p), level, alternative="greater").pvalue > 1e-3
            )
        assert (p <= 0.5).mean() > 0.3


def test_packed_latents_are_read_too(tmp_path: Path) -> None:
    generator = DiffusersGenerator(str(save_flux(tmp_path / "3")), ["steps=3", "size=48x32"])
    (image,) = generator.generate(REQUESTS[:1])
    assert isinstance(image, GeneratedImage)
    assert image.pixels.shape == (32, 48, 3)
    assert generator.size == (32, 48)
    found = generator.read_mark(image.pixels, range(900, 1100))
    assert found.seed == 1000
    assert found.log10_p < -20


def test_a_sampler_without_a_way_back_is_named(legible: dict[str, Path]) -> None:
    generator = DiffusersGenerator(str(legible["unet"]), ["steps=1"])
    generator._pipeline.scheduler = diffusers.ScoreSdeVeScheduler()
    with pytest.raises(CannotCheckError, match=r"ScoreSdeVeScheduler cannot be run backwards"):
        generator.read_mark(np.zeros((32, 32, 3), np.uint8), [1])
    with pytest.raises(CannotCheckError, match=r"48 x 32 px has latents .*--option size="):
        generator.read_mark(np.zeros((32, 48, 3), np.uint8), [1])


def test_a_sampler_that_draws_on_its_way_repeats_too(generators: dict[str, DiffusersGenerator]) -> None:
    from diffusers import EulerAncestralDiscreteScheduler

    pipeline = generators["unet"]._pipeline
    kept = pipeline.scheduler
    pipeline.scheduler = EulerAncestralDiscreteScheduler.from_config(kept.config)
    try:
        together, alone = (
            _pixels(generators["unet"], REQUESTS[:2]),
            _pixels(generators["unet"], REQUESTS[1:2]),
        )
    finally:
        pipeline.scheduler = kept
    assert np.abs(alone[0] - together[1]).max() <= 2


def test_guidance_negative_prompt_and_size_reach_the_pipeline(saved: dict[str, Path]) -> None:
    plain = DiffusersGenerator(str(saved["unet"]), [*QUICK, "size=48x32"], guidance=4.0)
    away = DiffusersGenerator(str(saved["unet"]), [*QUICK, "size=48x32"], guidance=4.0, negative="zzz")
    first, second = _pixels(plain, REQUESTS[:1])[0], _pixels(away, REQUESTS[:1])[0]
    assert first.shape == (32, 48, 3)
    assert np.abs(first - second).max() > 0


def test_name_version_and_digest_are_those_of_the_files(saved: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(saved["unet"], tmp_path / "my-model"))
    (copy / "README.md").write_text("not part of the pipeline")
    generator = DiffusersGenerator(str(copy), ["version=2.1"])
    assert (generator.name, generator.version) == ("my-model", "2.1")
    assert generator.weights_digest == digest_folder(saved["unet"])
    config = copy / "unet" / "config.json"
    config.write_text(config.read_text() + "\n")
    assert digest_folder(copy) != generator.weights_digest


def test_a_prompt_that_would_be_cut_is_refused(generators: dict[str, DiffusersGenerator]) -> None:
    generators["unet"].check_prompt("a nurse")
    with pytest.raises(InputError, match=r"too long for sd \(\d+ tokens, tokenizer reads 16\); shorten it"):
        generators["unet"].check_prompt("a portrait of a nurse who waits")
    generators["flow"].check_prompt("a portrait of a nurse who waits")  # its third encoder reads it whole
    with pytest.raises(InputError, match=r"tokenizer_3 reads 32"):
        generators["flow"].check_prompt("nurse " * 33)


def test_a_blackened_image_is_refused(generators: dict[str, DiffusersGenerator]) -> None:
    class Output:
        images = [__import__("PIL.Image", fromlist=["Image"]).new("RGB", (8, 8))] * 2
        nsfw_content_detected = [True, False]

    generator = generators["unet"]
    kept, generator._run = generator._run, lambda _: Output
    try:
        first, second = generator.generate(REQUESTS[:2])
    finally:
        generator._run = kept
    assert not isinstance(first, GeneratedImage)
    assert "safety filter" in first.reason
    assert isinstance(second, GeneratedImage)


def test_a_model_that_is_not_there_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither a folder nor a model on this machine .*--online"):
        DiffusersGenerator("somebody/some-model")
    with pytest.raises(InputError, match=r"no model_index\.json in it"):
        DiffusersGenerator(str(tmp_path))


def test_pickled_weights_are_not_loaded(saved: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(saved["unet"], tmp_path / "pickled"))
    weights = next((copy / "unet").glob("*.safetensors"))
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(CannotCheckError, match="cannot be loaded"):
        DiffusersGenerator(str(copy))


def test_a_pipeline_without_latents_is_refused(
    saved: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import StableDiffusionPipeline

    def call(self, prompt: str, generator: object = None) -> None: ...

    monkeypatch.setattr(StableDiffusionPipeline, "__call__", call)
    with pytest.raises(InputError, match=r"StableDiffusionPipeline takes no `latents`.*folder:PATH"):
        DiffusersGenerator(str(saved["unet"]))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("dtype=int8", "expected one of float32, float16, bfloat16"),
        ("batch=0", "batch starts at 1"),
        ("offload=disk", "offload is one of none, model, sequential"),
        ("steps=many", "steps=many, expected a whole number"),
        ("colour=red", "unknown option 'colour'; it takes steps, size, batch"),
        ("size=1x2x3", "expected WIDTHxHEIGHT"),
    ],
)
def test_options_that_cannot_be_used_are_named(saved: dict[str, Path], option: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DiffusersGenerator(str(saved["unet"]), [option])


def test_an_argument_the_pipeline_does_not_take_is_named(saved: dict[str, Path], tmp_path: Path) -> None:
    generator = DiffusersGenerator(str(saved["unet"]), ["size=33x32"])
    with pytest.raises(InputError, match="divisible by 8"):
        list(generator.generate(REQUESTS[:1]))
    assert (
        json.loads((saved["unet"] / "model_index.json").read_text())["_class_name"]
        == "StableDiffusionPipeline"
    )
