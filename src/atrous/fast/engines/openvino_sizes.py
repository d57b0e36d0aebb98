"""Graphs of OpenVINO, each compiled for one size of image."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from atrous.devices import has_fast_bf16, has_matrix_unit
from atrous.errors import DataError
from atrous.fast.engines.live_taps import with_live_taps
from atrous.fast.engines.parts_apart import with_parts_apart
from atrous.fast.openvino_core import openvino_core
from atrous.fast.openvino_precision import early_layers, with_float32

if TYPE_CHECKING:
    import openvino

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_KEPT = 4  # graphs; each holds the weights again, in the order that its kernels want
_AT_ONCE = 4  # images; each needs room for all its maps


class GraphsBySize:
    """A network in OpenVINO on the processor. The first images of a size wait for their graph.

    A graph of one size knows which taps fall on padding. And in 8-bit numbers it is a must: with
    sizes left open, OpenVINO up to 2026.4 crashes on many processors with the matrix unit AMX
    (github.com/openvinotoolkit/openvino/issues/37577).

    Args:
        make: Returns a graph, which is then fixed to the size, for images (B, H, W, C) uint8.
        hint: What shall be computed in: what `hint_of` returns. In `bf16` what is in
            `early_layers` still takes float32.
        at_once: How many calls, from as many threads, are computed at the same time, each by its
            share of the processor's threads; others wait.
    """

    def __init__(
        self, make: "Callable[[Tensor], openvino.Model]", *, hint: str, at_once: int = 1
    ) -> None:
        self._make, self._hint, self.at_once = make, hint, at_once
        # A request has one set of buffers, and computes one call at a time.
        self._requests: OrderedDict[tuple[int, ...], SimpleQueue[Any]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, images: Tensor) -> Tensor:
        """Return the graph's output for stored images (B, H, W, C)."""
        images = images.cpu().contiguous()
        requests = self._requests_for(images)
        request = requests.get()
        try:
            return torch.from_numpy(request.infer([images.numpy()], share_inputs=True)[0])
        finally:
            requests.put(request)

    def for_many(self) -> "GraphsBySize":
        """Return the same network for more images a second, each of which takes longer."""
        at_once = min(torch.get_num_threads(), _AT_ONCE)
        return GraphsBySize(self._make, hint=self._hint, at_once=at_once)

    def _requests_for(self, images: Tensor) -> "SimpleQueue[Any]":
        shape = tuple(images.shape)
        with self._lock:
            if shape not in self._requests:
                compiled, requests = self._compile(images), SimpleQueue()
                for _ in range(self.at_once):
                    requests.put(compiled.create_infer_request())
                self._requests[shape] = requests
                if len(self._requests) > _KEPT:
                    self._requests.popitem(last=False)
            self._requests.move_to_end(shape)
            return self._requests[shape]

    def _compile(self, images: Tensor) -> Any:
        graph = self._make(images)
        graph.reshape(list(images.shape))
        _check_fixed(graph)
        if self._hint == "bf16":
            with_parts_apart(with_live_taps(graph, wide=has_matrix_unit()))
            if names := early_layers(graph):
                # OpenVINO 2026.4 fails on some mixtures.
                with suppress(RuntimeError):
                    return self._compiled(with_float32(graph, names))
        return self._compiled(graph)

    def _compiled(self, graph: "openvino.Model") -> Any:
        settings = {
            "INFERENCE_PRECISION_HINT": self._hint,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY" if self.at_once == 1 else "THROUGHPUT",
            "NUM_STREAMS": self.at_once,
        }
        return openvino_core().compile_model(graph, "CPU", settings)


def hint_of(precision: str) -> str:
    """Return what OpenVINO calls a precision; of `int8`, what its float layers shall have.

    Example:
        >>> hint_of("fp16")
        'f16'
    """
    if precision == "int8":
        precision = "bf16" if has_fast_bf16(torch.device("cpu")) else "fp32"
    return _HINTS[precision]


def _check_fixed(graph: "openvino.Model") -> None:
    """Make sure that no map of a graph in 8-bit numbers has an open size.

    Raises:
        DataError: One has.
    """
    nodes = graph.get_ops()
    if not any(node.get_type_name() == "FakeQuantize" for node in nodes):
        return
    for node in nodes:
        if any(output.get_partial_shape().is_dynamic for output in node.outputs()):
            raise DataError(
                f"{node.get_friendly_name()}: a map of this graph has no fixed size, with which "
                "OpenVINO crashes on some processors in 8-bit numbers; export it anew"
            )
