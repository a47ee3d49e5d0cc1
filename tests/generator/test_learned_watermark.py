"""The learned watermark: it learns bits from nothing, resumes exactly, is set to a strength, and reads turns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from generator import recipes_watermark as recipes
from generator.errors import InputError, WeightsError
from generator.learned_watermark import FAMILY, GRID, Learned, LearnedTechnique, load_learned
from generator.learned_watermark_attacks import ATTACKS, attack, blur, jpeg, keep, move, round_through, shrink
from generator.recipes_watermark import Pictures, compute_loss, fit, load_pictures, measure_accuracy
from generator.training import Recipe, seeded
from generator.weights import Card, Weights

RECIPE = Recipe(
    "tiny", steps=60, learning_rate=2e-2, warmup=10, weight_decay=0.0, checkpoint_every=50, amp=False
)


def make_model(*, bits: int = 16, grid: int = 32) -> Learned:
    with seeded(1):
        return Learned(bits=bits, grid=grid, width=4)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Sixty-four small drawings and as many textures; VIEW is the recipe's, the pictures are smaller."""
    drawings = load_pictures(None, corpus=(5, 2 * recipes.HELD_OUT)).drawings[:, ::4, ::4]
    return Pictures(np.ascontiguousarray(drawings), (), "0123456789")


def test_a_few_steps_teach_bits_that_survive_attacks(pictures: Pictures, tmp_path: Path) -> None:
    model = make_model()
    held_out = pictures.held_out()
    before = measure_accuracy(model, held_out)
    # 32 pictures of 16 bits: by chance 0.5 with a standard deviation of 0.022
    assert abs(before["accuracy_keep"] - 0.5) < 0.12
    result = fit(model, pictures, RECIPE, folder=tmp_path, device="cpu")
    assert result.figures["accuracy_keep"] > 0.9
    assert min(result.figures.values()) > 0.6
    assert set(result.figures) == {f"accuracy_{damage.__name__}" for damage in ATTACKS}


def test_resumed_equals_uninterrupted(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, steps=12, checkpoint_every=5)
    whole, parts = make_model(), make_model()
    fit(whole, pictures, recipe, folder=tmp_path / "whole", device="cpu")
    original = Pictures.batch

    def dies(self: Pictures, step: int, **options: int) -> torch.Tensor:
        if step == 8:
            raise KeyboardInterrupt
        return original(self, step, **options)

    monkeypatch.setattr(Pictures, "batch", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(parts, pictures, recipe, folder=tmp_path / "parts", device="cpu")
    monkeypatch.undo()
    resumed = make_model()
    fit(resumed, pictures, recipe, folder=tmp_path / "parts", device="cpu")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_other_pictures_are_another_training(pictures: Pictures, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=1)
    for digest in ("aaaaaaaaaa", "bbbbbbbbbb"):
        fit(make_model(), replace(pictures, digest=digest), recipe, folder=tmp_path, device="cpu")
    assert {path.name for path in tmp_path.iterdir()} == {"tiny-aaaaaaaa", "tiny-bbbbbbbb"}


def test_the_recipe_ends_in_weights_that_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "HELD_OUT", 2)
    folder = tmp_path / "photographs" / "deep"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 256, (300, 280 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    recipe = replace(recipes.WATERMARK, steps=1)
    weights = recipes.train_watermark(tmp_path, recipe=recipe, images=tmp_path / "photographs", corpus=(5, 8))
    assert weights.card.family == FAMILY
    assert "8 drawings of corpus 5 and 3 photographs of the user's" in weights.card.data
    assert "accuracy_jpeg" in weights.card.figures
    assert weights.card.recipe["stages"][0]["steps"] == 1
    assert load_learned(tmp_path).capacity == 64


def test_folders_without_photographs_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photograph of at least 256 px"):
        load_pictures(tmp_path, corpus=(5, 1))
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"broken\.jpg: cannot be read as a picture"):
        load_pictures(tmp_path, corpus=(5, 1))


def test_batches_mix_and_never_touch_what_is_held_out(pictures: Pictures) -> None:
    photographs = tuple(np.full((260, 270), 3 + number, np.uint8) for number in range(2 * recipes.HELD_OUT))
    drawings = np.repeat(np.arange(100, 164, dtype=np.uint8)[:, None, None], 256, axis=1).repeat(256, axis=2)
    mixed = Pictures(drawings, photographs, "x")
    levels = [mixed.batch(step, size=16, seed=0)[:, 0, 0, 0] for step in range(20)]
    assert all(int((level >= 100).sum()) == 8 for level in levels)
    seen = set(torch.cat(levels).tolist())
    assert len(seen) > 40
    assert not seen & set(range(3 + recipes.HELD_OUT, 3 + 2 * recipes.HELD_OUT))  # photographs held out
    assert not seen & set(range(164 - recipes.HELD_OUT, 164))  # drawings held out
    assert set(mixed.held_out()[:, 0, 0, 0].tolist()) == set(range(35, 67))
    assert torch.equal(mixed.batch(4, size=16, seed=0), mixed.batch(4, size=16, seed=0))


def test_strength_is_set_and_bits_reach_the_pattern() -> None:
    model = make_model()
    luma = torch.full((2, 1, 90, 70), 120.0)
    message = torch.stack([torch.zeros(16), torch.ones(16)])
    marked = model(luma, message, torch.tensor([40.0, 46.0]))
    mean_square = (marked - luma).square().mean(dim=(1, 2, 3))
    measured = 10 * torch.log10(255**2 / mean_square)
    assert measured.tolist() == pytest.approx([40.0, 46.0], abs=0.01)
    assert torch.allclose(
        model.pattern(luma[:, :, :32, :32], message).sum(0), torch.zeros(1, 32, 32), atol=1e-3
    )


def test_fitting_to_the_reader_repairs_bits_at_the_same_strength() -> None:
    model = make_model(bits=128, grid=64)
    model.filters.data = model.patterns.data / model.grid
    luma = 128 + 8 * torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    message = torch.randint(0, 2, (4, 128), generator=torch.Generator().manual_seed(3)).float()

    def share_wrong(pattern: torch.Tensor) -> float:
        read = model.read(luma + 255 * 10 ** (-42 / 20) * pattern)
        return float(((read > 0) != (message > 0)).float().mean())

    with torch.no_grad():
        plain = model.pattern(luma, message)
        fitted = model.fit_to_reader(plain, luma, message, psnr=42)
    assert share_wrong(plain) > 0.03
    assert share_wrong(fitted) < 0.5 * share_wrong(plain)
    assert fitted.square().mean(dim=(1, 2, 3)).tolist() == pytest.approx([1.0] * 4, abs=1e-3)


def by_hand(grid: int = GRID) -> LearnedTechnique:
    """Weights that read without training: each filter is its bit's pattern."""
    model = make_model(bits=128, grid=grid)
    model.filters.data = model.patterns.data / grid
    card = Card(FAMILY, "none", {}, 0, {}, (), model.config)
    return LearnedTechnique(Weights({k: v.detach() for k, v in model.state_dict().items()}, card, ""))


def test_full_search_reads_turns_and_flips_quick_does_not() -> None:
    technique = by_hand()
    bits = np.random.default_rng(0).integers(0, 2, 128, dtype=np.uint8)
    picture = np.full((200, 300, 3), 120, np.uint8)
    change = technique.change(picture, bits)
    assert change.shape == (200, 300, 1)
    marked = np.clip(np.rint(picture + 4 * change), 0, 255).astype(np.uint8)
    turned = np.ascontiguousarray(np.rot90(marked)[:, ::-1])
    assert np.mean(technique.read(marked, search="quick")[0] == bits) > 0.95
    assert np.mean(technique.read(turned, search="quick")[0] == bits) < 0.75
    full = technique.read(turned, search="full")
    assert len(full) == technique.readings == 8
    assert max(np.mean(reading == bits) for reading in full) > 0.95


def test_weights_of_another_family_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        load_learned(tmp_path)


# The attack layer


@pytest.fixture
def smooth() -> torch.Tensor:
    columns = torch.linspace(20, 230, 91)
    return (torch.linspace(0, 20, 75)[:, None] + columns + 10 * torch.sin(columns)).repeat(2, 1, 1, 1)


@pytest.mark.parametrize("damage", ATTACKS)
def test_attacks_keep_shape_and_pass_gradients(damage: object, smooth: torch.Tensor) -> None:
    pictures = smooth.clone().requires_grad_()
    with seeded(3):
        damaged = damage(pictures)  # type: ignore[operator]
    assert damaged.shape == pictures.shape
    assert damage is keep or not torch.equal(damaged, pictures)
    assert (damaged - pictures).abs().mean() < 90
    (gradient,) = torch.autograd.grad(damaged.sum(), pictures)
    assert torch.isfinite(gradient).all()
    assert float((gradient != 0).float().mean()) > 0.5


def test_jpeg_is_what_a_real_encoder_does_to_luma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    grey = np.clip(120 + 25 * rng.normal(size=(64, 64)), 0, 255).astype(np.uint8)
    monkeypatch.setattr("generator.learned_watermark_attacks._uniform", lambda low, high: 50.0)
    ours = jpeg(torch.from_numpy(grey)[None, None].float()).round().clamp(0, 255)[0, 0].numpy()
    path = tmp_path / "x.jpg"
    Image.fromarray(grey).save(path, quality=50)
    theirs = np.asarray(Image.open(path)).astype(float)
    assert np.mean(np.abs(theirs - grey)) > 5
    assert np.mean(np.abs(ours - theirs)) < 0.5


def test_blur_shrink_and_move_take_detail_away() -> None:
    noise = 128 + 40 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with seeded(5):
        for damage in (blur, shrink, move):
            assert damage(noise).std() < 0.9 * noise.std()
    flat = torch.full((1, 1, 40, 50), 77.0)
    assert torch.allclose(blur(flat), flat, atol=1e-3)


def test_the_layer_gives_whole_levels_and_follows_the_seed(smooth: torch.Tensor) -> None:
    results = []
    for seed in (1, 1, 2):
        with seeded(seed):
            results.append(attack(smooth))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert all(
        torch.equal(result, result.round()) and 0 <= result.min() <= result.max() <= 255 for result in results
    )
    value = torch.tensor([1.4], requires_grad=True)
    round_through(value).backward()
    assert value.grad is not None
    assert value.grad.item() == 1.0


def test_half_precision_does_not_reach_the_attacks(smooth: torch.Tensor) -> None:
    with seeded(1):
        exact = attack(smooth)
    with seeded(1), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(attack(smooth), exact)


def test_loss_falls_when_the_bits_are_read(pictures: Pictures) -> None:
    model = make_model()
    views = pictures.held_out()
    message = torch.randint(0, 2, (len(views), 16), generator=torch.Generator().manual_seed(0))
    with seeded(0):
        blind = compute_loss(model, views, message)
    model.filters.data = model.patterns.data / model.grid
    with seeded(0):
        seeing = compute_loss(model, views, message)
    assert seeing < blind
