import itertools
import sys

import numpy as np
import pytest
import torch

from atrous.errors import MissingExtraError, UsageError
from atrous.export.graphs import build, rates_of
from atrous.export.quantize import EightBitEngine, quantized, spared_layers
from atrous.fast.engines.torch_engine import TorchEngine
from tests.fast.conftest import settle

pytest.importorskip("openvino")
pytest.importorskip("nncf")


def test_convolutions_become_8_bit_but_for_those_spared(model, images, tmp_path):
    graph = build(model, to="openvino", outputs="logits", precision="int8")
    others = [images[0], images[1][:50, ::2]]  # a folder has photographs of many sizes
    spared = next(spared_layers(model, graph, others))
    assert {"classifier", "pyramid.image.0", "backbone.network.conv1.0"} <= set(spared)
    made = quantized(graph, others, spared=(*spared, "pyramid.atrous.1.0"))
    assert made.rates() == graph.rates() == rates_of(model)
    assert made.layers() == graph.layers()
    assert made.size == (65, 65)
    run = made.start(made.files({}, folder=tmp_path))
    assert run(images[0][None]).shape == run(images[1][None]).shape == (1, 3, 65, 65)
    assert run(np.zeros((2, 33, 41, 3), dtype=np.uint8)).shape == (2, 3, 33, 41)
    kept = {
        node.get_friendly_name().partition("/")[0]
        for node in made.graph.get_ordered_ops()
        if "Convolution" in node.get_type_name() and _weight_type(node) != "i8"
    }
    pooling = "backbone.network.layer4.0.downsample.0"  # a convolution without weights to train
    assert kept - {pooling} == {*spared, "pyramid.atrous.1.0"}


def test_an_engine_in_8_bits_gives_logits_near_those_of_the_network(model, images):
    engine = EightBitEngine(settle(model), images)
    assert (engine.name, engine.precision) == ("openvino", "int8")
    pictures = torch.from_numpy(images[0])[None]
    expected = TorchEngine(model, device=torch.device("cpu"))(pictures)
    assert engine(pictures).shape == expected.shape
    assert (engine(pictures) - expected).square().mean() < 0.1 * expected.var()


def test_ever_more_layers_are_spared_the_most_harmed_first(model, images, harm):
    harm(settle(model))
    graph = build(model, to="onnx", outputs="logits", precision="int8")
    always, *more = spared_layers(model, graph, images)
    assert [len(names) - len(always) for names in more] == [2, 4, 8, 16]
    assert more[0][len(always)] == "backbone.network.layer4.0.conv2"
    for fewer, names in itertools.pairwise([always, *more]):
        assert names[: len(fewer)] == fewer


def _weight_type(convolution):
    """Return the type that a convolution's weights are stored in."""
    node = convolution.input_value(1).get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node.get_element_type().get_type_name()


def test_torch_has_no_int8(model):
    with pytest.raises(UsageError, match="int8 is there for onnx and openvino"):
        quantized(build(model, to="torch", outputs="logits", precision="fp32"), [], spared=())


def test_without_nncf_it_says_how_to_get_it(model, monkeypatch):
    graph = build(model, to="openvino", outputs="logits", precision="int8")
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingExtraError, match="nncf is not installed"):
        quantized(graph, [], spared=())
