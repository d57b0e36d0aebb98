"""A network as an ONNX graph, for ONNX Runtime, OpenVINO and whatever else reads the format."""

import contextlib
import io
import re
import warnings
from collections import Counter
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch.export import ExportedProgram

from atrous.errors import MissingExtraError, UsageError
from atrous.fast.program import program
from atrous.models import SegmentationModel

if TYPE_CHECKING:
    import onnx

PRECISIONS = ("fp32", "fp16")
_SCOPES = "pkg.torch.onnx.name_scopes"  # a list of module names, outermost first, then the node's
_SCOPE = re.compile(r"'([^']*)'")


def onnx_graph(
    model: SegmentationModel, *, outputs: str = "logits", precision: str = "fp32"
) -> "onnx.ModelProto":
    """Return a network as an ONNX graph for any number of images of any size.

    Its input `images` is (B, H, W, 3) uint8 RGB as stored: normalisation is inside. Its one output
    is called as `outputs` says.

    Args:
        model: A network; its weights, rates and output stride are taken as they are now.
        outputs: `logits` (B, K, H, W) float32; `coarse_logits` (B, K, h, w) float32, on the grid
            that is classified; or `labels` (B, H, W) uint8, uint16 from 256 classes on.
        precision: `fp32`; or `fp16`, which computes in half precision, and halves the weights.

    Raises:
        UsageError: One of the words is unknown, or the network has no program for every size.
        MissingExtraError: onnx or onnxscript is not installed.

    Example:
        >>> from atrous import create_model
        >>> model = create_model("lraspp", backbone="resnet18", num_classes=2)
        >>> graph = onnx_graph(model, outputs="labels").graph
        >>> graph.input[0].name, graph.output[0].name
        ('images', 'labels')
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is unknown; use {' or '.join(PRECISIONS)}")
    _check_extra()
    return to_onnx(program(model, outputs=outputs, precision=precision), outputs=outputs)


def to_onnx(exported: ExportedProgram, *, outputs: str) -> "onnx.ModelProto":
    """Return a program as an ONNX graph with one output of the given name.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    _check_extra()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter's own, on its ways
        made = torch.onnx.export(
            exported, dynamo=True, input_names=["images"], output_names=[outputs], verbose=False
        )
    if made is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    model = made.model_proto
    _name_by_modules(model.graph)
    del model.metadata_props[:], model.graph.metadata_props[:]
    return model


def _name_by_modules(graph: "onnx.GraphProto") -> None:
    """Call each node as the module that it is of, and forget which line of Python that was."""
    seen: Counter[str] = Counter()
    for node in graph.node:
        facts = {entry.key: entry.value for entry in node.metadata_props}
        scopes = [name for name in _SCOPE.findall(facts.get(_SCOPES, "")) if name]
        inside = len(scopes) > 1 and scopes[-2].startswith("network.")
        module = scopes[-2].removeprefix("network.") if inside else "steps"
        name = f"{module}/{node.op_type}"
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"
        del node.metadata_props[:]
    for value in (*graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del value.metadata_props[:]


def _check_extra() -> None:
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "onnx")
