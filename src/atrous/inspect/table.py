"""The layers of a network in the order they compute: output shapes, parameters, memory.

Everything is computed on torch's meta device, which knows shapes but no values: the largest map
costs no memory and no time.
"""

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

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
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


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
    """

    rows: tuple[LayerRow, ...]
    tap_rows: tuple[TapRow, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    trainable: int

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
        return asdict(self) | {"megabytes": self.megabytes}


def layer_table(module: nn.Module, input_shape: Sequence[int]) -> LayerTable:
    """Return the layers of `module`, which stays as it is, for one input.

    A row is what holds parameters of its own, or has no parts and is more than an activation,
    dropout or identity.

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
        >>> table.parameters, table.megabytes["forward_and_backward"]
        (1180160, 32.0)
    """
    network = copy.deepcopy(module).to("meta").eval()
    rows, tap_rows = _watch(network)
    output = _compute(network, tuple(input_shape))
    weights = list(module.parameters())
    return LayerTable(
        rows=tuple(rows),
        tap_rows=tuple(tap_rows),
        input_shape=tuple(input_shape),
        output_shape=tuple(output.shape),
        parameters=sum(weight.numel() for weight in weights),
        trainable=sum(weight.numel() for weight in weights if weight.requires_grad),
    )


def _watch(network: nn.Module) -> tuple[list[LayerRow], list[TapRow]]:
    """Return lists that fill while `network` computes."""
    rows: list[LayerRow] = []
    tap_rows: list[TapRow] = []

    def watch(name: str, layer: nn.Module) -> None:
        def note(_layer: nn.Module, _inputs: object, output: Tensor) -> None:
            if _is_row(layer):
                rows.append(_row(name, layer, output, rows))
            if isinstance(layer, Pyramid):
                tap_rows.extend(_tap_rows(layer, output))

        layer.register_forward_hook(note)

    for name, layer in network.named_modules():
        watch(name, layer)
    return rows, tap_rows


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


def _row(name: str, layer: nn.Module, output: Tensor, before: Sequence[LayerRow]) -> LayerRow:
    own = sum(weight.numel() for weight in layer.parameters(recurse=False))
    again = any(row.name == name for row in before)
    return LayerRow(name, _kind(layer), tuple(output.shape), 0 if again else own)


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
