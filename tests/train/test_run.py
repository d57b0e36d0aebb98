import csv
import hashlib
import json
import multiprocessing
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from PIL import Image

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
            # Not taken by the training, it would end the process that the tests share.
            assert callable(signal.getsignal(self.number))
            signal.raise_signal(self.number)


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
        "data.json",
        "metrics.csv",
        "preview",
        "recipe.yaml",
        "report.html",
        "speed.csv",
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
    assert facts.training["processes"] == 1
    assert 0 <= facts.training["waiting_for_data"] <= 1
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


# Nothing moves: a step is smaller than the smallest number.
STANDSTILL = (
    *("optim.name=sgd", "optim.lr=1e-30", "optim.clip_norm=1e-30", "optim.weight_decay=0"),
    "train.freeze_batch_norm=true",
)
STRIDES = ("model.output_stride=16", "optim.lr=0.05")
# Of each: how many steps a whole run takes, after which one it is stopped, and what is set.
HABITS = {
    "losses and average": (
        4,
        3,
        [
            "loss={dice: 1, lovasz: 1, focal: 1, label_smoothing: 0.1, ohem_fraction: 0.5}",
            *("train.ema_decay=0.9", "train.validate_every=0.3"),
        ],
    ),
    "accumulation": (4, 3, ["train.accumulate_steps=2", "optim.clip_norm=1"]),
    "frozen norms": (4, 3, ["train.freeze_batch_norm=true", "optim.name=sgd"]),
    "frozen layers": (4, 3, ["train.freeze=[backbone]", "model.aux_head=true"]),
    "patience": (2, 1, ["train.patience=1", "train.validate_every=0.1", *STANDSTILL]),
    "before the second stage": (4, 1, [*STRIDES, "train.second_stage={from_fraction: 0.75}"]),
    "between the stages": (4, 2, [*STRIDES, "train.second_stage={}", "train.validate_every=0.1"]),
    "all, in the second stage": (
        4,
        3,
        [
            *(
                "loss.dice=1",
                "model.aux_head=true",
                "train.ema_decay=0.9",
                "train.accumulate_steps=2",
            ),
            *("train.freeze=[blocks.0]", "train.patience=9"),
            *(*STRIDES, "train.second_stage={from_fraction: 0.25}"),
        ],
    ),
}


@pytest.mark.parametrize(("steps", "stop", "habit"), HABITS.values(), ids=HABITS)
def test_whatever_the_habit_a_run_that_was_stopped_ends_with_the_same_bits(
    tmp_path, tiny_recipe, steps, stop, habit
):
    settings = ["train.max_steps=4", "model.dropout=0.5", "train.previews=0", "train.batch_size=2"]
    recipe = tiny_recipe(*settings, *habit)
    whole = train(recipe, tmp_path / "whole")
    assert whole.step == steps
    assert train(recipe, tmp_path / "stopped", progress=StopAt(stop)).step == stop
    resumed = train(None, tmp_path / "stopped", resume=True)
    assert resumed.step == steps
    assert resumed.evaluation.scores == whole.evaluation.scores
    scores, files = [], []
    for folder in (tmp_path / "whole", tmp_path / "stopped"):
        scores.append([(row["step"], row["val_mean_iou"]) for row in _rows(folder)])
        last = folder.glob(f"checkpoints/*{steps}/*.safetensors")
        files.append({file.name: file.read_bytes() for file in last})
    assert scores[0] == scores[1]
    assert {"model.safetensors", "optimizer.safetensors"} <= files[0].keys()
    assert files[0] == files[1]


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
            signal.raise_signal(signal.SIGINT)  # once: the training stops here
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
    with pytest.raises(DivergedError, match=r"third in a row, on train-\d{6}, .*lower optim\.lr"):
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


class Notes(SilentProgress):
    """Keeps what is noted."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def _last_state(folder):
    return load_latest(folder / "checkpoints").model


def test_the_average_is_what_is_judged_and_kept(tmp_path, tiny_recipe):
    recipe = tiny_recipe("train.max_steps=6", "train.ema_decay=0.9")
    kept = load_model(train(recipe, tmp_path / "averaged").model_file).state_dict()
    checkpoint = load_latest(tmp_path / "averaged" / "checkpoints")
    assert all(torch.equal(kept[key], checkpoint.average[key]) for key in kept)
    assert not torch.equal(kept["classifier.weight"], checkpoint.model["classifier.weight"])
    # It does not meddle with the training itself.
    train(tiny_recipe("train.max_steps=6"), tmp_path / "plain")
    assert _weights(tmp_path / "plain") == _weights(tmp_path / "averaged")


def test_accumulated_batches_are_one_big_batch_but_for_the_norms(tmp_path, tiny_recipe):
    settings = [
        *("train.max_steps=3", "train.freeze_batch_norm=true", "model.dropout=0"),
        *(
            "optim.name=sgd",
            "optim.lr=0.1",
            "optim.clip_norm=1",
            "train.class_weights=log-frequency",
        ),
        *("data.scale=[0.3, 0.6]", "loss.label_smoothing=0.1"),  # much padding, so unlike masses
    ]
    train(tiny_recipe(*settings, "train.batch_size=6"), tmp_path / "big")
    train(
        tiny_recipe(*settings, "train.batch_size=2", "train.accumulate_steps=3"),
        tmp_path / "small",
    )
    first = tiny_recipe(*settings, "train.batch_size=6", "optim.lr=1e-9")
    train(first, tmp_path / "first")
    big, small, start = (_last_state(tmp_path / name) for name in ("big", "small", "first"))
    moved = max((big[key] - start[key]).abs().max() for key in big if big[key].is_floating_point())
    apart = max((big[key] - small[key]).abs().max() for key in big if big[key].is_floating_point())
    assert moved > 0.01
    assert apart < 1e-5
    rows = [_rows(tmp_path / name)[-1] for name in ("big", "small")]
    assert float(rows[0]["loss"]) == pytest.approx(float(rows[1]["loss"]), rel=1e-4)
    assert rows[0]["epoch"] == rows[1]["epoch"]


@pytest.mark.parametrize(
    ("setting", "frozen"),
    [
        ("train.freeze=[backbone]", lambda key: key.startswith("backbone.")),
        ("train.freeze=[blocks.1]", lambda key: key.startswith("backbone.network.blocks.1.")),
        ("train.freeze_batch_norm=true", lambda key: "running" in key),
    ],
)
def test_what_is_frozen_is_as_it_began(tmp_path, tiny_recipe, setting, frozen):
    for steps in (1, 4):
        train(tiny_recipe(f"train.max_steps={steps}", setting), tmp_path / str(steps))
    one, four = _last_state(tmp_path / "1"), _last_state(tmp_path / "4")
    keys = [key for key in one if frozen(key)]
    assert keys
    assert all(torch.equal(one[key], four[key]) for key in keys)
    assert not torch.equal(one["classifier.weight"], four["classifier.weight"])


def test_patience_ends_a_run_that_is_complete_and_says_so(tmp_path, tiny_recipe):
    recipe = tiny_recipe("train.max_steps=60", "train.patience=2", *STANDSTILL)
    notes = Notes()
    outcome = train(recipe, tmp_path, progress=notes)
    assert (outcome.step, outcome.total_steps, outcome.stopped_by) == (18, 60, None)
    assert notes.notes == [
        "the training ends at step 18 of 60: no validation of the last 2 was better than at "
        "step 6 (train.patience)"
    ]
    facts = read_facts(outcome.model_file).training
    assert (facts["steps"], facts["best_step"], facts["epochs"]) == (18, 6, 3.0)
    again = train(None, tmp_path, resume=True)  # it is over, and stays so
    assert (again.step, again.stopped_by) == (18, None)
    assert again.evaluation.scores == outcome.evaluation.scores


def test_the_second_stage_is_denser_slower_and_leaves_the_norms(tmp_path, tiny_recipe):
    recipe = tiny_recipe(
        *("train.max_steps=8", "model.output_stride=16", "train.checkpoint_every=1"),
        *("optim.lr=0.007", "train.second_stage={output_stride: 8}", "train.validate_every=0.5"),
        "train.keep_checkpoints=8",
    )
    notes = Notes()
    outcome = train(recipe, tmp_path, progress=notes)
    assert notes.notes == ["second stage: output stride 8 from here on"]
    states = {}
    for step in range(1, 9):
        (tmp_path / "checkpoints" / "latest").write_text(f"step-{step:08d}\n")
        states[step] = load_latest(tmp_path / "checkpoints").model
    statistics = [key for key in states[1] if "running" in key]
    assert not all(torch.equal(states[3][key], states[4][key]) for key in statistics)
    assert all(torch.equal(states[4][key], states[8][key]) for key in statistics)
    assert not torch.equal(states[4]["classifier.weight"], states[8]["classifier.weight"])
    best = load_model(outcome.model_file)
    facts = read_facts(outcome.model_file).training
    assert best.output_stride == (8 if facts["best_step"] > 4 else 16)


def test_a_validation_between_the_stages_is_taken_up_in_the_first(tmp_path, tiny_recipe):
    class Events(Notes):
        def validated(self, step, evaluation, *, is_best):
            self.notes.append(f"validated {step}")

    recipe = tiny_recipe(
        *("train.max_steps=4", "train.second_stage={}", "train.validate_every=0.17"), *STRIDES
    )
    assert train(recipe, tmp_path, progress=StopAt(2)).step == 2
    events = Events()
    train(None, tmp_path, resume=True, progress=events)
    second = "second stage: output stride 8 from here on"
    assert events.notes == ["validated 2", second, "validated 3", "validated 4"]


def test_the_auxiliary_head_learns_and_weighs(tmp_path, tiny_recipe):
    settings = ("train.max_steps=3", "model.aux_head=true")
    train(tiny_recipe(*settings), tmp_path / "some")
    train(tiny_recipe(*settings, "loss.aux_weight=0"), tmp_path / "none")
    some, none = _last_state(tmp_path / "some"), _last_state(tmp_path / "none")
    assert any(key.startswith("auxiliary.") for key in some)
    assert not torch.equal(some["classifier.weight"], none["classifier.weight"])
    assert load_model(tmp_path / "some" / "best.safetensors").auxiliary is not None


@pytest.mark.parametrize("weights", ["none", "log-frequency"])
def test_a_label_outside_the_classes_is_told_with_its_file_value_and_count(
    tmp_path, tiny_recipe, weights
):
    data = tmp_path / "data"
    for split in ("train", "val"):
        for name in ("a", "b"):
            labels = np.zeros((32, 48), dtype=np.uint8)
            labels[0, :5] = 7 if (split, name) == ("train", "b") else 1
            for kind, array in (("images", np.stack([labels] * 3, axis=2)), ("masks", labels)):
                file = data / kind / split / f"{name}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(file)
    recipe = tiny_recipe(
        *(f"data.source={data}", "data.size=null", "data.classes=[ground, disc]"),
        *("train.max_steps=2", f"train.class_weights={weights}", "data.check=false"),
    )
    file = data / "masks" / "train" / "b.png"
    with pytest.raises(DataError, match=rf"{file}: value 7 at 5 pixels is outside the 2 classes"):
        train(recipe, tmp_path / "run")
