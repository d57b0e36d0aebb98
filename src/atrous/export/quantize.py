"""A network in 8-bit numbers: ranges from calibration images, and what is too fine kept in float.

One range for all values of a map has 255 steps. A few layers need more than that: the first, which
reads the image, and the last ones, between whose logits classes are told apart; and the image
branch of a pyramid, whose one cell is added to every other. Which others do depends on the weights.
"""

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from atrous.errors import MissingExtraError, UsageError
from atrous.export.graphs import Graph, OnnxGraph, OpenVinoGraph, build
from atrous.export.sensitivity import sensitivities
from atrous.fast.engines.openvino_sizes import GraphsBySize
from atrous.models import SegmentationModel

# Modules that stay in float in every network, as their names begin.
_ENDS = ("classifier", "pyramid.image", "pyramid.project", "pyramid.classifier")
_FIRST_SPARED = 2  # of the other layers; then as many again, and so on


def spared_layers(
    model: SegmentationModel, graph: Graph, images: Sequence[np.ndarray]
) -> Iterator[tuple[str, ...]]:
    """Yield which layers to keep in float: first those that always are, then ever more.

    Each time twice as many of the others, those that 8 bits harm most; at last all but one. They
    are measured when the second is asked for.

    Args:
        model: The network.
        graph: What was built of it.
        images: (H, W, C) uint8 like those to come.
    """
    layers = graph.layers()
    always = tuple(name for name in layers if name == layers[0] or _is_at_an_end(name))
    yield always
    others = [name for name in layers if name not in always]
    harm = sensitivities(model, images)
    others.sort(key=lambda name: -harm.get(name, 0.0))
    count = _FIRST_SPARED
    while count < len(others):
        yield always + tuple(others[:count])
        count *= 2


def quantized(graph: Graph, images: Sequence[np.ndarray], *, spared: Sequence[str]) -> Graph:
    """Return a graph whose convolutions multiply 8-bit numbers, but for some.

    Args:
        graph: Of ONNX or OpenVINO, in float32; it is left as it is.
        images: (H, W, C) uint8, for the ranges of the maps. A graph of OpenVINO is fixed to the
            size of the first, to which the others are brought.
        spared: Names of the layers that stay in float, as `layers` gives them.

    Raises:
        UsageError: There are no 8-bit numbers for this engine.
        MissingExtraError: nncf is not installed.
    """
    if not isinstance(graph, OnnxGraph | OpenVinoGraph):
        raise UsageError("int8 is there for onnx and openvino")
    nncf = _nncf()
    height, width = images[0].shape[:2]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # nncf's own
        made: Any = nncf.quantize(
            _copy(graph, (height, width)),
            nncf.Dataset(images, _feed(graph, (height, width))),
            subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(
                patterns=[re.escape(name) + "/.*" for name in spared], validate=False
            ),
        )
    if isinstance(graph, OnnxGraph):
        return OnnxGraph(made)
    return OpenVinoGraph(made, hint=graph.hint, size=(height, width))


class EightBitEngine:
    """A network in OpenVINO in 8-bit numbers, tuned here and now: to try it, and to time it.

    What `atrous.export.export` writes is checked besides.

    Args:
        model: The network, on the CPU.
        images: (H, W, C) uint8 like those to come.

    Raises:
        UsageError: The network has no graph for every size.
        MissingExtraError: openvino, onnx or nncf is not installed.
    """

    name, precision = "openvino", "int8"

    def __init__(self, model: SegmentationModel, images: Sequence[np.ndarray]) -> None:
        graph = build(model, to="openvino", outputs="coarse_logits", precision="int8")
        made = quantized(graph, images, spared=next(spared_layers(model, graph, images)))
        assert isinstance(made, OpenVinoGraph)  # noqa: S101, as it was built
        self._run = GraphsBySize(lambda _: made.graph.clone(), hint=made.hint)

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        return self._run(images)


def _nncf() -> Any:
    try:
        # It says on import that there is no GPU.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import nncf
    except ImportError as error:
        raise MissingExtraError("nncf", "openvino") from error
    nncf.set_log_level(logging.ERROR)
    return nncf


def _is_at_an_end(name: str) -> bool:
    return any(name == end or name.startswith(f"{end}.") for end in _ENDS)


def _copy(graph: OnnxGraph | OpenVinoGraph, size: tuple[int, int]) -> Any:
    if isinstance(graph, OnnxGraph):
        copy = type(graph.graph)()
        copy.CopyFrom(graph.graph)
        return copy
    # Fixed already here, as nncf runs it: see `GraphsBySize` on 8-bit numbers and open sizes.
    copy = graph.graph.clone()
    copy.reshape([1, *size, copy.input().partial_shape[3].get_length()])
    return copy


def _feed(graph: OnnxGraph | OpenVinoGraph, size: tuple[int, int]) -> Any:
    """Return what makes an image the input of a graph."""
    if isinstance(graph, OnnxGraph):
        return lambda image: {"images": np.ascontiguousarray(image)[None]}
    return lambda image: np.ascontiguousarray(_brought_to(size, image))[None]


def _brought_to(size: tuple[int, int], image: np.ndarray) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    rows, columns = (
        np.arange(wanted) * side // wanted
        for wanted, side in zip(size, image.shape[:2], strict=True)
    )
    return image[rows][:, columns]
