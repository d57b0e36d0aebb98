"""Backbones: any convolutional timm network, held at the output stride that is wanted.

A backbone is built with its own strides; `atrous.nn.set_output_stride` then turns those beyond the
wanted one into rates, so that the maps of another output stride are the same ones, only denser.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.errors import UsageError
from atrous.models.conventions import Conventions
from atrous.models.timm_network import Tap, Taps, blocks_of, create_network, preprocessing_of
from atrous.models.vgg16 import VGG16
from atrous.nn.dilation import set_multi_grid, set_output_stride


class Features(NamedTuple):
    """The maps that the heads read.

    Attributes:
        early: Maps on the way, by the stride in image pixels that they have in the backbone as it
            was built: 4 for a decoder, 8 for LR-ASPP, 8 or 16 for an auxiliary head.
        deep: The deepest map.
    """

    early: dict[int, Tensor]
    deep: Tensor


class _Sides(NamedTuple):
    """The sides of an image that a network takes: `least` pixels and more, in steps of `step`.

    `fits` demands that every cell that an image touches is there, so that maps lie on one another.
    """

    least: int
    step: int
    fits: bool = True

    def missing(self, side: int) -> int:
        """Return the pixels to add to `side`."""
        return max(self.least - side, -side % self.step)


# Most networks take what leaves them one cell. Some, such as ConvNeXt with its 2x2 kernels, drop
# the rest that a stride leaves, and in a few, such as HRNet, the maps then do not fit together.
_SIDES = (_Sides(32, 1), _Sides(32, 32), _Sides(96, 32), _Sides(96, 32, fits=False))


class Backbone(nn.Module):
    """A timm network without its classifier; `vgg16` is that of DeepLab v1 and v2.

    Args:
        name: What timm calls it, such as `resnet50` or `efficientnet_lite0`.
        output_stride: Image pixels per cell of the deepest map: 4, 8, 16 or 32.
        in_channels: Channels of the images.
        multi_grid: One unit rate for each block of the last stage, which multiplies the stage's
            (arXiv:1706.05587, section 3.2.1).
        conventions: What other libraries do differently.

    Attributes:
        channels: Channels of the deepest map.
        early_channels: Channels of the earlier ones, by their own strides.
        own_stride: Image pixels per cell of the deepest map as the network was built.
        inexact_layers: Layers that mix a whole map, and do so on a denser one than as built; with
            any, maps of another output stride are similar, not the same.
        preprocessing: What its ImageNet weights expect of an image.

    Raises:
        UsageError: timm has no such network, or it cannot be held at this output stride, or does
            not take images of any size, or has not as many blocks as unit rates.

    Example:
        >>> backbone = Backbone("resnet18", output_stride=16)
        >>> backbone(torch.zeros(1, 3, 65, 65)).deep.shape
        torch.Size([1, 512, 5, 5])
    """

    def __init__(
        self,
        name: str,
        *,
        output_stride: int = 16,
        in_channels: int = 3,
        multi_grid: Sequence[float] | None = None,
        conventions: Conventions | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self._conventions = conventions or Conventions()
        if name == "vgg16":
            self.network, stages = VGG16(in_channels), VGG16.stages
        else:
            self.network, stages = create_network(
                name, in_channels=in_channels, conventions=self._conventions
            )
        *early, deepest = stages
        self.channels = deepest.channels
        self.early_channels = {stage.stride: stage.channels for stage in early}
        self.own_stride = self._output_stride = deepest.stride
        self.inexact_layers: tuple[str, ...] = ()
        self.preprocessing = preprocessing_of(name, in_channels)
        self._taps = Taps()
        if self._conventions.early_maps == "first_block":
            self._tap_first_blocks(early)
        self._sides = self._find_sides(in_channels)
        if extra := self._conventions.extra_rates:
            self._set_multi_grid([block for block, _ in extra], [factor for _, factor in extra])
        if multi_grid is not None:
            self._set_multi_grid(blocks_of(self.network, deepest), multi_grid)
        self.set_output_stride(output_stride)

    @property
    def output_stride(self) -> int:
        """Image pixels per cell of the deepest map."""
        return self._output_stride

    def set_output_stride(self, stride: int) -> None:
        """Hold the maps at `stride`; the weights stay.

        Raises:
            UsageError: The network cannot be held there; nothing has changed then.
        """
        if stride > self.own_stride:
            raise UsageError(
                f"backbone {self.name!r} has output_stride {self.own_stride} of its own, got "
                f"{stride}; use that or a smaller one"
            )
        is_as_built = "_grid_record" not in self.network.__dict__
        if not (is_as_built and stride == self.own_stride):
            try:
                inexact = set_output_stride(
                    self.network,
                    stride,
                    dilate_first_block=self._conventions.dilate_first_block,
                    even_padding=self._conventions.even_padding,
                    dense_means=self._conventions.dense_means,
                    undilated=self._conventions.undilated,
                )
            except (ValueError, RuntimeError) as error:
                raise UsageError(f"backbone {self.name!r}: {error}") from error
            self.inexact_layers = inexact
        self._output_stride = stride

    def forward(self, images: Tensor) -> Features:
        """Return the maps of preprocessed images (B, in_channels, H, W) of any size."""
        height, width = images.shape[-2:]
        below, right = self._sides.missing(height), self._sides.missing(width)
        if below or right:
            images = F.pad(images, (0, right, 0, below), mode="replicate")
        *maps, deep = self.network(images)
        early = dict(zip(self.early_channels, maps, strict=True)) | self._taps.take()
        if below or right:
            early = {stride: self._cut(x, stride, height, width) for stride, x in early.items()}
            deep = self._cut(deep, self.own_stride, height, width)
        return Features(early, deep)

    def _cut(self, x: Tensor, own_stride: int, height: int, width: int) -> Tensor:
        """Return the cells of `x` that an image of `height` x `width` pixels covers."""
        stride = min(own_stride, self._output_stride)
        return x[..., : math.ceil(height / stride), : math.ceil(width / stride)]

    def _tap_first_blocks(self, stages: Sequence) -> None:
        """Let the first block of each stage give its early map, not the last one."""
        for stage in stages:
            blocks = blocks_of(self.network, stage)
            if blocks:
                first = self.network.get_submodule(blocks[0])
                first.register_forward_hook(Tap(self._taps, stage.stride))

    def _set_multi_grid(self, blocks: Sequence[str], units: Sequence[float]) -> None:
        try:
            set_multi_grid(self.network, blocks, units)
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"backbone {self.name!r}: {error}") from error

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
        height, width = 33, 65
        try:
            with torch.no_grad():
                deep = self.eval()(torch.zeros(1, in_channels, height, width)).deep
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:
            return str(error)
        finally:
            self.train()
        if deep.shape[1] != self.channels:
            return "its maps have the channels last"
        touched = math.ceil(height / self.own_stride), math.ceil(width / self.own_stride)
        if self._sides.fits and deep.shape[-2:] != touched:
            return f"its map of an image of {height}x{width} pixels has not {touched} cells"
        return ""
