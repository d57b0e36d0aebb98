import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atrous.losses import focal_loss, upsampled_cross_entropy

IGNORE = 255


def by_definition(scores, labels, weight, gamma):
    total = mass = 0.0
    for row, label in zip(scores, labels, strict=True):
        p = np.exp(row - row.max())
        p = p[label] / p.sum()
        share = 1.0 if weight is None else weight[label]
        total -= share * (1 - p) ** gamma * math.log(p)
        mass += share
    return total / mass if mass else 0.0


@given(
    classes=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    weighted=st.booleans(),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
    seed=st.integers(0, 9999),
)
def test_it_is_the_definition(classes, grid, size, weighted, gamma, seed, upsampled_by_hand):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (2, classes, *grid))
    target = random.choice([*range(classes), IGNORE], (2, *size))
    weight = random.uniform(0.1, 3, classes) if weighted else None
    weights = None if weight is None else torch.from_numpy(weight)
    expected = by_definition(*upsampled_by_hand(logits, target), weight, gamma)
    ours = focal_loss(torch.from_numpy(logits), torch.from_numpy(target), weights, gamma=gamma)
    assert ours.item() == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_without_gamma_it_is_the_cross_entropy():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 8, 8))
    weight = torch.tensor([0.2, 1.0, 3.0])
    ours = focal_loss(logits, target, weight, gamma=0)
    assert ours.item() == pytest.approx(upsampled_cross_entropy(logits, target, weight).item())


def test_an_easy_pixel_is_left_behind_as_in_the_paper():
    # Section 3.2: with gamma 2, an example of p = 0.9 weighs 100 times less than by cross-entropy.
    logits = torch.tensor([0.9, 0.1], dtype=torch.float64).log().view(1, 2, 1, 1)
    target = torch.zeros(1, 1, 1, dtype=torch.uint8)
    ratio = upsampled_cross_entropy(logits, target) / focal_loss(logits, target)
    assert ratio.item() == pytest.approx(100)
