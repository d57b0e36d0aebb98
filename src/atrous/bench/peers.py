"""The ways of a peer: a library's own network with the same weights, as its owner would run it.

Normalisation, upsampling and argmax are part of it: eager; compiled by torch; and exported plainly
to ONNX Runtime in float32 and to OpenVINO in bfloat16, with the argmax in the graph.

Axes: B pictures, H rows, W columns; K classes.
"""

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn

from atrous.bench.networks import import_smp
from atrous.bench.ways import Opened, Way
from atrous.errors import DataError, MissingExtraError
from atrous.fast.onnx_graph import to_onnx
from atrous.models import SegmentationModel
from atrous.weights.peer_networks import library_network
from atrous.weights.peers.names import NO_HINTS
from atrous.weights.to_peer import to_peer


class Peer(nn.Module):
    """A library's network with what its owner puts around it.

    Args:
        network: It takes (B, 3, H, W) and returns logits (B, K, H, W), or a mapping with `out`.
        mean: Of the channels, as fractions of 255.
        std: Their standard deviations.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, *, mean: Iterable[float], std: Iterable[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(tuple(mean)).view(-1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(tuple(std)).view(-1, 1, 1))

    def logits(self, pictures: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for pictures (B, H, W, 3) uint8."""
        logits = self.network((pictures.permute(0, 3, 1, 2).float() - self.mean) / self.std)
        return logits["out"] if isinstance(logits, dict) else logits

    def forward(self, pictures: Tensor) -> Tensor:
        """Return label maps (B, H, W) uint8 for pictures (B, H, W, 3) uint8."""
        return self.logits(pictures).argmax(dim=1).to(torch.uint8)


def peer_of(model: SegmentationModel, library: str) -> Peer:
    """Return a library's own network with the weights of `model`.

    Raises:
        UsageError: The library is not installed.
        DataError: It has no network that computes what this one does.
    """
    if library == "smp":
        import_smp()
    made = model.blueprint
    network = library_network(library, made, NO_HINTS)
    if network is None:
        raise DataError(f"{library} has no {made.architecture} on {made.backbone}")
    network.load_state_dict(to_peer(model, library))
    preprocessing = model.preprocessing
    return Peer(network, mean=preprocessing.mean, std=preprocessing.std).eval()


def peer_ways(library: str, engines: Iterable[str], precisions: Iterable[str]) -> list[Way]:
    """Return the eager peer, which all is compared with, and what the engines make of torchvision.

    Example:
        >>> [way.name for way in peer_ways("torchvision", ["torch", "openvino"], ["fp32", "bf16"])]
        ['torchvision eager fp32', 'torchvision OpenVINO bf16']
    """
    eager = [Way(f"{library} eager fp32", "fp32", partial(_opened, library, _eager))]
    if library != "torchvision":
        return eager
    precisions, engines = tuple(precisions), tuple(engines)
    return eager + [
        Way(f"{library} {title} {precision}", precision, partial(_opened, library, make))
        for engine, (title, precision, make) in _EXPORTED.items()
        if engine in engines and precision in precisions
    ]


def _opened(
    library: str, make: Callable[..., Opened], model: SegmentationModel, pictures: np.ndarray
) -> Opened:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporters, on their ways
        return make(peer_of(model, library), torch.from_numpy(pictures))


def _eager(peer: Peer, _pictures: Tensor) -> Opened:
    return Opened(
        lambda pictures: peer(torch.from_numpy(pictures)),
        lambda pictures: peer.logits(torch.from_numpy(pictures)),
    )


def _compiled(peer: Peer, _pictures: Tensor) -> Opened:
    program = torch.compile(peer, options={"freezing": True})
    return Opened(lambda pictures: program(torch.from_numpy(pictures)), None)


def _onnxruntime(peer: Peer, pictures: Tensor) -> Opened:
    _require("onnxruntime", extra="onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    graph = to_onnx(torch.export.export(peer, (pictures,)), outputs="labels")
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)

    def labels(pictures: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(session.run(None, {"images": pictures})[0]))

    return Opened(labels, None)


def _openvino(peer: Peer, pictures: Tensor) -> Opened:
    _require("openvino", extra="openvino")
    import openvino

    graph = openvino.convert_model(peer, example_input=pictures)
    graph.reshape(list(pictures.shape))
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    return Opened(lambda pictures: torch.from_numpy(request.infer([pictures])[0]), None)


def _require(package: str, *, extra: str) -> None:
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)


_EXPORTED = {
    "compiled": ("torch.compile", "fp32", _compiled),
    "onnxruntime": ("ONNX Runtime", "fp32", _onnxruntime),
    "openvino": ("OpenVINO", "bf16", _openvino),
}
