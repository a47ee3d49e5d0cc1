"""Weights files: rounded to float16, verified on load, every damage named with its file and remedy."""

import errno
import json

import pytest
import torch

from generator.errors import DiskFullError, WeightsError
from generator.weights import Card, load_card, load_weights, save_weights

CARD = Card(
    family="toy",
    data="numbers drawn for the test",
    recipe={"steps": 3},
    seed=5,
    figures={"loss": 0.5},
    limits=("Says nothing about pictures.",),
    config={"width": 2},
)
TENSORS = {"weight": torch.tensor([[0.1, 0.2], [0.3, 0.4]]), "ids": torch.tensor([1, 2_000_000_000])}


@pytest.fixture
def folder(tmp_path):
    save_weights("toy", TENSORS, CARD, tmp_path)
    return tmp_path


def test_round_trip(folder):
    written = save_weights("again", TENSORS, CARD, folder)
    for name in ("again", folder / "again.safetensors", folder / "again.json"):
        loaded = load_weights(name, family="toy", folder=folder)
        assert loaded.digest == written.digest == loaded.card.digest
        assert torch.equal(loaded.tensors["ids"], TENSORS["ids"])
        assert loaded.tensors["weight"].dtype == torch.float32
        assert torch.equal(loaded.tensors["weight"], TENSORS["weight"].half().float())
        assert torch.equal(loaded.tensors["weight"], written.tensors["weight"])
    assert loaded.card.limits == CARD.limits
    assert loaded.card.figures == CARD.figures


def test_missing(folder):
    with pytest.raises(WeightsError, match=r"other\.json.*assay train"):
        load_weights("other", family="toy", folder=folder)
    (folder / "toy.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"toy\.safetensors"):
        load_weights("toy", family="toy", folder=folder)


def test_another_family(folder):
    with pytest.raises(WeightsError, match=r"'toy', expected 'tokenizer'"):
        load_weights("toy", family="tokenizer", folder=folder)


@pytest.mark.parametrize("position", [0, 20, -1])
def test_one_changed_byte(folder, position):
    path = folder / "toy.safetensors"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="digest is sha256:"):
        load_weights("toy", family="toy", folder=folder)


def test_truncated_file_with_a_matching_card(folder):
    import hashlib

    path, card = folder / "toy.safetensors", folder / "toy.json"
    path.write_bytes(path.read_bytes()[:-3])
    content = json.loads(card.read_text())
    content["digest"] = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    card.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        load_weights("toy", family="toy", folder=folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 9, "family": "toy"}'])
def test_damaged_card(folder, text):
    (folder / "toy.json").write_text(text)
    with pytest.raises(WeightsError, match=r"toy\.json"):
        load_card(folder / "toy.json")


def test_a_tensor_that_float16_cannot_hold_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="'weight' is not finite"):
        save_weights("toy", {"weight": torch.tensor([1e9])}, CARD, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_keeps_the_old_file(folder, monkeypatch):
    before = (folder / "toy.safetensors").read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError, match=r"toy\.safetensors"):
        save_weights("toy", {"weight": torch.zeros(2)}, CARD, folder)
    assert (folder / "toy.safetensors").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["toy.json", "toy.safetensors"]
