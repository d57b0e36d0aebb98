"""Engines of torch: the network as it is, and what `atrous.optimize` makes of it."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from atrous.errors import UsageError
from atrous.fast.optimized_model import OptimizedModel
from atrous.fast.rewriting import optimize
from atrous.models import SegmentationModel


class TorchEngine:
    """The network itself, in float32 and eval mode for as long as it computes.

    Args:
        model: The network. It is moved to the device; whatever is done to its weights later shows.
        device: Where to compute.
    """

    name, precision = "torch", "fp32"

    def __init__(self, model: SegmentationModel, *, device: torch.device) -> None:
        # Pictures come with their channels last; convolutions then need not reorder anything.
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.device = device

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        model, images = self.model, images.to(self.device)
        if not isinstance(model, OptimizedModel):
            images = model.preprocessing(images.permute(0, 3, 1, 2))
        with eval_mode(model), torch.inference_mode(), _full_precision(self.device):
            return model.coarse_logits(images)


class OptimizedEngine:
    """What `atrous.optimize` makes of a network; the network stays as it is.

    Args:
        model: The network; or one that is optimized already, which is taken as it is.
        device: Where to compute.
        precision: `fp32` or `bf16`.
        compiled: Whether torch.compile joins the layers at the first image of a size.
    """

    def __init__(
        self,
        model: SegmentationModel,
        *,
        device: torch.device,
        precision: str = "fp32",
        compiled: bool = False,
    ) -> None:
        self.name, self.device = "compiled" if compiled else "optimized", device
        if isinstance(model, OptimizedModel):
            self.model = _as_asked(model, precision, compiled=compiled).to(device)
        else:
            model = _on(model, device)
            self.model = optimize(model, precision=precision, compile=compiled)
        self.precision = "bf16" if self.model.dtype == torch.bfloat16 else "fp32"

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (B, K, h, w) for stored images (B, H, W, 3)."""
        with torch.inference_mode(), _full_precision(self.device):
            return self.model.coarse_logits(images.to(self.device))


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while; afterwards each module has the mode it had."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _full_precision(device: torch.device) -> torch.autocast:
    """Keep an autocast around the caller from changing what is computed."""
    return torch.autocast(device.type, enabled=False)


def _on(model: SegmentationModel, device: torch.device) -> SegmentationModel:
    """Return the model, or a copy of it where it lives elsewhere."""
    parameter = next(model.parameters())
    return model if parameter.device == device else copy.deepcopy(model).to(device)


def _as_asked(model: OptimizedModel, precision: str, *, compiled: bool) -> OptimizedModel:
    if precision == "bf16" and model.dtype != torch.bfloat16:
        raise UsageError(
            "the model is optimized already; for another precision, give the one it was made from"
        )
    if not compiled:
        return model
    return OptimizedModel(model.network, dtype=model.dtype, largest=model.largest, compiled=True)
