"""A network in the form of one engine: what its convolutions are, its bytes, how it is run.

What is checked is the bytes that are then written: each engine opens them as a user will.
"""

import copy
import hashlib
import io
import json
import shutil
import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.utils._python_dispatch import TorchDispatchMode

from atrous.fast.engines.exported import FACTS
from atrous.fast.engines.onnx_engine import open_onnx
from atrous.fast.engines.openvino_sizes import GraphsBySize, hint_of
from atrous.fast.onnx_graph import onnx_graph
from atrous.fast.openvino_core import openvino_core
from atrous.fast.openvino_graph import openvino_graph
from atrous.fast.program import program
from atrous.files import write_folder_atomically
from atrous.models import SegmentationModel

if TYPE_CHECKING:
    import onnx
    import openvino

Run = Callable[[np.ndarray], np.ndarray]
Rates = Counter[tuple[int, int]]
Facts = Mapping[str, Any]


class Graph(ABC):
    """Abstract base: a network as one engine has it."""

    @abstractmethod
    def rates(self) -> Rates:
        """Return (rows, columns) between the taps of kernels that have more than one, counted."""

    @abstractmethod
    def layers(self) -> list[str]:
        """Return the names of the modules that convolve, in their order."""

    @abstractmethod
    def files(self, facts: Facts, *, folder: Path) -> dict[str, bytes]:
        """Return what to write into a folder, by the file's ending; the last is what one opens."""

    @abstractmethod
    def start(self, files: Mapping[str, bytes]) -> Run:
        """Open what `files` returned; the result takes uint8 images (B, H, W, C)."""


class TorchGraph(Graph):
    """A program of torch.export, `.pt2`."""

    def __init__(self, graph: ExportedProgram) -> None:
        self.graph = graph

    def rates(self) -> Rates:
        """Return the dilations of its convolutions."""
        nodes = [node for node in self.graph.graph.nodes if "conv2d" in str(node.target)]
        return _rates((node.args[1].meta["val"].shape, _argument(node, 5)) for node in nodes)

    def layers(self) -> list[str]:
        """Return none: no layer of it is kept from being quantized."""
        return []

    def files(self, facts: Facts, *, folder: Path) -> dict[str, bytes]:
        """Return the one file, an archive with the facts as `atrous.json`."""
        content = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, on its format
            extra: dict[str, Any] = {f"{FACTS}.json": json.dumps(facts)}
            torch.export.save(self.graph, content, extra_files=extra)
        return {".pt2": content.getvalue()}

    def start(self, files: Mapping[str, bytes]) -> Run:
        """Open it with torch."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.export.load(io.BytesIO(files[".pt2"])).module()
        return torch.inference_mode()(lambda images: module(torch.from_numpy(images)).numpy())


class OnnxGraph(Graph):
    """An ONNX graph, `.onnx`, for ONNX Runtime and many others."""

    def __init__(self, graph: "onnx.ModelProto") -> None:
        self.graph = graph

    def rates(self) -> Rates:
        """Return the dilations of its convolutions."""
        shapes = {weight.name: tuple(weight.dims) for weight in self.graph.graph.initializer}
        made = {name: node for node in self.graph.graph.node for name in node.output}
        found = []
        for node in self.graph.graph.node:
            if node.op_type != "Conv":
                continue
            weight = node.input[1]
            while weight not in shapes:  # behind the scaling of 8-bit weights
                weight = made[weight].input[0]
            given = [tuple(a.ints) for a in node.attribute if a.name == "dilations"]
            found.append((shapes[weight], given[0] if given else (1, 1)))
        return _rates(found)

    def layers(self) -> list[str]:
        """Return the modules, as `onnx_graph` calls the nodes by them."""
        nodes = (node for node in self.graph.graph.node if node.op_type == "Conv")
        return list(dict.fromkeys(_module(node.name) for node in nodes))

    def files(self, facts: Facts, *, folder: Path) -> dict[str, bytes]:
        """Return the one file, with the weights and the facts inside."""
        import onnx

        onnx.helper.set_model_props(self.graph, {FACTS: json.dumps(facts)})
        return {".onnx": self.graph.SerializeToString()}

    def start(self, files: Mapping[str, bytes]) -> Run:
        """Open it with ONNX Runtime, on the CPU."""
        session = open_onnx(files[".onnx"])
        return lambda images: np.asarray(session.run(None, {"images": images})[0])


class OpenVinoGraph(Graph):
    """A graph of OpenVINO: `.xml`, which is what one opens, and `.bin` beside it, the weights.

    Args:
        graph: The graph, for images of every size.
        hint: What it shall compute in: `f32`, `bf16` or `f16`.
        size: (rows, columns) of one image that the file is fixed to; `reshape` changes it. Graphs
            in 8-bit numbers need it: with unknown sizes OpenVINO 2026.4 crashes on many processors
            whose matrix unit is AMX.
    """

    def __init__(
        self, graph: "openvino.Model", *, hint: str, size: tuple[int, int] | None = None
    ) -> None:
        self.graph, self.hint, self.size = graph, hint, size

    def rates(self) -> Rates:
        """Return the dilations of its convolutions."""
        return _rates(
            (tuple(node.input(1).get_shape()), node.get_attributes()["dilations"])
            for node in self._convolutions()
        )

    def layers(self) -> list[str]:
        """Return the modules, as the graph of ONNX that it was made of calls the nodes."""
        names = (_module(node.get_friendly_name()) for node in self._convolutions())
        return list(dict.fromkeys(names))

    def files(self, facts: Facts, *, folder: Path) -> dict[str, bytes]:
        """Return the weights, and the graph with the facts and the digest of the weights."""
        import openvino

        graph = self.graph.clone()
        if self.size is not None:
            graph.reshape([1, *self.size, graph.input().partial_shape[3].get_length()])

        def fill(scratch: Path) -> None:
            # As it is: save_model would shorten the names of the layers.
            xml, weights = scratch / "graph.xml", scratch / "graph.bin"
            openvino.serialize(graph, xml, weights)
            sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
            graph.set_rt_info(json.dumps({**facts, "weights_sha256": sha256}), [FACTS])
            openvino.serialize(graph, xml, weights)

        scratch = write_folder_atomically(folder / ".openvino", fill)  # it writes by path only
        try:
            endings = ".bin", ".xml"
            return {ending: (scratch / f"graph{ending}").read_bytes() for ending in endings}
        finally:
            shutil.rmtree(scratch)

    def start(self, files: Mapping[str, bytes]) -> Run:
        """Open it with OpenVINO, on the CPU, to compute in what it was made for."""
        core = openvino_core()

        def read(_: object = None) -> "openvino.Model":
            return core.read_model(files[".xml"], files[".bin"])

        if self.size is not None:
            fixed = GraphsBySize(read, hint=self.hint)
            return lambda images: fixed(torch.from_numpy(images)).numpy().copy()
        options = {
            "INFERENCE_PRECISION_HINT": self.hint,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }

        # Fixed to each size, as it will be run.
        @lru_cache(maxsize=1)
        def compiled(shape: tuple[int, ...]) -> Any:
            graph = read()
            graph.reshape(list(shape))
            return core.compile_model(graph, "CPU", options)

        return lambda images: compiled(images.shape)([images])[0].copy()

    def _convolutions(self) -> list[Any]:
        kinds = ("Convolution", "GroupConvolution")
        return [node for node in self.graph.get_ordered_ops() if node.get_type_name() in kinds]


def build(model: SegmentationModel, *, to: str, outputs: str, precision: str) -> Graph:
    """Return a network in the form of an engine; `int8` is `fp32` here, not quantized yet.

    Raises:
        UsageError: The network has no program for every size.
        MissingExtraError: The engine is not installed.
    """
    stored = "fp32" if precision == "int8" else precision
    if to == "torch":
        return TorchGraph(program(model, outputs=outputs, precision=stored))
    if to == "onnx":
        return OnnxGraph(onnx_graph(model, outputs=outputs, precision=stored))
    graph = openvino_graph(model, outputs=outputs, precision=stored)
    return OpenVinoGraph(graph, hint=hint_of(precision))


def rates_of(model: SegmentationModel) -> Rates:
    """Return the rates of the kernels that a network applies to images, each as often as it does.

    Those that only training uses are none of them.
    """
    shadow = copy.deepcopy(model).eval().to("meta")
    images = torch.empty(1, model.blueprint.in_channels, 97, 129, device="meta")
    with warnings.catch_warnings(), torch.no_grad(), _Convolutions() as seen:
        warnings.simplefilter("ignore")  # the images are made up: a word on their size misleads
        shadow.classify(shadow.backbone(images))
    return _rates(seen.found)


class _Convolutions(TorchDispatchMode):
    """Notes each convolution that is computed: the shape of its weights, and its dilation."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[Iterable[int], Iterable[int]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.found.append((args[1].shape, args[5]))
        return func(*args, **(kwargs or {}))


def _rates(found: Iterable[tuple[Iterable[int], Iterable[int]]]) -> Rates:
    """Return the dilations, given each kernel's weights and its dilation."""
    pairs = [(list(shape)[-2:], tuple(int(rate) for rate in dilation)) for shape, dilation in found]
    return Counter((rows, columns) for shape, (rows, columns) in pairs if max(shape) > 1)


def _module(name: str) -> str:
    """Return the module that a node is of."""
    return name.partition("/")[0]


def _argument(node: torch.fx.Node, number: int) -> Any:
    """Return the dilation among a convolution's arguments."""
    given = node.args[number] if len(node.args) > number else node.kwargs.get("dilation", (1, 1))
    return given if isinstance(given, list | tuple) else (given, given)
