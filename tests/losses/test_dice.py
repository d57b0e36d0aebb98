import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atrous.losses import dice_loss

IGNORE = 255


def by_definition(scores, labels):
    losses = []
    for k in range(scores.shape[1]):
        overlap = size = 0.0
        for row, label in zip(scores, labels, strict=True):
            p = np.exp(row - row.max())
            p = p[k] / p.sum()
            overlap += p * (label == k)
            size += p + (label == k)
        if (labels == k).any():
            losses.append(1 - 2 * overlap / size)
    return sum(losses) / len(losses) if losses else 0.0


@given(
    classes=st.integers(1, 5),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    seed=st.integers(0, 9999),
)
def test_it_is_the_definition(classes, grid, size, seed, upsampled_by_hand):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (2, classes, *grid))
    target = random.choice([*range(classes), IGNORE], (2, *size))
    expected = by_definition(*upsampled_by_hand(logits, target))
    ours = dice_loss(torch.from_numpy(logits), torch.from_numpy(target))
    assert ours.item() == pytest.approx(expected, rel=1e-6, abs=1e-10)


def test_one_is_all_wrong():
    target = torch.tensor([[[0, 0, 1, 1]]])
    logits = 1e4 * torch.nn.functional.one_hot(1 - target, 2).movedim(-1, 1)
    assert dice_loss(logits, target) == 1


def test_a_class_that_does_not_occur_is_left_out():
    target = torch.tensor([[[0, 0, 1, 1]]])
    two = torch.randn(1, 2, 1, 4)
    three = torch.cat([two, torch.full((1, 1, 1, 4), -1e4)], dim=1)
    assert dice_loss(three, target).item() == pytest.approx(dice_loss(two, target).item())
