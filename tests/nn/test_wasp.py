import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import ASPP, WASP

pytestmark = pytest.mark.filterwarnings("ignore::atrous.nn.pyramid.DeadTapsWarning")


def block(weights: dict[str, Tensor], name: str, x: Tensor, rate=1) -> Tensor:
    """Convolution, batch norm and ReLU from the weights, without a module."""
    weight = weights[f"{name}.0.weight"]
    x = F.conv2d(x, weight, padding=rate * (weight.shape[-1] // 2), dilation=rate)
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


@pytest.mark.parametrize("rates", [(6, 12, 18, 24), (1,), (2, 5)])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (26, 9)])
def test_every_step_reads_the_one_before(rates, size):
    pyramid = WASP(5, 4, rates=rates)
    weights = randomize(pyramid)
    x = torch.randn(2, 5, *size, dtype=torch.double)
    pooled = block(weights, "image", F.adaptive_avg_pool2d(x, 1))
    branches = [F.interpolate(pooled, size=size, mode="bilinear", align_corners=False)]
    step = x
    for k, rate in enumerate(rates):
        step = block(weights, f"steps.{k}", step, rate)
        branches.append(block(weights, f"points.{k}", step))
    expected = block(weights, "project", torch.cat(branches, dim=1))
    assert ((pyramid(x) - expected) / expected.abs().max()).abs().max() < 1e-10


def test_the_rates_of_the_paper_are_the_defaults():
    pyramid = WASP(64)
    assert pyramid.rates == (6, 12, 18, 24)
    convs = [conv for conv in pyramid.steps.modules() if isinstance(conv, nn.Conv2d)]
    assert [conv.in_channels for conv in convs] == [64, 256, 256, 256]
    assert pyramid.out_channels == 256


def test_it_has_fewer_weights_than_aspp():
    with torch.device("meta"):
        wasp, aspp = WASP(2048), ASPP(2048, rates=(6, 12, 18, 24))
    assert counted(wasp) < 0.5 * counted(aspp)


def counted(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())
