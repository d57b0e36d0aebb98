"""How a network walks over the image: the layers that look around or skip cells, and their strides.

One pass on torch's meta device, which computes shapes only, tells the stride that each layer reads
at. Strides are in image pixels per cell.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode

_SIDE = 1024  # pixels; large, so that the cells which unpadded layers lose do not blur the strides
_POOLINGS = ("avg_pool2d", "max_pool2d_with_indices")
_RESIZING = ("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d")
_WHOLE_MAP = ("native_group_norm", "_softmax", "_safe_softmax")


class Visit(NamedTuple):
    """Something that a network does at a place: the stride it reads at, and writes at."""

    name: str
    what: str
    input_stride: int
    output_stride: int


@dataclass
class GridTrace:
    """What one pass over an image showed.

    Attributes:
        layers: Stride at which each convolution and pooling layer reads, by its name.
        functions: Window operations that are no layer of their own, and so cannot be changed.
        whole_map: Operations that mix all cells of a map: means, attention, group norms.
    """

    layers: dict[str, int] = field(default_factory=dict)
    functions: list[Visit] = field(default_factory=list)
    whole_map: list[Visit] = field(default_factory=list)


def trace_grid(network: nn.Module) -> GridTrace:
    """Return what `network` does to the grid of a large image; its weights are not touched.

    Raises:
        ValueError: A layer is used at two strides, or at one that is no power of two.
        RuntimeError: The network does not take a square image of 1024 pixels.
    """
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    weights = {name: tensor.to("meta") for name, tensor in state.items()}
    image = torch.empty(1, first.in_channels, _SIDE, _SIDE, device="meta")
    watch = _Watch(network)
    try:
        with torch.no_grad(), watch:
            functional_call(network, weights, (image.to(first.weight.dtype),))
    finally:
        watch.leave()
    return watch.trace


def is_grid_layer(module: nn.Module) -> bool:
    """Return whether `module` is a convolution or pooling whose stride and rate can be changed."""
    layers = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    return isinstance(module, layers) or type(module).__name__.endswith("BlurPool2d")


class _Watch(TorchDispatchMode):
    """Follow a pass: which module is running, at what stride, and what it calls."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.trace = GridTrace()
        self._running: list[str] = []
        self._in_layer = False
        self._stride = 1
        self._handles = []
        for name, module in network.named_modules():
            self._handles += [
                module.register_forward_pre_hook(self._entering(name)),
                module.register_forward_hook(self._leaving()),
            ]

    def leave(self) -> None:
        for handle in self._handles:
            handle.remove()

    def _entering(self, name: str) -> Any:
        def enter(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._running.append(name)
            if is_grid_layer(module):
                self._in_layer = True
                self._note_layer(name, inputs[0])

        return enter

    def _note_layer(self, name: str, x: Tensor) -> None:
        if x.shape[-2] == 1:  # behind a mean over the map, as in squeeze-and-excitation
            return
        stride = _stride_of(x)
        if self.trace.layers.setdefault(name, stride) != stride:
            raise ValueError(f"layer {name} is used at two strides")

    def _leaving(self) -> Any:
        def leave(module: nn.Module, inputs: object, output: Any) -> None:
            self._running.pop()
            if is_grid_layer(module):
                self._in_layer = False
                self._stride = _stride_of(output) if output.shape[-2] > 1 else self._stride

        return leave

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if not self._in_layer:
            self._look_at(func.overloadpacket.__name__, args, output)
        return output

    def _look_at(self, operation: str, args: Any, output: Any) -> None:
        name = self._running[-1] if self._running else ""
        if _looks_around(operation, args):
            result = output[0] if isinstance(output, tuple) else output
            visit = Visit(name, operation, _stride_of(args[0]), _stride_of(result))
            self.trace.functions.append(visit)
        elif _mixes_all_cells(operation, args):
            self.trace.whole_map.append(Visit(name, operation, self._stride, self._stride))


def _looks_around(operation: str, args: Any) -> bool:
    """Return whether an operation reads more than one cell of a map, or skips or repeats some."""
    if operation not in (*_POOLINGS, *_RESIZING, "convolution"):
        return False
    if args[0].ndim != 4 or min(args[0].shape[-2:]) == 1:  # a list of tokens, or a single cell
        return False
    return operation != "convolution" or max(args[1].shape[-2:]) > 1 or max(args[3]) > 1


def _mixes_all_cells(operation: str, args: Any) -> bool:
    if operation in _WHOLE_MAP or "scaled_dot_product" in operation:
        return True
    if operation not in ("mean", "linalg_vector_norm") or args[0].ndim != 4:
        return False
    dims = next((arg for arg in args if isinstance(arg, (list, tuple))), ())
    sides = [args[0].shape[dim] for dim in dims]
    return len(sides) > 1 and min(sides) > 1


def _stride_of(x: Tensor) -> int:
    """Return the image pixels per cell of `x` (B, C, H, W), from its height."""
    ratio = _SIDE / x.shape[-2]
    return 2 ** max(0, round(math.log2(ratio)))
