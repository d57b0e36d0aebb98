import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers import Conv2dSame
from torch import nn
from torch.nn import functional as F

from atrous.nn import consistency_error, set_multi_grid, set_output_stride


def settings(network: nn.Module) -> list[tuple]:
    layers = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    return [
        (type(module), module.stride, module.padding, getattr(module, "dilation", 1))
        for module in network.modules()
        if isinstance(module, layers)
    ]


class Residual(nn.Module):
    """A block with the stride in its first layer, as a stage begins with one."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.shortcut = nn.Conv2d(4, 4, 1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.shortcut(x) + self.conv2(self.conv1(x).relu()))


def residual_network() -> nn.Sequential:
    torch.manual_seed(0)
    stages = [nn.Sequential(Residual(2), Residual(1), Residual(1)) for _ in range(3)]
    return nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), *stages)


def test_rates_are_those_of_the_strides_given_up():
    network = residual_network()
    rates = {}
    for stride in (32, 16, 8, 4):
        assert set_output_stride(network, stride) == ()
        rates[stride] = [
            [(block.conv1.dilation[0], block.conv2.dilation[0]) for block in stage]
            for stage in list(network)[1:]
        ]
    # The first layer of a stage keeps the rate before it.
    assert rates[32] == [[(1, 1)] * 3] * 3
    assert rates[16] == [[(1, 1)] * 3, [(1, 1)] * 3, [(1, 2), (2, 2), (2, 2)]]
    assert rates[8] == [[(1, 1)] * 3, [(1, 2), (2, 2), (2, 2)], [(2, 4), (4, 4), (4, 4)]]
    assert rates[4] == [
        [(1, 2), (2, 2), (2, 2)],
        [(2, 4), (4, 4), (4, 4)],
        [(4, 8), (8, 8), (8, 8)],
    ]


def test_the_first_block_can_take_the_later_rate():
    network = residual_network()
    set_output_stride(network, 16, dilate_first_block=True)
    first = network[3][0]
    assert (first.conv1.dilation, first.conv1.padding, first.conv1.stride) == (
        (2, 2),
        (2, 2),
        (1, 1),
    )


def test_modules_can_keep_their_own_rates():
    network = residual_network()
    set_output_stride(network, 8, undilated=("2.1", "3"))
    rates = [[block.conv2.dilation[0] for block in stage] for stage in list(network)[1:]]
    assert rates == [[1, 1, 1], [2, 1, 2], [1, 1, 1]]
    assert network[3][1].conv1.padding == (1, 1)
    assert network[3][0].conv1.stride == (1, 1)
    set_output_stride(network, 8)
    assert network[3][2].conv2.dilation == (4, 4)


def test_a_layer_padded_as_in_tensorflow_can_pad_evenly():
    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), Conv2dSame(4, 4, 3, stride=2))
    images = torch.randn(1, 3, 64, 64)
    set_output_stride(network, 8, even_padding=True)
    conv = network[1]
    expected = F.conv2d(network[0](images), conv.weight, conv.bias, padding=1)
    assert torch.equal(network(images), expected)


def test_means_that_lose_their_stride_can_be_left_out():
    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.AvgPool2d(2), nn.AvgPool2d(2))
    images = torch.randn(1, 3, 64, 64)
    set_output_stride(network, 16, dense_means=False)
    expected = F.avg_pool2d(network[0](images), 2)
    assert torch.equal(network(images), expected)
    set_output_stride(network, 32)
    assert torch.equal(network(images), F.avg_pool2d(expected, 2))


@pytest.mark.parametrize("units", [(1, 2, 4), (1, 2, 1), (2, 2, 2)])
def test_multi_grid_multiplies_the_rate_of_the_stage(units):
    network = residual_network()
    set_multi_grid(network, ["3.0", "3.1", "3.2"], units)
    for stride, stage_rate in ((16, 2), (8, 4), (4, 8)):
        set_output_stride(network, stride)
        assert [block.conv1.dilation[0] for block in network[3]] == [stage_rate * u for u in units]
    assert consistency_error(network, 4, reference=16) < 1e-5


def test_multi_grid_is_not_multiplied_twice():
    network = residual_network()
    for _ in range(2):
        set_multi_grid(network, ["3.0", "3.1", "3.2"], (1, 2, 4))
    set_output_stride(network, 16)
    assert [block.conv2.dilation[0] for block in network[3]] == [2, 4, 8]


@pytest.mark.parametrize("units", [(1, 2), (1, 0.5, 1), (0.5, 1, 2)])
def test_units_that_do_not_fit_are_refused(units):
    with pytest.raises(ValueError, match="multi_grid"):
        set_multi_grid(residual_network(), ["3.0", "3.1", "3.2"], units)


def test_a_block_with_one_spatial_layer_may_have_half_a_unit():
    network = residual_network()
    for block in network[3]:
        block.conv2 = nn.Conv2d(4, 4, 1)
    set_multi_grid(network, ["3.0", "3.1", "3.2"], (0.5, 1, 2))
    set_output_stride(network, 16)
    assert [block.conv1.dilation[0] for block in network[3]] == [1, 2, 4]


def test_it_goes_back_and_forth_without_a_trace():
    network = residual_network()
    before, image = settings(network), torch.randn(1, 3, 64, 64)
    expected = network(image)
    for stride in (8, 4, 16, 32):
        set_output_stride(network, stride)
    assert settings(network) == before
    assert torch.equal(network(image), expected)


def test_copies_are_independent():
    network = residual_network()
    set_output_stride(network, 8)
    other, image = copy.deepcopy(network), torch.randn(1, 3, 64, 64)
    assert torch.equal(other(image), network(image))
    set_output_stride(other, 32)
    assert other(image).shape[-1] == 2
    assert network(image).shape[-1] == 8


@given(
    kernel=st.integers(1, 4),
    later=st.sampled_from([1, 3, 5]),
    pooling=st.sampled_from(["conv", "max", "mean", "mean-inside"]),
    stride=st.sampled_from([4, 8, 16]),
    size=st.sampled_from([(64, 64), (96, 32)]),
)
def test_any_kernel_and_pooling_is_consistent(kernel, later, pooling, stride, size):
    torch.manual_seed(0)
    padding = (kernel - 1) // 2
    down = {
        "conv": nn.Conv2d(4, 4, kernel, stride=2, padding=padding),
        "max": nn.MaxPool2d(kernel, stride=2, padding=padding),
        "mean": nn.AvgPool2d(kernel, stride=2, padding=padding),
        "mean-inside": nn.AvgPool2d(kernel, stride=2, padding=padding, count_include_pad=False),
    }
    network = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4))
    for _ in range(3):
        network += nn.Sequential(
            copy.deepcopy(down[pooling]), nn.Conv2d(4, 4, later, padding="same"), nn.Tanh()
        )
    assert consistency_error(network, stride, size=size) < 1e-5


def test_what_cannot_follow_is_refused_and_left_as_it_was():
    class Pools(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.avg_pool2d(x, 3, stride=1, padding=1)

    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.MaxPool2d(2), Pools())
    before = settings(network)
    with pytest.raises(ValueError, match="2 calls avg_pool2d at stride 16 by itself"):
        set_output_stride(network, 8)
    assert settings(network) == before
    set_output_stride(network, 16)


def test_maps_that_no_longer_fit_together_are_refused_and_left_as_they_were():
    class Joins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 32, stride=32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x) + x[:, :1, ::32, ::32]

    network = nn.Sequential(Joins())
    before = settings(network)
    with pytest.raises(ValueError, match="at output_stride 16: its maps no longer fit together"):
        set_output_stride(network, 16)
    assert settings(network) == before


@pytest.mark.parametrize("stride", [0, 2, 12, 64])
def test_other_strides_are_refused(stride):
    with pytest.raises(ValueError, match=f"output_stride must be 4, 8, 16 or 32, got {stride}"):
        set_output_stride(residual_network(), stride)


def test_layers_that_mix_the_map_are_named_where_its_density_changes():
    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.MaxPool2d(2), nn.GroupNorm(2, 4))
    assert set_output_stride(network, 16) == ()
    assert set_output_stride(network, 8) == ("2",)
