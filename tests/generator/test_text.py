"""Prompts before the text tower: what it is given, what is reported, and what a family can tell apart."""

from dataclasses import replace

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from token_patterns import reader

from generator.clip import EMBEDDED, load_clip
from generator.errors import InputError, WeightsError
from generator.portraits import VOCABULARY, Corpus, Rates
from generator.prompts import load_prompts
from generator.text import LENGTH, PromptReader, TextEncoder, drop_captions
from generator.training import seeded


@pytest.fixture(scope="module")
def encoder():
    with seeded(0):
        return TextEncoder(reader(), 32, heads=2, depth=1).eval()


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A real architecture of open_clip with random weights, loaded by its name from a checkpoint."""
    path = tmp_path_factory.mktemp("clip") / "weights.safetensors"
    with seeded(0):
        model = open_clip.create_model("ViT-S-32-alt", load_weights=False)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    return PromptReader.load(f"ViT-S-32-alt:{path}")


def test_case_and_punctuation_do_not_matter():
    first, second = reader().encode(["A Portrait, of a Nurse.", "a portrait of a nurse"])
    assert torch.equal(first, second)


def test_unknown_words_are_named_once_in_order_and_left_out():
    read = reader().read("a purple zebra and a green unicorn on a zebra")
    assert read.unknown == ("zebra", "unicorn")
    assert read.text == "a purple and a green on a"


def test_a_tower_that_knows_more_words_is_given_them_all(named):
    read = named.read("a nurse on a zebra")
    assert read.text == "a nurse on a zebra"
    assert read.unknown == ("zebra",), "the family has still not met it"


def test_words_beyond_the_length_are_reported_even_when_known():
    fits = "nurse " * (LENGTH - 2)
    assert reader().read(fits).unread == ()
    read = reader().read(fits + "with glasses")
    assert read.unread == ("with", "glasses")
    assert read.unknown == ()
    assert read.text == fits.strip()


def test_every_caption_and_shipped_prompt_is_read_whole():
    corpus = Corpus(77, Rates.balanced(), 1500)
    texts = [corpus.caption(index) for index in range(len(corpus))]
    texts += [prompt.text for prompt in load_prompts().prompts]
    read = {text: reader().read(text) for text in texts}
    assert {text: some for text, some in read.items() if some.unknown or some.unread} == {}


def test_no_prompts_are_no_rows():
    assert reader().encode([]).shape == (0, reader().tower.context)


@pytest.mark.parametrize("tower", ["embedded", "named"])
def test_features_are_what_the_clip_model_pools(tower, named):
    """The vector at the end of a text, projected, is the embedding that the same model gives for it."""
    some = reader() if tower == "embedded" else named
    clip = load_clip(EMBEDDED if tower == "embedded" else some.tower.name)
    ids = some.encode(["a nurse with glasses"])
    end = int(ids[0].argmax())
    with torch.no_grad():
        vector = some.features(ids)[0, end] @ clip._model.text_projection  # noqa: SLF001 - the model itself
    wanted = torch.from_numpy(clip.embed_texts(["a nurse with glasses"])[0])
    assert torch.allclose(vector / vector.norm(), wanted, atol=1e-5)


def test_the_tower_is_frozen_and_none_of_the_familys_weights(encoder):
    assert not any("tower" in name or "token_embedding" in name for name in encoder.state_dict())
    encoder(reader().encode(["a nurse"])).sum().backward()
    assert encoder.enter.weight.grad is not None
    assert all(p.grad is None for p in reader().tower._model.parameters())  # noqa: SLF001


def test_encoder_tells_words_and_their_order_apart(encoder):
    ids = reader().encode(["a nurse with red hair", "a chef with red hair", "a nurse with hair red"])
    with torch.no_grad():
        vectors = encoder(ids)
    assert vectors.shape == (3, LENGTH, 32)
    assert not torch.allclose(vectors[0], vectors[1], atol=1e-3)
    assert not torch.allclose(vectors[0], vectors[2], atol=1e-3)


def test_encoder_reads_both_ways(encoder):
    with torch.no_grad():
        first, second = encoder(reader().encode(["a nurse with glasses", "a nurse with hair"]))
    assert not torch.equal(first[0], second[0])  # the last word changes the vector of the first


def test_dropped_captions_are_those_of_nothing():
    ids = reader().encode(["a portrait of a nurse"] * 2000)
    before = ids.clone()
    with seeded(1):
        dropped = drop_captions(ids, reader(), share=0.25)
    silent = (dropped == reader().encode([""])).all(1)
    assert 0.2 < silent.float().mean() < 0.3
    assert torch.equal(dropped[~silent], ids[~silent])
    assert torch.equal(ids, before)


def test_a_card_brings_the_tower_and_the_words_back():
    again = PromptReader.restore(PromptReader(reader().tower, ("a", "nurse")).config)
    assert again.read("a nurse with glasses").unknown == ("with", "glasses")
    assert again.tower.digest == reader().tower.digest


def test_another_tower_under_the_same_name_is_refused(tmp_path):
    config = {**reader().config, "digest": "sha256:0"}
    with pytest.raises(WeightsError, match=r"was trained with sha256:0; restore both"):
        PromptReader.restore(config)


def test_the_digest_is_that_of_the_text_half(named, tmp_path):
    changed = replace(load_clip())
    model = changed._model  # noqa: SLF001 - to change one half and the other
    with torch.no_grad():
        next(model.visual.parameters()).add_(1)
        assert changed.text_tower().digest == reader().tower.digest
        model.token_embedding.weight[5].add_(1)
    assert changed.text_tower().digest != reader().tower.digest
    assert named.tower.digest != reader().tower.digest


def test_a_model_without_such_a_tower_is_refused():
    clip = load_clip()
    del clip._model.ln_final  # noqa: SLF001
    with pytest.raises(InputError, match="gives no vector per token"):
        clip.text_tower()


def test_the_words_are_those_of_the_captions():
    assert reader().words == tuple(VOCABULARY)
