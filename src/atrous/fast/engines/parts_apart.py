"""Joined maps read part by part: in OpenVINO graphs of one size.

Axes: B batch, C channels, D channels out, H rows, W columns.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino

_STEPS = ("strides", "pads_begin", "pads_end", "dilations")


def with_parts_apart(graph: "openvino.Model") -> "openvino.Model":
    """Let convolutions read what a graph joins along its channels, in place, without joining it.

    A decoder joins two maps, which a depthwise convolution reads, and then a 1x1 (arXiv:1802.02611,
    section 3.1). What treats each channel alone treats the parts alone, and a 1x1 of all channels
    is the sum of 1x1s of the parts. So the joined map is never written: it is the largest of all.

    Args:
        graph: With a fixed size.
    """
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "Concat" and node.get_attributes()["axis"] == 1:
            _take_apart(node)
    return graph


def _take_apart(concat: "openvino.Node") -> None:
    """Replace the 1x1 convolution that follows, if all on the way there treats channels alone."""
    parts, node = concat.input_values(), concat
    is_filtered = False
    while (reader := _only_reader(node)) is not None:
        if _is_pointwise(reader):
            # Without a depthwise convolution before it there is less to gain than sums cost.
            if is_filtered:
                reader.output(0).replace(_sum_of_parts(reader, parts).output(0))
            return
        if not _is_by_channel(reader):
            return
        is_filtered |= reader.get_type_name() == "GroupConvolution"
        parts, node = _each(reader, parts), reader


def _only_reader(node: "openvino.Node") -> "openvino.Node | None":
    readers = node.output(0).get_target_inputs()
    if len(readers) != 1:
        return None
    (reader,) = readers
    return reader.get_node() if reader.get_index() == 0 else None


def _is_pointwise(node: "openvino.Node") -> bool:
    return (
        node.get_type_name() == "Convolution"
        and list(node.input_value(1).get_shape()[2:]) == [1, 1]
        and _is_constant(node)
    )


def _is_by_channel(node: "openvino.Node") -> bool:
    """Return whether a node treats each channel of its first input alone."""
    match node.get_type_name():
        case "Relu":
            return True
        case "Add":
            shape = list(node.input_value(1).get_shape())
            return _is_constant(node) and shape == [1, node.get_output_shape(0)[1], 1, 1]
        case "GroupConvolution":
            groups, out, read = list(node.input_value(1).get_shape())[:3]
            return _is_constant(node) and out == read == 1 and groups > 1
    return False


def _is_constant(node: "openvino.Node") -> bool:
    return node.input_value(1).get_node().get_type_name() == "Constant"


def _each(node: "openvino.Node", parts: "list[openvino.Output]") -> "list[openvino.Output]":
    """Return what a node that treats channels alone makes of each part."""
    from openvino import opset13

    match node.get_type_name():
        case "Relu":
            results = [opset13.relu(part) for part in parts]
        case "Add":
            results = list(map(opset13.add, parts, _shares(node, parts, axis=1)))
        case _:
            weights = _shares(node, parts, axis=0)
            steps = [node.get_attributes()[name] for name in _STEPS]
            results = [
                opset13.group_convolution(part, one, *steps)
                for part, one in zip(parts, weights, strict=True)
            ]
    return [result.output(0) for result in results]


def _sum_of_parts(conv: "openvino.Node", parts: "list[openvino.Output]") -> "openvino.Node":
    """Return what a 1x1 convolution makes of the joined parts, (B, D, H, W)."""
    from openvino import opset13

    total = None
    for part, weights in zip(parts, _shares(conv, parts, axis=1), strict=True):
        share = opset13.convolution(
            part, weights, *(conv.get_attributes()[name] for name in _STEPS)
        )
        total = share if total is None else opset13.add(total, share)
    assert total is not None  # noqa: S101, nothing is joined of no parts
    return total


def _shares(
    node: "openvino.Node", parts: "list[openvino.Output]", axis: int
) -> "list[openvino.Output]":
    """Return what of a node's constant belongs to the channels of each part."""
    from openvino import opset13

    constant = node.input_value(1)
    ends = np.cumsum([part.get_shape()[1] for part in parts])
    shares = np.split(constant.get_node().get_data(), ends[:-1], axis=axis)
    kind = constant.get_element_type()
    return [opset13.constant(np.ascontiguousarray(one), dtype=kind).output(0) for one in shares]
