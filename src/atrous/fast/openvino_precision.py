"""Which layers of an OpenVINO graph compute in float32 although bfloat16 is asked for.

Rounding hurts where few values are summed, so that the errors do not average out: in the first
layers of networks that convolve depthwise. On `camvid-lite0` and CamVid's photographs all layers in
bfloat16 keep 99.73 % of the labels, those up to a quarter of the image's sides alone lose 0.23 %,
and with these in float32 99.91 % stay. See docs/decisions/0011.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from atrous.fast.openvino_core import openvino_core
from atrous.files import scratch_folder

if TYPE_CHECKING:
    import openvino

_LEAST = 8  # a map that is a larger part of the image than 1 / 8 of its sides is an early one
_STORED = ("Const", "Parameter", "Result")


def early_layers(graph: "openvino.Model") -> set[str]:
    """Return the names of a backbone's nodes that read early maps, if some convolve depthwise.

    Args:
        graph: What OpenVINO made of a network of torch, for images (B, H, W, C) of one size.
    """
    rows = graph.input().shape[1]
    early = [
        node
        for node in graph.get_ops()
        if ".backbone." in node.get_friendly_name() and _rows_read(node) > rows / _LEAST
    ]
    if not any(node.get_type_name() == "GroupConvolution" for node in early):
        return set()
    return {node.get_friendly_name() for node in early}


def with_float32(graph: "openvino.Model", names: Collection[str]) -> "openvino.Model":
    """Return a graph whose nodes of some names keep float32 whatever the rest computes in.

    What tells OpenVINO so is a mark that Python can set in a graph's file only.
    """
    import openvino

    with scratch_folder() as folder:
        xml, weights = Path(folder, "graph.xml"), Path(folder, "graph.bin")
        openvino.serialize(graph, xml, weights)
        tree = ElementTree.parse(xml)  # noqa: S314, it was written here
        for layer in tree.iterfind("layers/layer"):
            if layer.get("name", "") in names and layer.get("type") not in _STORED:
                facts = layer.find("rt_info")
                if facts is None:
                    facts = ElementTree.Element("rt_info")
                    layer.insert(0 if layer.find("data") is None else 1, facts)
                ElementTree.SubElement(facts, "attribute", {"name": "precise", "version": "0"})
        content = ElementTree.tostring(tree.getroot())
        return openvino_core().read_model(content, weights.read_bytes())


def _rows_read(node: "openvino.Node") -> int:
    """Return the rows of the largest map that a node reads; 0 of one that reads none."""
    shapes = [list(source.get_shape()) for source in node.inputs() if not _is_stored(source)]
    return max((shape[2] for shape in shapes if len(shape) == 4), default=0)


def _is_stored(source: "openvino.Input") -> bool:
    return source.get_source_output().get_node().get_type_name() == "Constant"
