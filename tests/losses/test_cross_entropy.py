import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from atrous.losses import upsampled_cross_entropy

IGNORE = 255


def by_definition(
    logits: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """The weighted mean of -log softmax at the true class, on logits (B, K, h, w) in float64."""
    total = mass = 0.0
    for image, labels in zip(logits, target, strict=True):
        rows = between_cells(image.shape[1], labels.shape[0])
        columns = between_cells(image.shape[2], labels.shape[1])
        for row, label_row in zip(rows, labels.tolist(), strict=True):
            for column, label in zip(columns, label_row, strict=True):
                if label != IGNORE:
                    scores = np.einsum("khw,h,w->k", image, row, column)
                    share = 1.0 if weight is None else weight[label]
                    peak = scores.max()
                    total += share * (peak + math.log(np.exp(scores - peak).sum()) - scores[label])
                    mass += share
    return total / mass if mass else 0.0


def between_cells(cells: int, pixels: int) -> np.ndarray:
    """How much of each cell each pixel takes: (pixels, cells), bilinear, corners not aligned."""
    shares = np.zeros((pixels, cells))
    for pixel in range(pixels):
        place = max((pixel + 0.5) * cells / pixels - 0.5, 0)
        low = min(int(place), cells - 1)
        shares[pixel, low] += 1 - (place - low)
        shares[pixel, min(low + 1, cells - 1)] += place - low
    return shares


small = st.integers(1, 4)


@given(
    batch=st.integers(1, 2),
    classes=st.integers(1, 5),
    grid=st.tuples(small, small),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    weighted=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_it_is_the_definition(batch, classes, grid, size, weighted, seed):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 4, (batch, classes, *grid))
    target = random.choice([*range(classes), IGNORE], (batch, *size))
    weight = random.uniform(0.1, 3, classes) if weighted else None
    expected = by_definition(logits, target, weight)
    weights = None if weight is None else torch.from_numpy(weight)
    exact = upsampled_cross_entropy(torch.from_numpy(logits), torch.from_numpy(target), weights)
    assert exact.dtype == torch.float64
    assert exact.item() == pytest.approx(expected, rel=1e-6, abs=1e-10)
    single = upsampled_cross_entropy(
        torch.from_numpy(logits).float(), torch.from_numpy(target), weights
    )
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 0.5, 2.0])])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_nothing_to_count_is_exactly_zero_and_teaches_nothing(weight, dtype):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = upsampled_cross_entropy(logits, torch.full((2, 8, 8), IGNORE, dtype=dtype), weight)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_ignored_pixels_change_nothing():
    torch.manual_seed(0)
    logits, target = torch.randn(1, 3, 6, 6), torch.randint(0, 3, (1, 6, 6))
    target[:, 3:] = IGNORE
    changed = logits.clone()
    changed[:, :, 3:] = 1e4
    assert upsampled_cross_entropy(changed, target) == upsampled_cross_entropy(logits, target)
    top = upsampled_cross_entropy(logits[:, :, :3], target[:, :3])
    assert upsampled_cross_entropy(logits, target).item() == pytest.approx(top.item())


def test_class_weights_are_those_of_torchs_weighted_mean():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 4, 9, 9), torch.randint(0, 4, (2, 9, 9))
    target[0, :2] = IGNORE
    weight = torch.tensor([0.2, 1.0, 3.0, 0.0])
    theirs = F.cross_entropy(logits, target, weight=weight, ignore_index=IGNORE)
    ours = upsampled_cross_entropy(logits, target, weight)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


def test_a_class_without_weight_alone_is_zero_where_torch_has_no_number():
    logits, target = torch.randn(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long)
    weight = torch.tensor([0.0, 1.0])
    assert F.cross_entropy(logits, target, weight=weight).isnan()
    assert upsampled_cross_entropy(logits, target, weight).item() == 0


def test_labels_may_be_bytes_and_stay_as_they_are():
    logits, target = torch.randn(1, 3, 2, 2), torch.tensor([[[0, 1], [2, 255]]])
    labels = target.to(torch.uint8)
    assert upsampled_cross_entropy(logits, labels) == upsampled_cross_entropy(logits, target)
    assert labels.dtype == torch.uint8


@pytest.mark.parametrize(
    ("label", "ignore", "named"), [(3, 255, r"\[3\]"), (-1, 255, r"\[-1\]"), (255, 0, r"\[255\]")]
)
def test_labels_that_are_no_class_are_refused(label, ignore, named):
    target = torch.tensor([[[1, label], [ignore, 1]]])
    with pytest.raises(ValueError, match=rf"outside 0\.\.2 and ignore_index {ignore}: {named}"):
        upsampled_cross_entropy(torch.zeros(1, 3, 2, 2), target, ignore_index=ignore)


def test_another_label_may_be_ignored():
    logits = torch.randn(1, 3, 2, 2)
    minus = upsampled_cross_entropy(logits, torch.tensor([[[1, -1], [-1, 2]]]), ignore_index=-1)
    assert minus == upsampled_cross_entropy(logits, torch.tensor([[[1, 255], [255, 2]]]))


def test_half_precision_is_summed_in_single():
    logits = torch.randn(1, 3, 8, 8).bfloat16()
    target = torch.randint(0, 3, (1, 64, 64))
    loss = upsampled_cross_entropy(logits, target)
    assert loss.dtype == torch.float32
    assert loss == upsampled_cross_entropy(logits.float(), target)


@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_those_of_finite_differences(seed):
    torch.manual_seed(seed)
    logits, step = torch.randn(2, 1, 3, 3, 2, dtype=torch.double)
    target = torch.randint(0, 3, (1, 5, 7))
    target[0, 0] = IGNORE
    weight = torch.tensor([0.5, 1.0, 2.0], dtype=torch.double)

    def loss(x: Tensor) -> Tensor:
        return upsampled_cross_entropy(x, target, weight)

    loss(logits.requires_grad_()).backward()
    slope = (loss(logits + 1e-6 * step) - loss(logits - 1e-6 * step)) / 2e-6
    assert slope.item() == pytest.approx((logits.grad * step).sum().item(), rel=1e-6, abs=1e-8)
