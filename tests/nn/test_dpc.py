import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import DPC

pytestmark = pytest.mark.filterwarnings("ignore::atrous.nn.pyramid.DeadTapsWarning")


def block(weights: dict[str, Tensor], name: str, x: Tensor, rate=(1, 1)) -> Tensor:
    """Convolution, batch norm and ReLU from the weights, without a module."""
    weight = weights[f"{name}.0.weight"]
    padding = tuple(along * (weight.shape[-1] // 2) for along in rate)
    x = F.conv2d(x, weight, padding=padding, dilation=rate)
    mean, variance, scale, shift = (
        weights[f"{name}.1.{part}"].view(-1, 1, 1)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)


def randomize(pyramid: nn.Module) -> dict[str, Tensor]:
    """Make every number of a pyramid another than that of its beginning."""
    torch.manual_seed(0)
    for tensor in pyramid.double().eval().state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5).mul_(1 if tensor.ndim == 1 else 0.3)
    return pyramid.state_dict()


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (26, 30)])
def test_it_is_the_cell_of_the_paper(size):
    pyramid = DPC(5, 4)
    weights = randomize(pyramid)
    x = torch.randn(2, 5, *size, dtype=torch.double)
    first = block(weights, "branches.0", x, (1, 6))
    second = block(weights, "branches.1", first, (18, 15))
    third = block(weights, "branches.2", second, (6, 3))
    fourth = block(weights, "branches.3", first, (1, 1))
    fifth = block(weights, "branches.4", first, (6, 21))
    joined = torch.cat([first, second, third, fourth, fifth], dim=1)
    expected = block(weights, "project", joined)
    assert ((pyramid(x) - expected) / expected.abs().max()).abs().max() < 1e-10


def test_the_rates_of_the_paper_are_the_defaults():
    pyramid = DPC(512)
    assert pyramid.rates == ((1, 6), (18, 15), (6, 3), (1, 1), (6, 21))
    assert pyramid.out_channels == 256


def test_a_separable_cell_is_depthwise_at_its_rates():
    pyramid = DPC(5, 4, separable=True)
    depthwise = [
        conv
        for conv in pyramid.branches.modules()
        if isinstance(conv, nn.Conv2d) and conv.groups > 1
    ]
    assert tuple(conv.dilation for conv in depthwise) == pyramid.rates


@pytest.mark.parametrize("number", [1, 4, 6])
def test_it_has_five_branches(number):
    with pytest.raises(ValueError, match=f"five branches, got rates for {number}"):
        DPC(5, 4, rates=[(1, 2)] * number)
