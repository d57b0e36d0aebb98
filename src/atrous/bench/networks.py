"""The network that is measured: by its name, or another library's with random weights."""

import difflib
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from atrous.errors import UsageError
from atrous.models import SegmentationModel
from atrous.weights import convert, load_model
from atrous.weights.published import NAMES

RANDOM = "random:"
_SMP = {"deeplabv3": "DeepLabV3", "deeplabv3plus": "DeepLabV3Plus"}
_CLASSES = 21


def is_random(name: str) -> bool:
    """Return whether a name stands for random weights: its labels then mean nothing."""
    return name.startswith(RANDOM)


def load_network(name: str | Path) -> SegmentationModel:
    """Return a network in eval mode.

    Args:
        name: What `atrous.load_model` takes; or `random:` and `torchvision/…` as `atrous models`
            has it, or `random:smp/ARCHITECTURE_ENCODER`: the library's network with random weights,
            for which nothing is downloaded. They are the same each time.

    Raises:
        UsageError: The name is unknown, or segmentation_models_pytorch is not installed.
        DataError: The model file is missing, or is none.

    Example:
        >>> load_network("random:torchvision/lraspp_mobilenet_v3_large").blueprint.architecture
        'lraspp'
    """
    text = str(name)
    if not is_random(text):
        return load_model(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _settled(_peer(text.removeprefix(RANDOM)))
    return convert(network)[0]


def _peer(name: str) -> nn.Module:
    """Return a library's own network with random weights."""
    library, _, network = name.partition("/")
    if library == "smp":
        return _smp(network)
    if name not in NAMES:
        known = [*NAMES, "smp/deeplabv3plus_resnet50"]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5) or known
        raise UsageError(f"network {name!r} is unknown; use {RANDOM}{f', {RANDOM}'.join(near)}")
    from torchvision.models import segmentation

    options = {"weights": None, "weights_backbone": None, "num_classes": _CLASSES}
    return getattr(segmentation, network)(**options)


def import_smp() -> ModuleType:
    """Return segmentation_models_pytorch.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise UsageError(
            "segmentation_models_pytorch is not installed: pip install segmentation-models-pytorch"
        ) from error
    return smp


def _smp(name: str) -> nn.Module:
    smp = import_smp()
    architecture, _, encoder = name.partition("_")
    if architecture not in _SMP or encoder not in smp.encoders.encoders:
        raise UsageError(
            f"network 'smp/{name}' is unknown; use {RANDOM}smp/deeplabv3_ENCODER or "
            f"{RANDOM}smp/deeplabv3plus_ENCODER with one of its encoders, such as resnet50"
        )
    return getattr(smp, _SMP[architecture])(encoder, encoder_weights=None, classes=_CLASSES)


def _settled(network: nn.Module) -> nn.Module:
    """Give new norms statistics, so that nothing is trivial."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.get_buffer("running_mean").normal_(std=0.1)
            module.get_buffer("running_var").uniform_(0.5, 1.5)
    return network.eval()
