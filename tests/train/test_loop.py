import csv
import signal
from types import SimpleNamespace

import pytest

from atrous.data import ShapesDataset
from atrous.train import loop, train
from atrous.train.progress import SilentProgress


class Clock:
    """A clock that stands still but for what is told to take time."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        module = SimpleNamespace(monotonic=lambda: self.now)
        for place in ("loop", "stopwatch", "waiting"):
            monkeypatch.setattr(f"atrous.train.{place}.time", module)

    def slow_down(self, monkeypatch, owner, name, seconds):
        """Let each call take some seconds."""
        quick = getattr(owner, name)

        def slow(*words, **options):
            self.now += seconds
            return quick(*words, **options)

        monkeypatch.setattr(owner, name, slow)


class Spent(SilentProgress):
    """Keeps what is told at the end, and takes a second for each step."""

    def __init__(self, clock, stop_at=None):
        self.clock, self.stop_at = clock, stop_at

    def step(self, step):
        self.clock.now += 1.0
        if step == self.stop_at:
            assert callable(signal.getsignal(signal.SIGINT))
            signal.raise_signal(signal.SIGINT)

    def trained(self, seconds, waiting):
        self.seconds, self.waiting = seconds, waiting


@pytest.fixture
def clock(monkeypatch):
    """Return a clock on which a step takes 2 s, reading its 4 images 1 s, and all else 100 s."""
    clock = Clock(monkeypatch)
    clock.slow_down(monkeypatch, ShapesDataset, "__getitem__", 0.25)
    clock.slow_down(monkeypatch, loop, "save_checkpoint", 100.0)
    clock.slow_down(monkeypatch, loop, "validate", 100.0)
    return clock


def _speeds(folder):
    with (folder / "speed.csv").open() as lines:
        return {
            int(row["step"]): (float(row["images_per_second"]), float(row["waiting_for_data"]))
            for row in csv.DictReader(lines)
        }


def test_speed_and_waiting_are_of_the_steps_and_not_of_validations(tmp_path, tiny_recipe, clock):
    spent = Spent(clock)
    train(
        tiny_recipe("train.max_steps=20", "train.checkpoint_every=3", "train.previews=0"),
        tmp_path,
        progress=spent,
    )
    # The first reading, of five images, is no waiting: it starts the data workers.
    assert _speeds(tmp_path) == {10: (1.98, 0.444), 20: (2.0, 0.5)}
    assert spent.waiting == pytest.approx(19 / 40.25)
    assert spent.seconds > 400 + 600 + 40  # what validations and checkpoints took is of the whole


def test_a_resumed_run_counts_the_steps_it_took_itself(tmp_path, tiny_recipe, clock):
    recipe = tiny_recipe("train.max_steps=10", "train.previews=0")
    stopped = train(recipe, tmp_path, progress=Spent(clock, stop_at=5))
    assert stopped.step == 5
    train(None, tmp_path, resume=True, progress=Spent(clock))
    assert _speeds(tmp_path) == {10: (1.95, 0.39)}
