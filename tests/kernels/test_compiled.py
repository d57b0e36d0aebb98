import os
import signal
import threading

import numpy as np
import pytest

from atrous.kernels import compiled as module
from atrous.kernels.compiled import compiled, run_in_threads


@compiled
def add_one(numbers):
    for i in range(len(numbers)):
        numbers[i] += 1


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("jobs", [0, 1, 20])
def test_each_job_is_done_once(jobs, threads):
    numbers = np.zeros((jobs, 1000))
    run_in_threads(add_one, ((row,) for row in numbers), threads)
    assert (numbers == 1).all()


def test_jobs_run_side_by_side():
    meeting = threading.Barrier(3, timeout=30)
    run_in_threads(lambda _: meeting.wait(), [(number,) for number in range(6)], 3)


def test_errors_come_through():
    def fail(number):
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        run_in_threads(fail, [(0,), (1,)], 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_copy_of_the_process_starts_threads_of_its_own():
    numbers = np.zeros((4, 10))
    run_in_threads(add_one, [(row,) for row in numbers], 2)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)  # it would wait for ever for threads that are not there
        run_in_threads(add_one, [(row,) for row in numbers], 2)
        os._exit(0 if (numbers == 2).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_sums_may_be_reordered_where_it_is_said():
    def total(numbers):
        found = np.float32(0)
        for i in range(len(numbers)):
            found += numbers[i]
        return found

    numbers = np.random.default_rng(0).random(1000, dtype=np.float32)
    exact = compiled(total)(numbers)
    assert exact == np.add.accumulate(numbers)[-1]
    assert compiled(any_order=True)(total)(numbers) == pytest.approx(exact, rel=1e-5)


def test_without_a_place_for_the_code_it_is_compiled_all_the_same(monkeypatch):
    njit = module.numba.njit

    def without_place(function, *, cache=False, **words):
        if cache:
            raise RuntimeError("no locator available")
        return njit(function, **words)

    monkeypatch.setattr(module.numba, "njit", without_place)
    numbers = np.zeros(3)
    compiled(lambda row: row.fill(7))(numbers)
    assert (numbers == 7).all()
