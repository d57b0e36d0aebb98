"""Whatever stops a training, its last checkpoint is intact and leads to the same bits."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from atrous.data import ShapesDataset
from atrous.errors import DataError, DivergedError, RecipeError, ResourceError, UsageError
from atrous.recipe import load_recipe
from atrous.train import train
from atrous.train.checkpoint import load_latest, save_checkpoint
from atrous.train.lock import hold
from atrous.train.progress import SilentProgress

VICTIMS = Path(__file__).with_name("victims.py")
KILLS, EVERY = 40, 4
SETTINGS = (
    *("model.architecture=deeplabv3", "model.backbone=lcnet_035", "model.rates=[1, 2]"),
    *("data.source=shapes", "data.size=[32, 48]", "data.crop_size=[32, 48]", "data.workers=0"),
    *("train.batch_size=2", "train.max_steps=6", "train.device=cpu", "train.precision=fp32"),
    *("train.previews=1", "train.validate_every=3", "train.checkpoint_every=2"),
)


# Trains until its third step, tells its data workers, and is killed.
KILLED = """
import multiprocessing, os, signal, sys
from atrous.data import shapes
from atrous.recipe import load_recipe
from atrous.train import train
from atrous.train.progress import SilentProgress

class Killed(SilentProgress):
    def step(self, step):
        if step == 3:
            print(*(worker.pid for worker in multiprocessing.active_children()), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

shapes.DEFAULT_LENGTHS.update(train=8, val=2, test=2)
train(load_recipe("shapes-quick", sys.argv[2:]), sys.argv[1], progress=Killed())
"""


class Notes(SilentProgress):
    """Keeps what is told, and calls `at_step` after each step."""

    def __init__(self, at_step=lambda step: None):
        self.lines, self.at_step = [], at_step

    def note(self, text):
        self.lines.append(text)

    def step(self, step):
        self.at_step(step)


@pytest.fixture(autouse=True)
def _short_shapes(monkeypatch):
    monkeypatch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 8, "val": 2, "test": 2})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the weights of a run that nothing stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 8, "val": 2, "test": 2})
        run = tmp_path_factory.mktemp("whole")
        train(load_recipe("shapes-quick", SETTINGS), run)
    return _ending(run)


def _recipe(*settings):
    return load_recipe("shapes-quick", [*SETTINGS, *settings])


def _ending(run):
    last = max(run.glob("checkpoints/step-*"))
    files = [last / "model.safetensors", last / "optimizer.safetensors", run / "metrics.csv"]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def _stop(step, error):
    def at_step(now):
        if now == step:
            raise error

    return Notes(at_step)


@pytest.mark.timeout(900)
def test_forty_random_kills_change_no_bit(tmp_path):
    words = [sys.executable, str(VICTIMS), str(tmp_path), str(KILLS)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["trials"]) >= KILLS
    assert max(trial["lost"] for trial in report["trials"]) <= EVERY
    assert len({trial["step"] for trial in report["trials"]}) > KILLS / 4  # at many moments
    assert {"average.safetensors", "metrics.csv", "model.safetensors", "best"} < set(
        report["whole"]
    )
    for ending in report["endings"]:
        assert ending == report["whole"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of others does not tell children")
def test_a_trainer_that_is_killed_leaves_no_data_worker_and_goes_on(tmp_path, whole):
    words = [sys.executable, "-c", KILLED, str(tmp_path), *SETTINGS, "data.workers=1"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    workers = ended.stdout.split()
    assert workers
    end = time.monotonic() + 10
    while any(map(_is_alive, workers)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not any(map(_is_alive, workers))
    train(None, tmp_path, resume=True)
    assert _ending(tmp_path) == whole


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("call", ["fdopen", "fsync", "rename"])
def test_a_disk_that_fills_up_leaves_the_last_checkpoint_and_says_where(
    tmp_path, monkeypatch, whole, call
):
    def full(*words):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def save(folder, *, step, **words):
        with pytest.MonkeyPatch.context() as patch:
            if step == 4:
                patch.setattr(os, call, full)
            return save_checkpoint(folder, step=step, **words)

    monkeypatch.setattr("atrous.train.loop.save_checkpoint", save)
    with pytest.raises(ResourceError) as caught:
        train(_recipe(), tmp_path)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'checkpoints'}/")
    assert "step-00000004" in said
    assert said.endswith("(No space left on device); step 2 is saved: --resume goes on from it")
    assert load_latest(tmp_path / "checkpoints").step == 2
    assert not list(tmp_path.rglob(".tmp-*"))
    monkeypatch.setattr("atrous.train.loop.save_checkpoint", save_checkpoint)
    train(None, tmp_path, resume=True)
    assert _ending(tmp_path) == whole


def test_a_disk_that_is_nearly_full_is_refused_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(ResourceError, match="make room"):
        train(_recipe(), tmp_path, progress=_stop(1, AssertionError("a step was taken")))


def test_a_damaged_checkpoint_is_passed_over_aloud(tmp_path, whole):
    with pytest.raises(KeyError):
        train(_recipe(), tmp_path, progress=_stop(5, KeyError()))
    file = tmp_path / "checkpoints/step-00000004/optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    notes = Notes()
    train(None, tmp_path, resume=True, progress=notes)
    assert "step-00000004: the checkpoint is damaged (optimizer.safetensors" in notes.lines[0]
    assert notes.lines[0].endswith("going back to step-00000002")
    assert _ending(tmp_path) == whole


def test_without_a_good_checkpoint_nothing_is_begun_anew(tmp_path):
    with pytest.raises(KeyError):
        train(_recipe(), tmp_path, progress=_stop(3, KeyError()))
    (tmp_path / "checkpoints/step-00000002/model.safetensors").unlink()
    with pytest.raises(DataError, match="damaged"):
        train(None, tmp_path, resume=True)


def test_time_decides_only_when_to_save(tmp_path, whole):
    seen = []

    def at_step(step):
        seen.append(len(list(tmp_path.glob("checkpoints/step-*"))))

    recipe = _recipe("train.checkpoint_minutes=1e-9", "train.keep_checkpoints=9")
    train(recipe, tmp_path, progress=Notes(at_step))
    assert seen == [0, 1, 2, 3, 4, 5]
    assert _ending(tmp_path) == whole


def test_a_folder_in_which_another_trains_is_left_alone(tmp_path):
    with hold(tmp_path):
        with pytest.raises(UsageError, match=f"process {os.getpid()} is training"):
            train(_recipe(), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_resumed_run_keeps_its_recipe_but_for_what_is_harmless(tmp_path, whole):
    with pytest.raises(KeyError):
        train(_recipe(), tmp_path, progress=_stop(3, KeyError()))
    with pytest.raises(RecipeError, match=r"optim\.lr was .* and is now 0\.25"):
        train(_recipe("optim.lr=0.25"), tmp_path, resume=True)
    train(_recipe("data.workers=1", "train.keep_checkpoints=9"), tmp_path, resume=True)
    assert _ending(tmp_path) == whole
    assert load_recipe(tmp_path / "recipe.yaml").data.workers == 1


def test_other_data_is_refused(tmp_path, monkeypatch):
    with pytest.raises(KeyError):
        train(_recipe(), tmp_path, progress=_stop(3, KeyError()))
    monkeypatch.setattr("atrous.data.shapes.DEFAULT_LENGTHS", {"train": 9, "val": 2, "test": 2})
    with pytest.raises(DataError, match="its train split had 8 samples"):
        train(None, tmp_path, resume=True)


class _Poison:
    """Makes the loss of some steps NaN, as a broken image or an overflow would."""

    def __init__(self, monkeypatch, steps):
        from atrous.train.objective import Objective

        honest, self.calls = Objective.__call__, 0

        def call(objective, *words):
            self.calls += 1
            loss = honest(objective, *words)
            return loss * float("nan") if self.calls in steps else loss

        monkeypatch.setattr(Objective, "__call__", call)


def test_two_bad_steps_are_left_out(tmp_path, monkeypatch):
    _Poison(monkeypatch, {2, 3, 5})
    notes = Notes()
    train(_recipe("model.dropout=0"), tmp_path, progress=notes)
    assert notes.lines == [
        "step 2 was left out: the loss became nan (1 in all)",
        "step 3 was left out: the loss became nan (2 in all)",
        "step 5 was left out: the loss became nan (3 in all)",
    ]
    last = (tmp_path / "metrics.csv").read_text().splitlines()
    assert dict(zip(last[0].split(","), last[-1].split(","), strict=True))["steps_left_out"] == "3"
    state = load_latest(tmp_path / "checkpoints")
    assert all(tensor.isfinite().all() for tensor in (state.model | state.optimizer).values())
    assert {float(tensor) for key, tensor in state.optimizer.items() if key.endswith("step")} == {3}


def test_three_bad_steps_in_a_row_end_it_with_the_step_and_its_images(tmp_path, monkeypatch):
    _Poison(monkeypatch, {3, 4, 5})
    drawn = []
    read = ShapesDataset.__getitem__
    monkeypatch.setattr(
        ShapesDataset, "__getitem__", lambda self, i: drawn.append(read(self, i)) or drawn[-1]
    )
    with pytest.raises(DivergedError) as error:
        train(_recipe(), tmp_path)
    assert error.value.exit_code == 4
    assert "the loss became nan at step 5, the third in a row, on train-" in str(error.value)
    images = str(error.value).partition(" on ")[2].partition(";")[0].split(", ")
    assert images == [sample.name for sample in drawn[-2:]]
    for path in (tmp_path / "checkpoints").glob("step-*"):
        state = load_latest(path.parent).model
        assert all(torch.isfinite(tensor).all() for tensor in state.values())
