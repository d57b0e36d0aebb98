import pytest
import torch

from atrous.errors import MissingExtraError, UsageError
from atrous.fast.engines import ENGINES, available, open_engine
from atrous.fast.engines.engine import check_engine

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["torch", "optimized"])
def test_an_engine_gives_the_network_s_logits(make, images, name):
    model = make("deeplabv3plus")
    engine = open_engine(name, model, device=CPU)
    assert (engine.name, engine.precision) == (name, "fp32")
    with torch.no_grad():
        expected = model.coarse_logits(model.preprocessing(images.permute(0, 3, 1, 2)))
    logits = engine(images)
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()


def test_what_is_not_installed_is_not_available(monkeypatch):
    monkeypatch.setattr("atrous.fast.engines.engine.find_spec", lambda name: None)
    assert available(CPU) == ("torch", "optimized", "compiled")
    assert available(CPU, "bf16") == ("optimized", "compiled")
    with pytest.raises(MissingExtraError, match=r"pip install 'atrous\[onnx\]'"):
        check_engine("onnxruntime", device=CPU, precision="fp32")


def test_the_processor_s_engines_are_not_those_of_other_devices():
    assert "openvino" not in available(torch.device("cuda"))
    with pytest.raises(UsageError, match="'openvino' computes on the CPU, not on cuda"):
        check_engine("openvino", device=torch.device("cuda"), precision="fp32")


@pytest.mark.parametrize(
    ("name", "precision", "message"),
    [
        ("opnvino", "fp32", "'opnvino' is unknown; perhaps openvino; use auto, torch, optimized"),
        ("tpu", "fp32", "'tpu' is unknown; use auto, torch"),
        ("torch", "bf16", "does not compute in 'bf16'; use engine optimized, compiled, openvino"),
        ("openvino", "fp8", "does not compute in 'fp8'; use fp32 or bf16"),
    ],
)
def test_what_does_not_go_together_is_refused(name, precision, message):
    with pytest.raises(UsageError, match=message):
        check_engine(name, device=CPU, precision=precision)


def test_every_engine_computes_in_float32():
    assert all("fp32" in precisions for precisions, _ in ENGINES.values())
