"""ONNX Runtime, on the processor."""

import warnings
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from atrous.errors import MissingExtraError
from atrous.fast.onnx_graph import onnx_graph
from atrous.models import SegmentationModel


class OnnxEngine:
    """A network in ONNX Runtime, for images of every size. Making the graph takes some seconds.

    Args:
        model: The network; its weights, rates and output stride are taken as they are now.

    Raises:
        UsageError: The network has no graph for every size, or is optimized already.
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
    """

    name, precision = "onnxruntime", "fp32"

    def __init__(self, model: SegmentationModel) -> None:
        content = onnx_graph(model, outputs="coarse_logits").SerializeToString()
        self._session = open_onnx(content)

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        return torch.from_numpy(self._session.run(None, {"images": images.cpu().numpy()})[0])


def open_onnx(content: bytes) -> Any:
    """Return a session of ONNX Runtime on the processor, with as many threads as torch has.

    Args:
        content: That of an ONNX file.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    if find_spec("onnxruntime") is None:
        raise MissingExtraError("onnxruntime", "onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own modules, at their first import
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
