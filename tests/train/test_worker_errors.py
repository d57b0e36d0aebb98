import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from atrous.data import ShapesDataset
from atrous.errors import DataError, ResourceError
from atrous.recipe import DataSection, TrainSection
from atrous.train.batches import batches
from atrous.train.worker_errors import none_left, worker_errors

LEAVES_A_STUCK_WORKER = """
import os, signal, time
from multiprocessing import Process
from atrous.train.worker_errors import prepare_worker
def wait():
    prepare_worker(0)
    print(os.getpid(), flush=True)
    time.sleep(60)
worker = Process(target=wait, daemon=True)
worker.start()
time.sleep(60)
"""


def _train(dataset, *, timeout=120.0):
    """Draw batches as a training does, and yield the workers with each."""
    data = DataSection(workers=1, worker_timeout=timeout)
    settings = TrainSection(max_steps=50, batch_size=1)
    for _ in batches(dataset, data, settings, first_step=0, total_steps=50):
        yield multiprocessing.active_children()


@pytest.fixture
def shapes():
    return ShapesDataset("train", length=7, size=(16, 16))


def test_a_killed_worker_is_named(shapes):
    said = r"data worker \d+ was killed.*lower data\.workers"

    def train():
        for workers in _train(shapes):
            workers[0].kill()
            time.sleep(0.05)

    with pytest.raises(ResourceError, match=said), worker_errors():
        train()
    assert not multiprocessing.active_children()


def test_a_stuck_worker_is_not_waited_for_and_not_left(shapes):
    pids = []
    start = time.monotonic()
    said = r"no data worker answered for 0\.5 seconds"

    def train():
        for workers in _train(shapes, timeout=0.5):
            pids.extend(worker.pid for worker in workers)
            os.kill(pids[0], signal.SIGSTOP)

    with pytest.raises(ResourceError, match=said), worker_errors():
        train()
    assert time.monotonic() - start < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (KeyError("depth"), DataError, r"shapes: sample 3 cannot be read \(KeyError: 'depth'\)"),
        (MemoryError(), ResourceError, "memory ran out in a data worker"),
        (OSError(12, "Cannot allocate memory"), ResourceError, "memory ran out in a data worker"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"),
            ResourceError,
            "memory ran out in a data worker",
        ),
        (DataError("masks/3.png: is empty"), DataError, r"^masks/3\.png: is empty$"),
    ],
)
def test_a_worker_that_raises_says_on_what(error, kind, text):
    class Spoilt(ShapesDataset):
        def __getitem__(self, index):
            if index == 3:
                raise error
            return super().__getitem__(index)

    with pytest.raises(kind, match=text):
        list(_train(Spoilt("train", length=7, size=(16, 16))))
    assert not multiprocessing.active_children()


def test_a_full_shared_memory_is_said_with_its_cure(shapes, monkeypatch):
    def full(samples):
        raise RuntimeError("unable to write to file </torch_7_8_0>: No space left on device (28)")

    monkeypatch.setattr("atrous.train.batches.default_collate", full)
    with pytest.raises(ResourceError, match=r"^shared memory.* is full; .*--shm-size"):
        list(_train(shapes))
    bus = "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that"
    with pytest.raises(ResourceError, match=r"^shared memory"), worker_errors():
        raise RuntimeError(bus)


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")]
)
def test_memory_that_runs_out_in_the_trainer_is_said(error):
    with pytest.raises(ResourceError, match="memory ran out in the trainer"), worker_errors():
        raise error


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="shapes do not fit"), worker_errors():
        raise RuntimeError("shapes do not fit")


def test_nothing_that_was_started_inside_is_left():
    with none_left():
        process = multiprocessing.Process(target=time.sleep, args=(60,))
        process.start()
    process.join(5)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of others does not tell children")
def test_a_stuck_worker_ends_with_its_trainer():
    words = [sys.executable, "-c", LEAVES_A_STUCK_WORKER]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as trainer:
        worker = int(trainer.stdout.readline())
        os.kill(worker, signal.SIGSTOP)
        trainer.kill()
    end = time.monotonic() + 5
    while _is_alive(worker) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _is_alive(worker)


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
