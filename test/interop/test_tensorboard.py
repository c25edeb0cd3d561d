"""TensorBoard reads the event files of a run: of one in a piece, and of one that was killed and resumed."""

import json
import math
import shutil

import pytest
from conftest import TINY, gpt
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

STEPS = 30


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    """A run of 30 steps; and the same, killed after 20 of them with a checkpoint of step 10, and resumed."""
    folder = tmp_path_factory.mktemp("runs")
    flags = [*TINY, "--eval-interval", "10", "--ema-decay", "0.9", "--log", "tensorboard"]
    gpt("train", corpus, *flags, "-o", folder / "whole")
    gpt("train", corpus, *flags, "--max-iters", "10", "-o", folder / "pieces")
    shutil.copytree(folder / "pieces/checkpoint-10", folder / "checkpoint-10")
    gpt("train", "--resume", folder / "pieces", "--max-iters", "20", "--force", "-q")
    shutil.rmtree(folder / "pieces/checkpoint-20")
    shutil.move(folder / "checkpoint-10", folder / "pieces/checkpoint-10")
    gpt("train", "--resume", folder / "pieces", "--max-iters", "30", "--force", "-q")
    return folder


def scalars(folder):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["whole", "pieces"])
def test_scalars_are_those_of_the_metrics(runs, name):
    folder = runs / name
    found = scalars(folder)
    log = metrics(folder)
    steps = [line for line in log if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, STEPS + 1))
    for tag, field in {"loss": "loss", "learning_rate": "lr", "grad_norm": "grad_norm"}.items():
        events = found[f"train/{tag}"]
        # Steps after the checkpoint were repeated; TensorBoard drops those of the killed process.
        assert [event.step for event in events] == [line["step"] for line in steps]
        for event, line in zip(events, steps):
            assert math.isclose(event.value, line[field], rel_tol=1e-6)
    assert all(event.value > 0 for event in found["train/tokens_per_second"])
    evaluations = {line["step"]: line for line in log if "val_loss_estimate" in line}
    names = {
        "train_loss": "train_loss_estimate",
        "val_loss": "val_loss_estimate",
        "average_val_loss": "average_val_loss_estimate",
    }
    for tag, field in names.items():
        events = {event.step: event.value for event in found[f"eval/{tag}"]}
        for step, line in evaluations.items():
            assert math.isclose(events[step], line[field], rel_tol=1e-6)
    end = log[-1]
    best = found["eval/best_val_loss"][-1]
    assert best.step == end["best_step"]
    assert math.isclose(best.value, end["val_loss"], rel_tol=1e-6)


def test_times_are_of_the_clock(runs):
    events = scalars(runs / "whole")["train/loss"]
    times = [event.wall_time for event in events]
    assert times == sorted(times)
    written = (runs / "whole/metrics.jsonl").stat().st_mtime
    assert abs(times[-1] - written) < 60
