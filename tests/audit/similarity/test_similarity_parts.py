"""Descriptors, index, alignment, significance: each against what is known by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.similarity.alignment import band_pass, compute_agreement, prepare_template
from audit.similarity.descriptors import JointDescriptor, PixelDescriptor, normalise
from audit.similarity.edits import EDITS
from audit.similarity.index import BLOCK, build_index, search
from audit.similarity.significance import Null, benjamini_hochberg
from generator.portraits.corpus import Corpus, Rates

CORPUS = Corpus(31, Rates.default(), 1000)


def odd_images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "1x1": np.full((1, 1, 3), 9, np.uint8),
        "one row": rng.integers(0, 256, (1, 300, 3), dtype=np.uint8),
        "grey": np.full((80, 80, 3), 128, np.uint8),
        "black": np.zeros((64, 64, 3), np.uint8),
        "noise": rng.integers(0, 256, (50, 70, 3), dtype=np.uint8),
        "huge": np.tile(CORPUS.drawing(3, 256), (9, 9, 1)),
    }


@pytest.mark.parametrize("name", odd_images())
def test_odd_images_have_finite_descriptors_and_agreements(name: str) -> None:
    pixels = odd_images()[name]
    vector = PixelDescriptor().compute([pixels])
    assert vector.shape == (1, sum(PixelDescriptor().parts))
    assert np.isfinite(vector).all()
    agreement = compute_agreement(prepare_template(pixels), band_pass(CORPUS.drawing(1, 64)))
    assert -1.0 <= agreement <= 1.0
    if name in {"1x1", "grey", "black"}:
        assert agreement == 0.0  # no contrast, no resemblance


def test_a_candidate_without_contrast_agrees_with_nothing() -> None:
    flat = band_pass(np.full((64, 64, 3), 200, np.uint8))
    assert compute_agreement(prepare_template(CORPUS.drawing(1, 64)), flat) == 0.0


def test_normalised_vectors_have_unit_length_and_parts_weigh_the_same() -> None:
    raw = PixelDescriptor().compute([CORPUS.drawing(i, 64) for i in range(20)])
    vectors = normalise(raw, mean=raw.mean(axis=0), parts=PixelDescriptor().parts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    first = PixelDescriptor().parts[0]
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :first], axis=1), 0.5**0.5, atol=1e-5)


class ByColour:
    """A stand-in for a CLIP: two numbers, red and blue."""

    digest, dimensions = "colour", 2

    def embed_images(self, images: list[np.ndarray]) -> np.ndarray:
        return np.array([pixels.mean(axis=(0, 1))[[0, 2]] for pixels in images], dtype=np.float32)


def test_joint_descriptor_appends_the_embedding_and_names_it() -> None:
    joint = JointDescriptor(ByColour())
    images = [CORPUS.drawing(i, 64) for i in range(3)]
    vectors = joint.compute(images)
    assert joint.parts == (*PixelDescriptor().parts, 2)
    np.testing.assert_array_equal(vectors[:, :-2], PixelDescriptor().compute(images))
    np.testing.assert_allclose(vectors[:, -2:], ByColour().embed_images(images))
    assert joint.digest == "pixel-1+colour"
    assert joint.compute([]).shape == (0, sum(joint.parts))


def test_search_equals_brute_force_across_blocks() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((BLOCK + 300, 8)).astype(np.float32)
    queries = rng.standard_normal((5, 8)).astype(np.float32)
    hits = search(vectors, queries, top=7)
    expected = np.argsort(-(queries @ vectors.T), axis=1)[:, :7]
    np.testing.assert_array_equal(hits.rows, expected)
    assert search(vectors[:2], queries, top=7).rows.shape == (5, 2)


def test_index_of_one_image_finds_it() -> None:
    raw = PixelDescriptor().compute([CORPUS.drawing(0, 64)])
    index = build_index(raw, PixelDescriptor().parts)
    assert search(index.vectors, index.prepare(raw), top=3).rows.tolist() == [[0]]


@pytest.mark.parametrize("name", EDITS)
def test_alignment_tells_an_edited_copy_from_look_alikes(name: str) -> None:
    original = CORPUS.drawing(7, 192)
    template = prepare_template(EDITS[name](original))
    copy = prepare_template(EDITS["mirror"](EDITS[name](original))) if name == "mirror" else template
    others = [compute_agreement(template, band_pass(CORPUS.drawing(i, 64))) for i in range(100, 160)]
    assert compute_agreement(copy, band_pass(CORPUS.drawing(7, 64))) > max(others) + 0.02


def test_p_values_by_hand() -> None:
    null = Null(np.array([0.1, 0.2, 0.2, 0.9]), "four")
    np.testing.assert_allclose(null.p_values([0.95, 0.9, 0.2, 0.0]), [1 / 5, 2 / 5, 4 / 5, 1.0])
    assert null.finest == 1 / 5
    with pytest.raises(ValueError, match="ascending"):
        Null(np.array([2.0, 1.0]), "unsorted")


def test_p_values_are_valid_under_the_null() -> None:
    """P(p <= a) <= a, and not far below it, over many nulls and queries from one distribution."""
    rng = np.random.default_rng(2)
    p = np.array(
        [Null(np.sort(rng.gamma(2.0, size=99)), "").p_values(rng.gamma(2.0)).item() for _ in range(5_000)]
    )
    for level in (0.01, 0.05, 0.2, 0.5):
        assert abs(np.mean(p <= level) - level) < 4 * np.sqrt(level * (1 - level) / len(p))


def test_benjamini_hochberg_by_hand_and_empty() -> None:
    p = np.array([0.04, 0.001, 0.5, 0.012])
    assert benjamini_hochberg(p, rate=0.05).tolist() == [False, True, False, True]
    assert benjamini_hochberg(np.zeros(0)).tolist() == []


def test_benjamini_hochberg_bounds_the_false_share() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(600):
        p = rng.random(50)
        p[:10] = rng.random(10) * 0.002  # true findings
        found = benjamini_hochberg(p, rate=0.1)
        shares.append(found[10:].sum() / max(1, found.sum()))
    assert np.mean(shares) <= 0.1


@settings(max_examples=50)
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=30))
def test_benjamini_hochberg_ignores_order(values: list[float]) -> None:
    p = np.array(values)
    order = np.random.default_rng(len(values)).permutation(len(p))
    np.testing.assert_array_equal(benjamini_hochberg(p)[order], benjamini_hochberg(p[order]))
