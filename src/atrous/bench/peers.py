"""The ways of a peer: a library's own network with the same weights, as its owner would run it.

Normalisation, upsampling and argmax are part of it: eager, and eager with the channels last;
compiled by torch with the weights as constants; and exported plainly to ONNX Runtime and OpenVINO,
with the argmax in the graph. Each is at its best for pictures of one size.

Axes: B pictures, H rows, W columns; K classes.
"""

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from atrous.bench.networks import import_smp
from atrous.bench.ways import Opened, Way
from atrous.errors import DataError, MissingExtraError
from atrous.fast.onnx_graph import to_onnx
from atrous.fast.openvino_core import openvino_core
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
        self.network, self.dtype, self.layout = network, torch.float32, torch.contiguous_format
        self.register_buffer("mean", 255 * torch.tensor(tuple(mean)).view(-1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(tuple(std)).view(-1, 1, 1))

    def with_channels_last(self, dtype: torch.dtype) -> "Peer":
        """Let the network, in place, compute in a type with the channels last in memory."""
        self.dtype, self.layout = dtype, torch.channels_last
        self.network.to(dtype).to(memory_format=torch.channels_last)
        return self

    def logits(self, pictures: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for pictures (B, H, W, 3) uint8."""
        images = (pictures.permute(0, 3, 1, 2).float() - self.mean) / self.std
        # As stored, pictures would bring their channels last, whatever the owner does.
        logits = self.network(images.to(self.dtype).contiguous(memory_format=self.layout))
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
    """Return the eager peer, which all is compared with, and what the engines make of it.

    Example:
        >>> [way.name for way in peer_ways("torchvision", ["torch", "openvino"], ["bf16"])]
        ['torchvision eager fp32', 'torchvision OpenVINO bf16']
    """
    eager = Way(f"{library} eager fp32", "fp32", partial(_opened, library, _eager))
    precisions, engines = tuple(precisions), tuple(engines)
    return [eager] + [
        Way(f"{library} {title} {precision}", precision, partial(_opened, library, make))
        for engine, (title, makes) in _MADE.items()
        for precision, make in makes.items()
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


def _channels_last(peer: Peer, pictures: Tensor, *, dtype: torch.dtype) -> Opened:
    return _eager(peer.with_channels_last(dtype), pictures)


def _compiled(peer: Peer, pictures: Tensor, *, dtype: torch.dtype) -> Opened:
    from torch._inductor import config

    program = torch.compile(peer.with_channels_last(dtype), dynamic=False)
    # Given to torch.compile as an option, it comes too late for the weights to become constants.
    with torch.no_grad(), config.patch(freezing=True):
        program(pictures)
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


def _openvino(peer: Peer, pictures: Tensor, *, hint: str) -> Opened:
    _require("openvino", extra="openvino")
    import openvino

    graph = openvino.convert_model(peer, example_input=pictures)
    graph.reshape(list(pictures.shape))
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino_core().compile_model(graph, "CPU", settings).create_infer_request()
    return Opened(lambda pictures: torch.from_numpy(request.infer([pictures])[0]), None)


def _require(package: str, *, extra: str) -> None:
    if find_spec(package) is None:
        raise MissingExtraError(package, extra)


_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# By our engine: what the peer's way of that kind is called, and what makes it in a precision.
_MADE: dict[str, tuple[str, dict[str, Callable[..., Opened]]]] = {
    "optimized": (
        "channels-last",
        {name: partial(_channels_last, dtype=dtype) for name, dtype in _TYPES.items()},
    ),
    "compiled": (
        "torch.compile",
        {name: partial(_compiled, dtype=dtype) for name, dtype in _TYPES.items()},
    ),
    "onnxruntime": ("ONNX Runtime", {"fp32": _onnxruntime}),
    "openvino": (
        "OpenVINO",
        {"fp32": partial(_openvino, hint="f32"), "bf16": partial(_openvino, hint="bf16")},
    ),
}
