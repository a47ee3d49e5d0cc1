"""A Hugging Face classifier, in the real format with random weights: its labels are mapped, or it is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from audit.bias.hf_classifier import ClassifierSource, LabelMapping, load_mapping
from audit.bias.options import ReaderOptions, build_source
from generator.errors import InputError, WeightsError

transformers = pytest.importorskip("transformers")

LABELS = ["Female", "Male", "0-9", "20-29", "70+", "blurred"]
MAPPING = """
attributes:
  presentation: {Female: woman, Male: man}
  age: {0-9: null, 20-29: young, 70+: old}
ignore: [blurred]
"""
PICTURES = [np.full((40, 30, 3), level, dtype=np.uint8) for level in (10, 240)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    folder = tmp_path_factory.mktemp("classifier")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32,
        patch_size=16, id2label=dict(enumerate(LABELS)), label2id={label: n for n, label in enumerate(LABELS)},
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config)
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([3.0, 0.0, 0.0, 0.0, 2.0, 0.0]))
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING)
    return path


def test_readings_are_the_models_own_probabilities_by_group(checkpoint: Path, mapping: Path) -> None:
    import torch

    source = ClassifierSource(str(checkpoint), load_mapping(mapping), threshold=0.5)
    readings = source.read(PICTURES)
    assert source.groups == {"presentation": ("woman", "man"), "age": ("young", "old")}
    model = transformers.ViTForImageClassification.from_pretrained(checkpoint).eval()
    processor = transformers.ViTImageProcessor.from_pretrained(checkpoint)
    with torch.inference_mode():
        chances = model(**processor(images=PICTURES, return_tensors="pt")).logits.softmax(-1).double().numpy()
    for row, reading in zip(chances, readings, strict=True):
        woman = row[0] / (row[0] + row[1])
        assert reading["presentation"].probabilities["woman"] == pytest.approx(woman, abs=1e-5)
        assert reading["presentation"].value == ("woman" if woman >= 0.5 else "man")
        assert sum(reading["age"].probabilities.values()) == pytest.approx(1)
    assert source.error_matrices() == {}


def test_mass_on_labels_of_no_group_is_undetermined() -> None:
    mapping = LabelMapping({"age": {"child": None, "young": "young", "old": "old"}})
    source = ClassifierSource("unused", mapping)
    reading = source._decide({"child": 0.7, "young": 0.2, "old": 0.1})["age"]
    assert reading.value == "undetermined"
    assert "0.70 on labels of no group" in reading.reason
    assert source._decide({"child": 0.1, "young": 0.8, "old": 0.1})["age"].value == "young"
    assert source._decide({"child": 0.0, "young": 0.0, "old": 0.0})["age"].value == "undetermined"


def test_labels_without_a_mapping_and_mappings_without_a_label_are_named(
    checkpoint: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text("attributes: {presentation: {Female: woman, Mann: man}}")
    with pytest.raises(InputError, match=r"Male.*Mann"):
        ClassifierSource(str(checkpoint), load_mapping(path)).read(PICTURES)


@pytest.mark.parametrize(
    ("text", "word"),
    [("a: 1", "attributes"), ("attributes: {a: [x]}", "attributes"), ("attributes: {a: {x: y}}", "two or more"),
     ("attributes: {a: {x: undetermined, y: z}}", "two or more")],
)  # fmt: skip
def test_wrong_mappings_are_refused(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=word):
        load_mapping(path)


def test_a_model_that_is_not_here_is_not_fetched(mapping: Path) -> None:
    with pytest.raises(InputError, match="--online"):
        ClassifierSource("nobody/no-such-model", load_mapping(mapping)).read(PICTURES)


def test_a_backbone_without_its_classifier_is_refused(
    checkpoint: Path, mapping: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = {name: tensor for name, tensor in load_file(checkpoint / "model.safetensors").items()
               if not name.startswith("classifier")}  # fmt: skip
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(WeightsError, match="random"):
            ClassifierSource(str(tmp_path), load_mapping(mapping)).read(PICTURES)


def test_damaged_weights_are_said(checkpoint: Path, mapping: Path, tmp_path: Path) -> None:
    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(
            file.read_bytes()[:200] if file.suffix == ".safetensors" else file.read_bytes()
        )
    with pytest.raises(WeightsError, match="cannot be loaded"):
        ClassifierSource(str(tmp_path), load_mapping(mapping)).read(PICTURES)


def test_pickled_weights_are_not_read(checkpoint: Path, mapping: Path, tmp_path: Path) -> None:
    for file in checkpoint.iterdir():
        name = "pytorch_model.bin" if file.suffix == ".safetensors" else file.name
        (tmp_path / name).write_bytes(file.read_bytes())
    with pytest.raises(WeightsError, match="safetensors"):
        ClassifierSource(str(tmp_path), load_mapping(mapping)).read(PICTURES)


def test_a_classifier_comes_in_by_options(checkpoint: Path, mapping: Path) -> None:
    options = ReaderOptions(classifier=str(checkpoint), mapping=str(mapping))
    source = build_source(options)
    assert source.groups["presentation"] == ("woman", "man")
    assert {path.name for path in options.files()} >= {"model.safetensors", "config.json", "mapping.yaml"}
    with pytest.raises(InputError, match="belong together"):
        build_source(ReaderOptions(classifier=str(checkpoint)))
