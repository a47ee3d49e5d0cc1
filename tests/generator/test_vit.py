"""The vision transformer: a linear map per patch, every patch reaches the class token, prompts may be read."""

import pytest
import torch

from generator.training import seeded
from generator.vit import PatchEmbedding, ViT


def make_vit(**options):
    with seeded(0):
        model = ViT(PatchEmbedding(3, 4, 16), side=4, width=16, depth=2, heads=2, **options).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.fixture(scope="module")
def images():
    with seeded(1):
        return torch.randn(2, 3, 16, 16)


@torch.no_grad()
def test_a_patch_is_seen_by_its_own_vector_only(images):
    embedding = PatchEmbedding(3, 4, 16)
    other = images.clone()
    other[0, :, 8:12, 4:8] += 1  # row 2, column 1
    changed = (embedding(other) != embedding(images)).any(1)
    assert changed.nonzero().tolist() == [[0, 2, 1]]


@torch.no_grad()
def test_the_embedding_is_linear(images):
    embedding = PatchEmbedding(3, 4, 16)
    twice = embedding(2 * images) - embedding(images)
    torch.testing.assert_close(twice, embedding(images) - embedding(torch.zeros_like(images)))


@torch.no_grad()
@pytest.mark.parametrize("place", [(0, 0), (15, 15), (7, 9)])
def test_every_patch_reaches_the_class_token(images, place):
    model = make_vit()
    other = images.clone()
    other[:, 0, place[0], place[1]] += 3
    assert ((model.look(other) - model.look(images)).abs().amax(1) > 1e-4).all()


@torch.no_grad()
def test_positions_matter(images):
    model = make_vit()
    assert not torch.allclose(model.look(images.roll(4, 3)), model.look(images), atol=1e-4)


@torch.no_grad()
def test_some_patches_are_enough_and_their_order_does_not_matter(images):
    model = make_vit()
    patches = model.embed(images)
    some = model.encode(patches[:, [1, 5, 7]])
    assert some.shape == (2, 4, 16)
    torch.testing.assert_close(model.encode(patches[:, [7, 1, 5]])[:, 0], some[:, 0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_with_cross_attention_the_prompt_is_read(images):
    model = make_vit(cross=True)
    with seeded(2):
        text = torch.randn(2, 5, 16)
    assert not torch.allclose(
        model.look(images, other=text.flip(0)), model.look(images, other=text), atol=1e-4
    )
