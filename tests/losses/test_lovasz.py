import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from atrous.losses import lovasz_softmax
from atrous.metrics import ConfusionMatrix

IGNORE = 255


def by_definition(scores, labels):
    """The Lovász extension of 1 - IoU by its sum over growing sets of wrong pixels."""
    losses = []
    for k in sorted(set(labels.tolist())):
        errors = []
        for row, label in zip(scores, labels, strict=True):
            p = np.exp(row - row.max())
            errors.append(abs((label == k) - p[k] / p.sum()))
        loss, wrong, before = 0.0, set(), 0.0
        for pixel in np.argsort(errors)[::-1].tolist():
            wrong.add(pixel)
            now = one_minus_iou(labels == k, wrong)
            loss += errors[pixel] * (now - before)
            before = now
        losses.append(loss)
    return sum(losses) / len(losses) if losses else 0.0


def one_minus_iou(truth, wrong):
    said = [t != (pixel in wrong) for pixel, t in enumerate(truth)]
    both = sum(s and t for s, t in zip(said, truth, strict=True))
    either = sum(s or t for s, t in zip(said, truth, strict=True))
    return 1 - both / either


@given(
    classes=st.integers(1, 4),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 9999),
)
def test_it_is_the_definition(classes, grid, size, seed, upsampled_by_hand):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (2, classes, *grid))
    target = random.choice([*range(classes), IGNORE], (2, *size))
    expected = by_definition(*upsampled_by_hand(logits, target))
    ours = lovasz_softmax(torch.from_numpy(logits), torch.from_numpy(target))
    assert ours.item() == pytest.approx(expected, rel=1e-6, abs=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_of_a_network_that_is_sure_it_is_one_minus_the_mean_iou(seed):
    torch.manual_seed(seed)
    target, said = torch.randint(0, 4, (2, 2, 6, 6))
    target[0, 0] = IGNORE
    matrix = ConfusionMatrix(4)
    matrix.update(said, target)
    logits = 1e4 * torch.nn.functional.one_hot(said, 4).movedim(-1, 1)
    assert lovasz_softmax(logits, target).item() == pytest.approx(1 - matrix.compute().mean_iou)


def test_single_precision_holds_over_a_million_pixels():
    torch.manual_seed(0)
    logits, target = torch.randn(1, 2, 8, 8), torch.randint(0, 2, (1, 1000, 1000))
    slopes = []
    for dtype in (torch.float32, torch.float64):
        x = logits.to(dtype, copy=True).requires_grad_()
        lovasz_softmax(x, target).backward()
        slopes.append(x.grad)
    assert torch.allclose(slopes[0].double(), slopes[1], rtol=1e-3, atol=1e-7)
