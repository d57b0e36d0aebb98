"""The layers of a network in the order they compute: shapes, parameters, multiply-adds, memory.

Everything is computed on torch's meta device, which knows shapes but no values: the largest map
costs no memory and no time.
"""

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from atrous.nn.geometry import per_axis, useful_taps
from atrous.nn.pyramid import DeadTapsWarning, Pyramid

_BYTES_PER_VALUE = 4  # float32
_MEGABYTE = 2**20

# What changes the values of a map one by one, mostly in place, is no row; nor is an empty box.
# Names, not types: timm has activations of its own.
_NO_ROW = {
    *("Identity", "Sequential", "Dropout", "Dropout2d", "DropPath"),
    *("ReLU", "ReLU6", "GELU", "SiLU", "Swish", "Sigmoid"),
    *("Hardswish", "HardSwish", "Hardsigmoid", "HardSigmoid"),
}


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        name: Where it stands in the network, such as `atrous.0.0`.
        kind: What it is, such as `Conv2d 3x3 rate 6`.
        output_shape: Shape of what it returns.
        parameters: Number of its own; 0 where it computes again.
        multiply_adds: Products that it sums up, in convolutions and products of matrices.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int

    @property
    def megabytes(self) -> float:
        """Memory of its output in float32, in MB of 2**20 bytes."""
        return _BYTES_PER_VALUE * prod(self.output_shape) / _MEGABYTE


@dataclass(frozen=True)
class TapRow:
    """How many taps of a pyramid's kernel fall inside its map.

    Attributes:
        rate: Distance between neighbouring taps in cells, along (rows, columns).
        map_size: Rows and columns of the map.
        taps: Number of taps of the kernel.
        useful: How many of them are inside, in the mean over the map.
    """

    rate: tuple[int, int]
    map_size: tuple[int, int]
    taps: int
    useful: float


@dataclass(frozen=True)
class LayerTable:
    """All layers of a network, and what they come to.

    Attributes:
        rows: The layers, in the order they compute.
        tap_rows: The rates of its pyramids, on the maps that these are given; those of an even
            kernel, which has no centre to be left with, do not count.
        input_shape: Shape of what the network is given.
        output_shape: Shape of what it returns.
        parameters: Number of all parameters.
        trainable: Number of those that take part in training.
        multiply_adds: Products that are summed up, in convolutions and products of matrices.
    """

    rows: tuple[LayerRow, ...]
    tap_rows: tuple[TapRow, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    trainable: int
    multiply_adds: int

    @property
    def megabytes(self) -> dict[str, float]:
        """Memory in float32, in MB of 2**20 bytes.

        Each row's output counts twice, for the forward and the backward pass.
        """
        outputs = sum(prod(row.output_shape) for row in self.rows)
        values = {
            "input": prod(self.input_shape),
            "forward_and_backward": 2 * outputs,
            "parameters": self.parameters,
        }
        values["total"] = sum(values.values())
        return {part: _BYTES_PER_VALUE * n / _MEGABYTE for part, n in values.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the table as what JSON can hold."""
        rows = [asdict(row) | {"megabytes": row.megabytes} for row in self.rows]
        return asdict(self) | {"rows": rows, "megabytes": self.megabytes}


def layer_table(module: nn.Module, input_shape: Sequence[int]) -> LayerTable:
    """Return the layers of `module`, which stays as it is, for one input.

    A row is what holds parameters of its own or multiplies by itself, or has no parts and is more
    than an activation, dropout or identity.

    Args:
        module: A network of one input and one output.
        input_shape: Shape of the input, the batch first.

    Raises:
        ValueError: The network does not take an input of this shape.

    Example:
        >>> from atrous.nn import ConvNormAct
        >>> table = layer_table(ConvNormAct(512, 256, kernel_size=3, rate=6), (1, 512, 64, 128))
        >>> for row in table.rows:
        ...     print(row.name, row.kind, row.output_shape, row.parameters)
        0 Conv2d 3x3 rate 6 (1, 256, 64, 128) 1179648
        1 BatchNorm2d (1, 256, 64, 128) 512
        >>> table.parameters, table.multiply_adds, table.megabytes["forward_and_backward"]
        (1180160, 9663676416, 32.0)
    """
    network = copy.deepcopy(module).to("meta").eval()
    counter = FlopCounterMode(display=False)
    watch = _Watch(network, counter)
    with counter:
        output = _compute(network, tuple(input_shape))
    weights = list(module.parameters())
    return LayerTable(
        rows=tuple(watch.rows),
        tap_rows=tuple(watch.tap_rows),
        input_shape=tuple(input_shape),
        output_shape=tuple(output.shape),
        parameters=sum(weight.numel() for weight in weights),
        trainable=sum(weight.numel() for weight in weights if weight.requires_grad),
        multiply_adds=_multiply_adds(counter),
    )


def _multiply_adds(counter: FlopCounterMode) -> int:
    """Return what was counted so far; torch counts a product and its sum as two operations."""
    return counter.get_total_flops() // 2


class _Watch:
    """Notes rows while a network computes."""

    def __init__(self, network: nn.Module, counter: FlopCounterMode) -> None:
        self.rows: list[LayerRow] = []
        self.tap_rows: list[TapRow] = []
        self._counter = counter
        self._running = [[0, 0]]  # count at the start of each module, and the work of its parts
        self._done: set[nn.Module] = set()
        for name, layer in network.named_modules():
            layer.register_forward_pre_hook(self._enter)
            layer.register_forward_hook(partial(self._leave, name))

    def _enter(self, *_: object) -> None:
        self._running.append([_multiply_adds(self._counter), 0])

    def _leave(self, name: str, layer: nn.Module, _inputs: object, output: Any) -> None:
        start, of_parts = self._running.pop()
        work = _multiply_adds(self._counter) - start
        self._running[-1][1] += work
        if work > of_parts or _is_row(layer):
            weights = 0 if layer in self._done else self._own_weights(layer)
            row = LayerRow(name, _kind(layer), _shape(output), weights, work - of_parts)
            self.rows.append(row)
        if isinstance(layer, Pyramid):
            self.tap_rows += _tap_rows(layer, output)
        self._done.add(layer)

    def _own_weights(self, layer: nn.Module) -> int:
        """Count its own, and those of parts that it only takes the weights of."""
        idle = (part for part in layer.modules() if part not in self._done)
        return sum(weight.numel() for part in idle for weight in part.parameters(recurse=False))


def _shape(output: Any) -> tuple[int, ...]:
    """Return the shape of a map, or of several maps one beside the other."""
    maps = [output] if isinstance(output, Tensor) else list(output)
    batch, channels, *sides = maps[0].shape
    return (batch, channels * len(maps), *sides)


def _is_row(module: nn.Module) -> bool:
    if any(True for _ in module.parameters(recurse=False)):
        return True
    has_parts = any(True for _ in module.children())
    return not has_parts and type(module).__name__ not in _NO_ROW


def _compute(network: nn.Module, input_shape: tuple[int, ...]) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadTapsWarning)  # the table tells it in numbers
        try:
            return network(torch.empty(input_shape, device="meta"))
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"an input of {input_shape} does not pass: {reason}") from error


def _tap_rows(pyramid: Pyramid, output: Tensor) -> Iterator[TapRow]:
    height, width = output.shape[-2:]
    kernel_size = pyramid.kernel_size
    if kernel_size % 2 == 0:
        return
    for (rows, columns), unit in product(map(per_axis, pyramid.rates), pyramid.multi_grid):
        rate = (rows * unit, columns * unit)
        useful = useful_taps(rate, height, width, kernel_size)
        yield TapRow(rate, (height, width), kernel_size**2, useful)


def _kind(layer: nn.Module) -> str:
    """Return the type of a layer; of a convolution also its kernel, stride and rate."""
    name = type(layer).__name__.lstrip("_")
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return name
    words = [name, "x".join(map(str, layer.kernel_size))]
    if max(layer.stride) > 1:
        words += ["stride", _per_axis(layer.stride)]
    if max(layer.dilation) > 1 and max(layer.kernel_size) > 1:
        words += ["rate", _per_axis(layer.dilation)]
    return " ".join(words)


def _per_axis(numbers: tuple[int, ...]) -> str:
    """Return `2` where all axes agree, else such as `2x1`."""
    return "x".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))
