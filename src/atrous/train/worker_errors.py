"""What a data worker that died, hangs or fails is called, and that none outlives the training."""

import ctypes
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from atrous.errors import ResourceError

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl
_DIED = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)")

Workers = Callable[[], set[BaseProcess]]


def prepare_worker(worker: int) -> None:
    """Make a data worker end with its trainer, and only then.

    Ctrl-C and SIGTERM, which may reach the whole process group, are the trainer's to handle.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        # Otherwise a worker that is stuck stays for ever when its trainer is killed.
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        trainer = multiprocessing.parent_process()
        if trainer is not None and os.getppid() != trainer.pid:  # it has ended already
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def none_left() -> Iterator[Workers]:
    """Give what lists the processes that were started inside; kill those that are there after."""
    before = set(multiprocessing.active_children())

    def started() -> set[BaseProcess]:
        return set(multiprocessing.active_children()) - before

    try:
        yield started
    finally:
        _kill(started())


@contextmanager
def answer_within(seconds: float, workers: Workers) -> Iterator[None]:
    """Kill the workers when what is inside takes too long.

    The timeout of torch's `DataLoader` is not enough: a worker that stops in the midst of handing a
    batch over is waited for without end.

    Raises:
        ResourceError: It took too long.
    """
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        _kill(workers())

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (RuntimeError, EOFError, OSError) as error:
        if not is_over.is_set():
            raise
        raise ResourceError(
            f"no data worker answered for {seconds:g} seconds; the last checkpoint is intact: see "
            "that the disk of the data set answers, or raise data.worker_timeout, and --resume"
        ) from error
    finally:
        timer.cancel()


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turn what torch says of a data worker that died, at any moment, into an error of ours.

    Raises:
        ResourceError: A worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        if died := _DIED.match(str(error)):
            raise ResourceError(
                f"data worker {died[1]} was killed, as systems do when memory runs out; the "
                "last checkpoint is intact: lower data.workers or data.crop_size, and --resume"
            ) from error
        raise


def _kill(workers: set[BaseProcess]) -> None:
    for worker in workers:
        worker.kill()
