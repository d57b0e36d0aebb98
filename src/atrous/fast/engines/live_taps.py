"""Atrous kernels tap by tap, each on the cells that it reads: in OpenVINO graphs of one size.

Axes: B batch, C channels in, D channels out, H rows, W columns.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import openvino

_WIDE = 8  # cells; below this rate oneDNN's own convolutions are as fast
_STORED = ("Constant", "Convert", "Subtract", "Multiply")  # of what weights are made, in 8 bits too


class _Tap(NamedTuple):
    """One tap of a kernel.

    Attributes:
        row: In the kernel.
        column: In the kernel.
        down: How many cells below the result it reads.
        right: How many cells right of it.
    """

    row: int
    column: int
    down: int
    right: int


def with_live_taps(graph: "openvino.Model", *, wide: bool = True) -> "openvino.Model":
    """Let the wide atrous convolutions of a graph, in place, leave out what meets no cell.

    Each becomes a sum of 1x1 convolutions, one for each tap that meets the map. A tap that points
    `rate` cells down reads the map without its first `rate` rows, and what it gives is padded to
    the map's size. Nothing is computed for what falls on padding: of a 3x3 at rate 24 on 33x33
    cells that is 73 % (arXiv:1706.05587, section 3.3). oneDNN's kernels for bfloat16 and 8 bits
    compute it all, and the wider the padding the slower. A depthwise one whose rate reaches beyond
    the map on all sides is a factor for each channel, which the next layer's weights take in.

    Args:
        graph: With a fixed size.
        wide: Whether to take the wide ones apart, which pays with AMX: kernels for AVX-512 leave
            padding out by themselves.
    """
    for node in graph.get_ordered_ops():
        if wide and _is_wide(node):
            node.output(0).replace(_sum_of_taps(node).output(0))
        elif _has_only_its_centre(node):
            node.output(0).replace(_scaled(node).output(0))
    return graph


def _is_wide(node: "openvino.Node") -> bool:
    """Return whether a node is a wide atrous convolution that keeps its map's size."""
    if node.get_type_name() != "Convolution" or len(node.get_output_shape(0)) != 4:
        return False
    kernel = list(node.input_value(1).get_shape())[2:]
    return (
        max(node.get_attributes()["dilations"]) >= _WIDE
        and max(kernel) > 1
        and _keeps_size(node, kernel)
        and _is_stored(node.input_value(1))
    )


def _has_only_its_centre(node: "openvino.Node") -> bool:
    """Return whether a node is a depthwise convolution of which but the centre meets padding."""
    if node.get_type_name() != "GroupConvolution" or len(node.get_output_shape(0)) != 4:
        return False
    _, out, read, *kernel = node.input_value(1).get_shape()
    return (
        out == read == 1
        and _keeps_size(node, kernel)
        and _is_stored(node.input_value(1))
        and len(_live_taps(node)) == 1
    )


def _keeps_size(node: "openvino.Node", kernel: list[int]) -> bool:
    made = node.get_attributes()
    kept = [rate * (taps // 2) for rate, taps in zip(made["dilations"], kernel, strict=True)]
    return (
        all(taps % 2 for taps in kernel)
        and list(made["strides"]) == [1, 1]
        and list(made["pads_begin"]) == list(made["pads_end"]) == kept
    )


def _is_stored(weights: "openvino.Output") -> bool:
    """Return whether weights are nothing but stored numbers, perhaps scaled."""
    node = weights.get_node()
    inputs = node.input_values()
    return node.get_type_name() in _STORED and all(map(_is_stored, inputs))


def _sum_of_taps(conv: "openvino.Node") -> "openvino.Node":
    """Return what a convolution gives, (B, D, H, W), tap by tap."""
    from openvino import opset13

    x = conv.input_value(0)
    total = None
    for tap in _live_taps(conv):
        result = opset13.convolution(
            _cells(x, tap), _weights(conv.input_value(1), tap), [1, 1], [0, 0], [0, 0], [1, 1]
        )
        result.set_friendly_name(f"{conv.get_friendly_name()}/tap {tap.row} {tap.column}")
        padded = _padded(result, tap)
        total = padded if total is None else opset13.add(total, padded)
    assert total is not None  # noqa: S101, the tap in the middle meets every map
    return total


def _scaled(conv: "openvino.Node") -> "openvino.Node":
    """Return what a depthwise convolution gives, (B, C, H, W), of which only the centre counts."""
    from openvino import opset13

    (tap,) = _live_taps(conv)
    factors = opset13.reshape(_weights(conv.input_value(1), tap), [1, -1, 1, 1], False)
    return opset13.multiply(conv.input_value(0), factors)


def _live_taps(conv: "openvino.Node") -> list[_Tap]:
    """Return the taps of a kernel that meet its map."""
    _, _, height, width = conv.get_output_shape(0)
    rows, columns = list(conv.input_value(1).get_shape())[-2:]
    down, right = conv.get_attributes()["dilations"]
    taps = [
        _Tap(row, column, (row - rows // 2) * down, (column - columns // 2) * right)
        for row in range(rows)
        for column in range(columns)
    ]
    return [tap for tap in taps if abs(tap.down) < height and abs(tap.right) < width]


def _cells(x: "openvino.Output", tap: _Tap) -> "openvino.Node | openvino.Output":
    """Return the cells of a map that a tap reads."""
    from openvino import opset13

    if not tap.down and not tap.right:
        return x
    first = [max(tap.down, 0), max(tap.right, 0)]
    last = [side + min(n, 0) for side, n in zip(x.get_shape()[2:], tap[2:], strict=True)]
    return opset13.slice(x, first, last, [1, 1], [2, 3])


def _weights(weights: "openvino.Output", tap: _Tap) -> "openvino.Node":
    """Return the weights of a tap, (..., 1, 1), made of the stored numbers as all are."""
    from openvino import opset13

    node = weights.get_node()
    inputs = [_weights(one, tap) for one in node.input_values()]
    match node.get_type_name():
        case "Convert":
            return opset13.convert(inputs[0], node.get_element_type())
        case "Subtract":
            return opset13.subtract(*inputs)
        case "Multiply":
            return opset13.multiply(*inputs)
    shape = list(weights.get_shape())
    if len(shape) < 4 or shape[-2:] == [1, 1]:  # a scale or shift of all taps
        return node
    values = node.get_data()[..., tap.row, tap.column, None, None]
    return opset13.constant(values, dtype=node.get_element_type())


def _padded(result: "openvino.Node", tap: _Tap) -> "openvino.Node":
    """Return a tap's result, (B, D, ...), with zeros where it reads no cell: (B, D, H, W)."""
    from openvino import opset13

    if not tap.down and not tap.right:
        return result
    before = [0, 0, max(-tap.down, 0), max(-tap.right, 0)]
    after = [0, 0, max(tap.down, 0), max(tap.right, 0)]
    nought = opset13.constant(np.zeros(()), dtype=result.get_element_type())
    return opset13.pad(result, before, after, "constant", nought)
