"""The masked autoencoder: sees only what is shown, learns to fill in the rest, and lends its encoder to others."""

import numpy as np
import pytest
import torch

from generator.errors import InputError
from generator.families.mae import MAE, PATCHES, VISIBLE, to_patches, to_picture
from generator.portraits import Corpus, Rates
from generator.training import Recipe, seeded, train
from generator.vit import PatchEmbedding, ViT

SMALL = {"width": 32, "depth": 1, "heads": 2, "decoder_width": 32, "decoder_depth": 1}


@pytest.fixture(scope="module")
def drawings():
    """320 drawings, uint8 (320, 3, 64, 64)."""
    corpus = Corpus(77, Rates.default(), 320)
    return torch.from_numpy(corpus.batch(range(320), 64).pixels.transpose(0, 3, 1, 2).copy())


@pytest.fixture(scope="module")
def model():
    with seeded(0):
        return MAE(**SMALL).eval()


def shown(rows):
    with seeded(1):
        return torch.rand(rows, PATCHES).argsort(1)[:, :VISIBLE]


def test_patches_and_pictures_are_one_another(drawings):
    patches = to_patches(drawings[:2].float())
    assert torch.equal(to_picture(patches), drawings[:2].float())
    corner = drawings[0, :, 8:16, 0:8].float()  # second row of patches, first column
    assert sorted(patches[0, 8].tolist()) == sorted(corner.flatten().tolist())


def test_hidden_patches_have_no_effect(model, drawings):
    images, visible = drawings[:3].float() / 127.5 - 1, shown(3)
    changed = to_patches(images)
    hidden = torch.ones(3, PATCHES, dtype=torch.bool).scatter(1, visible, False)
    changed[hidden] += 1
    with torch.no_grad():
        torch.testing.assert_close(model(to_picture(changed), visible), model(images, visible))
        changed[~hidden] += 1
        assert not torch.allclose(model(to_picture(changed), visible), model(images, visible), atol=1e-3)


def test_inpainting_changes_missing_pixels_only(model, drawings):
    missing = torch.zeros(2, 64, 64, dtype=torch.bool)
    missing[0, 20:37, 10:30] = True
    filled = model.inpaint(drawings[:2], missing)
    assert filled.dtype == torch.uint8
    changed = (filled != drawings[:2]).any(1)
    assert not bool((changed & ~missing).any())
    assert changed[0].sum() > 100


def test_a_row_of_inpainting_is_its_own_business(model, drawings):
    missing = torch.zeros(3, 64, 64, dtype=torch.bool)
    missing[0, :20] = missing[1, 30:50, 30:] = missing[2, 3, 3] = True
    together = model.inpaint(drawings[:3], missing)
    for row in range(3):
        assert torch.equal(model.inpaint(drawings[row : row + 1], missing[row : row + 1])[0], together[row])


def test_what_is_missing_is_not_looked_at(model, drawings):
    missing = torch.zeros(1, 64, 64, dtype=torch.bool)
    missing[0, 24:40, 24:40] = True
    other = drawings[:1].clone()
    other[:, :, 24:40, 24:40] = 255 - other[:, :, 24:40, 24:40]
    assert torch.equal(model.inpaint(other, missing), model.inpaint(drawings[:1], missing))


def test_a_mask_of_another_size_is_named(model, drawings):
    with pytest.raises(InputError, match=r"mask is \(1, 32, 32\), expected \(1, 64, 64\)"):
        model.inpaint(drawings[:1], torch.zeros(1, 32, 32, dtype=torch.bool))


def test_a_mask_that_hides_everything_is_refused(model, drawings):
    with pytest.raises(InputError, match="no patch"):
        model.inpaint(drawings[:1], torch.ones(1, 64, 64, dtype=torch.bool))


def test_the_encoder_starts_another_vit(model, drawings):
    with seeded(5):
        other = ViT(PatchEmbedding(3, 8, 32), side=8, width=32, depth=1, heads=2)
    images = drawings[:2].float() / 127.5 - 1
    other.load_state_dict(model.vit.state_dict())
    with torch.no_grad():
        assert torch.equal(other.look(images), model.vit.look(images))


def test_it_learns_to_fill_in(drawings, tmp_path):
    with seeded(2):
        model = MAE(**(SMALL | {"width": 48, "decoder_width": 48}))

    def batch(step):
        return drawings[torch.from_numpy(np.random.default_rng([3, step]).integers(256, size=32))]

    recipe = Recipe("mae", steps=200, learning_rate=3e-3, warmup=20, ema=0.9, checkpoint_every=0, amp=False)
    train(model, batch, recipe, folder=tmp_path)
    unseen = drawings[256:]
    pictures = unseen.float() / 127.5 - 1
    mean_picture = (drawings[:256].float() / 127.5 - 1).mean(0)
    with seeded(4), torch.no_grad():
        loss = model.loss(unseen).item()
    assert loss < 0.88 * (pictures - mean_picture).square().mean().item(), "better than the average drawing"
    missing = torch.zeros(64, 64, 64, dtype=torch.bool)
    missing[:, :16, :16] = True  # background, which the rest of the picture tells
    hole = missing[:, None].expand_as(unseen)
    error = (model.inpaint(unseen, missing).float() - unseen.float())[hole].abs().mean()
    average = (drawings[:256].float().mean(0) - unseen.float())[hole].abs().mean()
    assert error < 0.6 * average
