"""A tiny detector from nothing: it learns, it is saved, read back, and used as a room."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from audit.collection import Item
from audit.detector.calibration import Verdict
from audit.detector.measuring import Classes
from audit.detector.module import build_module, summarise
from audit.detector.processing import MEASURED_CHAINS
from audit.detector.scoring import build_detector, grid_crops, load_detector
from audit.detector.training import DETECTOR_RECIPE, LIMITS, Split, draw_batch, state_limits, train_detector
from audit.detector.vit import DetectorConfig, DetectorViT
from audit.detector.world import (
    ImageSet,
    build_image_set,
    make_drawings,
    make_enlarged_drawings,
    make_reconstructions,
    make_samples,
)
from audit.evidence import Check, Status
from generator.errors import CannotCheckError, InputError, WeightsError
from generator.interface import GeneratedImage
from generator.portraits.corpus import Corpus, Rates
from generator.tokenizer import Tokenizer
from generator.training import seeded
from generator.weights import Card, Weights, load_weights

REAL, OTHER = Corpus(51, Rates.default(), 200), Corpus(52, Rates.default(), 200)
CONFIG = DetectorConfig(crop=64, width=32, layers=1, heads=2)
RECIPE = replace(
    DETECTOR_RECIPE, steps=25, warmup=3, learning_rate=3e-3, ema=0.9, eval_every=0, checkpoint_every=0
)
SPLIT = Split(training=24, calibration=24)
COUNT = 64


def smeared(indices: object) -> np.ndarray:
    """A stand-in generator: drawings that went through 24 x 24 pixels."""
    pixels = OTHER.batch(list(indices), 256).pixels  # type: ignore[call-overload]
    return np.stack(
        [cv2.resize(cv2.resize(p, (24, 24), interpolation=cv2.INTER_AREA), (256, 256)) for p in pixels]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("detector")


@pytest.fixture(scope="module")
def classes(folder: Path) -> Classes:
    real = {"drawing": make_drawings(REAL), "enlarged_drawing": make_enlarged_drawings(REAL)}
    return Classes(
        build_image_set(folder / "real", real, count=COUNT, seed=1),
        build_image_set(folder / "synthetic", {"smeared": smeared}, count=COUNT, seed=2),
    )


def learn(folder: Path, classes: Classes) -> Weights:
    return train_detector(
        folder,
        classes,
        split=SPLIT,
        data="test drawings",
        config=CONFIG,
        recipe=RECIPE,
        alpha=0.2,
        rejection=0.1,
        images_per_class=10,
    )


@pytest.fixture(scope="module")
def weights(folder: Path, classes: Classes) -> Weights:
    return learn(folder, classes)


def test_it_learns_and_its_card_says_how_well(weights: Weights) -> None:
    figures = weights.card.figures
    assert figures["auc"] > 0.9
    assert figures["auc_low"] <= figures["auc"] <= figures["auc_high"]
    assert figures["fpr_n"] == figures["fnr_n"] == 16
    assert figures["fpr_low"] <= figures["fpr"] <= figures["fpr_high"]
    assert {"png_auc", "jpeg75_fpr", "resize0.5_recall", "called_synthetic_smeared_watermarked"} <= set(
        figures
    )
    assert json.dumps(dict(figures))
    assert "photographs" in " ".join(weights.card.limits)


def test_a_processing_with_many_errors_becomes_a_stated_limit(weights: Weights) -> None:
    good = {f"{chain}_{rate}{end}": 0.0 for chain in MEASURED_CHAINS for rate in ("fpr", "fnr")
            for end in ("", "_low", "_high")}  # fmt: skip
    assert state_limits(good, alpha=0.05) == LIMITS
    bad = {**good, "jpeg75_fpr": 0.3, "jpeg75_fpr_low": 0.2, "jpeg75_fpr_high": 0.4}
    (added,) = state_limits(bad, alpha=0.05)[len(LIMITS) :]
    assert "After jpeg75 30.0% of real drawings" in added
    check = summarise_card(replace(weights.card, figures={**weights.card.figures, **bad}))
    assert "Worst measured processing: jpeg75, 30.0%" in check.reason


def summarise_card(card: Card) -> Check:
    rows = pd.DataFrame([{"image_id": "a", "status": "pass", "reason": "r", "verdict": "synthetic",
                          "logit": 1.0, "p_synthetic": 0.9}])  # fmt: skip
    images = pd.DataFrame({"image_id": ["a"], "generator": None, "prompt_id": None})
    return summarise(rows, images, card=card).find("detector.measured_fpr")


def test_untrained_it_knows_nothing() -> None:
    with seeded(0):
        network = DetectorViT(CONFIG).eval()
    crops = torch.randint(
        0, 256, (6, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    logits = network(crops)
    assert logits.shape == (6,)
    assert logits.abs().max() < 1.0
    with seeded(0):
        again = DetectorViT(CONFIG).eval()
    torch.testing.assert_close(again(crops), logits, rtol=0, atol=0)


@pytest.mark.slow
def test_training_is_repeatable_to_the_digest(weights: Weights, classes: Classes, tmp_path: Path) -> None:
    again = learn(tmp_path, classes)
    assert again.digest == weights.digest
    assert {**again.card.figures} == {**weights.card.figures}


def test_readings_survive_the_file(weights: Weights, folder: Path) -> None:
    built, loaded = build_detector(weights), load_detector(folder / "detector.safetensors")
    for pixels in (REAL.drawing(150, 256), smeared([151])[0]):
        assert built.read(pixels) == loaded.read(pixels)


def test_readings_of_known_images(weights: Weights) -> None:
    detector = build_detector(weights)
    readings = detector.read_all([REAL.drawing(i, 256) for i in range(160, 172)])
    assert [r.verdict for r in readings].count(Verdict.SYNTHETIC) <= 6
    readings = detector.read_all(list(smeared(range(160, 172))))
    assert [r.verdict for r in readings].count(Verdict.SYNTHETIC) >= 6
    assert all(r.p_synthetic is None or 0 <= r.p_synthetic <= 1 for r in readings)
    single = detector.read(smeared([160])[0])
    assert single == readings[0]  # company does not matter


@pytest.mark.parametrize("shape", [(1, 1, 3), (20, 900, 3), (63, 64, 3)])
def test_too_small_images_get_no_number(weights: Weights, shape: tuple[int, int, int]) -> None:
    reading = build_detector(weights).read(np.zeros(shape, np.uint8))
    assert reading.verdict is Verdict.ABSTAIN
    assert reading.logit is None
    assert reading.p_synthetic is None
    assert "at least 64" in reading.reason


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((300, 300, 3), 128, np.uint8),
        np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8),
        np.random.default_rng(1).integers(0, 256, (3000, 4000, 3), dtype=np.uint8),
    ],
    ids=["grey", "noise", "huge noise"],
)
def test_images_of_another_kind_are_out_of_scope(weights: Weights, pixels: np.ndarray) -> None:
    reading = build_detector(weights).read(pixels)
    assert reading.verdict is Verdict.ABSTAIN
    assert reading.p_synthetic is None
    assert "out of scope" in reading.reason


def test_crops_cover_the_corners_at_native_resolution() -> None:
    pixels = np.arange(100 * 130 * 3, dtype=np.uint32).reshape(100, 130, 3).astype(np.uint8)
    crops = grid_crops(pixels, 64)
    assert crops.shape == (9, 64, 64, 3)
    np.testing.assert_array_equal(crops[0], pixels[:64, :64])
    np.testing.assert_array_equal(crops[8], pixels[-64:, -64:])


def test_batches_are_a_function_of_the_generator(classes: Classes) -> None:
    parts = SPLIT.parts(classes.real)[0], SPLIT.parts(classes.synthetic)[0]
    first, again = (
        draw_batch(classes, parts, rng=np.random.default_rng(3), size=64, count=10) for _ in range(2)
    )
    torch.testing.assert_close(first[0], again[0], rtol=0, atol=0)
    assert first[0].dtype == torch.uint8
    assert first[1].mean() == 0.5


def test_image_sets_mark_half_and_are_made_once(classes: Classes, folder: Path, tmp_path: Path) -> None:
    assert classes.real.marked.sum() == classes.synthetic.marked.sum() == COUNT // 2
    plain = make_drawings(REAL)(range(0, 8))
    for i in (0, 2, 4, 6):  # every second image is an enlarged drawing
        changed = np.abs(classes.real.pixels[i].astype(int) - plain[i]).max()
        assert (changed > 0) == classes.real.marked[i]

    def fail(_: object) -> np.ndarray:
        raise AssertionError("made again")

    again = build_image_set(folder / "synthetic", {"smeared": fail}, count=COUNT, seed=2)
    np.testing.assert_array_equal(again.pixels, classes.synthetic.pixels)
    with pytest.raises(AssertionError, match="made again"):
        build_image_set(tmp_path / "set", {"other": fail}, count=4, seed=2, source="first")
    build_image_set(tmp_path / "set", {"drawing": make_drawings(REAL)}, count=4, seed=2, source="first")
    with pytest.raises(AssertionError, match="made again"):
        build_image_set(tmp_path / "set", {"drawing": fail}, count=4, seed=2, source="newer weights")


def test_makers_give_published_pictures() -> None:
    with seeded(0):
        tokenizer = Tokenizer(width=16, depth=1).eval()
    assert make_reconstructions(OTHER, tokenizer)([3, 5]).shape == (2, 256, 256, 3)
    asked = []

    class Fixed:
        name, version, weights_digest = "fixed", "1", "sha256:0"

        def generate(self, requests):
            for request in requests:
                asked.append((request.prompt.text, request.seed))
                yield GeneratedImage(OTHER.drawing(0, 256), request, "fixed", "1", "sha256:0")

    samples = make_samples(OTHER, Fixed(), seed=9)
    assert samples([4, 7]).shape == (2, 256, 256, 3)
    samples([7])
    assert asked[1] == asked[2]
    assert asked[0][0] == OTHER.caption(4)


def test_a_split_without_test_images_is_refused(classes: Classes) -> None:
    with pytest.raises(InputError, match="make more images"):
        Split(40, 24).parts(classes.real)
    parts = SPLIT.parts(ImageSet(classes.real.pixels, classes.real.kinds, classes.real.marked))
    assert [len(part) for part in parts] == [24, 24, 16]


def test_damaged_or_other_weights_are_refused(weights: Weights, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "detector.safetensors"
    card = (folder / "detector.json").read_text()
    data = bytearray((folder / "detector.safetensors").read_bytes())
    (tmp_path / "detector.json").write_text(card)
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="digest"):
        load_detector(path)
    with pytest.raises(WeightsError):
        build_module(weights=tmp_path / "absent.safetensors")
    good = load_weights(folder / "detector.safetensors", family="detector")
    with pytest.raises(WeightsError, match="do not fit"):
        build_detector(replace(good, tensors={}))
    wrong = {**good.card.config, "network": {"crop": 64, "width": 48, "layers": 1, "heads": 2}}
    with pytest.raises(WeightsError, match="do not fit"):
        build_detector(replace(good, card=replace(good.card, config=wrong)))


def write(path: Path, pixels: np.ndarray) -> Path:
    cv2.imwrite(str(path), pixels[..., ::-1])
    return path


def run_module(folder: Path, tmp_path: Path, *, generator: str | None, prompts: int = 40) -> tuple:
    module = build_module(weights=folder / "detector.safetensors")
    pictures = smeared(range(100, 140))
    items = [Item(f"i{n}", write(tmp_path / f"{n}.png", pixels)) for n, pixels in enumerate(pictures)]
    rows = pd.DataFrame(module.measure(items))
    ids = [item.image_id for item in items]
    prompt_ids = [f"p{n % prompts}" for n in range(len(ids))] if generator else None
    images = pd.DataFrame({"image_id": ids, "generator": generator, "prompt_id": prompt_ids})
    return rows, module.summarise(rows, images)


def test_module_on_a_run_of_known_images(weights: Weights, folder: Path, tmp_path: Path) -> None:
    rows, evidence = run_module(folder, tmp_path, generator="assay")
    assert list(rows.columns) == ["image_id", "status", "reason", "verdict", "logit", "p_synthetic"]
    assert set(rows["verdict"]) <= {"synthetic", "real", "abstain"}
    abstained = rows["verdict"] == "abstain"
    assert (rows.loc[abstained, "status"] == "inconclusive").all()
    assert (rows.loc[~abstained, "status"] == "pass").all()
    recall = evidence.find("detector.recall")
    assert recall.value == (rows["verdict"] == "synthetic").mean()
    assert recall.interval.low <= recall.value <= recall.interval.high
    assert sum(recall.details.values()) == 40
    assert evidence.find("detector.abstention").value == abstained.mean()
    assert 0 <= evidence.find("detector.mean_probability").value <= 1
    measured = evidence.find("detector.measured_fpr")
    assert measured.value == weights.card.figures["fpr"]
    assert measured.threshold == 0.2


def test_module_on_foreign_images_claims_nothing(weights: Weights, folder: Path, tmp_path: Path) -> None:
    _, evidence = run_module(folder, tmp_path, generator=None)
    recall = evidence.find("detector.recall")
    assert recall.status is Status.INCONCLUSIVE
    assert recall.value is None
    assert "not recorded" in recall.reason


def test_few_prompts_are_no_proof_of_recall(weights: Weights) -> None:
    rows = pd.DataFrame(
        {"image_id": [f"i{n}" for n in range(60)], "status": "pass", "reason": "r", "verdict": "synthetic",
         "logit": 3.0, "p_synthetic": 0.95}
    )  # fmt: skip

    def status(prompts: int, verdict: str = "synthetic") -> Status:
        images = pd.DataFrame(
            {
                "image_id": rows["image_id"],
                "generator": "g",
                "prompt_id": [f"p{n % prompts}" for n in range(60)],
            }
        )
        table = rows.assign(verdict=verdict)
        return summarise(table, images, card=weights.card).find("detector.recall").status

    assert status(3) is Status.INCONCLUSIVE
    assert status(60) is Status.PASS
    assert status(60, "real") is Status.FAIL


def test_unreadable_images_raise_and_their_rows_are_counted(
    weights: Weights, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    module = build_module(weights=folder / "detector.safetensors")
    with pytest.raises(CannotCheckError):
        module.measure([Item("broken", tmp_path / "broken.png")])
    rows = pd.DataFrame([{"image_id": "broken", "status": "error", "reason": "damaged"}])
    images = pd.DataFrame({"image_id": ["broken"], "generator": None, "prompt_id": None})
    evidence = module.summarise(rows, images)
    assert evidence.find("detector.readable").status is Status.ERROR
    assert module.summarise(rows.iloc[:0], images.iloc[:0]).status is Status.ERROR
