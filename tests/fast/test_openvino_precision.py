import pytest
import torch

from atrous.fast.engines.openvino_engine import OpenVINOEngine
from atrous.fast.engines.torch_engine import TorchEngine
from atrous.fast.openvino_core import openvino_core
from atrous.fast.openvino_precision import early_layers, with_float32

openvino = pytest.importorskip("openvino")

IMAGES = torch.randint(0, 256, (1, 65, 97, 3), dtype=torch.uint8)


def layers(backbone, make):
    graph = OpenVINOEngine(make("deeplabv3", backbone=backbone, channels=16))._graph(IMAGES)
    graph.reshape(list(IMAGES.shape))
    return graph, early_layers(graph)


def test_the_first_layers_of_depthwise_networks_are_early(make):
    graph, names = layers("mobilenetv3_small_050", make)
    early = {name.split("/")[0].removeprefix("__module.model.") for name in names}
    assert {"backbone.network.conv_stem", "backbone.network.blocks.0.0.conv_dw"} <= early
    assert not any(name.startswith(("backbone.network.blocks.3", "pyramid")) for name in early)
    assert not layers("test_resnet", make)[1]
    settings = {"INFERENCE_PRECISION_HINT": "bf16"}
    compiled = openvino_core().compile_model(with_float32(graph, names), "CPU", settings)
    if compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16:
        precision = {
            node.get_friendly_name(): node.get_rt_info()["runtimePrecision"].astype(str)
            for node in compiled.get_runtime_model().get_ops()
        }
        assert {precision[name] for name in precision.keys() & names} == {"f32"}
        assert "bf16" in {precision[name] for name in precision if "pyramid.point" in name}


def test_with_some_layers_in_float32_the_logits_are_close(make):
    model = make("deeplabv3", backbone="mobilenetv3_small_050", channels=16)
    logits = OpenVINOEngine(model, precision="bf16")(IMAGES)
    expected = TorchEngine(model, device=torch.device("cpu"))(IMAGES)
    assert (logits - expected).abs().max() < 0.1 * expected.abs().max()
