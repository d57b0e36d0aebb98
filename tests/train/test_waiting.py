from types import SimpleNamespace

import pytest

from atrous.train.waiting import Timed


def test_waiting_is_counted_from_the_second_item_on_and_work_is_not(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("atrous.train.waiting.time", SimpleNamespace(monotonic=lambda: clock.now))

    def slowly():
        for number, seconds in enumerate((20.0, 2.0, 3.0)):
            clock.now += seconds
            yield number

    items = Timed(slowly())
    assert next(items) == 0
    assert items.seconds() == 0  # the first one starts the workers
    clock.now += 10
    assert list(items) == [1, 2]
    assert items.seconds() == pytest.approx(5.0)
    assert items.seconds() == 0
