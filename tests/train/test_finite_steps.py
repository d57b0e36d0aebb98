import pytest
import torch
from torch import nn

from atrous.data import ShapesDataset
from atrous.data.order import EndlessOrder
from atrous.errors import DivergedError
from atrous.recipe import TrainSection
from atrous.train.finite_steps import FiniteSteps, images_of_step


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
    drawn = [index for _, index in EndlessOrder(5, seed=3, start=4, stop=8)]
    expected = ", ".join(f"train-{index:06d}" for index in drawn)
    small = TrainSection(max_steps=9, batch_size=2, accumulate_steps=2, seed=3)
    assert images_of_step(dataset, 1, small) == expected
    large = TrainSection(max_steps=9, batch_size=40)
    assert images_of_step(dataset, 0, large).endswith(", ...")


def test_two_steps_left_out_are_told_and_the_third_ends_the_training():
    steps, nan = FiniteSteps(nn.Linear(2, 1)), torch.tensor(float("nan"))
    drawn = ShapesDataset("train", length=5, size=(16, 16)), TrainSection(max_steps=9, batch_size=2)
    told = []
    for step in (4, 5):
        assert not steps.accept(nan)
        told.append(steps.left_out(nan, step, *drawn))
    assert told == [
        "step 5 was left out: the loss became nan (1 in all)",
        "step 6 was left out: the loss became nan (2 in all)",
    ]
    assert not steps.accept(nan)
    expected = "the loss became nan at step 7, the third in a row, on train-00000[0-4], train-"
    with pytest.raises(DivergedError, match=expected):
        steps.left_out(nan, 6, *drawn)
    with pytest.raises(DivergedError, match="a gradient is infinite at step 7"):
        steps.left_out(torch.tensor(1.0), 6, *drawn)
