"""A network in 8-bit numbers: ranges from calibration images, and what is too fine kept in float.

One range for all values of a map has 255 steps. A few layers need more than that: the first, which
reads the image, and the last ones, between whose logits classes are told apart; and the image
branch of a pyramid, whose one cell is added to every other.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from atrous.errors import MissingExtraError, UsageError
from atrous.export.graphs import Graph, OnnxGraph, OpenVinoGraph

# Parts of the network that stay in float, as the layers' names begin; each level has those before.
_ENDS = ("classifier", "pyramid.image", "pyramid.project", "pyramid.classifier")
LEVELS = (_ENDS, (*_ENDS, "decoder", "head"), (*_ENDS, "decoder", "head", "pyramid"))


def quantized(graph: Graph, images: Sequence[np.ndarray], *, level: int = 0) -> Graph:
    """Return a graph whose convolutions multiply 8-bit numbers, but for some.

    Args:
        graph: Of ONNX or OpenVINO, in float32; it is left as it is.
        images: (H, W, C) uint8, for the ranges of the maps. A graph of OpenVINO is fixed to the
            size of the first.
        level: How much stays in float beside the first convolution: 0, the image branch, the
            projection and the classifier; 1, the decoder too; 2, the whole pyramid too.

    Raises:
        UsageError: There are no 8-bit numbers for this engine.
        MissingExtraError: nncf is not installed.
    """
    if not isinstance(graph, OnnxGraph | OpenVinoGraph):
        raise UsageError("int8 is there for onnx and openvino")
    try:
        # It says on import that there is no GPU.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nncf
    except ImportError as error:
        raise MissingExtraError("nncf", "openvino") from error
    nncf.set_log_level(logging.ERROR)
    kept = "|".join(part.replace(".", r"\.") for part in LEVELS[level])
    patterns = [rf"({kept})[./].*", _first_conv(graph).replace(".", r"\.") + ".*"]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # nncf's own
        made: Any = nncf.quantize(
            _copy(graph),
            nncf.Dataset(images, _feed(graph)),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(patterns=patterns, validate=False),
        )
    if isinstance(graph, OnnxGraph):
        return OnnxGraph(made)
    height, width = images[0].shape[:2]
    return OpenVinoGraph(made, hint=graph.hint, size=(height, width))


def _copy(graph: OnnxGraph | OpenVinoGraph) -> Any:
    if isinstance(graph, OpenVinoGraph):
        return graph.graph.clone()
    copy = type(graph.graph)()
    copy.CopyFrom(graph.graph)
    return copy


def _feed(graph: OnnxGraph | OpenVinoGraph) -> Any:
    """Return what makes an image the input of a graph."""
    if isinstance(graph, OpenVinoGraph):
        return lambda image: np.ascontiguousarray(image)[None]
    return lambda image: {"images": np.ascontiguousarray(image)[None]}


def _first_conv(graph: OnnxGraph | OpenVinoGraph) -> str:
    """Return the name of the convolution that comes first."""
    if isinstance(graph, OnnxGraph):
        return next(node.name for node in graph.graph.graph.node if node.op_type == "Conv")
    return next(
        node.get_friendly_name()
        for node in graph.graph.get_ordered_ops()
        if node.get_type_name() == "Convolution"
    )
