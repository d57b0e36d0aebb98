import sys

import pytest
import torch

from atrous.errors import MissingExtraError, UsageError
from atrous.export.proof import SHAPES
from atrous.fast.onnx_graph import onnx_graph

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
def test_it_computes_what_the_network_does_at_every_size(make):
    model = make("deeplabv3plus", channels=16)
    graph = onnx_graph(model)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for shape in SHAPES:
        images = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8)
        with torch.inference_mode():
            expected = model(model.preprocessing(images.permute(0, 3, 1, 2)))
        (logits,) = session.run(None, {"images": images.numpy()})
        assert abs(logits - expected.numpy()).max() < 1e-4 * expected.abs().max().item()


def test_its_words_are_those_of_the_network_and_tell_nothing_of_this_machine(make):
    graph = onnx_graph(make("deeplabv3"), outputs="labels", precision="fp16")
    assert [value.name for value in graph.graph.input] == ["images"]
    assert [value.name for value in graph.graph.output] == ["labels"]
    names = [node.name for node in graph.graph.node]
    assert "pyramid.image.0/Conv" in names
    assert "classifier/Conv" in names
    assert len(set(names)) == len(names)
    assert b"site-packages" not in graph.SerializeToString()
    assert b"stack_trace" not in graph.SerializeToString()
    kinds = {weight.data_type for weight in graph.graph.initializer if len(weight.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}


def test_bf16_is_refused(make):
    with pytest.raises(UsageError, match="precision 'bf16' is unknown; use fp32 or fp16"):
        onnx_graph(make("deeplabv3"), precision="bf16")


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_extra_it_says_how_to_get_it(make, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed: pip install"):
        onnx_graph(make("deeplabv3"))
