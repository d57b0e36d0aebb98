"""Atrous kernels tap by tap, each on the cells that it reads: for graphs of one size.

Axes: B batch, C channels in, D channels out, H rows, W columns.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from atrous.fast.taps import keeps_size

_WIDE = 8  # cells; below this rate oneDNN's own bfloat16 convolution is as fast


class LiveTaps(nn.Module):
    """An atrous convolution as a sum of 1x1 convolutions, one for each tap that meets the map.

    A tap that points `rate` cells down reads the map without its first `rate` rows, and what it
    gives is padded to the map's size. Nothing is computed for what falls on padding: of a 3x3 at
    rate 24 on 33x33 cells that is 73 % (arXiv:1706.05587, section 3.3). oneDNN's bfloat16 kernels
    compute it all, and the wider the padding the slower.

    Args:
        conv: A dense convolution that keeps the size of its map.

    Raises:
        ValueError: It does not keep the size, or has groups.

    Example:
        >>> conv = nn.Conv2d(8, 4, 3, padding=6, dilation=6)
        >>> x = torch.randn(1, 8, 10, 5)
        >>> torch.allclose(LiveTaps(conv)(x), conv(x), atol=1e-5)
        True
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        if not keeps_size(conv) or conv.groups > 1:
            raise ValueError(f"expected a dense convolution that keeps its map's size, got {conv}")
        (rows, columns), (down, right) = conv.kernel_size, conv.dilation
        self.offsets = [
            ((row - rows // 2) * down, (column - columns // 2) * right)
            for row in range(rows)
            for column in range(columns)
        ]
        taps = conv.weight.detach().flatten(2).unbind(2)
        self.weights = nn.ParameterList(tap[..., None, None].clone() for tap in taps)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
        self.bias = nn.Parameter(bias.to(conv.weight))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, D, H, W) of x (B, C, H, W)."""
        height, width = x.shape[-2:]
        total = self.bias.view(1, -1, 1, 1)
        for weight, (down, right) in zip(self.weights, self.offsets, strict=True):
            if abs(down) < height and abs(right) < width:
                cells = _from(_from(x, down, axis=2), right, axis=3)
                padding = (max(-right, 0), max(right, 0), max(-down, 0), max(down, 0))
                total = total + F.pad(F.conv2d(cells, weight), padding)
        return total


def with_live_taps(network: nn.Module) -> nn.Module:
    """Let the wide atrous convolutions of a network, in place, leave out what meets no cell."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d) and _is_wide(module):
            network.set_submodule(name, LiveTaps(module))
    return network


def _from(x: Tensor, offset: int, *, axis: int) -> Tensor:
    """Return the cells that lie `offset` after another one; before it, where that is negative."""
    return x.narrow(axis, max(offset, 0), x.shape[axis] - abs(offset))


def _is_wide(conv: nn.Conv2d) -> bool:
    wide = max(conv.kernel_size) > 1 and max(conv.dilation) >= _WIDE
    return wide and conv.groups == 1 and keeps_size(conv)
