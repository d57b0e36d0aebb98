"""Blocks of the DeepLab heads: convolution with batch norm and ReLU, the mean over a map, resizing.

Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

import math
from collections.abc import Iterable
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn.geometry import same_padding

Rate: TypeAlias = int | tuple[int, int]  # cells between taps; a pair is (along rows, along columns)
Between: TypeAlias = Literal["norm_act", "norm", "nothing"]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm that also trains on one value per channel, with its running statistics.

    One value has no variance. It comes up behind image pooling with a batch of one, where
    `torch.nn.BatchNorm2d` raises "Expected more than 1 value per channel when training".

    Example:
        >>> BatchNorm2d(4).train()(torch.ones(1, 4, 1, 1)).shape
        torch.Size([1, 4, 1, 1])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised map, of the shape of `input`."""
        if self.training and has_one_value(input):
            return by_running_statistics(self, input)
        return super().forward(input)


def has_one_value(x: Tensor) -> bool:
    """Return whether `x` (B, C, H, W) holds a single value of each channel."""
    return x.numel() == x.shape[1]


def by_running_statistics(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Return `x` normalised as in eval mode, whatever mode `norm` is in; no statistic moves."""
    mean, variance = norm.running_mean, norm.running_var
    return F.batch_norm(x, mean, variance, norm.weight, norm.bias, eps=norm.eps)


class ConvNormAct(nn.Sequential):
    """Convolution that keeps the map's size, then batch norm and ReLU.

    Args:
        in_channels: Channels C of the incoming map.
        out_channels: Channels D of the result.
        kernel_size: Taps along each axis, an odd number.
        rate: Distance between neighbouring taps, in cells; 1 is ordinary convolution. A pair gives
            that between rows and that between columns.
        bias: Whether the convolution adds a bias although batch norm follows.
        separable: Convolve each channel by itself first, then mix channels with a 1x1 (Chen et al.
            2018, arXiv:1802.02611, section 3.1).
        between: What stands between these two: `norm_act`, batch norm and ReLU; `norm`, batch norm
            alone; or `nothing`. The paper does not say; its authors' code has the first.

    Raises:
        ValueError: The kernel has an even span, or `between` is none of the three.

    Example:
        >>> ConvNormAct(8, 4, kernel_size=3, rate=6)(torch.zeros(2, 8, 5, 7)).shape
        torch.Size([2, 4, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 1,
        rate: Rate = 1,
        bias: bool = False,
        separable: bool = False,
        between: Between = "norm_act",
    ) -> None:
        layers: list[nn.Module] = []
        if separable and kernel_size > 1:
            depthwise = same_conv(
                in_channels, in_channels, kernel_size, rate=rate, bias=bias, groups=in_channels
            )
            layers = [depthwise, *_between(between, in_channels)]
            kernel_size, rate = 1, 1
        conv = same_conv(in_channels, out_channels, kernel_size, rate=rate, bias=bias)
        super().__init__(*layers, conv, BatchNorm2d(out_channels), nn.ReLU(inplace=True))

    @property
    def spatial(self) -> nn.Conv2d:
        """The convolution that looks at neighbours: the depthwise one where there are two."""
        return cast(nn.Conv2d, self[0])

    @property
    def rate(self) -> Rate:
        """Rate of the spatial convolution; setting it keeps the weights and the map's size."""
        rows, columns = self.spatial.dilation[0], self.spatial.dilation[1]
        return rows if rows == columns else (rows, columns)

    @rate.setter
    def rate(self, rate: Rate) -> None:
        set_rate(self.spatial, rate)


def _between(between: Between, channels: int) -> list[nn.Module]:
    layers = [BatchNorm2d(channels), nn.ReLU(inplace=True)]
    number = {"norm_act": 2, "norm": 1, "nothing": 0}
    if between not in number:
        raise ValueError(f"between must be one of {', '.join(number)}, got {between!r}")
    return layers[: number[between]]


def same_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    rate: Rate = 1,
    bias: bool = False,
    groups: int = 1,
) -> nn.Conv2d:
    """Return a convolution that keeps the size of its map, with the first weights of He."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, groups=groups, bias=bias)
    set_rate(conv, rate)
    # ReLU follows, so that He's variance keeps the signal's size (arXiv:1502.01852).
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def classifier(
    in_channels: int, num_classes: int, kernel_size: int = 1, *, rate: Rate = 1
) -> nn.Conv2d:
    """Return a classifier that starts without preference, so that the first loss is log K."""
    conv = same_conv(in_channels, num_classes, kernel_size, rate=rate, bias=True)
    nn.init.normal_(conv.weight, std=0.01)
    return conv


def set_rate(conv: nn.Conv2d, rate: Rate) -> None:
    """Change the distance between the taps of `conv`, and its padding so that maps keep their size.

    Args:
        conv: A convolution of stride 1 that pads with zeros.
        rate: Cells between neighbouring taps, or one for (rows, columns).

    Raises:
        ValueError: The kernel's span at this rate is even; nothing has changed then.

    Example:
        >>> conv = nn.Conv2d(8, 4, kernel_size=3)
        >>> set_rate(conv, 6)
        >>> conv(torch.zeros(2, 8, 5, 7)).shape
        torch.Size([2, 4, 5, 7])
    """
    rows, columns = (rate, rate) if isinstance(rate, int) else rate
    high, wide = conv.kernel_size
    conv.padding = same_padding(high, rows), same_padding(wide, columns)
    conv.dilation = rows, columns


def set_rates(blocks: Iterable[nn.Module], rates: Iterable[Rate]) -> None:
    """Give each block its rate: that of its first convolution with more than one tap."""
    for block, rate in zip(blocks, rates, strict=True):
        convs = (module for module in block.modules() if isinstance(module, nn.Conv2d))
        set_rate(next(conv for conv in convs if conv.kernel_size != (1, 1)), rate)


class GlobalMean(nn.Module):
    """The mean over a map, as one cell: what image pooling begins with.

    Example:
        >>> GlobalMean()(torch.ones(2, 8, 5, 7)).shape
        torch.Size([2, 8, 1, 1])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean (B, C, 1, 1) of x (B, C, H, W)."""
        return x.mean(dim=(-2, -1), keepdim=True)


def resize(x: Tensor, size: torch.Size | tuple[int, int], *, align_corners: bool = False) -> Tensor:
    """Return `x` (B, C, H, W) resized bilinearly to `size` (rows, columns).

    With `align_corners` the centres of the corner cells lie on each other; without it, the edges of
    the maps do.
    """
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align_corners)


def moved(x: Tensor, cells: float, size: tuple[int, int] | None = None) -> Tensor:
    """Return `x` (B, C, H, W) moved by so many cells down and to the right; its edges repeat.

    Between cells it is interpolated linearly: by half a cell, each is the mean of four.

    Args:
        x: The map.
        cells: How far, in either direction.
        size: (rows, columns) of the result, which begins where `x` does; by default those of `x`.

    Example:
        >>> moved(torch.arange(4.0).view(1, 1, 1, 4), 0.5)
        tensor([[[[0.0000, 0.5000, 1.5000, 2.5000]]]])
    """
    whole = math.ceil(cells)
    share = whole - cells  # of the later of the two cells that each lies between
    for axis, side in zip((2, 3), size or x.shape[2:], strict=True):
        last = x.shape[axis] - 1
        earlier = torch.arange(side, device=x.device) - whole
        at = earlier.clamp(0, last), (earlier + 1).clamp(0, last)
        first, second = (x.index_select(axis, cells) for cells in at)
        x = (1 - share) * first + share * second
    return x
