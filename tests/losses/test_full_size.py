"""What holds for every loss, as all of them begin alike."""

from functools import partial

import pytest
import torch
from torch import Tensor

from atrous.losses import dice_loss, focal_loss, lovasz_softmax, upsampled_cross_entropy
from atrous.losses.full_size import at_full_size, label_mass

IGNORE = 255
WEIGHT = torch.tensor([0.5, 1.0, 2.0])
LOSSES = {
    "cross-entropy": upsampled_cross_entropy,
    "smoothed": partial(upsampled_cross_entropy, label_smoothing=0.1, weight=WEIGHT),
    "hardest": partial(upsampled_cross_entropy, hardest=0.3),
    "focal": focal_loss,
    "weighted focal": partial(focal_loss, weight=WEIGHT, gamma=0.5),
    "dice": dice_loss,
    "lovasz": lovasz_softmax,
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


@pytest.fixture(autouse=True)
def _nothing_is_small(monkeypatch):
    monkeypatch.setattr("atrous.losses.cross_entropy._SMALL", 0)


def _batch(*size: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    target = torch.randint(0, 3, (2, 7, 5))
    target[0, :3] = IGNORE
    return torch.randn(2, 3, *size, dtype=dtype), target


@each_loss
@pytest.mark.parametrize("size", [(4, 4), (8, 8)])  # coarse, and at the target's size
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_nothing_to_count_is_exactly_zero_and_teaches_nothing(loss, size, dtype):
    logits = (1e4 * torch.randn(2, 3, *size)).requires_grad_()
    value = loss(logits, torch.full((2, 8, 8), IGNORE, dtype=dtype))
    value.backward()
    assert value.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@each_loss
def test_extreme_logits_stay_finite(loss):
    logits, target = _batch(4, 3)
    logits = (1e4 * logits.sign()).requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@each_loss
def test_a_sure_and_right_network_has_nothing_to_learn(loss):
    target = _batch(7, 5)[1]
    truth = torch.nn.functional.one_hot(target.clamp(max=2), 3).movedim(-1, 1)
    logits = (1e4 * truth).float().requires_grad_()
    value = loss(logits, target)
    value.backward()
    assert logits.grad.isfinite().all()
    if loss is not LOSSES["smoothed"]:
        assert value.item() == 0
        assert torch.equal(logits.grad, torch.zeros_like(logits))


@each_loss
def test_ignored_pixels_change_nothing(loss):
    logits, target = _batch(7, 5)
    changed = logits.clone()
    changed[0, :, :3] = 1e4
    assert loss(changed, target) == loss(logits, target)
    changed.requires_grad_()
    loss(changed, target).backward()
    assert not changed.grad[0, :, :3].any()
    assert changed.grad[0, :, 3:].any()


@each_loss
def test_the_order_of_the_images_is_nothing(loss):
    logits, target = _batch(3, 4)
    assert loss(logits, target).item() == pytest.approx(loss(logits.flip(0), target.flip(0)).item())


@each_loss
def test_labels_may_be_bytes(loss):
    logits, target = _batch(3, 4)
    assert loss(logits, target.to(torch.uint8)) == loss(logits, target)


@each_loss
def test_it_is_summed_in_single_precision_under_autocast_too(loss):
    logits, target = _batch(3, 4)
    outside = loss(logits.bfloat16(), target)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss(logits.bfloat16(), target)
    assert inside.dtype == outside.dtype == torch.float32
    assert inside == outside == loss(logits.bfloat16().float(), target)


@each_loss
@pytest.mark.parametrize(
    ("label", "ignore", "named"), [(3, 255, r"\[3\]"), (-1, 255, r"\[-1\]"), (255, 0, r"\[255\]")]
)
def test_labels_that_are_no_class_are_refused(loss, label, ignore, named):
    target = torch.tensor([[[1, label], [ignore, 1]]])
    with pytest.raises(ValueError, match=rf"outside 0\.\.2 and ignore_index {ignore}: {named}"):
        loss(torch.zeros(1, 3, 2, 2), target, ignore_index=ignore)


@each_loss
def test_a_class_may_be_ignored(loss):
    logits, target = _batch(3, 4)
    minus = loss(logits, target.where(target != 1, -1).where(target != IGNORE, -1), ignore_index=-1)
    first = loss(logits, target.where(target != IGNORE, 1), ignore_index=1)
    assert minus == first


@each_loss
@pytest.mark.parametrize("size", [(3, 2), (7, 5)])
def test_gradients_are_those_of_finite_differences(loss, size):
    logits, target = _batch(*size, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), (logits.requires_grad_(),))


def test_logits_at_the_targets_size_are_left_as_they_are():
    logits, target = _batch(7, 5)
    assert at_full_size(logits, target) is logits
    assert at_full_size(logits.half(), target).dtype == torch.float32


def test_the_mass_counts_pixels_or_their_weights():
    target = torch.tensor([[[0, 2, 2, IGNORE]]], dtype=torch.uint8)
    assert label_mass(target) == 3
    assert label_mass(target, WEIGHT) == 4.5
    assert label_mass(target[..., 3:], WEIGHT) == 0
