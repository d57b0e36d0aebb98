"""The taps of an atrous kernel: leave out those that fall on padding, or compute them side by side.

Axes: B batch, C channels in, D channels out, K kernel taps, H rows, W columns.
"""

import copy
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def without_dead_taps(conv: nn.Conv2d, size: tuple[int, int]) -> nn.Conv2d:
    """Return `conv` with only the taps that can fall inside a map.

    A rate that reaches beyond the map leaves the middle row or column of the kernel, beyond both
    sides its centre: the 3x3 is a 1x1 (arXiv:1706.05587, section 3.3).

    Args:
        conv: A convolution that keeps the size of its map, with an odd kernel.
        size: (rows, columns) of the largest map that it will read; smaller ones are as exact.

    Example:
        >>> without_dead_taps(nn.Conv2d(8, 4, 3, padding=24, dilation=24), (20, 30)).kernel_size
        (1, 3)
    """
    dead = [
        taps > 1 and rate >= side
        for taps, rate, side in zip(conv.kernel_size, conv.dilation, size, strict=True)
    ]
    if not keeps_size(conv) or not any(dead):
        return conv
    lean, weight = copy.deepcopy(conv), conv.weight.detach()
    for axis, taps in enumerate(conv.kernel_size):
        if dead[axis]:
            weight = weight.narrow(2 + axis, taps // 2, 1)
    lean.weight = nn.Parameter(weight.clone(), requires_grad=False)
    lean.kernel_size = weight.shape[-2], weight.shape[-1]
    lean.padding = _only(dead, conv.padding)
    return lean


def _only(dead: list[bool], padding: object) -> tuple[int, int]:
    rows, columns = padding if isinstance(padding, tuple) else (0, 0)
    return 0 if dead[0] else rows, 0 if dead[1] else columns


def keeps_size(conv: nn.Conv2d) -> bool:
    """Return whether a convolution pads by as much as its taps reach, and steps by one cell."""
    reach = tuple(
        rate * (taps // 2) for rate, taps in zip(conv.dilation, conv.kernel_size, strict=True)
    )
    odd = all(taps % 2 for taps in conv.kernel_size)
    plain = type(conv) is nn.Conv2d and not conv._forward_pre_hooks
    return plain and odd and conv.stride == (1, 1) and conv.padding == reach


class TapsAsChannels(nn.Module):
    """An atrous convolution as one 1x1 convolution to K times the channels, and K shifted sums.

    What a cell gives to its neighbours does not depend on where they are, so a 1x1 convolution
    gives it for all taps; each tap's share is then shifted to its place, in float32. Taps that
    fall on padding everywhere are left out. oneDNN's bfloat16 kernels for wide padding take up to
    ten times as long in AMX; those for AVX-512 take less.

    Args:
        conv: A dense convolution that keeps the size of its map.

    Raises:
        ValueError: It does not keep the size, or has groups.

    Example:
        >>> conv = nn.Conv2d(8, 4, 3, padding=6, dilation=6)
        >>> x = torch.randn(1, 8, 10, 9)
        >>> torch.allclose(TapsAsChannels(conv)(x), conv(x), atol=1e-5)
        True
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not keeps_size(conv) or conv.groups > 1:
            raise ValueError(f"expected a dense convolution that keeps its map's size, got {conv}")
        self.out_channels, self.kernel_size = conv.out_channels, conv.kernel_size
        self.dilation = conv.dilation
        weight = conv.weight.detach().permute(2, 3, 0, 1).flatten(0, 2)  # K * D, C
        self.weight = nn.Parameter(weight[..., None, None].clone(), requires_grad=False)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
        self.bias = nn.Parameter(bias.to(weight), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, D, H, W) of x (B, C, H, W)."""
        height, width = x.shape[-2:]
        rows, columns = self._live(height, axis=0), self._live(width, axis=1)
        weight = self.weight.unflatten(0, (*self.kernel_size, self.out_channels))
        weight = weight[rows.start : rows.stop, columns.start : columns.stop].flatten(0, 2)
        shares = F.conv2d(x, weight).unflatten(1, (-1, self.out_channels))
        total = shares[:, 0].new_empty(shares[:, 0].shape, dtype=torch.float32)
        total = total.contiguous(memory_format=torch.channels_last)
        total.copy_(self.bias.view(-1, 1, 1).expand_as(total))
        for number, (row, column) in enumerate(product(rows, columns)):
            to_rows, from_rows = self._overlap(height, row, axis=0)
            to_columns, from_columns = self._overlap(width, column, axis=1)
            total[..., to_rows, to_columns] += shares[:, number, :, from_rows, from_columns]
        return total.to(x.dtype)

    def _live(self, side: int, *, axis: int) -> range:
        """Return the taps along an axis that fall on a map for some of its cells."""
        taps, reach = self.kernel_size[axis], (side - 1) // self.dilation[axis]
        return range(max(0, taps // 2 - reach), min(taps, taps // 2 + reach + 1))

    def _overlap(self, side: int, tap: int, *, axis: int) -> tuple[slice, slice]:
        """Return the cells that a tap writes along an axis, and those it reads for them."""
        offset = (tap - self.kernel_size[axis] // 2) * self.dilation[axis]
        first, last = max(0, -offset), min(side, side - offset)
        return slice(first, last), slice(first + offset, last + offset)
