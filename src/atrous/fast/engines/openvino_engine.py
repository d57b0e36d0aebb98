"""OpenVINO, on the processor: a graph of its own for each size of image."""

import copy
import warnings
from collections import OrderedDict
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from atrous.errors import UsageError
from atrous.fast.engines.live_taps import with_live_taps
from atrous.fast.optimized_model import OptimizedModel
from atrous.fast.rewriting import optimize
from atrous.models import SegmentationModel

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_KEPT = 4  # graphs; each holds the weights again, in the order that its kernels want


class OpenVINOEngine:
    """A network in OpenVINO. The first image of a size takes seconds: its graph is made then.

    A graph for one size holds that size's numbers: which taps of an atrous kernel fall on padding,
    how small images are padded. `atrous.fast.openvino_graph` makes one for every size, which takes
    longer to make and to run.

    Args:
        model: The network; or what `atrous.optimize` made of it in float32.
        precision: `fp32` or `bf16`.

    Raises:
        UsageError: The model is optimized for another precision, or for a size.
    """

    name = "openvino"

    def __init__(self, model: SegmentationModel, *, precision: str = "fp32") -> None:
        self.precision = precision
        network = _foldable(model)
        if precision == "bf16":
            with_live_taps(network.network)
        self._network = _FromPictures(network)
        self._graphs: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._lock = Lock()  # a graph has one set of buffers

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        images = images.cpu()
        with self._lock:
            shape = tuple(images.shape)
            if shape not in self._graphs:
                self._graphs[shape] = self._compile(images)
                if len(self._graphs) > _KEPT:
                    self._graphs.popitem(last=False)
            self._graphs.move_to_end(shape)
            return torch.from_numpy(self._graphs[shape].infer([images.numpy()])[0])

    def _compile(self, images: Tensor) -> Any:
        import openvino

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer: that the size is taken as it is
            graph = openvino.convert_model(self._network, example_input=images)
        graph.reshape(list(images.shape))
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        return openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()


class _FromPictures(nn.Module):
    """Only logits come out, as a tracer wants it."""

    def __init__(self, model: OptimizedModel) -> None:
        super().__init__()
        self.model = model.network
        self.normalized = model.normalized

    def forward(self, images: Tensor) -> Tensor:
        return self.model.coarse_logits(self.normalized(images))


def _foldable(model: SegmentationModel) -> OptimizedModel:
    """Return an optimized copy in float32, for any size, on the CPU."""
    if not isinstance(model, OptimizedModel):
        return optimize(model).cpu()
    if model.dtype != torch.float32 or model.largest is not None:
        raise UsageError(
            "the model is optimized for another precision, or for a size; give the engine "
            "'openvino' the one it was made from"
        )
    return copy.deepcopy(model).cpu()
