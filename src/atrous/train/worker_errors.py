"""What a data worker that died, hangs or fails is called, and that none outlives the training."""

import ctypes
import errno
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
_NO_MEMORY = re.compile("can't allocate memory|not enough memory|out of memory", re.IGNORECASE)
_NO_SHARED_MEMORY = re.compile(r"</torch_\d(?!.*open files)|Bus error")
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
            f"no data worker answered for {seconds:g} seconds; see that the disk of the data set "
            "answers, or raise data.worker_timeout"
        ) from error
    finally:
        timer.cancel()


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turn what torch says of memory that ran out, or of a data worker that died, into ours.

    Raises:
        ResourceError: A worker was killed, or there is no memory left.
    """
    try:
        yield
    except ResourceError:
        raise
    except (RuntimeError, MemoryError, OSError) as error:
        if ours := lack_of_memory(error, "the trainer"):
            raise ours from error
        if died := _DIED.match(str(error)):
            raise ResourceError(
                f"data worker {died[1]} was killed, as systems do when memory runs out; lower "
                "data.workers or data.crop_size"
            ) from error
        raise


def lack_of_memory(error: Exception, where: str) -> ResourceError | None:
    """Return an error of ours for what says that memory ran out; None for any other.

    Args:
        error: What Python, torch or the system raised.
        where: Whose memory it was.

    Example:
        >>> str(lack_of_memory(MemoryError(), "a data worker"))
        'memory ran out in a data worker; lower train.batch_size, data.crop_size or data.workers'
        >>> lack_of_memory(ValueError("depth"), "a data worker")
    """
    number = error.errno if isinstance(error, OSError) else None
    said = str(error) if isinstance(error, (RuntimeError, OSError)) else ""
    if _NO_SHARED_MEMORY.search(said):
        return ResourceError(
            "shared memory, through which data workers hand over their batches, is full; make "
            "/dev/shm larger (docker run --shm-size=2g), lower data.workers, or set it to 0"
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM or _NO_MEMORY.search(said):
        cure = "lower train.batch_size, data.crop_size or data.workers"
        return ResourceError(f"memory ran out in {where}; {cure}")
    return None


def _kill(workers: set[BaseProcess]) -> None:
    for worker in workers:
        worker.kill()
