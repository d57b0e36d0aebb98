"""From a picture to its label map: the engines of atrous beside what a network's owner would do.

One picture of uint8 RGB in memory, its label map out, the same weights everywhere, two threads. The
peers are the library's own network with normalisation, upsampling and argmax: eager; exported to
ONNX Runtime in float32; exported to OpenVINO in bfloat16; and, with `--compile`, compiled by torch.
Ratios are to the eager peer.

`python -m benchmarks.engines [--compile] [NETWORK ...]` measures all networks, or those named.
"""

import io
import os
import sys
import warnings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # other work on the machine weighs less then

from collections.abc import Callable
from functools import partial

import numpy as np
import onnxruntime
import openvino
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torchvision.models import segmentation

from atrous.fast.engines import open_engine
from atrous.models import Preprocessing, SegmentationModel
from atrous.predict import label_image as painting
from atrous.weights import convert, load_model
from benchmarks.interleaved import compare, publish

ENGINES = (("optimized", "fp32"), ("optimized", "bf16"), ("openvino", "fp32"), ("openvino", "bf16"))
ROUNDS = 9
THREADS = 2


class Labels(nn.Module):
    """A peer's network as its owner would export it: (B, H, W, 3) uint8 to (B, H, W) uint8."""

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(preprocessing.mean).view(-1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(preprocessing.std).view(-1, 1, 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the class of each pixel."""
        logits = self.network((pictures.permute(0, 3, 1, 2).float() - self.mean) / self.std)
        logits = logits["out"] if isinstance(logits, dict) else logits
        return logits.argmax(dim=1).to(torch.uint8)


def _torchvision(name: str) -> nn.Module:
    return getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=21)


def _smp() -> nn.Module:
    return smp.DeepLabV3Plus("resnet50", encoder_weights=None, classes=21)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int]]] = {
    "torchvision mobilenet": (lambda: _torchvision("deeplabv3_mobilenet_v3_large"), (513, 513)),
    "torchvision resnet50": (lambda: _torchvision("deeplabv3_resnet50"), (513, 513)),
    "smp deeplabv3plus resnet50": (_smp, (512, 512)),  # it takes multiples of 16 only
    "camvid-lite0": (lambda: load_model("camvid-lite0"), (360, 480)),
}


def _settled(network: nn.Module) -> nn.Module:
    """Give new norms statistics, so that nothing is trivial."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.running_mean.any():
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def _peers(peer: nn.Module, picture: Tensor) -> dict[str, Callable[[], object]]:
    array = picture.numpy()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = THREADS, 3
    program = torch.onnx.export(peer, (picture,), dynamo=True, verbose=False)
    content = io.BytesIO()
    program.save(content)
    session = onnxruntime.InferenceSession(content.getvalue(), options)
    feed = {session.get_inputs()[0].name: array}
    graph = openvino.convert_model(peer, example_input=picture)
    graph.reshape(list(picture.shape))
    settings = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": THREADS}
    settings["PERFORMANCE_HINT"] = "LATENCY"
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    ways: dict[str, Callable[[], object]] = {
        "peer, eager": lambda: peer(picture),
        "peer, ONNX Runtime fp32": lambda: session.run(None, feed),
        "peer, OpenVINO bf16": lambda: request.infer([array]),
    }
    if "--compile" in sys.argv:
        compiled = torch.compile(peer, options={"freezing": True})
        ways["peer, torch.compile fp32"] = lambda: compiled(picture)
    return ways


def _ours(model: SegmentationModel, picture: np.ndarray) -> dict[str, Callable[[], object]]:
    device, ways = torch.device("cpu"), {}
    for name, precision in ENGINES:
        engine = open_engine(name, model, device=device, precision=precision)
        ways[f"atrous, {name} {precision}"] = partial(painting.label_image, engine, picture)
    return ways


@torch.no_grad()
def main() -> None:
    """Time the ways in turn, network by network, and publish the table."""
    warnings.simplefilter("ignore")  # of the exporters, on their ways
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    painting._brought = painting._ENOUGH  # as in the midst of a folder
    chosen = [name for name in sys.argv[1:] if name in NETWORKS] or list(NETWORKS)
    table = {}
    for name in chosen:
        build, size = NETWORKS[name]
        network = _settled(build())
        model = network if isinstance(network, SegmentationModel) else convert(network)[0]
        picture = torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8)
        ways = _peers(Labels(network, model.preprocessing).eval(), picture)
        ways |= _ours(model, picture[0].numpy())
        for way in ways.values():
            for _ in range(3):  # past what the first pictures of a process cost
                way()
        rows = compare(ways, rounds=ROUNDS)
        table |= {f"{name}: {way}": row for way, row in rows.items()}
    publish("engines", "one picture to its label map, ratios to the eager peer", table)


if __name__ == "__main__":
    main()
