"""The boxes and arrows that a model, or a pyramid by itself, is drawn with."""

from torch import nn

from atrous.inspect.branches import branches, fused_pieces
from atrous.inspect.drawings.network_graph import Box, Graph
from atrous.inspect.table import LayerTable
from atrous.models import SegmentationModel
from atrous.nn import Cascade, Pyramid


def graph_of(network: nn.Module, table: LayerTable) -> Graph:
    """Return the parts of a network, from the image to its logits.

    Args:
        network: A model, or a pyramid by itself.
        table: Its layers on one image.

    Example:
        >>> from atrous.inspect import layer_table
        >>> from atrous.nn import ASPP
        >>> pyramid = ASPP(8, 4, rates=(6, 12))
        >>> graph = graph_of(pyramid, layer_table(pyramid, (1, 8, 33, 33)))
        >>> [box.name for box in graph.after]
        ['concatenation', 'projection', 'output']
    """
    shape = table.input_shape
    start = Box("image" if isinstance(network, SegmentationModel) else "map", _shape(shape))
    before, after = [start], [Box("output", _shape(table.output_shape))]
    skip = None
    pyramid = network
    if isinstance(network, SegmentationModel):
        pyramid = network.pyramid
        stride, channels = network.output_stride, network.backbone.channels
        before.append(Box(network.blueprint.backbone, f"{channels} ch, stride {stride}"))
        after[:0] = _heads(network)
    if not isinstance(pyramid, Pyramid):
        after.insert(0, Box(type(pyramid).__name__))
        return Graph(before, [], after, (len(before) - 1, 0))
    fan, joined = _pyramid(pyramid)
    after[:0] = joined
    if isinstance(pyramid, Cascade):
        before, fan = [*before, *fan], []
    if any(box.name == "decoder" for box in after):
        skip = (1, [box.name for box in after].index("decoder"))
    return Graph(before, fan, after, skip)


def _heads(model: SegmentationModel) -> list[Box]:
    """Return what stands behind the pyramid; a pyramid of v1 and v2 classifies by itself."""
    boxes = []
    if len(list(model.get_submodule("head").children())) if hasattr(model, "head") else False:
        boxes.append(Box("head", "3x3"))
    if hasattr(model, "decoder"):
        boxes.append(Box("decoder", "stride 4"))
    if hasattr(model, "classifier"):
        boxes.append(Box("classifier", f"{model.blueprint.num_classes} classes"))
    return boxes


def _pyramid(pyramid: Pyramid) -> tuple[list[Box], list[Box]]:
    """Return the branches, and what joins them."""
    pieces = fused_pieces(pyramid)
    fan = []
    for branch in branches(pyramid):
        channels = pieces.get(branch.name)
        kind = "1x1" if branch.rate is None else f"{pyramid.kernel_size}x{pyramid.kernel_size}"
        note = kind if channels is None else f"{kind}, {channels} ch"
        name = "image pooling" if branch.name == "image" else branch.name
        fan.append(Box(name, note, branch.reads))
    if pieces:
        joined = [Box("concatenation", f"{sum(pieces.values())} ch")]
        return fan, [*joined, Box("projection", f"{_width(pyramid)} ch")]
    return fan, [Box("sum")] if len(fan) > 1 and not isinstance(pyramid, Cascade) else []


def _width(pyramid: Pyramid) -> int:
    convs = pyramid.get_submodule("project").modules()
    return next(conv.out_channels for conv in convs if isinstance(conv, nn.Conv2d))


def _shape(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[2]} x {shape[3]}"
