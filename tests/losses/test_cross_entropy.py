import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from atrous.losses import upsampled_cross_entropy
from atrous.losses.cross_entropy import plain_upsampled_cross_entropy
from atrous.losses.full_size import label_mass

IGNORE = 255


@pytest.fixture(autouse=True, params=["blocks", "plain"])
def _both_ways(monkeypatch, request):
    monkeypatch.setattr(
        "atrous.losses.cross_entropy._SMALL", 0 if request.param == "blocks" else math.inf
    )


def by_definition(
    scores: np.ndarray,
    labels: np.ndarray,
    weight: np.ndarray | None = None,
    smoothing: float = 0.0,
    hardest: float = 1.0,
) -> float:
    """The weighted mean of -log softmax at the true class, of scores (N, K) in float64."""
    losses = []
    for row, label in zip(scores, labels, strict=True):
        weights = np.ones(len(row)) if weight is None else weight
        peak = row.max()
        surprise = peak + math.log(np.exp(row - peak).sum()) - row
        spread = smoothing / len(row) * (weights * surprise).sum()
        losses.append(((1 - smoothing) * weights[label] * surprise[label] + spread, weights[label]))
    losses.sort(key=lambda pair: -pair[0])
    chosen = losses[: math.ceil(hardest * len(losses))]
    return sum(loss for loss, _ in chosen) / sum(share for _, share in chosen) if chosen else 0.0


small = st.integers(1, 4)


@given(
    batch=st.integers(1, 2),
    classes=st.integers(1, 5),
    grid=st.tuples(small, small),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    hardest=st.sampled_from([1.0, 0.999, 0.5, 0.2, 0.01]),
    seed=st.integers(0, 9999),
)
def test_it_is_the_definition(
    batch, classes, grid, size, weighted, smoothing, hardest, seed, upsampled_by_hand
):
    # Pixels of equal loss and unequal weight: any of them may be the hardest.
    assume(not (weighted and smoothing == 1 and hardest < 1))
    random = np.random.default_rng(seed)
    logits = random.normal(0, 4, (batch, classes, *grid))
    target = random.choice([*range(classes), IGNORE], (batch, *size))
    weight = random.uniform(0.1, 3, classes) if weighted else None
    expected = by_definition(*upsampled_by_hand(logits, target), weight, smoothing, hardest)
    weights = None if weight is None else torch.from_numpy(weight)

    def ours(dtype: torch.dtype) -> Tensor:
        return upsampled_cross_entropy(
            torch.from_numpy(logits).to(dtype),
            torch.from_numpy(target),
            weights,
            label_smoothing=smoothing,
            hardest=hardest,
        )

    exact, single = ours(torch.float64), ours(torch.float32)
    assert (exact.dtype, single.dtype) == (torch.float64, torch.float32)
    assert exact.item() == pytest.approx(expected, rel=1e-6, abs=1e-10)
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


def test_the_hardest_half_is_the_mean_over_it():
    # Surprises 0.1 to 0.9 in steps of 0.1, by giving each pixel's class its probability.
    surprise = torch.arange(1, 10) / 10
    logits = torch.stack([-surprise, (1 - (-surprise).exp()).log()]).view(1, 2, 3, 3)
    target = torch.zeros(1, 3, 3, dtype=torch.uint8)
    half = upsampled_cross_entropy(logits, target, hardest=0.5)
    assert half.item() == pytest.approx((0.9 + 0.8 + 0.7 + 0.6 + 0.5) / 5)
    target[0, 2] = IGNORE
    third = upsampled_cross_entropy(logits, target, hardest=1 / 3)  # of the six that count
    assert third.item() == pytest.approx((0.6 + 0.5) / 2)


def test_only_the_hardest_pixels_teach():
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 4, 5, requires_grad=True)
    target = torch.randint(0, 3, (1, 4, 5))
    upsampled_cross_entropy(logits, target, hardest=0.25).backward()
    assert (logits.grad.abs().sum(dim=1) > 0).sum() == 5


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 2.0])])
def test_the_mean_of_a_batch_is_that_of_its_parts_by_their_mass(weight):
    torch.manual_seed(0)
    logits, target = torch.randn(3, 3, 4, 4), torch.randint(0, 3, (3, 9, 7))
    target[0, :6] = target[1, :2] = IGNORE
    whole = upsampled_cross_entropy(logits, target, weight, label_smoothing=0.2)
    parts = [
        upsampled_cross_entropy(logits[i, None], target[i, None], weight, label_smoothing=0.2)
        * label_mass(target[i, None], weight)
        / label_mass(target, weight)
        for i in range(3)
    ]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-6)


@pytest.fixture
def blocks_fail(monkeypatch):
    monkeypatch.setattr("atrous.losses.cross_entropy.summed_cross_entropy", None)
    monkeypatch.setattr("atrous.losses.cross_entropy._SMALL", 1000)


@pytest.mark.usefixtures("blocks_fail")
def test_small_problems_are_served_the_plain_way():
    logits, target = torch.randn(1, 4, 4, 4), torch.randint(0, 4, (1, 15, 15))
    expected = plain_upsampled_cross_entropy(logits, target)
    assert torch.equal(upsampled_cross_entropy(logits, target), expected)
    with pytest.raises(TypeError):
        upsampled_cross_entropy(logits, torch.zeros(1, 16, 16, dtype=torch.long))


@pytest.mark.usefixtures("blocks_fail")
@pytest.mark.parametrize("size", [(20, 20), (20, 19)])
def test_logits_as_large_as_the_target_go_the_plain_way(size):
    logits, target = torch.randn(1, 4, 20, 20), torch.randint(0, 4, (1, *size))
    expected = plain_upsampled_cross_entropy(logits, target)
    assert torch.equal(upsampled_cross_entropy(logits, target), expected)


@pytest.mark.usefixtures("blocks_fail")
@pytest.mark.parametrize(
    "state", ["torch.compiler.is_compiling", "torch._C._are_functorch_transforms_active"]
)
def test_compiled_and_transformed_functions_go_the_plain_way(monkeypatch, state):
    logits, target = torch.randn(1, 4, 4, 4), torch.randint(0, 4, (1, 20, 20))
    expected = plain_upsampled_cross_entropy(logits, target)
    monkeypatch.setattr(state, lambda: True)
    assert torch.equal(upsampled_cross_entropy(logits, target), expected)


def test_weights_that_would_learn_are_refused_not_left_untaught():
    logits, target = torch.randn(1, 3, 4, 4), torch.randint(0, 3, (1, 9, 9))
    with pytest.raises(RuntimeError, match="not differentiable with respect to argument 'weight'"):
        upsampled_cross_entropy(logits, target, torch.ones(3, requires_grad=True))


def test_another_batch_of_labels_is_refused():
    with pytest.raises(ValueError, match="each image was expected: 2, got 1"):
        upsampled_cross_entropy(torch.zeros(2, 3, 4, 4), torch.zeros(1, 9, 9, dtype=torch.long))
