import threading

import pytest

from atrous.predict.in_order import in_order


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_results_come_in_order(count, at_once):
    sources = [str(number) for number in range(count)]
    found = in_order(sources, read=int, compute=lambda number: number + 1, at_once=at_once)
    assert list(found) == list(range(1, count + 1))


def test_several_are_computed_at_once_and_no_more():
    meeting, running, most = threading.Barrier(3, timeout=30), set(), []

    def compute(number):
        running.add(number)
        meeting.wait()
        most.append(len(running))
        meeting.wait()
        running.discard(number)
        return number

    assert list(in_order(range(6), read=int, compute=compute, at_once=3)) == list(range(6))
    assert set(most) == {3}


def test_the_next_is_read_while_one_is_computed():
    read = [threading.Event() for _ in range(3)]

    def compute(number):
        assert number == 2 or read[number + 1].wait(30)
        return number

    def read_one(number):
        read[number].set()
        return number

    assert list(in_order(range(3), read=read_one, compute=compute)) == [0, 1, 2]


def test_few_are_held_at_a_time():
    read = []

    def read_one(number):
        read.append(number)
        return number

    results = in_order(range(1000), read=read_one, compute=int, at_once=2)
    next(results)
    results.close()
    assert len(read) < 10


def test_one_thread_computes_all_unless_several_are_asked_for():
    threads = set()

    def compute(number):
        threads.add(threading.get_ident())
        return number

    assert list(in_order(range(50), read=int, compute=compute)) == list(range(50))
    assert len(threads) == 1


@pytest.mark.parametrize("part", ["read", "compute"])
def test_an_error_comes_when_its_turn_does(part):
    def fail_at_two(number):
        if number == 2:
            raise ValueError("two")
        return number

    parts = {"read": int, "compute": int} | {part: fail_at_two}
    results = in_order(range(5), **parts)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
