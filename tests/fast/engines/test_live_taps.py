import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from atrous.fast.engines.live_taps import with_live_taps
from atrous.fast.openvino_core import openvino_core

openvino = pytest.importorskip("openvino")
opset = pytest.importorskip("openvino.opset13")

sides = st.integers(1, 25)


def _graph(network, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer
        graph = openvino.convert_model(network.eval(), example_input=x)
    graph.reshape(list(x.shape))
    return graph


def _result(graph, x):
    return openvino_core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]


def _kinds(graph):
    return [node.get_type_name() for node in graph.get_ops()]


def _kernels(graph):
    nodes = (node for node in graph.get_ordered_ops() if node.get_type_name() == "Convolution")
    return [tuple(node.input_value(1).get_shape()[2:]) for node in nodes]


@settings(max_examples=25, deadline=None)
@given(
    height=sides,
    width=sides,
    rate=st.tuples(st.integers(8, 14), st.integers(1, 14)),
    kernel=st.sampled_from([(3, 3), (5, 3), (1, 3)]),
)
def test_live_taps_are_the_convolution(height, width, rate, kernel):
    padding = tuple(r * (k // 2) for r, k in zip(rate, kernel, strict=True))
    conv = nn.Conv2d(3, 4, kernel, padding=padding, dilation=rate)
    x = torch.randn(2, 3, height, width)
    graph = with_live_taps(_graph(conv, x))
    assert set(_kernels(graph)) == {(1, 1)}
    np.testing.assert_allclose(
        _result(graph, x.numpy()), conv(x).detach().numpy(), atol=1e-5, rtol=1e-5
    )


def test_taps_on_padding_are_not_there():
    conv = nn.Conv2d(3, 4, 3, padding=12, dilation=12)
    # Rows are as far apart as the map is high: only the middle ones are left, of three columns.
    graph = with_live_taps(_graph(conv, torch.zeros(1, 3, 12, 13)))
    assert _kinds(graph).count("Convolution") == 3


def test_only_what_is_wide_is_replaced():
    def conv(rate, **keywords):
        return nn.Conv2d(4, 4, 3, padding=rate, dilation=rate, **keywords)

    convs = [conv(8), conv(7), conv(9, stride=2), nn.Conv2d(4, 4, 3, dilation=8)]
    graph = with_live_taps(_graph(nn.Sequential(*convs), torch.zeros(1, 4, 40, 40)))
    assert _kernels(graph) == 9 * [(1, 1)] + 3 * [(3, 3)]
    grouped = with_live_taps(_graph(conv(9, groups=2), torch.zeros(1, 4, 40, 40)))
    assert "GroupConvolution" in _kinds(grouped)


def test_wide_ones_are_left_where_that_is_asked_for():
    conv = nn.Conv2d(3, 4, 3, padding=12, dilation=12)
    x = torch.zeros(1, 3, 15, 16)
    assert _kernels(with_live_taps(_graph(conv, x), wide=False)) == [(3, 3)]
    depthwise = nn.Conv2d(3, 3, 3, padding=20, dilation=20, groups=3)
    assert "GroupConvolution" not in _kinds(with_live_taps(_graph(depthwise, x), wide=False))


@settings(max_examples=20, deadline=None)
@given(height=sides, width=sides, rate=st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_depthwise_kernels_of_which_only_the_centre_counts_are_factors(height, width, rate):
    conv = nn.Conv2d(6, 6, 3, padding=rate, dilation=rate, groups=6)
    x = torch.randn(2, 6, height, width)
    graph = with_live_taps(_graph(conv, x))
    is_factor = rate[0] >= height and rate[1] >= width
    assert ("GroupConvolution" in _kinds(graph)) is not is_factor
    np.testing.assert_allclose(
        _result(graph, x.numpy()), conv(x).detach().numpy(), atol=1e-5, rtol=1e-5
    )


def test_grouped_kernels_that_mix_channels_are_left():
    conv = nn.Conv2d(6, 6, 3, padding=9, dilation=9, groups=3)
    graph = with_live_taps(_graph(conv, torch.zeros(1, 6, 5, 5)))
    assert "GroupConvolution" in _kinds(graph)


def test_weights_of_8_bits_stay_so():
    rng = np.random.default_rng(0)
    x = opset.parameter([1, 3, 10, 11], openvino.Type.f32, name="x")
    stored = opset.constant(rng.integers(-127, 128, (4, 3, 3, 3), dtype=np.int8))
    shift = opset.constant(rng.integers(-3, 4, (4, 1, 1, 1)).astype(np.float32))
    scale = opset.constant(rng.random((4, 1, 1, 1), dtype=np.float32) / 127)
    weights = opset.multiply(opset.subtract(opset.convert(stored, "f32"), shift), scale)
    padding = [9, 8]
    conv = opset.convolution(x, weights, [1, 1], padding, padding, padding)
    graph = openvino.Model([conv], [x], "eight")
    pictures = rng.random((1, 3, 10, 11), dtype=np.float32)
    expected = _result(graph.clone(), pictures)
    with_live_taps(graph)
    np.testing.assert_allclose(_result(graph, pictures), expected, atol=1e-5, rtol=1e-5)
    kept = [
        node
        for node in graph.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.i8
    ]
    assert [tuple(node.get_output_shape(0)) for node in kept] == 9 * [(4, 3, 1, 1)]


def test_weights_that_are_computed_are_left():
    x = opset.parameter([1, 3, 10, 11], openvino.Type.f32, name="x")
    weights = opset.parameter([4, 3, 3, 3], openvino.Type.f32, name="weights")
    conv = opset.convolution(x, weights, [1, 1], [9, 9], [9, 9], [9, 9])
    graph = with_live_taps(openvino.Model([conv], [x, weights], "computed"))
    assert _kernels(graph) == [(3, 3)]
