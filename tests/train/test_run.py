import csv
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import time

import pytest
import torch

from atrous.errors import DataError, DivergedError, UsageError
from atrous.train import train
from atrous.train.checkpoint import load_latest
from atrous.train.progress import SilentProgress
from atrous.weights import load_model
from atrous.weights.model_file import read_facts


class StopAt(SilentProgress):
    """Sends a signal to the process after a step."""

    def __init__(self, step, number=signal.SIGINT):
        self.at, self.number = step, number

    def step(self, step):
        if step == self.at:
            os.kill(os.getpid(), self.number)


def _weights(folder):
    state = load_latest(folder / "checkpoints").model
    sha256 = hashlib.sha256()
    for key in sorted(state):
        sha256.update(key.encode() + state[key].numpy().tobytes())
    return sha256.hexdigest()


def _rows(folder):
    with (folder / "metrics.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_a_run_leaves_everything_that_is_promised(tmp_path, tiny_recipe):
    outcome = train(tiny_recipe("train.max_steps=12", "train.weights_dtype=float16"), tmp_path)
    assert (outcome.step, outcome.stopped_by) == (12, None)
    assert outcome.model_file == tmp_path / "best.safetensors"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.safetensors",
        "checkpoints",
        "metrics.csv",
        "preview",
        "recipe.yaml",
        "tensorboard",
    ]
    assert len(list((tmp_path / "preview").glob("*.png"))) == 2
    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == ["6", "10", "12"]
    assert 0 <= float(rows[-1]["val_mean_iou"]) <= 1
    assert float(rows[1]["loss"]) > 0


def test_the_model_file_states_what_it_scores_as_stored(tmp_path, tiny_recipe):
    outcome = train(tiny_recipe("train.max_steps=8", "train.weights_dtype=float16"), tmp_path)
    facts = read_facts(outcome.model_file)
    assert facts.training["mean_iou"] == outcome.evaluation.scores.mean_iou
    assert facts.training["dataset"] == "shapes"
    assert facts.training["steps"] == 8
    assert facts.license == "Apache-2.0"
    json.dumps(facts.training, allow_nan=False)
    assert load_model(outcome.model_file).classes[0] == "ground"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [3, 6])  # in the middle of an epoch of 6 steps, and at its end
def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path, tiny_recipe, step, number):
    recipe = tiny_recipe("train.max_steps=9", "model.dropout=0.5", "data.hue=0.1")
    whole = train(recipe, tmp_path / "whole")
    stopped = train(recipe, tmp_path / "stopped", progress=StopAt(step, number))
    assert (stopped.step, stopped.stopped_by, stopped.model_file) == (step, number, None)
    resumed = train(None, tmp_path / "stopped", resume=True)
    assert resumed.step == 9
    assert _weights(tmp_path / "stopped") == _weights(tmp_path / "whole")
    assert resumed.evaluation.scores == whole.evaluation.scores
    best = [(tmp_path / name / "best.safetensors") for name in ("whole", "stopped")]
    states = [load_model(file).state_dict() for file in best]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_is_a_stop_too(tmp_path, tiny_recipe, number):
    class StopAll(StopAt):
        def step(self, step):
            if step == self.at:
                workers = [str(worker.pid) for worker in multiprocessing.active_children()]
                # By another process: torch's workers take a signal of their parent otherwise.
                subprocess.run(["kill", f"-{int(self.number)}", *workers], check=True)
                time.sleep(0.2)  # enough for torch to notice that a worker has died
            super().step(step)

    recipe = tiny_recipe("train.max_steps=9", "data.workers=1")
    stopped = train(recipe, tmp_path, progress=StopAll(2, number))
    assert (stopped.step, stopped.stopped_by) == (2, number)
    assert train(None, tmp_path, resume=True).step == 9


def test_a_stop_while_validating_is_taken_up_again(tmp_path, tiny_recipe):
    recipe = tiny_recipe("train.max_steps=9")
    train(recipe, tmp_path / "whole")

    class StopInValidation(SilentProgress):
        def validation(self, images):
            os.kill(os.getpid(), signal.SIGINT)
            return super().validation(images)

    stopped = train(recipe, tmp_path / "stopped", progress=StopInValidation())
    assert stopped.step == 6
    train(None, tmp_path / "stopped", resume=True)
    assert _weights(tmp_path / "stopped") == _weights(tmp_path / "whole")
    scores = [
        [(row["step"], row["val_mean_iou"]) for row in _rows(tmp_path / name)]
        for name in ("whole", "stopped")
    ]
    assert scores[0] == scores[1]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there is one core only
@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(tmp_path, tiny_recipe, workers):
    train(tiny_recipe("train.max_steps=4"), tmp_path / "none")
    train(tiny_recipe("train.max_steps=4", f"data.workers={workers}"), tmp_path / "some")
    assert _weights(tmp_path / "none") == _weights(tmp_path / "some")


def test_another_seed_is_another_run(tmp_path, tiny_recipe):
    train(tiny_recipe("train.max_steps=2"), tmp_path / "a")
    train(tiny_recipe("train.max_steps=2", "train.seed=1"), tmp_path / "b")
    assert _weights(tmp_path / "a") != _weights(tmp_path / "b")


def test_a_validation_without_a_pixel_to_judge_by_still_leaves_a_model(
    tmp_path, tiny_recipe, monkeypatch
):
    from atrous.data import Sample, ShapesDataset

    draw = ShapesDataset.__getitem__

    def unlabelled(self, index):
        sample = draw(self, index)
        return sample if self.split == "train" else Sample(sample.image, sample.labels | 255, "x")

    monkeypatch.setattr(ShapesDataset, "__getitem__", unlabelled)
    outcome = train(tiny_recipe("train.max_steps=2"), tmp_path)
    assert read_facts(outcome.model_file).training["mean_iou"] is None


def test_a_batch_of_one_trains(tmp_path, tiny_recipe):
    assert train(tiny_recipe("train.max_steps=3", "train.batch_size=1"), tmp_path).step == 3


def test_a_loss_that_is_not_finite_ends_it_and_is_not_saved(tmp_path, tiny_recipe):
    recipe = tiny_recipe("train.max_steps=30", "optim.name=sgd", "optim.lr=1e30")
    with pytest.raises(DivergedError, match=r"the loss became (nan|inf).*lower optim\.lr"):
        train(recipe, tmp_path)
    for file in tmp_path.glob("checkpoints/step-*/model.safetensors"):
        state = load_latest(file.parent.parent).model
        assert all(tensor.isfinite().all() for tensor in state.values())


def test_a_run_is_not_started_twice(tmp_path, tiny_recipe):
    train(tiny_recipe("train.max_steps=1"), tmp_path)
    with pytest.raises(UsageError, match="holds a run already"):
        train(tiny_recipe("train.max_steps=1"), tmp_path)


def test_a_finished_run_is_only_measured_again(tmp_path, tiny_recipe):
    first = train(tiny_recipe("train.max_steps=2"), tmp_path)
    again = train(None, tmp_path, resume=True)
    assert again.step == 2
    assert again.evaluation.scores == first.evaluation.scores


def test_a_missing_data_set_leaves_no_run(tmp_path, tiny_recipe):
    with pytest.raises(DataError, match="no such folder"):
        train(tiny_recipe(f"data.source={tmp_path / 'absent'}", "data.size=null"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_it_learns_one_batch_by_heart(tmp_path, tiny_recipe, monkeypatch):
    lengths = {"train": 4, "val": 4, "test": 4}
    monkeypatch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", lengths)
    recipe = tiny_recipe(
        *("train.max_steps=80", "train.validate_every=1000", "data.val_split=train"),
        *("data.scale=[1, 1]", "data.flip=0", "data.brightness=0", "data.contrast=0"),
        *("data.saturation=0", "data.hue=0", "optim.lr=0.003", "model.dropout=0"),
        "model.architecture=deeplabv3plus",
    )
    train(recipe, tmp_path)
    losses = [float(row["loss"]) for row in _rows(tmp_path)]
    assert losses[-1] < losses[0] / 4
