from types import SimpleNamespace

import pytest

from atrous.train.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands still but for what is added to its `now`."""
    clock = SimpleNamespace(now=50.0)
    module = SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr("atrous.train.stopwatch.time", module)
    return clock


def test_what_is_beside_the_steps_is_of_the_whole_only(clock):
    stopwatch = Stopwatch()
    stopwatch.begin(step=3)
    clock.now += 8
    with stopwatch.beside_the_steps():
        clock.now += 100
    assert stopwatch.lap(step=7, waited=2.0) == (4, 8.0)
    assert stopwatch.state == {"seconds": 108.0, "seconds_in_steps": 8.0, "seconds_waiting": 2.0}
    assert stopwatch.waiting == 0.25
    clock.now += 4
    assert stopwatch.lap(step=9, waited=1.0) == (2, 4.0)
    assert stopwatch.waiting == 0.25


def test_it_goes_on_where_a_checkpoint_was_and_an_older_one_knows_less():
    stopwatch = Stopwatch()
    assert stopwatch.waiting == 0.0
    stopwatch.restore({"seconds": 9.0, "step": 3})
    assert stopwatch.state == {"seconds": 9.0, "seconds_in_steps": 0.0, "seconds_waiting": 0.0}
