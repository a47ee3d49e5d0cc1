"""Prompts to ids: what is known, what is reported as unknown, and what the encoder tells apart."""

import pytest
import torch

from generator.portraits import VOCABULARY, Corpus, Rates
from generator.prompts import load_prompts
from generator.text import LENGTH, PAD, UNKNOWN, TextEncoder, Vocabulary, drop_words
from generator.training import seeded


@pytest.fixture(scope="module")
def encoder():
    with seeded(0):
        return TextEncoder(len(Vocabulary()), 32, heads=2, depth=2).eval()


def test_ids_are_one_per_word_then_padding():
    read = Vocabulary(("a", "nurse")).read("a nurse")
    assert read.ids == (2, 3) + (PAD,) * (LENGTH - 2)
    assert read.unknown == ()


def test_every_word_has_its_own_id():
    vocabulary = Vocabulary()
    ids = [vocabulary.read(word).ids[0] for word in VOCABULARY]
    assert sorted(ids) == list(range(2, len(vocabulary)))
    assert not {PAD, UNKNOWN} & set(ids)


def test_a_stored_word_list_keeps_its_ids():
    old = Vocabulary(("nurse", "a"))
    assert old.words == ("nurse", "a")
    assert old.read("a nurse").ids[:2] == (3, 2)


def test_case_and_punctuation_do_not_matter():
    vocabulary = Vocabulary()
    assert vocabulary.read("A Portrait, of a Nurse.").ids == vocabulary.read("a portrait of a nurse").ids


def test_unknown_words_are_named_once_in_order():
    read = Vocabulary().read("a purple zebra and a green unicorn on a zebra")
    assert read.unknown == ("zebra", "unicorn")
    assert read.ids.count(UNKNOWN) == 3


def test_words_beyond_the_length_are_reported_even_when_known():
    read = Vocabulary().read("a " * LENGTH + "nurse")
    assert read.unknown == ("nurse",)
    assert len(read.ids) == LENGTH


def test_exactly_as_many_words_as_fit():
    assert Vocabulary().read("nurse " * LENGTH).unknown == ()


def test_empty_prompt_is_all_padding():
    assert Vocabulary().read("").ids == (PAD,) * LENGTH
    assert Vocabulary().encode([]).shape == (0, LENGTH)


def test_every_caption_and_shipped_prompt_is_read_whole():
    vocabulary, corpus = Vocabulary(), Corpus(77, Rates.balanced(), 1500)
    texts = [corpus.caption(index) for index in range(len(corpus))]
    texts += [prompt.text for prompt in load_prompts().prompts]
    assert {text: vocabulary.read(text).unknown for text in texts if vocabulary.read(text).unknown} == {}


def test_encoder_tells_words_and_their_order_apart(encoder):
    ids = Vocabulary().encode(["a nurse with red hair", "a chef with red hair", "a nurse with hair red"])
    with torch.no_grad():
        vectors = encoder(ids)
    assert vectors.shape == (3, LENGTH, 32)
    assert not torch.allclose(vectors[0], vectors[1], atol=1e-3)
    assert not torch.allclose(vectors[0], vectors[2], atol=1e-3)


def test_encoder_reads_both_ways(encoder):
    ids = Vocabulary().encode(["a nurse with glasses", "a nurse with hair"])
    with torch.no_grad():
        first, second = encoder(ids)
    assert not torch.equal(first[0], second[0])  # the last word changes the vector of the first


def test_dropping_nothing_changes_nothing():
    ids = Vocabulary().encode(["a portrait of a nurse"])
    assert torch.equal(drop_words(ids, words=0.0, captions=0.0), ids)


def test_dropped_words_become_unknown_and_padding_stays():
    ids = Vocabulary().encode(["a portrait of a nurse", ""])
    dropped = drop_words(ids, words=1.0, captions=0.0)
    assert dropped[0].tolist() == [UNKNOWN] * 5 + [PAD] * (LENGTH - 5)
    assert dropped[1].tolist() == [PAD] * LENGTH


def test_dropped_captions_are_gone_whole():
    ids = Vocabulary().encode(["a portrait of a nurse"] * 2000)
    with seeded(1):
        dropped = drop_words(ids, words=0.0, captions=0.25)
    silent = (dropped == PAD).all(1)
    assert 0.2 < silent.float().mean() < 0.3
    assert torch.equal(dropped[~silent], ids[~silent])


def test_dropping_leaves_its_input_alone():
    ids = Vocabulary().encode(["a portrait of a nurse"])
    before = ids.clone()
    drop_words(ids, words=1.0, captions=1.0)
    assert torch.equal(ids, before)
