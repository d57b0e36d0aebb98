import pytest
import torch
from torch import nn
from torch.nn import functional as F

from atrous.nn.grid_trace import is_grid_layer, trace_grid


class Pooling(nn.Module):
    """Pools in a function of its own, then takes the mean of the map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.gate = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.avg_pool2d(self.conv(x), 3, stride=2, padding=1)
        return x * self.gate(x.mean((2, 3), keepdim=True))


def test_strides_are_those_that_each_layer_reads_at():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 7, stride=2, padding=3),
        nn.MaxPool2d(3, stride=2),  # loses cells at the border
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 4, 1, stride=4),
        nn.Conv2d(4, 4, 1),
    )
    trace = trace_grid(network)
    assert trace.layers == {"0": 1, "1": 2, "3": 4, "4": 4, "5": 8, "6": 32}
    assert trace.functions == trace.whole_map == []


def test_functions_and_whole_maps_are_named_with_their_stride():
    trace = trace_grid(nn.Sequential(Pooling()))
    assert [(visit.name, visit.what) for visit in trace.functions] == [("0", "avg_pool2d")]
    assert trace.functions[0].input_stride == 2
    assert trace.functions[0].output_stride == 4
    assert [(visit.name, visit.what) for visit in trace.whole_map] == [("0", "mean")]
    assert set(trace.layers) == {"0.conv"}  # the gate reads a single cell


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (nn.GroupNorm(2, 4), "native_group_norm"),
        (nn.AdaptiveAvgPool2d(1), "mean"),
        (nn.Upsample(scale_factor=2), "upsample_nearest2d"),
    ],
)
def test_layers_that_cannot_follow_are_seen(layer, what):
    trace = trace_grid(nn.Sequential(nn.Conv2d(3, 4, 1, stride=8), layer))
    assert [visit.what for visit in (*trace.functions, *trace.whole_map)] == [what]


def test_a_pass_changes_nothing():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace_grid(network)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(not module._forward_hooks for module in network.modules())
    assert all(not module._forward_pre_hooks for module in network.modules())


def test_a_layer_at_two_strides_is_refused_and_leaves_no_hooks():
    conv = nn.Conv2d(3, 3, 3, stride=2, padding=1)
    with pytest.raises(ValueError, match="layer 0 is used at two strides"):
        trace_grid(nn.Sequential(conv, conv))
    assert not conv._forward_hooks


def test_grid_layers_are_convolutions_and_poolings():
    assert is_grid_layer(nn.Conv2d(1, 1, 1))
    assert is_grid_layer(nn.MaxPool2d(2))
    assert is_grid_layer(nn.AvgPool2d(2))
    assert not is_grid_layer(nn.ConvTranspose2d(1, 1, 2))
    assert not is_grid_layer(nn.AdaptiveAvgPool2d(1))
