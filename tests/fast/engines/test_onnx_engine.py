import pytest
import torch

from atrous.fast.engines.onnx_engine import OnnxEngine
from atrous.fast.engines.torch_engine import TorchEngine

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def test_its_logits_are_those_of_torch_at_every_size(make, images):
    model = make("lraspp", backbone="mobilenetv3_small_050")
    engine, torch_engine = OnnxEngine(model), TorchEngine(model, device=torch.device("cpu"))
    for pictures in (images, images[:1, :20, ::2]):
        logits, expected = engine(pictures), torch_engine(pictures)
        assert logits.shape == expected.shape
        assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (engine.name, engine.precision) == ("onnxruntime", "fp32")
