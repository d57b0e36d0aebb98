import time

from atrous.train.waiting import Timed


def _slowly():
    for number, seconds in enumerate((0.2, 0.02, 0.03)):
        time.sleep(seconds)
        yield number


def test_waiting_is_counted_from_the_second_item_on_and_work_is_not():
    items = Timed(_slowly())
    assert next(items) == 0
    assert items.seconds() == 0  # the first one starts the workers
    time.sleep(0.1)
    assert list(items) == [1, 2]
    assert 0.05 <= items.seconds() < 0.1
    assert items.seconds() == 0
