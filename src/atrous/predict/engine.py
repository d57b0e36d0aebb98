"""Which engine a user's words mean."""

import torch

from atrous.devices import pick_device
from atrous.errors import UsageError
from atrous.fast.engines import ENGINES, AutomaticEngine, Engine, open_engine
from atrous.fast.engines.engine import check_engine
from atrous.models import SegmentationModel
from atrous.weights.download import cache_folder

_TIMINGS = "engines.json"
PRECISIONS = ("fp32", "bf16")


def pick_engine(
    name: str, model: SegmentationModel, *, device: str = "auto", precision: str = "fp32"
) -> Engine:
    """Return the engine called `name` for a network; `auto` finds the fastest while it computes.

    Args:
        name: `auto`, or a key of `atrous.fast.engines.ENGINES`.
        model: The network; `torch` moves it to the device, the others make a copy.
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
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is unknown; use {' or '.join(PRECISIONS)}")
    on_cpu_only = name in ENGINES and ENGINES[name][1] is not None
    target = pick_device("cpu" if device == "auto" and on_cpu_only else device)
    if name != "auto":
        check_engine(name, device=target, precision=precision)
    return target
