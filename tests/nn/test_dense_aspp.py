import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import DenseASPP

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


@pytest.mark.parametrize("rates", [(3, 6, 12, 18, 24), (1,), (2, 5)])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (26, 9)])
def test_every_layer_reads_the_input_and_all_before(rates, size):
    pyramid = DenseASPP(16, 4, rates=rates)
    weights = randomize(pyramid)
    x = torch.randn(2, 16, *size, dtype=torch.double)
    maps = [x]
    for k, rate in enumerate(rates):
        # The order of the maps in memory is ours: the input first.
        reduced = block(weights, f"layers.{k}.0", torch.cat(maps, dim=1))
        maps.append(block(weights, f"layers.{k}.1", reduced, rate))
    expected = block(weights, "project", torch.cat(maps, dim=1))
    assert ((pyramid(x) - expected) / expected.abs().max()).abs().max() < 1e-10


def test_the_numbers_of_the_paper_are_the_defaults():
    # 512 channels come in: 1x1 to half of them, 3x3 to an eighth (section 3.3).
    pyramid = DenseASPP(512)
    assert pyramid.rates == (3, 6, 12, 18, 24)
    convs = [conv for conv in pyramid.layers.modules() if isinstance(conv, nn.Conv2d)]
    assert [(conv.in_channels, conv.out_channels) for conv in convs[::2]] == [
        (512 + 64 * k, 256) for k in range(5)
    ]
    assert {(conv.in_channels, conv.out_channels) for conv in convs[1::2]} == {(256, 64)}
    assert pyramid.out_channels == 256


def test_the_scales_multiply():
    # A stack of 3x3 kernels sees one cell and twice the sum of the rates (section 3.2).
    pyramid = DenseASPP(8, 4, rates=(1, 2, 3)).double().eval()
    x = torch.zeros(1, 8, 21, 21, dtype=torch.double, requires_grad=True)
    randomize(pyramid)
    pyramid(x)[0, :, 10, 10].sum().backward()
    seen = x.grad[0].abs().sum(dim=0) > 0
    assert seen.any(dim=0).sum() == 1 + 2 * (1 + 2 + 3)


def test_separable_layers_keep_their_reduction():
    pyramid = DenseASPP(16, 4, rates=(2,), separable=True)
    convs = [conv for conv in pyramid.layers.modules() if isinstance(conv, nn.Conv2d)]
    assert [(conv.kernel_size, conv.groups) for conv in convs] == [
        ((1, 1), 1),
        ((3, 3), 8),
        ((1, 1), 1),
    ]
