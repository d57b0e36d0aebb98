"""What an engine is, which there are, and how one is opened by its name.

Axes: B images, H rows, W columns; K classes; h, w of the map that is classified.
"""

import difflib
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from atrous.errors import MissingExtraError, UsageError
from atrous.models import SegmentationModel

# Name: the precisions it computes in, and the package and extra that it needs beside torch.
ENGINES: dict[str, tuple[tuple[str, ...], str | None]] = {
    "torch": (("fp32",), None),
    "optimized": (("fp32", "bf16"), None),
    "compiled": (("fp32", "bf16"), None),
    "onnxruntime": (("fp32",), "onnx"),
    "openvino": (("fp32", "bf16"), "openvino"),
}


class Engine(Protocol):
    """Something that computes one network."""

    @property
    def name(self) -> str:
        """A key of `ENGINES`."""
        ...

    @property
    def precision(self) -> str:
        """What it computes in: `fp32` or `bf16`."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 logits (B, K, h, w) for stored images (B, H, W, 3) uint8 RGB.

        The images may lie anywhere; the logits lie where the engine computes.
        """
        ...


@runtime_checkable
class ParallelEngine(Engine, Protocol):
    """An engine that can compute several images at once."""

    @property
    def at_once(self) -> int:
        """How many calls, from as many threads, are computed at the same time."""
        ...

    def for_many(self) -> "ParallelEngine":
        """Return the same engine for more images a second, each of which takes longer."""
        ...


def available(device: torch.device, precision: str = "fp32") -> tuple[str, ...]:
    """Return the engines that are installed and compute in a precision on a device.

    Example:
        >>> "optimized" in available(torch.device("cpu"))
        True
    """
    return tuple(
        name
        for name, (precisions, extra) in ENGINES.items()
        if precision in precisions
        and (extra is None or (device.type == "cpu" and find_spec(name) is not None))
    )


def check_engine(name: str, *, device: torch.device, precision: str) -> None:
    """Make sure that an engine can be opened.

    Raises:
        UsageError: Its name is unknown, or it has not the precision, or not the device.
        MissingExtraError: It is not installed.
    """
    if name not in ENGINES:
        near = difflib.get_close_matches(name, ("auto", *ENGINES), n=1, cutoff=0.5)
        hint = f"perhaps {near[0]}; " if near else ""
        raise UsageError(f"engine {name!r} is unknown; {hint}use auto, {', '.join(ENGINES)}")
    precisions, extra = ENGINES[name]
    if precision not in precisions:
        able = [other for other, (known, _) in ENGINES.items() if precision in known]
        cure = f"use engine {', '.join(able)}" if able else f"use {' or '.join(precisions)}"
        raise UsageError(f"engine {name!r} does not compute in {precision!r}; {cure}")
    if extra is None:
        return
    if device.type != "cpu":
        raise UsageError(f"engine {name!r} computes on the CPU, not on {device}; use --device cpu")
    if find_spec(name) is None:
        raise MissingExtraError(name, extra)


def open_engine(
    name: str, model: SegmentationModel, *, device: torch.device, precision: str = "fp32"
) -> Engine:
    """Return an engine for a network.

    `torch` computes the network itself, which is moved to the device and keeps its mode. The others
    are made of a copy: weights, rates and output stride as they are now.

    Args:
        name: A key of `ENGINES`.
        model: The network; or what `atrous.optimize` made of it.
        device: Where to compute.
        precision: `fp32` or `bf16`.

    Raises:
        UsageError: Name, precision and device do not go together.
        MissingExtraError: The engine is not installed.

    Example:
        >>> from atrous.models import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> engine = open_engine("optimized", model, device=torch.device("cpu"))
        >>> engine(torch.zeros(1, 32, 64, 3, dtype=torch.uint8)).shape
        torch.Size([1, 2, 2, 4])
    """
    check_engine(name, device=device, precision=precision)
    if name == "onnxruntime":
        from atrous.fast.engines.onnx_engine import OnnxEngine

        return OnnxEngine(model)
    if name == "openvino":
        from atrous.fast.engines.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(model, precision=precision)
    from atrous.fast.engines.torch_engine import OptimizedEngine, TorchEngine

    if name == "torch":
        return TorchEngine(model, device=device)
    compiled = name == "compiled"
    return OptimizedEngine(model, device=device, precision=precision, compiled=compiled)
