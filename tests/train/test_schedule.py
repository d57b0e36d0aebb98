from itertools import pairwise

import pytest

from atrous.train.schedule import cosine, lr_factor, poly, staircase


def test_poly_is_the_papers():
    # arXiv:1606.00915, section 4.1: (1 - iter / max_iter) ** 0.9
    assert [poly(step / 4) for step in range(5)] == [(1 - step / 4) ** 0.9 for step in range(5)]


def test_cosine_falls_from_one_to_zero():
    assert [round(cosine(step / 4), 6) for step in range(5)] == [1, 0.853553, 0.5, 0.146447, 0]


def test_the_staircase_is_the_papers():
    # arXiv:1606.00915, section 4.1.1: times 0.1 at every 2000 iterations
    steps = (0, 1999, 2000, 3999, 4000, 5999)
    assert [staircase(step) for step in steps] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_the_stairs_begin_behind_the_warm_up_and_know_no_end():
    options = {"schedule": "step", "step_size": 3, "gamma": 0.5, "warmup_steps": 2}
    for total_steps in (9, 90):
        factors = [lr_factor(step, total_steps, **options) for step in range(9)]
        assert factors == [0.5, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_the_warm_up_is_linear_and_then_the_rate_falls(schedule):
    factors = [lr_factor(step, 20, schedule=schedule, warmup_steps=5) for step in range(20)]
    assert factors[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert factors[5] == 1.0
    assert all(before > after > 0 for before, after in pairwise(factors[5:]))


def test_a_warm_up_longer_than_the_training_is_no_error():
    assert [lr_factor(step, 2, warmup_steps=10) for step in range(2)] == [0.1, 0.2]
