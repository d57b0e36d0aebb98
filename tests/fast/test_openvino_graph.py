import sys

import pytest
import torch

from atrous.errors import MissingExtraError, UsageError
from atrous.export.proof import SHAPES
from atrous.fast.openvino_core import openvino_core
from atrous.fast.openvino_graph import openvino_graph

openvino = pytest.importorskip("openvino")
pytest.importorskip("onnx")


@pytest.mark.filterwarnings("ignore:rate .* on a map of")
@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-4), ("bf16", 0.02)])
def test_it_computes_what_the_network_does_at_every_size(make, precision, limit):
    model = make("deeplabv3", channels=16)
    graph = openvino_graph(model, precision=precision)
    assert graph.input().partial_shape == openvino.PartialShape([-1, -1, -1, 3])
    for shape in SHAPES:
        fixed = graph.clone()
        fixed.reshape([*shape, 3])
        run = openvino_core().compile_model(fixed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        images = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8)
        with torch.inference_mode():
            expected = model(model.preprocessing(images.permute(0, 3, 1, 2)))
        logits = run([images.numpy()])[0]
        assert abs(logits - expected.numpy()).max() < limit * expected.abs().max().item()


def test_unknown_precisions_are_refused(make):
    with pytest.raises(UsageError, match="precision 'int8' is unknown; use fp32, bf16, fp16"):
        openvino_graph(make("deeplabv3"), precision="int8")


def test_without_the_extra_it_says_how_to_get_it(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"openvino is not installed: pip install"):
        openvino_graph(make("deeplabv3"))
