"""Networks of timm as maps at several strides, with what atrous asks of them beside."""

import difflib
import math
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import timm
import torch
from timm.layers.norm_act import BatchNormAct2d
from timm.models._efficientnet_blocks import ConvBnAct
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from atrous.errors import UsageError
from atrous.models.conventions import Conventions
from atrous.models.preprocessing import Preprocessing
from atrous.nn.conv import BatchNorm2d, by_running_statistics, has_one_value

# What a network needs to compute what its ImageNet weights were trained on.
_OPTIONS: dict[str, dict[str, Any]] = {
    # TensorFlow's epsilon; timm's default for the symmetric variant is 1e-5.
    "efficientnet_lite0": {"bn_eps": 1e-3},
}
_PREPROCESSING = {"efficientnet_lite0": Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)}


class Stage(NamedTuple):
    """A map that a network gives: its stride in image pixels, channels, and the module it is of."""

    stride: int
    channels: int
    module: str


def create_network(
    name: str, *, in_channels: int = 3, conventions: Conventions | None = None
) -> tuple[nn.Module, list[Stage]]:
    """Build a timm network with its own strides, and say which maps it gives.

    Args:
        name: What timm calls it.
        in_channels: Channels of the images.
        conventions: What another library does differently inside a backbone.

    Raises:
        UsageError: timm has no such network, or it gives no maps.
    """
    conventions = conventions or Conventions()
    network = _of_timm(name, in_channels, conventions)
    info = network.feature_info
    columns = info.reduction(), info.channels(), info.module_name()
    stages = [Stage(*row) for row in zip(*columns, strict=True)]
    if len({stage.stride for stage in stages}) < len(stages):
        raise UsageError(f"backbone {name!r} does not give maps of growing stride in timm")
    if conventions.last_conv is not None:
        stages[-1] = _change_last_conv(network, stages[-1], conventions.last_conv)
    _adapt_norms(network, conventions.norm_eps)
    if conventions.stride_in_1x1:
        _stride_in_1x1(network)
    if conventions.ceil_stem:
        _ceil_stem(name, network)
    if conventions.tf_padding_side is not None:
        _pad_as_for(network, conventions.tf_padding_side)
    return network, stages


def _of_timm(name: str, in_channels: int, conventions: Conventions) -> Any:
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them"
        raise UsageError(f"backbone {name!r} is unknown to timm; {hint}")
    options = {"features_only": True, "in_chans": in_channels, **timm_options(name)}
    if conventions.tf_padding:
        options["pad_type"] = "same"
    try:
        return timm.create_model(name, **options)
    except (TypeError, AssertionError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"backbone {name!r} does not give feature maps in timm: {error}"
        ) from error


def timm_options(name: str) -> dict[str, Any]:
    """Return what timm must be told beside the name, for its ImageNet weights to be exact."""
    return _OPTIONS.get(name, {})


def preprocessing_of(name: str, in_channels: int) -> Preprocessing:
    """Return what the ImageNet weights of a network expect of an image."""
    config = timm.get_pretrained_cfg(name)
    if in_channels != 3 or config is None:
        return Preprocessing(mean=(0.5,) * in_channels, std=(0.5,) * in_channels)
    return _PREPROCESSING.get(name) or Preprocessing(tuple(config.mean), tuple(config.std))


def blocks_of(network: nn.Module, stage: Stage) -> list[str]:
    """Return the names of the residual blocks of a stage, in order; none where it has none."""
    known = dict(network.named_modules())
    # timm flattens the names of some networks.
    for name in (stage.module, stage.module.replace(".", "_")):
        for holder in (f"{name}.blocks", name):
            if isinstance(known.get(holder), (nn.Sequential, nn.ModuleList)):
                return [f"{holder}.{child}" for child, _ in known[holder].named_children()]
    return []


def _adapt_norms(network: nn.Module, eps: float | None) -> None:
    """Give the batch norms of `network` what a batch of one needs, and another epsilon if given."""
    ours = {nn.BatchNorm2d: BatchNorm2d, BatchNormAct2d: _BatchNormAct2d}
    for module in network.modules():
        module.__class__ = ours.get(type(module), type(module))
        if eps is not None and isinstance(module, nn.BatchNorm2d):
            module.eps = eps


def _stride_in_1x1(network: nn.Module) -> None:
    """Move the stride of each bottleneck from its 3x3 convolution to the 1x1 before."""
    for module in network.modules():
        if isinstance(module, Bottleneck) and module.conv2.stride != (1, 1):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, (1, 1)


def _change_last_conv(network: Any, last: Stage, channels: int) -> Stage:
    """Let a network end with a 1x1 convolution to `channels`, or with none; return what it gives.

    Raises:
        UsageError: It is of a kind whose last convolution is not known.
    """
    if channels and isinstance(network, EfficientNetFeatures):
        conv = ConvBnAct(last.channels, channels, kernel_size=1, act_layer=nn.ReLU6)
        network.blocks[-1].append(conv)  # pyright: ignore[reportCallIssue], it is a Sequential
        return last._replace(channels=channels)
    if channels or not hasattr(network, "final_conv"):
        raise UsageError(f"last_conv {channels} is not known for a {type(network).__name__}")
    own = network.final_conv.conv.in_channels
    network.final_conv = nn.Identity()
    return last._replace(channels=own)


def _pad_as_for(network: nn.Module, side: int) -> None:
    """Let the strided convolutions pad any map as that of a square image of `side` pixels.

    On maps of even sides TensorFlow pads one side more than the other, on odd ones both alike.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            if side % 2:
                module.__class__ = nn.Conv2d
                module.padding = module.kernel_size[0] // 2, module.kernel_size[1] // 2
            side = math.ceil(side / 2)


def _ceil_stem(name: str, network: Any) -> None:
    """Let the pooling of a ResNet's stem count a last window that leaves the map."""
    if not hasattr(network, "maxpool"):
        raise UsageError(f"backbone {name!r} has no pooling in its stem; leave out ceil_stem")
    network.maxpool.ceil_mode = True


class _BatchNormAct2d(BatchNormAct2d):
    """timm's batch norm with activation, which trains on one value as `BatchNorm2d` of atrous."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and has_one_value(x):
            x = by_running_statistics(self, x)  # pyright: ignore[reportArgumentType], timm hides it
            return self.act(self.drop(x))  # pyright: ignore[reportCallIssue]
        return super().forward(x)


class Taps:
    """Outputs of modules inside a network, by a key, for the thread that computes them.

    It survives `copy.deepcopy`: a copied network taps into the copy.
    """

    def __init__(self) -> None:
        self._kept: dict[int, dict[int, Tensor]] = {}

    def keep(self, key: int, output: Tensor) -> None:
        """Keep one output."""
        self._kept.setdefault(_thread(), {})[key] = output

    def take(self) -> dict[int, Tensor]:
        """Return what this thread has kept, and forget it."""
        return self._kept.pop(_thread(), {})


def _thread() -> int:
    return 0 if torch.compiler.is_compiling() else threading.get_ident()


class Tap:
    """Forward hook that keeps a module's output."""

    def __init__(self, taps: Taps, key: int) -> None:
        self.taps, self.key = taps, key

    def __call__(self, module: nn.Module, inputs: Sequence[Tensor], output: Tensor) -> None:
        """Keep `output`."""
        self.taps.keep(self.key, output)
