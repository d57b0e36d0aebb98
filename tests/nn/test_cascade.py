import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn import Cascade

pytestmark = pytest.mark.filterwarnings("ignore::atrous.nn.pyramid.DeadTapsWarning")


def block(weights: dict[str, Tensor], name: str, x: Tensor, rate=1, relu=True) -> Tensor:
    """Convolution, batch norm and ReLU from the weights, without a module."""
    weight = weights[f"{name}.0.weight"]
    x = F.conv2d(x, weight, padding=rate * (weight.shape[-1] // 2), dilation=rate)
    mean, variance, scale, shift = (
        weights[f"{name}.1.{part}"].view(-1, 1, 1)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    x = (x - mean) / (variance + 1e-5).sqrt() * scale + shift
    return x.clamp(min=0) if relu else x


def randomize(pyramid: nn.Module) -> dict[str, Tensor]:
    """Make every number of a pyramid another than that of its beginning."""
    torch.manual_seed(0)
    for tensor in pyramid.double().eval().state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5).mul_(1 if tensor.ndim == 1 else 0.3)
    return pyramid.state_dict()


@pytest.mark.parametrize(
    ("rates", "multi_grid"), [((4, 8, 16), (1, 2, 1)), ((2,), (1,)), ((1, 3), (1, 2, 4, 1))]
)
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (20, 9)])
def test_it_is_residual_units_one_behind_the_other(rates, multi_grid, size):
    pyramid = Cascade(8, rates=rates, multi_grid=multi_grid)
    weights = randomize(pyramid)
    x = torch.randn(2, 8, *size, dtype=torch.double)
    y = x
    for b, rate in enumerate(rates):
        for u, unit in enumerate(multi_grid):
            name = f"blocks.{b}.{u}"
            narrow = block(
                weights, f"{name}.atrous", block(weights, f"{name}.reduce", y), rate * unit
            )
            y = (y + block(weights, f"{name}.expand", narrow, relu=False)).clamp(min=0)
    assert ((pyramid(x) - y) / y.abs().max()).abs().max() < 1e-10


def test_the_numbers_of_the_paper_are_the_defaults():
    # Blocks 5 to 7 of figure 3, at output stride 16, with multi-grid (1, 2, 1) of table 3.
    pyramid = Cascade(512)
    assert pyramid.rates == (4, 8, 16)
    assert pyramid.out_channels == 512
    wide = [
        conv.dilation[0]
        for conv in pyramid.modules()
        if isinstance(conv, nn.Conv2d) and conv.kernel_size == (3, 3)
    ]
    assert wide == [4, 8, 4, 8, 16, 8, 16, 32, 16]


def test_new_rates_keep_the_multi_grid():
    pyramid = Cascade(8, rates=(1, 2), multi_grid=(1, 2))
    pyramid.rates = (3, 5)
    units = [unit for block in pyramid.blocks for unit in block]
    assert [unit.atrous.rate for unit in units] == [3, 6, 5, 10]


@pytest.mark.parametrize("multi_grid", [(), (0,), (1, -1)])
def test_without_units_there_is_no_block(multi_grid):
    with pytest.raises(ValueError, match="multi_grid needs one or more whole numbers from 1 up"):
        Cascade(8, multi_grid=multi_grid)
