"""The tokenizer: its codes are a bijection, it learns to draw, and what it draws it reads again."""

import numpy as np
import pytest
import torch

from generator.figures import Probe, as_jpeg, measure_agreement, measure_tokenizer, psnr
from generator.portraits import Corpus, Rates
from generator.tokenizer import (
    CODES,
    LEVELS,
    Quantiser,
    Tokenizer,
    disturb_pixels,
    disturb_units,
    enlarge,
    reduce_by_two,
    shrink,
)
from generator.training import Recipe, seeded, train


def drawings(start, count):
    pixels = Corpus(5, Rates.default(), 1000).batch(range(start, start + count), 128).pixels
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def small():
    with seeded(1):
        return Tokenizer(width=32, depth=1).eval()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A narrow tokenizer after 120 steps, the last 60 with the reverse cycle."""
    with seeded(1):
        model = Tokenizer(width=32, depth=1)
    pool = drawings(0, 96)

    def batches(step):
        rows = torch.from_numpy(np.random.default_rng([0, step]).choice(96, 8, replace=False))
        return pool[rows], 0.1 if step >= 60 else 0.0

    recipe = Recipe(
        name="small", steps=120, learning_rate=3e-3, warmup=10, ema=0.9, checkpoint_every=0, amp=False
    )
    train(model, batches, recipe, folder=tmp_path_factory.mktemp("tokenizer"))
    return model


def test_every_code_has_its_own_levels():
    quantiser = Quantiser()
    codes = torch.arange(CODES)
    units = quantiser.to_units(codes)
    assert torch.equal(quantiser.to_tokens(units), codes)
    assert len(torch.unique(units, dim=0)) == CODES
    assert units.min(0).values.tolist() == [0, 0, 0, 0]
    assert units.max(0).values.tolist() == [level - 1 for level in LEVELS]
    assert units[1].tolist() == [0, 0, 0, 1], "the last dimension is the least significant"


def test_any_latent_rounds_to_a_level_and_every_level_is_reached():
    quantiser = Quantiser()
    latents = torch.linspace(-50, 50, 20_001)[:, None].expand(-1, 4)
    units = quantiser.bound(latents).round()
    for dimension, levels in enumerate(LEVELS):
        assert torch.unique(units[:, dimension]).tolist() == list(range(levels))
    scaled = quantiser.scale(units)
    assert (scaled.min().item(), scaled.max().item()) == (-1.0, 1.0)


def test_shapes_and_ranges(small):
    images = reduce_by_two(drawings(0, 3).float() / 255)
    tokens = small.encode(images)
    assert tokens.shape == (3, 64)
    assert int(tokens.min()) >= 0
    assert int(tokens.max()) < CODES
    picture = small.decode(tokens)
    assert picture.shape == (3, 3, 128, 128)
    assert picture.dtype == torch.uint8
    assert enlarge(picture[0]).shape == (256, 256, 3)


def test_tokens_are_in_reading_order(small):
    """Changing the last rows of a picture changes late tokens more than early ones."""
    images = reduce_by_two(drawings(0, 1).float() / 255)
    changed = images.clone()
    changed[:, :, 56:] = 1 - changed[:, :, 56:]
    with torch.no_grad():
        moved = (small.measure(images) - small.measure(changed)).abs().sum(2)[0]
    assert moved[56:].mean() > 10 * moved[:8].mean()


def test_the_gradient_passes_the_rounding(small):
    model = Tokenizer(width=32, depth=1)
    model.load_state_dict(small.state_dict())
    model.loss((drawings(0, 2), 0.0)).backward()
    stem = model.encoder[1].weight.grad
    assert stem is not None
    assert float(stem.abs().sum()) > 0


def test_it_learns_to_draw(trained, small):
    target = drawings(500, 16)
    seen = target.float() / 255
    before, after = (
        psnr(model.decode(model.encode(reduce_by_two(seen))).float() / 255, seen)
        for model in (small, trained)
    )
    mean = psnr(drawings(0, 96).float().mean(0).expand(16, -1, -1, -1) / 255, seen)
    assert after > before + 3
    assert after > mean + 1, "better than the average drawing: the tokens carry something"


def test_it_reads_again_what_it_drew(trained):
    target = drawings(500, 16)
    tokens = trained.encode(reduce_by_two(target.float() / 255))
    figures = measure_agreement(trained, tokens)
    assert figures["unit_png"] > 0.75
    assert figures["token_png"] >= figures["token_jpeg75"] - 0.05


def test_figures(trained):
    figures = measure_tokenizer(trained, drawings(500, 16).permute(0, 2, 3, 1).numpy())
    assert set(figures) == {
        "psnr_128", "psnr_64", "codes_used", "token_png", "unit_png", "token_jpeg75", "unit_jpeg75",
        "token_bright", "unit_bright",
    }  # fmt: skip
    assert figures["psnr_64"] > figures["psnr_128"], "reducing averages errors away"
    assert 10 < figures["codes_used"] <= CODES


def test_disturbed_codes_stay_codes():
    quantiser = Quantiser()
    with seeded(2):
        units = quantiser.to_units(torch.randint(0, CODES, (8, 64))).float()
        changed = disturb_units(units, quantiser.tops)
    assert bool(((changed >= 0) & (changed <= quantiser.tops)).all())
    assert torch.equal(changed, changed.round())
    share = (changed != units).any(2).float().mean().item()
    assert 0.1 < share < 0.5


def test_disturbed_pixels_stay_close():
    images = reduce_by_two(drawings(0, 8).float() / 255)
    with seeded(2):
        changed = disturb_pixels(images)
    assert 0 <= changed.min().item() <= changed.max().item() <= 1
    assert 0.001 < (changed - images).abs().mean().item() < 0.1


def test_shrink_inverts_enlarge_nearly(small):
    picture = small.decode(torch.zeros(1, 64, dtype=torch.int64))[0]
    again = shrink(enlarge(picture))
    assert (again - reduce_by_two(picture[None].float() / 255)[0]).abs().mean().item() < 0.01


def test_jpeg_changes_pixels_a_little():
    pixels = drawings(0, 1)[0].permute(1, 2, 0).numpy()
    error = np.abs(as_jpeg(pixels).astype(int) - pixels).mean()
    assert 0.1 < error < 10


def test_psnr_of_a_known_error():
    assert psnr(torch.zeros(4), torch.full((4,), 0.1)) == pytest.approx(20.0, abs=1e-4)


def test_the_probe_reads_a_planted_pattern_and_not_noise():
    rng = np.random.default_rng(3)
    labels = ["left" if value else "right" for value in rng.integers(2, size=200)]
    images = rng.random((200, 50)).astype(np.float32)
    noise = Probe.fit(images[:100], labels[:100], penalty=1.0).accuracy(images[100:], labels[100:])
    images[:, 7] += np.array([2.0 if label == "left" else 0.0 for label in labels], dtype=np.float32)
    planted = Probe.fit(images[:100], labels[:100], penalty=1.0).accuracy(images[100:], labels[100:])
    assert planted > 0.95
    assert noise < 0.7
