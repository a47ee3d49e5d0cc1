"""The embedded CLIP and real open_clip models come in through one call."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from generator.clip import MERGES, Clip, build_untrained, compute_clip_loss, load_clip
from generator.errors import InputError, WeightsError
from generator.portraits.captions import VOCABULARY, describe
from generator.portraits.corpus import Corpus, Rates
from generator.recipes_clip import STAGES, Pairs, build_merges, disturb, phrases, render_merges, train_clip
from generator.training import seeded
from generator.weights import WEIGHTS_FOLDER, load_card

REAL = "ViT-S-32-alt"  # the smallest plain configuration that open_clip ships


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip()


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    return list(Corpus(5, Rates.balanced(), 100).batch(range(20), 64).pixels)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with seeded(3):
        model = open_clip.create_model(REAL, load_weights=False)
    path = tmp_path_factory.mktemp("real") / "model.safetensors"
    save_file({key: value.clone() for key, value in model.state_dict().items()}, path)
    return path


def test_embedded_model_embeds_pictures_and_texts_as_unit_rows(
    clip: Clip, drawings: list[np.ndarray]
) -> None:
    images, texts = clip.embed_images(drawings), clip.embed_texts(["a woman", "an old man"])
    assert images.shape == (20, clip.dimensions)
    assert texts.shape == (2, clip.dimensions)
    assert images.dtype == texts.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(np.concatenate([images, texts]), axis=1), 1.0, atol=1e-5)
    assert clip.size == 64
    assert clip.digest == load_card(WEIGHTS_FOLDER / "clip.json").digest


def test_a_caption_finds_its_drawing(clip: Clip) -> None:
    batch = Corpus(6, Rates.balanced(), 100).batch(range(40), 64)
    images = clip.embed_images(list(batch.pixels))
    texts = clip.embed_texts([describe(person) for person in batch.traits])
    found = (images @ texts.T).argmax(axis=1) == np.arange(40)
    assert found.mean() >= 0.8  # 1 in 40 by chance


def test_a_real_model_with_a_local_checkpoint_loads_by_the_same_call(checkpoint: Path) -> None:
    real = load_clip(f"{REAL}:{checkpoint}")
    grey = np.full((40, 50, 3), 128, np.uint8)
    assert real.size == 224
    expected, _, preprocess = open_clip.create_model_and_transforms(REAL, pretrained=str(checkpoint))
    from PIL import Image

    with torch.inference_mode():
        direct = expected.eval().encode_image(preprocess(Image.fromarray(grey))[None], normalize=True).numpy()
        words = expected.encode_text(open_clip.get_tokenizer(REAL)(["a chef"]), normalize=True).numpy()
    np.testing.assert_allclose(real.embed_images([grey]), direct, atol=1e-5)
    np.testing.assert_allclose(real.embed_texts(["a chef"]), words, atol=1e-5)
    assert real.digest.startswith("sha256:")


def test_a_folder_that_open_clip_wrote_loads(tmp_path: Path, clip: Clip, drawings: list[np.ndarray]) -> None:
    import json

    shutil.copy(WEIGHTS_FOLDER / "clip.safetensors", tmp_path / "open_clip_model.safetensors")
    config = open_clip.get_model_config("assay-tiny")
    config["text_cfg"]["tokenizer_kwargs"] = {"bpe_path": str(MERGES)}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    other = load_clip(f"local-dir:{tmp_path}")
    np.testing.assert_allclose(other.embed_images(drawings), clip.embed_images(drawings), atol=1e-5)
    np.testing.assert_allclose(other.embed_texts(["a nurse"]), clip.embed_texts(["a nurse"]), atol=1e-5)


def test_the_same_pictures_give_the_same_bits(clip: Clip, drawings: list[np.ndarray]) -> None:
    first = clip.embed_images(drawings)
    assert np.array_equal(first, load_clip().embed_images(drawings))
    alone = np.concatenate([clip.embed_images([drawing]) for drawing in drawings])
    np.testing.assert_allclose(alone, first, atol=2e-5)
    assert np.array_equal(clip.embed_texts(["a chef"]), clip.embed_texts(["a chef"]))


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (64, 64), (3000, 2000)])
def test_any_size_can_be_embedded(clip: Clip, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 90, np.uint8)
    assert np.isfinite(clip.embed_images([picture])).all()


def test_nothing_gives_no_rows(clip: Clip) -> None:
    assert clip.embed_images([]).shape == (0, clip.dimensions)
    assert clip.embed_texts([]).shape == (0, clip.dimensions)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3)),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(clip: Clip, picture: np.ndarray) -> None:
    with pytest.raises(InputError, match="expected uint8"):
        clip.embed_images([picture])


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    for suffix in ("safetensors", "json"):
        shutil.copy(WEIGHTS_FOLDER / f"clip.{suffix}", tmp_path / f"clip.{suffix}")
    data = bytearray((tmp_path / "clip.safetensors").read_bytes())
    data[-5] ^= 1
    (tmp_path / "clip.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="digest"):
        load_clip(folder=tmp_path)


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(WeightsError, match="not usable as weights"):
        load_clip(f"{REAL}:{WEIGHTS_FOLDER / 'clip.safetensors'}")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"not tensors")
    with pytest.raises(WeightsError, match=r"broken\.safetensors"):
        load_clip(f"{REAL}:{path}")


def test_a_tag_that_is_not_cached_says_how_to_give_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"--clip ViT-B-32:/path/to/file"):
        load_clip("ViT-B-32:laion2b_s34b_b79k")
    assert huggingface_hub.constants.HF_HUB_OFFLINE is False


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-Z-1:x", "no model 'ViT-Z-1'"),
        ("ViT-B-32", "which weights"),
        ("ViT-B-32:/no/such/file", "neither a file nor a known tag"),
        ("local-dir:/no/such/folder", "no such folder"),
    ],
)
def test_names_that_mean_nothing_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_clip(name)


def test_known_words_are_one_token_and_every_other_text_is_spelled() -> None:
    _, tokenizer = build_untrained()
    for word in VOCABULARY:
        pieces = word.split("-")
        assert len(tokenizer.encode(word)) == 2 * len(pieces) - 1, word
    strange = tokenizer.encode("zookeeper ünïcödé 東京")
    assert tokenizer.decode(strange).split() == ["zookeeper", "ünïcödé", "東京"]


def test_the_longest_description_fits_the_context() -> None:
    model, tokenizer = build_untrained()
    corpus = Corpus(8, Rates.balanced(), 3000)
    longest = max(len(tokenizer.encode(describe(corpus.traits(index)))) for index in range(3000))
    assert longest + 2 <= model.context_length


def test_the_merges_file_is_what_the_vocabulary_gives() -> None:
    assert gzip.decompress(MERGES.read_bytes()) == gzip.decompress(render_merges())
    assert build_merges(["aab", "aac"]) == [("a", "a"), ("aa", "c</w>"), ("aa", "b</w>")]


def test_phrases_name_the_trait_and_nothing_else() -> None:
    corpus = Corpus(9, Rates.balanced(), 300)
    for index in range(50):
        person = corpus.traits(index)
        spoken = phrases(person)
        assert all(person.presentation in text or "male" in text for text in spoken["presentation"])
        assert all(
            person.occupation not in text
            for trait in spoken
            if trait != "occupation"
            for text in spoken[trait]
        )


def test_disturbance_keeps_size_and_is_decided_by_the_generator(drawings: list[np.ndarray]) -> None:
    first = [
        disturb(drawing, np.random.default_rng(row), untouched=0.0) for row, drawing in enumerate(drawings)
    ]
    again = [
        disturb(drawing, np.random.default_rng(row), untouched=0.0) for row, drawing in enumerate(drawings)
    ]
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert all(one.shape == (64, 64, 3) and one.dtype == np.uint8 for one in first)
    changed = [not np.array_equal(one, drawing) for one, drawing in zip(first, drawings, strict=True)]
    assert np.mean(changed) > 0.7
    assert np.array_equal(disturb(drawings[0], np.random.default_rng(0), untouched=1.0), drawings[0])


def test_the_loss_falls_on_a_batch() -> None:
    with seeded(1):
        model, tokenizer = build_untrained()
    batch = Pairs(tokenizer, STAGES[0], size=16)(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        loss = compute_clip_loss(model.train(), *batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.5


def test_training_writes_weights_that_load(tmp_path: Path) -> None:
    stages = tuple(
        replace(stage, recipe=replace(stage.recipe, steps=2, warmup=1, eval_every=0)) for stage in STAGES
    )
    redrawn: list[int] = []

    def redraw(pixels: np.ndarray) -> np.ndarray:
        redrawn.append(len(pixels))
        return 255 - pixels

    written = train_clip(tmp_path, stages=stages, batch=16, redraw=redraw)
    assert load_clip(folder=tmp_path).digest == written.digest
    assert written.card.recipe["stages"][1]["recipe"]["steps"] == 2
    assert set(written.card.figures) >= {"agreement_age", "agreement_tone"}
    assert redrawn == [6, 2, 6, 2]  # the last stage only, half of 12 balanced and of 4 default drawings
    assert (WEIGHTS_FOLDER / "clip.safetensors").stat().st_size < 12e6
