"""The trainer: it learns, resumes exactly, averages, and stops on a loss that is not finite."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from generator.errors import InputError
from generator.training import Recipe, TrainingError, learning_rate_factor, load_average, seeded, train

RECIPE = Recipe(name="line", steps=60, learning_rate=0.02, warmup=5, checkpoint_every=20, amp=False)


class Line(nn.Module):
    """A small net with dropout, so that resume has random numbers to get wrong."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.1), nn.Tanh(), nn.Linear(16, 1))

    def loss(self, batch):
        return (self.net(batch["x"]) - batch["y"]).square().mean()


def make_model():
    with seeded(3):
        return Line()


def batches(step):
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return {"x": x, "y": x.sum(1, keepdim=True)}


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_it_learns_and_logs(tmp_path):
    model = make_model()
    held_out = batches(10_000)
    model.eval()
    before = model.loss(held_out).item()
    result = train(
        model,
        batches,
        replace(RECIPE, eval_every=30),
        folder=tmp_path,
        evaluate=lambda: {"held_out": model.loss(held_out).item()},
    )
    assert result.figures["held_out"] < 0.3 * before
    assert result.steps == 60
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "held_out" in line] == [30, 60]


def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    whole = make_model()
    train(whole, batches, RECIPE, folder=tmp_path / "whole")

    def dies(step):
        if step == 47:
            raise KeyboardInterrupt
        return batches(step)

    with pytest.raises(KeyboardInterrupt):
        train(make_model(), dies, RECIPE, folder=tmp_path / "parts")
    resumed = make_model()
    seen = []
    train(resumed, lambda step: (seen.append(step), batches(step))[1], RECIPE, folder=tmp_path / "parts")
    assert seen == list(range(40, 60))
    for name, value in state(whole).items():
        assert torch.equal(value, state(resumed)[name]), name
    assert len(list((tmp_path / "parts").glob("checkpoint-*"))) == 1


def test_a_finished_training_is_not_run_again(tmp_path):
    first = make_model()
    result = train(first, batches, RECIPE, folder=tmp_path)
    again = make_model()
    repeated = train(again, lambda step: pytest.fail(f"step {step}"), RECIPE, folder=tmp_path)
    assert repeated.loss == result.loss
    assert torch.equal(state(first)["net.0.weight"], state(again)["net.0.weight"])


def test_the_result_is_the_average_not_the_last_weights(tmp_path):
    averaged = make_model()
    train(averaged, batches, replace(RECIPE, ema=0.999), folder=tmp_path / "a")
    last = make_model()
    train(last, batches, replace(RECIPE, ema=0.0), folder=tmp_path / "b")
    assert not torch.equal(state(averaged)["net.0.weight"], state(last)["net.0.weight"])
    assert torch.equal(load_average(tmp_path / "a")["net.0.weight"], averaged.net[0].weight)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path):
    def poisoned(step):
        batch = batches(step)
        return {**batch, "y": batch["y"] * float("nan")} if step == 31 else batch

    with pytest.raises(TrainingError, match=r"step 31.*last good checkpoint"):
        train(make_model(), poisoned, RECIPE, folder=tmp_path)
    assert json.loads((tmp_path / "checkpoint.json").read_text())["step"] == 20
    assert all(bool(torch.isfinite(value).all()) for value in load_average(tmp_path).values())


def test_another_recipe_or_model_is_refused(tmp_path):
    train(make_model(), batches, RECIPE, folder=tmp_path)
    with pytest.raises(InputError, match="learning_rate"):
        train(make_model(), batches, replace(RECIPE, learning_rate=0.5), folder=tmp_path)
    train(make_model(), batches, replace(RECIPE, checkpoint_every=7), folder=tmp_path)
    other = make_model()
    other.net[3] = nn.Linear(16, 2)
    with pytest.raises(InputError, match="another model"):
        train(other, batches, RECIPE, folder=tmp_path)


def test_a_broken_batch_source_leaves_no_half_written_checkpoint(tmp_path, monkeypatch):
    train(make_model(), batches, replace(RECIPE, steps=20), folder=tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    assert before == {"checkpoint.json", "checkpoint-0000020.safetensors", "log.jsonl"}


def test_schedule_warms_up_then_falls():
    rates = [learning_rate_factor(step, RECIPE) for step in range(RECIPE.steps)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[4] == pytest.approx(1.0)
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.03


def test_seeded_leaves_the_global_state_alone():
    before = torch.random.get_rng_state()
    with seeded(1):
        first = torch.rand(3)
    with seeded(1):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.random.get_rng_state(), before)
