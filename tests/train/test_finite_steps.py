import pytest
import torch
from torch import nn

from atrous.data import ShapesDataset
from atrous.data.order import EndlessOrder
from atrous.train.finite_steps import FiniteSteps, explain_divergence, images_at


def _learn(model, image):
    model.zero_grad()
    loss = model(image).square().mean()
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_leaves_no_trace_in_the_norms(bad):
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    steps = FiniteSteps(model)
    steps.begin()
    assert steps.accept(_learn(model, torch.randn(2, 1, 3, 3)))
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for number in (1, 2):
        steps.begin()
        assert not steps.accept(_learn(model, torch.full((2, 1, 3, 3), bad)))
        assert steps.in_a_row == number
        assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items())
    steps.begin()
    assert steps.accept(_learn(model, torch.randn(2, 1, 3, 3)))
    assert steps.in_a_row == 0
    assert not torch.equal(before["1.running_mean"], model[1].running_mean)


def test_a_gradient_alone_is_enough_and_so_is_a_loss():
    model = nn.Linear(2, 1)
    steps = FiniteSteps(model)
    loss = _learn(model, torch.randn(3, 2))
    steps.begin()
    assert not steps.accept(torch.tensor(float("nan")))
    model.weight.grad[0, 1] = float("-inf")
    assert not steps.accept(loss)


def test_a_network_that_learns_nothing_is_finite():
    model = nn.Linear(2, 1).requires_grad_(requires_grad=False)
    assert FiniteSteps(model).accept(torch.tensor(1.0))


def test_the_images_of_a_step_are_named_in_the_order_they_were_drawn():
    dataset = ShapesDataset("train", length=5, size=(16, 16))
    drawn = [index for _, index in EndlessOrder(5, seed=3, start=4, stop=7)]
    expected = ", ".join(f"train-{index:06d}" for index in drawn)
    assert images_at(dataset, range(4, 7), seed=3) == expected
    assert images_at(dataset, range(40), seed=3).endswith(", ...")


def test_the_error_says_what_was_not_finite():
    assert str(explain_divergence(torch.tensor(float("nan")), 7, "a, b")).startswith(
        "the loss became nan at step 7, the third in a row, on a, b;"
    )
    assert str(explain_divergence(torch.tensor(1.0), 7, "a")).startswith("a gradient is infinite")
