import warnings

import numpy as np
import pytest
import torch
from torch import nn

from atrous.fast.engines.parts_apart import with_parts_apart
from atrous.fast.openvino_core import openvino_core

openvino = pytest.importorskip("openvino")


class _Decoder(nn.Module):
    def __init__(self, *after, channels=(5, 3), axis=1):
        super().__init__()
        self.sources = nn.ModuleList(nn.Conv2d(4, count, 1) for count in channels)
        self.after = nn.Sequential(*after)
        self.axis = axis

    def forward(self, x):
        return self.after(torch.cat([source(x) for source in self.sources], self.axis))


def _depthwise(channels=8, **keywords):
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, **keywords)


def _checked(network):
    """Return the kinds of nodes in a network's graph, whose result is that of the network."""
    x = torch.randn(2, 4, 7, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer
        graph = openvino.convert_model(network.eval(), example_input=x)
    graph.reshape(list(x.shape))
    with_parts_apart(graph)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    result = openvino_core().compile_model(graph, "CPU", settings)([x.numpy()])[0]
    np.testing.assert_allclose(result, network(x).detach().numpy(), atol=1e-5, rtol=1e-5)
    return [node.get_type_name() for node in graph.get_ops()]


@pytest.mark.parametrize("channels", [(5, 3), (1, 2, 5)])
@pytest.mark.parametrize(
    "between",
    [
        pytest.param([], id="the convolution of smp's decoder"),
        pytest.param([nn.ReLU()], id="one with a norm between, folded"),
    ],
)
def test_a_joined_map_is_read_part_by_part(channels, between):
    network = _Decoder(_depthwise(), *between, nn.Conv2d(8, 6, 1), channels=channels)
    kinds = _checked(network)
    assert "Concat" not in kinds
    assert kinds.count("GroupConvolution") == len(channels)
    assert kinds.count("Convolution") == 2 * len(channels)  # sources and shares


def test_strides_and_rates_stay():
    wide = nn.Conv2d(8, 8, 3, stride=2, padding=2, dilation=2, groups=8, bias=False)
    assert "Concat" not in _checked(_Decoder(wide, nn.Conv2d(8, 6, 1, stride=(1, 2))))


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([nn.Conv2d(8, 6, 1)], id="a pyramid's, without depthwise"),
        pytest.param([_depthwise(), nn.Conv2d(8, 6, 3)], id="no 1x1"),
        pytest.param([_depthwise(), nn.Softmax(1), nn.Conv2d(8, 6, 1)], id="channels mix"),
        pytest.param([nn.Conv2d(8, 8, 3, groups=4), nn.Conv2d(8, 6, 1)], id="groups mix"),
        pytest.param([_depthwise()], id="the depthwise result goes out"),
    ],
)
def test_other_readers_get_the_joined_map(after):
    assert "Concat" in _checked(_Decoder(*after))


def test_maps_joined_along_another_axis_are_left():
    network = _Decoder(_depthwise(5), nn.Conv2d(5, 6, 1), channels=(5, 5), axis=2)
    assert "Concat" in _checked(network)


def test_a_joined_map_with_a_second_reader_is_left():
    class Twice(_Decoder):
        def forward(self, x):
            joined = torch.cat([source(x) for source in self.sources], 1)
            return self.after(joined) + joined.mean(1, keepdim=True)

    assert "Concat" in _checked(Twice(_depthwise(), nn.Conv2d(8, 6, 1)))
