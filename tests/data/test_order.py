import numpy as np
import pytest

from atrous.data.order import EndlessOrder, sample_at, sample_order, seed_for, seed_for_step


@pytest.mark.parametrize("length", [1, 2, 7, 367])
def test_every_epoch_visits_every_sample_once(length: int) -> None:
    for epoch in range(3):
        order = sample_order(length, seed=5, epoch=epoch)
        assert sorted(order.tolist()) == list(range(length))


def test_order_depends_on_seed_and_epoch_only() -> None:
    order = sample_order(100, seed=1, epoch=2)
    assert np.array_equal(order, sample_order(100, seed=1, epoch=2))
    assert not np.array_equal(order, sample_order(100, seed=2, epoch=2))
    assert not np.array_equal(order, sample_order(100, seed=1, epoch=3))


def test_order_stays_as_it_was_in_earlier_releases() -> None:
    # A run that resumes after an update must go on with the same samples.
    assert sample_order(8, seed=0, epoch=0).tolist() == [7, 0, 1, 6, 5, 2, 3, 4]
    assert seed_for(0, 1, 2) == 7948772188680933785


def test_order_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        sample_order(4, seed=0, epoch=0)[0] = 1


def test_position_walks_through_the_epochs() -> None:
    walk = [sample_at(position, 5, seed=3) for position in range(12)]
    expected = [(e, i) for e in range(3) for i in sample_order(5, seed=3, epoch=e).tolist()]
    assert walk == expected[:12]


@pytest.mark.parametrize("start", [0, 1, 4, 5, 6, 17])
def test_a_stream_that_resumes_goes_on_where_it_stood(start: int) -> None:
    whole = list(EndlessOrder(5, seed=9, start=0, stop=23))
    assert list(EndlessOrder(5, seed=9, start=start, stop=23)) == whole[start:]


def test_a_stream_can_be_read_twice_and_knows_its_length() -> None:
    stream = EndlessOrder(3, seed=0, start=2, stop=9)
    assert len(stream) == len(list(stream)) == 7
    assert list(stream) == list(stream)


def test_a_stream_is_lazy() -> None:
    assert next(iter(EndlessOrder(10, seed=0, start=10**12, stop=10**15)))[0] == 10**11


def test_seeds_differ_for_all_samples_epochs_and_steps() -> None:
    seeds = {seed_for(s, e, i) for s in range(4) for e in range(10) for i in range(100)}
    seeds |= {seed_for_step(s, step) for s in range(4) for step in range(1000)}
    assert len(seeds) == 8000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_sample_has_the_same_seed_every_time() -> None:
    assert seed_for(1, 2, 3) == seed_for(1, 2, 3)
    assert seed_for_step(1, 2) == seed_for_step(1, 2)


@pytest.mark.parametrize(("length", "start", "stop"), [(0, 0, 1), (3, -1, 2), (3, 2, 1)])
def test_impossible_streams_are_refused(length: int, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=r"at least 1, got 0|0 <= start <= stop"):
        EndlessOrder(length, seed=0, start=start, stop=stop)


def test_an_empty_data_set_has_no_order() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        sample_order(0, seed=0, epoch=0)
