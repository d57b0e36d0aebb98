"""Which model and which engine a user's words mean."""

from pathlib import Path

import torch

from atrous.devices import pick_device
from atrous.errors import UsageError
from atrous.fast.engines import ENGINES, AutomaticEngine, Engine, ExportedModel, open_engine
from atrous.fast.engines.engine import check_engine
from atrous.fast.engines.exported import SUFFIXES, is_exported
from atrous.models import SegmentationModel
from atrous.weights import load_model
from atrous.weights.download import cache_folder

_TIMINGS = "engines.json"
PRECISIONS = ("fp32", "bf16")
_EXPORTED = ("int8", "fp16")


def open_model(
    source: str | Path, *, output_stride: int | None = None
) -> SegmentationModel | ExportedModel:
    """Return a model by its name or from its file, which may be one of `atrous export`.

    Args:
        source: What `atrous.load_model` takes; or an `.onnx` or `.xml` file.
        output_stride: Image pixels per cell of the deepest map: 4, 8, 16 or 32; by default as it
            was trained.

    Raises:
        UsageError: No model has this name, or it cannot be held at this output stride.
        DataError: The file is missing, or is not what it should be.
        MissingExtraError: The file's engine is not installed.
    """
    if is_exported(source):
        if output_stride is not None:
            raise UsageError(
                f"{source}: has the output stride that it was exported with; give the model file "
                "that it was made from"
            )
        return ExportedModel(source)
    model = load_model(source)
    if output_stride is not None:
        model.set_output_stride(output_stride)
    return model


def pick_engine(
    name: str,
    model: SegmentationModel | ExportedModel,
    *,
    device: str = "auto",
    precision: str = "fp32",
) -> Engine:
    """Return the engine called `name` for a network; `auto` finds the fastest while it computes.

    Args:
        name: `auto`, or a key of `atrous.fast.engines.ENGINES`.
        model: The network; `torch` moves it to the device, the others make a copy. An exported file
            is its own engine, and computes in its own precision.
        device: `auto` (the best there is that the engine knows), `cpu`, `cuda`, `cuda:1` or `mps`.
        precision: `fp32` or `bf16`.

    Raises:
        UsageError: A word is unknown, or they do not go together.
        MissingExtraError: The engine is not installed.

    Example:
        >>> from atrous.models import create_model
        >>> model = create_model("deeplabv3", backbone="resnet18", num_classes=2)
        >>> pick_engine("auto", model, device="cpu").name
        'optimized'
    """
    if isinstance(model, ExportedModel):
        return _checked(model, name, device=device, precision=precision)
    target = check_words(name, device=device, precision=precision)
    if name == "auto":
        file = cache_folder() / _TIMINGS
        return AutomaticEngine(model, device=target, precision=precision, cache=file)
    return open_engine(name, model, device=target, precision=precision)


def check_words(name: str, *, device: str, precision: str) -> torch.device:
    """Return the device to compute on, before any model is loaded.

    Raises:
        UsageError: A word is unknown, or they do not go together.
        MissingExtraError: The engine is not installed.
    """
    if precision in _EXPORTED and name in ("auto", *SUFFIXES.values()):
        raise UsageError(
            f"networks compute in {' or '.join(PRECISIONS)}; for {precision} export one, as in "
            f"'atrous export --to openvino --precision {precision}', and name the file as the model"
        )
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is unknown; use {' or '.join(PRECISIONS)}")
    on_cpu_only = name in ENGINES and ENGINES[name][1] is not None
    target = pick_device("cpu" if device == "auto" and on_cpu_only else device)
    if name != "auto":
        check_engine(name, device=target, precision=precision)
    return target


def _checked(model: ExportedModel, name: str, *, device: str, precision: str) -> ExportedModel:
    """Return an exported file, unless the words ask for what it is not."""
    if name not in ("auto", model.name):
        raise UsageError(f"{model.path}: is computed by {model.name}, not by engine {name!r}")
    if device not in ("auto", "cpu"):
        raise UsageError(f"{model.path}: computes on the CPU, not on {device}; use --device cpu")
    if precision not in (PRECISIONS[0], model.precision):
        raise UsageError(f"{model.path}: computes in {model.precision}, not in {precision}")
    return model
