"""Backbones: any timm network that keeps its maps, dilated to the output stride that is wanted.

Where a stage's stride becomes dilation, its first block keeps the rate before it, as in the papers
(timm does so), so that the maps of another output stride are the same ones, only denser.
"""

import difflib
import math
from typing import Any, NamedTuple

import timm
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.errors import UsageError
from atrous.models.preprocessing import Preprocessing
from atrous.nn.conv import BatchNorm2d, by_running_statistics, has_one_value

# What a backbone needs to compute what its ImageNet weights were trained on.
_OPTIONS: dict[str, dict[str, Any]] = {
    # TensorFlow's epsilon; timm's default for the symmetric variant is 1e-5.
    "efficientnet_lite0": {"bn_eps": 1e-3},
}
_PREPROCESSING = {"efficientnet_lite0": Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)}
_LOW_LEVEL_STRIDE = 4  # arXiv:1802.02611, figure 2


class Features(NamedTuple):
    """The two maps that the heads read: `fine` at stride 4 (or None), `deep` at the last stride."""

    fine: Tensor | None
    deep: Tensor


class _Sides(NamedTuple):
    """The sides of an image that a network takes: `least` pixels and more, in steps of `step`."""

    least: int
    step: int

    def missing(self, side: int) -> int:
        """Return the pixels to add to `side`."""
        return max(self.least - side, -side % self.step)


# Most networks take what leaves them one cell. In a few, such as HRNet, the maps fit together only
# where no stride leaves a rest.
_SIDES = (_Sides(least=32, step=1), _Sides(least=96, step=32))


class Backbone(nn.Module):
    """A timm network without its classifier.

    Args:
        name: What timm calls it, such as `resnet50` or `efficientnet_lite0`.
        output_stride: Image pixels per cell of the deepest map: 8, 16 or 32.
        in_channels: Channels of the images.

    Attributes:
        channels: Channels of the deepest map.
        low_level_channels: Channels of the map at stride 4; None where there is no such map.
        preprocessing: What its ImageNet weights expect of an image.

    Raises:
        UsageError: timm has no such network, or cannot give it this output stride; or it does not
            take images of any size.

    Example:
        >>> backbone = Backbone("resnet18", output_stride=16)
        >>> backbone(torch.zeros(1, 3, 65, 65)).deep.shape
        torch.Size([1, 512, 5, 5])
    """

    def __init__(self, name: str, *, output_stride: int = 16, in_channels: int = 3) -> None:
        super().__init__()
        self.name = name
        self.network = _create(name, output_stride, in_channels)
        _train_on_one_value(self.network)
        strides, channels = (
            self.network.feature_info.reduction(),
            self.network.feature_info.channels(),
        )
        self.output_stride: int = strides[-1]
        if self.output_stride != output_stride:
            cure = "use that, or another" if self.output_stride in (8, 16, 32) else "use another"
            raise UsageError(
                f"backbone {name!r} cannot be dilated to output_stride {output_stride}; its own is "
                f"{self.output_stride}: {cure} backbone"
            )
        self.channels: int = channels[-1]
        self._fine = strides.index(_LOW_LEVEL_STRIDE) if _LOW_LEVEL_STRIDE in strides else None
        self.low_level_channels: int | None = None if self._fine is None else channels[self._fine]
        self.preprocessing = _preprocessing_of(name, in_channels)
        self._sides = self._find_sides(in_channels)

    def forward(self, images: Tensor) -> Features:
        """Return the maps of preprocessed images (B, in_channels, H, W) of any size."""
        height, width = images.shape[-2:]
        below, right = self._sides.missing(height), self._sides.missing(width)
        if below or right:
            images = F.pad(images, (0, right, 0, below), mode="replicate")
        maps = self.network(images)
        fine, deep = None if self._fine is None else maps[self._fine], maps[-1]
        if below or right:
            fine = None if fine is None else _cut(fine, height, width, _LOW_LEVEL_STRIDE)
            deep = _cut(deep, height, width, self.output_stride)
        return Features(fine, deep)

    def _find_sides(self, in_channels: int) -> _Sides:
        """Return which sides the network takes as they are, by trial; others are padded to them."""
        complaint = ""
        for sides in _SIDES:
            self._sides = sides
            complaint = self._complaint(in_channels)
            if not complaint:
                return sides
        raise UsageError(
            f"backbone {self.name!r} does not take images of any size in timm ({complaint}); "
            "use one that does, such as resnet50 or efficientnet_lite0"
        )

    def _complaint(self, in_channels: int) -> str:
        """Return why the network cannot read an image of odd sides; empty when it can."""
        try:
            with torch.no_grad():
                deep = self.eval()(torch.zeros(1, in_channels, 33, 65)).deep
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            return str(error)
        finally:
            self.train()
        return "" if deep.shape[1] == self.channels else "its maps have the channels last"


class _BatchNormAct2d(BatchNormAct2d):
    """timm's batch norm with activation, which trains on one value as `BatchNorm2d` of atrous."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and has_one_value(x):
            x = by_running_statistics(self, x)  # pyright: ignore[reportArgumentType], timm hides it
            return self.act(self.drop(x))  # pyright: ignore[reportCallIssue]
        return super().forward(x)


def timm_options(name: str) -> dict[str, Any]:
    """Return what timm must be told beside the name, for its ImageNet weights to be exact."""
    return _OPTIONS.get(name, {})


def _create(name: str, output_stride: int, in_channels: int) -> Any:
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them"
        raise UsageError(f"backbone {name!r} is unknown to timm; {hint}")
    options = {"features_only": True, "in_chans": in_channels, **timm_options(name)}
    try:
        return timm.create_model(name, output_stride=output_stride, **options)
    except (TypeError, AssertionError, NotImplementedError, RuntimeError):
        # Networks that timm cannot dilate refuse the argument each in its own way.
        return _create_undilated(name, options)


def _create_undilated(name: str, options: dict[str, Any]) -> Any:
    try:
        return timm.create_model(name, **options)
    except (TypeError, AssertionError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"backbone {name!r} does not give feature maps in timm: {error}"
        ) from error


def _train_on_one_value(network: nn.Module) -> None:
    """Give the batch norms of `network` what a batch of one needs; nothing else changes."""
    ours = {nn.BatchNorm2d: BatchNorm2d, BatchNormAct2d: _BatchNormAct2d}
    for module in network.modules():
        module.__class__ = ours.get(type(module), type(module))


def _cut(x: Tensor, height: int, width: int, stride: int) -> Tensor:
    """Return the cells of `x` that an image of `height` x `width` pixels covers."""
    return x[..., : math.ceil(height / stride), : math.ceil(width / stride)]


def _preprocessing_of(name: str, in_channels: int) -> Preprocessing:
    config = timm.get_pretrained_cfg(name)
    if in_channels != 3 or config is None:
        return Preprocessing(mean=(0.5,) * in_channels, std=(0.5,) * in_channels)
    return _PREPROCESSING.get(name) or Preprocessing(tuple(config.mean), tuple(config.std))
