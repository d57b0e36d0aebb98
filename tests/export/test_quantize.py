import sys

import numpy as np
import pytest

from atrous.errors import MissingExtraError, UsageError
from atrous.export.graphs import build
from atrous.export.quantize import quantized

pytest.importorskip("openvino")
pytest.importorskip("nncf")


def test_convolutions_become_8_bit_but_for_the_ends(model, tmp_path):
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (65, 65, 3), dtype=np.uint8) for _ in range(2)]
    graph = build(model, to="openvino", outputs="logits", precision="int8")
    made = quantized(graph, images)
    assert made.rates() == graph.rates()
    assert made.size == (65, 65)
    run = made.start(made.files({}, folder=tmp_path))
    assert run(images[0][None]).shape == run(images[1][None]).shape == (1, 3, 65, 65)
    assert run(np.zeros((2, 33, 41, 3), dtype=np.uint8)).shape == (2, 3, 33, 41)
    kept = {
        node.get_friendly_name().partition("/")[0]
        for node in made.graph.get_ordered_ops()
        if "Convolution" in node.get_type_name() and _weight_type(node) != "i8"
    }
    assert {"classifier", "pyramid.image.0", "backbone.network.conv1.0"} <= kept
    assert "pyramid.atrous.0.0" not in kept


def _weight_type(convolution):
    """Return the type that a convolution's weights are stored in."""
    node = convolution.input_value(1).get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node.get_element_type().get_type_name()


def test_torch_has_no_int8(model):
    with pytest.raises(UsageError, match="int8 is there for onnx and openvino"):
        quantized(build(model, to="torch", outputs="logits", precision="fp32"), [])


def test_without_nncf_it_says_how_to_get_it(model, monkeypatch):
    graph = build(model, to="openvino", outputs="logits", precision="int8")
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match="nncf is not installed"):
        quantized(graph, [])
