from itertools import pairwise

import pytest

from atrous.train.schedule import cosine, lr_factor, poly


def test_poly_is_the_papers():
    # arXiv:1606.00915, section 4.1: (1 - iter / max_iter) ** 0.9
    assert [poly(step / 4) for step in range(5)] == [(1 - step / 4) ** 0.9 for step in range(5)]


def test_cosine_falls_from_one_to_zero():
    assert [round(cosine(step / 4), 6) for step in range(5)] == [1, 0.853553, 0.5, 0.146447, 0]


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_the_warm_up_is_linear_and_then_the_rate_falls(schedule):
    factors = [lr_factor(step, 20, schedule=schedule, warmup_steps=5) for step in range(20)]
    assert factors[:5] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert factors[5] == 1.0
    assert all(before > after > 0 for before, after in pairwise(factors[5:]))


def test_a_warm_up_longer_than_the_training_is_no_error():
    assert [lr_factor(step, 2, warmup_steps=10) for step in range(2)] == [0.1, 0.2]
