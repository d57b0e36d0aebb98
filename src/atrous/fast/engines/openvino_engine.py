"""OpenVINO, on the processor: a graph of its own for each size of image."""

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from atrous.errors import UsageError
from atrous.fast.engines.openvino_sizes import GraphsBySize, hint_of
from atrous.fast.optimized_model import OptimizedModel
from atrous.fast.rewriting import optimize
from atrous.models import SegmentationModel


class OpenVINOEngine:
    """A network in OpenVINO. The first image of a size takes seconds: its graph is made then.

    A graph for one size holds that size's numbers: which taps of an atrous kernel fall on padding,
    how small images are padded. `atrous.fast.openvino_graph` makes one for every size, which takes
    longer to make and to run.

    Args:
        model: The network; or what `atrous.optimize` made of it in float32.
        precision: `fp32` or `bf16`.

    Raises:
        UsageError: The model is optimized for another precision, or for a size.
    """

    name = "openvino"

    def __init__(self, model: SegmentationModel, *, precision: str = "fp32") -> None:
        self.precision = precision
        self._network = _FromPictures(_foldable(model))
        self._run = GraphsBySize(self._graph, hint=hint_of(precision))

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        return self._run(images)

    @property
    def at_once(self) -> int:
        """How many calls, from as many threads, are computed at the same time."""
        return self._run.at_once

    def for_many(self) -> "OpenVINOEngine":
        """Return the same network for more images a second, each of which takes longer."""
        other = copy.copy(self)
        other._run = self._run.for_many()
        return other

    def _graph(self, images: Tensor) -> Any:
        import openvino

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer: that the size is taken as it is
            return openvino.convert_model(self._network, example_input=images)


class _FromPictures(nn.Module):
    """Only logits come out, as a tracer wants it."""

    def __init__(self, model: OptimizedModel) -> None:
        super().__init__()
        self.model = model.network
        self.normalized = model.normalized

    def forward(self, images: Tensor) -> Tensor:
        return self.model.coarse_logits(self.normalized(images))


def _foldable(model: SegmentationModel) -> OptimizedModel:
    """Return an optimized copy in float32, for any size, on the CPU."""
    if not isinstance(model, OptimizedModel):
        return optimize(model).cpu()
    if not model.is_general:
        raise UsageError(
            "the model is optimized for another precision, or for a size; give the engine "
            "'openvino' the one it was made from"
        )
    return copy.deepcopy(model).cpu()
