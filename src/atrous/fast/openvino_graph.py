"""A network as an OpenVINO graph, for Intel's processors and graphics units."""

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING

from atrous.errors import MissingExtraError, UsageError
from atrous.fast.onnx_graph import onnx_graph
from atrous.models import SegmentationModel

if TYPE_CHECKING:
    import onnx
    import openvino

PRECISIONS = ("fp32", "bf16", "fp16")


def openvino_graph(
    model: SegmentationModel, *, outputs: str = "logits", precision: str = "fp32"
) -> "openvino.Model":
    """Return a network as an OpenVINO graph for any number of images of any size.

    Its input and output are those of `atrous.fast.onnx_graph`, which it is made from.

    What it computes in is said when it is compiled: OpenVINO takes bfloat16 by itself where the
    processor has it, and float32 only with `INFERENCE_PRECISION_HINT` set to `f32`.

    Args:
        model: A network; its weights, rates and output stride are taken as they are now.
        outputs: `logits`, `coarse_logits` or `labels`.
        precision: `fp32`; or `bf16` or `fp16`, which both hold the weights in float16, with three
            bits more than bfloat16 has.

    Raises:
        UsageError: One of the words is unknown, or the network has no program for every size.
        MissingExtraError: openvino, onnx or onnxscript is not installed.

    Example:
        >>> from atrous import create_model
        >>> model = create_model("lraspp", backbone="resnet18", num_classes=2)
        >>> openvino_graph(model).input().partial_shape
        <PartialShape: [?,?,?,3]>
    """
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is unknown; use {', '.join(PRECISIONS)}")
    _check_extra()
    weights = "fp32" if precision == "fp32" else "fp16"
    return to_openvino(onnx_graph(model, outputs=outputs, precision=weights))


def to_openvino(graph: "onnx.ModelProto") -> "openvino.Model":
    """Return an ONNX graph as one of OpenVINO.

    Raises:
        MissingExtraError: openvino is not installed.
    """
    _check_extra()
    import openvino

    return openvino.convert_model(io.BytesIO(graph.SerializeToString()))


def _check_extra() -> None:
    if find_spec("openvino") is None:
        raise MissingExtraError("openvino", "openvino")
