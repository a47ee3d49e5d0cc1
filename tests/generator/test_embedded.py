"""The shipped generator: every image can be made again alone, bit for bit, and its weights belong together."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from token_patterns import reader

from generator.embedded import FAMILIES, EmbeddedGenerator, compute_encoder_digest
from generator.errors import InputError, WeightsError
from generator.families.autoregressive import Autoregressive
from generator.figures import Probe
from generator.interface import Prompt, Request
from generator.portraits import OCCUPATIONS, Corpus, Rates
from generator.prompts import load_prompts
from generator.tokenizer import Tokenizer, shrink
from generator.training import seeded
from generator.weights import WEIGHTS_FOLDER, Card, load_card, load_weights, save_weights

SHIPPED = ("tokenizer", "autoregressive")

REGENERATE = """
import hashlib, json, sys, torch
from generator.embedded import EmbeddedGenerator
from generator.interface import Prompt, Request
generator = EmbeddedGenerator.load()
requests = [Request(Prompt("p", text), 0, seed) for text, seed in json.loads(sys.argv[1])]
images = [hashlib.sha256(image.pixels.tobytes()).hexdigest() for image in generator.generate(requests)]
print(json.dumps([torch.get_num_threads(), generator.weights_digest, *images]))
"""

needs_weights = pytest.mark.skipif(
    not all((WEIGHTS_FOLDER / f"{name}.safetensors").exists() for name in SHIPPED),
    reason="the weights of the embedded generator are not installed",
)


def card(family, config):
    return Card(family=family, data="", recipe={}, seed=0, figures={}, limits=(), config=config)


def write_weights(folder, *, encoder_digest=None, width=16):
    """Small untrained weights in `folder`; `encoder_digest` replaces the one the model belongs to."""
    prompts = reader()  # before the seed: loading draws random numbers
    with seeded(0):
        tokenizer = Tokenizer(width=16, depth=1)
        model = Autoregressive(prompts, width=16, depth=1, heads=2, text_depth=1)
    tokens = save_weights("tokenizer", tokenizer.state_dict(), card("tokenizer", tokenizer.config), folder)
    config = {
        **model.config,
        "width": width,
        "text": model.reader.config,
        "encoder": encoder_digest or compute_encoder_digest(tokens),
    }
    save_weights("autoregressive", model.state_dict(), card("autoregressive", config), folder)
    return folder


def ask(text, seed):
    return Request(Prompt("p", text), 0, seed)


def pixels(generator, requests):
    return np.stack([image.pixels for image in generator.generate(requests)])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return EmbeddedGenerator.load(write_weights(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def shipped():
    return EmbeddedGenerator.load()


@pytest.fixture(scope="module")
def requests():
    """One per shipped prompt and more: two chunks, the second one not full."""
    prompts = load_prompts().prompts
    return [Request(prompts[i % len(prompts)], i, 1000 + 7 * i) for i in range(40)]


@pytest.fixture(scope="module")
def made(shipped, requests):
    return list(shipped.generate(requests))


def test_images_say_what_made_them(small):
    request = ask("a nurse on a zebra", 3)
    (image,) = small.generate([request])
    assert image.pixels.shape == (256, 256, 3)
    assert image.pixels.dtype == np.uint8
    assert image.request is request
    assert (image.generator, image.version) == (small.name, small.version)
    assert image.weights_digest == small.weights_digest
    assert image.weights_digest.startswith("sha256:")


def test_unknown_words_are_named(small):
    text = "a green zebra and a unicorn with a zebra"
    (image,) = small.generate([ask(text, 3)])
    assert image.unknown_words == small.unknown_words(text) == ("zebra", "unicorn")
    assert small.unknown_words("a portrait of a nurse") == ()


def test_no_requests_no_images(small):
    assert list(small.generate([])) == []


def test_a_seed_out_of_range_is_refused(small):
    with pytest.raises(InputError, match="seed is -1"):
        list(small.generate([ask("a nurse", -1)]))


def test_full_and_broken_chunks_keep_the_order(small):
    requests = [ask("a nurse", seed) for seed in range(70)]
    images = list(small.generate(requests))
    assert [image.request.seed for image in images] == list(range(70))
    np.testing.assert_array_equal(images[69].pixels, pixels(small, [requests[69]])[0])


def test_digest_covers_both_models(tmp_path, small):
    write_weights(tmp_path)
    assert EmbeddedGenerator.load(tmp_path).weights_digest == small.weights_digest
    for name in SHIPPED:
        write_weights(tmp_path)
        stored = load_weights(name, family=name, folder=tmp_path)
        key = next(key for key, value in stored.tensors.items() if value.is_floating_point())
        changed = save_weights(name, stored.tensors | {key: stored.tensors[key] + 1}, stored.card, tmp_path)
        if name == "tokenizer":
            prior = load_weights("autoregressive", family="autoregressive", folder=tmp_path)
            config = {**prior.card.config, "encoder": compute_encoder_digest(changed)}
            save_weights("autoregressive", prior.tensors, replace(prior.card, config=config), tmp_path)
        assert EmbeddedGenerator.load(tmp_path).weights_digest != small.weights_digest


def test_weights_of_another_tokenizer_are_refused(tmp_path):
    write_weights(tmp_path, encoder_digest="sha256:" + "0" * 64)
    with pytest.raises(WeightsError, match=r"tokens of encoder sha256:0{64}.*restore both"):
        EmbeddedGenerator.load(tmp_path)


def test_a_decoder_may_improve_under_the_same_prior(tmp_path, small):
    write_weights(tmp_path)
    stored = load_weights("tokenizer", family="tokenizer", folder=tmp_path)
    key = next(key for key in stored.tensors if key.startswith("decoder."))
    save_weights("tokenizer", stored.tensors | {key: stored.tensors[key] + 1}, stored.card, tmp_path)
    assert EmbeddedGenerator.load(tmp_path).weights_digest != small.weights_digest


def test_an_unknown_family_is_refused():
    with pytest.raises(InputError, match=f"family 'gan' is unknown; use {', '.join(FAMILIES)}"):
        EmbeddedGenerator.load(family="gan")


@pytest.mark.parametrize("name", SHIPPED)
def test_damaged_weights_are_refused(tmp_path, name):
    path = write_weights(tmp_path) / f"{name}.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=f"{name}.safetensors: digest is"):
        EmbeddedGenerator.load(tmp_path)


@pytest.mark.parametrize("name", SHIPPED)
def test_missing_weights_are_named(tmp_path, name):
    (write_weights(tmp_path) / f"{name}.safetensors").unlink()
    with pytest.raises(WeightsError, match=f"{name}.safetensors: cannot be read"):
        EmbeddedGenerator.load(tmp_path)


def test_weights_that_do_not_fit_their_card_are_refused(tmp_path):
    write_weights(tmp_path, width=32)
    with pytest.raises(WeightsError, match="autoregressive weights do not fit their card"):
        EmbeddedGenerator.load(tmp_path)


@needs_weights
@pytest.mark.parametrize(("index", "count"), [(0, 1), (39, 1), (31, 7), (32, 7)])
def test_shipped_images_regenerate_in_any_batch(shipped, requests, made, index, count):
    """Images of the full chunk and of the broken one, alone or in other company and another place."""
    batch = [requests[(index + 5 * k) % 40] for k in range(count)][::-1]
    np.testing.assert_array_equal(pixels(shipped, batch)[-1], made[index].pixels)


@needs_weights
def test_shipped_images_regenerate_in_a_permuted_batch(shipped, requests, made):
    order = np.random.default_rng(1).permutation(40)[:32]
    again = pixels(shipped, [requests[index] for index in order])
    np.testing.assert_array_equal(again, np.stack([made[index].pixels for index in order]))


@needs_weights
def test_shipped_images_regenerate_in_another_process_on_another_number_of_threads(requests, made):
    """Waiting threads sleep there: with the default they spin, which starves itself on a busy machine."""
    asked = [(request.prompt.text, request.seed) for request in requests[32:]]
    count = 2 if torch.get_num_threads() == 1 else 1
    environment = os.environ | {"OMP_NUM_THREADS": str(count), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, "-c", REGENERATE, json.dumps(asked)],
        env=environment, capture_output=True, text=True, check=True, cwd=WEIGHTS_FOLDER.parents[1],
    )  # fmt: skip
    threads, digest, *images = json.loads(done.stdout)
    assert (threads, digest) == (count, made[0].weights_digest)
    assert images == [hashlib.sha256(image.pixels.tobytes()).hexdigest() for image in made[32:]]


@needs_weights
def test_shipped_model_knows_every_shipped_prompt(made):
    assert {image.request.prompt.text: image.unknown_words for image in made if image.unknown_words} == {}


@needs_weights
def test_seeds_give_different_people(shipped):
    images = pixels(shipped, [ask("a portrait of a nurse", seed) for seed in range(16)])
    assert len({image.tobytes() for image in images}) == 16


@needs_weights
def test_shipped_images_show_what_was_asked_for(made):
    """A probe trained on drawings reads the occupation off the pictures; guessing reads 1 of 24."""
    drawn = Corpus(4101, Rates.balanced(), 1000)
    batch = drawn.batch(range(len(drawn)), 128)
    seen = [np.stack([shrink(p).flatten().numpy() for p in many]) for many in (batch.pixels, pixels_of(made))]
    probe = Probe.fit(seen[0], [traits.occupation for traits in batch.traits])
    assert probe.accuracy(seen[1], [image.request.prompt.slots["occupation"] for image in made]) > 0.5


def pixels_of(images):
    return [image.pixels for image in images]


@needs_weights
def test_shipped_cards_say_what_was_run():
    cards = {name: load_card(WEIGHTS_FOLDER / f"{name}.json") for name in SHIPPED}
    for name, found in cards.items():
        assert found.family == name
        assert all(stage["steps"] > 0 for stage in found.recipe["stages"]), name
        assert found.recipe["cpu_seconds"] > 0, name
        assert found.limits, name
        assert "corpus with seed" in found.data, name
    encoder = compute_encoder_digest(load_weights("tokenizer", family="tokenizer"))
    assert cards["autoregressive"].config["encoder"] == encoder
    assert cards["tokenizer"].figures["psnr_64"] > 20
    figures = cards["autoregressive"].figures
    assert 0 < figures["held_out_loss"] < np.log(1000)
    assert figures["probe_occupation"] > 2 / len(OCCUPATIONS)
    assert json.dumps(figures, allow_nan=False)
