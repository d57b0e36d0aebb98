"""Convolution blocks of the DeepLab heads: convolution, batch norm, ReLU.

Axes: B batch, C channels in, D channels out, H rows, W columns (feature-map cells).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.nn.geometry import same_padding


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
        rate: Distance between neighbouring taps, in cells; 1 is ordinary convolution.
        bias: Whether the convolution adds a bias although batch norm follows.
        separable: Convolve each channel by itself first, then mix channels with a 1x1; batch norm
            and ReLU stand behind both (Chen et al. 2018, arXiv:1802.02611, section 3.1).

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
        rate: int = 1,
        bias: bool = False,
        separable: bool = False,
    ) -> None:
        layers: list[nn.Module] = []
        if separable and kernel_size > 1:
            depthwise = _conv(
                in_channels, in_channels, kernel_size, rate=rate, bias=bias, groups=in_channels
            )
            layers = [depthwise, BatchNorm2d(in_channels), nn.ReLU(inplace=True)]
            kernel_size, rate = 1, 1
        conv = _conv(in_channels, out_channels, kernel_size, rate=rate, bias=bias)
        super().__init__(*layers, conv, BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, *, rate: int, bias: bool, groups: int = 1
) -> nn.Conv2d:
    conv = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=same_padding(kernel_size, rate),
        dilation=rate,
        groups=groups,
        bias=bias,
    )
    # ReLU follows, so that He's variance keeps the signal's size (arXiv:1502.01852).
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Return `x` (B, C, H, W) resized bilinearly to `size` (rows, columns), corners not aligned."""
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
